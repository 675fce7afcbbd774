package rulesource

import (
	"bytes"
	"sync/atomic"

	"go.uber.org/zap"

	"github.com/caddy-oss-cors/caddy-oss-cors/corsrules"
	"github.com/caddy-oss-cors/caddy-oss-cors/metrics"
)

// Document is one rules document: it parses, checks and publishes what Load gives it,
// and keeps the last good rules in force while that is bad. Rules may be called from any
// goroutine, the other methods from one.
type Document struct {
	name    string
	parsing corsrules.Options
	log     *zap.Logger
	shown   *metrics.Options
	metrics *metrics.Ruleset // from the first publication on, if it is shown
	current atomic.Pointer[Rules]

	good    []byte // the content in force
	trouble string // the error that was last logged; empty while all is well
}

// NewDocument returns a document without rules yet. Its name is the ruleset label; file
// is what faults call it; maxRules is as in corsrules.Options.
func NewDocument(name, file string, maxRules int, opts Options) *Document {
	if opts.Name != "" {
		name = opts.Name
	}
	return &Document{
		name:    name,
		parsing: corsrules.Options{File: file, MaxRules: maxRules, Credentials: opts.AllowCredentials},
		log:     opts.Logger.With(zap.String("ruleset", name), zap.String("document", file)),
		shown:   opts.Metrics,
	}
}

// Rules returns the rules in force; nil before the first Load that succeeded.
func (d *Document) Rules() *Rules { return d.current.Load() }

// Load puts content in force if it is good. A change of state is logged once.
func (d *Document) Load(content []byte) error {
	if d.Rules() != nil && bytes.Equal(content, d.good) {
		if d.trouble != "" {
			d.log.Info("CORS rules are good again, and are those in force")
			d.publish(d.Rules().Ruleset)
		}
		return nil
	}
	cfg, err := corsrules.Parse(content, d.parsing)
	if err != nil {
		d.Failed(err)
		return err
	}
	d.good = bytes.Clone(content)
	d.publish(corsrules.Compile(cfg))
	d.log.Info("CORS rules in force", zap.Int("rules", d.Rules().Len()))
	return nil
}

func (d *Document) publish(rs *corsrules.Ruleset) {
	d.trouble = ""
	rules := &Rules{Ruleset: rs, Name: d.name}
	if d.shown != nil {
		if d.metrics == nil {
			d.metrics = Metrics.Open(d.name, *d.shown)
		}
		rules.Metrics, rules.hits = d.metrics, d.metrics.Loaded(rs.RuleNames())
	}
	d.current.Store(rules)
}

// Failed records that there is no good content to load. Rules in force stay so.
func (d *Document) Failed(err error) {
	if d.Rules() == nil || d.trouble == err.Error() {
		return
	}
	d.trouble = err.Error()
	if d.metrics != nil {
		d.metrics.Failed()
	}
	d.log.Error("CORS rules cannot be loaded; the last good ones stay in force", zap.Error(err))
}

// Close ends the document's metrics.
func (d *Document) Close() {
	if d.metrics != nil {
		d.metrics.Close()
	}
}
