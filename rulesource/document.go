package rulesource

import (
	"crypto/sha256"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-oss-cors/caddy-oss-cors/corsrules"
	"github.com/caddy-oss-cors/caddy-oss-cors/metrics"
)

// Document is one rules document: it parses, checks and publishes what Load gives it,
// and keeps the last good rules in force while that is bad. Load and Failed are for one
// goroutine at a time, and so is Close until there are rules; then it may run beside them,
// as a file's does, and the other methods may be called from any goroutine at any time.
type Document struct {
	current atomic.Pointer[Rules] // first, where a bucket's requests look
	status  atomic.Pointer[Status]

	name    string
	parsing corsrules.Options // with what faults call the document
	opts    *Options
	metrics *metrics.Handle // from the first publication on, if it has its own

	// Of buckets' documents only.
	numbered bool      // rules are named by their numbers: tenants chose the IDs
	overflow *overflow // counts where there are too many buckets

	sum [sha256.Size]byte // of the content in force
}

// Status is what became of a document's content.
type Status struct {
	// Loaded is when the rules in force were loaded; zero where a bucket's first document
	// is bad, so that it denies all.
	Loaded time.Time

	// Err is why newer content could not be; nil while all is well.
	Err error
}

// NewDocument returns a document without rules yet. Its name is the ruleset label, unless
// opts has one; file is what faults call it; maxRules is as in corsrules.Options.
func NewDocument(name, file string, maxRules int, opts *Options) *Document {
	d := new(Document)
	d.init(name, file, maxRules, opts)
	return d
}

func (d *Document) init(name, file string, maxRules int, opts *Options) {
	d.name, d.opts = name, opts
	if opts.Name != "" {
		d.name = opts.Name
	}
	d.parsing = corsrules.Options{File: file, MaxRules: maxRules, Credentials: opts.AllowCredentials}
}

// Rules returns the rules in force; nil before the first Load that succeeded.
func (d *Document) Rules() *Rules { return d.current.Load() }

// Status returns what became of the content; the zero Status while there are no rules.
func (d *Document) Status() Status {
	if s := d.status.Load(); s != nil {
		return *s
	}
	return Status{}
}

// Load puts content in force if it is good. A change of state is logged once.
func (d *Document) Load(content []byte) error {
	sum := sha256.Sum256(content)
	if d.Rules() != nil && sum == d.sum {
		if d.Status().Err != nil {
			d.publish(d.Rules().Ruleset)
			d.log().Info("CORS rules are good again, and are those in force")
		}
		return nil
	}
	cfg, err := corsrules.Parse(content, d.parsing)
	if err != nil {
		d.Failed(err)
		return err
	}
	d.sum = sum
	if d.numbered {
		for i := range cfg.Rules {
			cfg.Rules[i].ID = ""
		}
	}
	d.put(cfg)
	return nil
}

// put puts good rules in force.
func (d *Document) put(cfg *corsrules.Configuration) {
	d.publish(corsrules.Compile(cfg))
	d.log().Info("CORS rules in force", zap.Int("rules", d.Rules().Len()))
}

// denyAll puts rules in force that match nothing, for lack of any good ones. They are not
// loaded: until some are, it shows that none could be.
func (d *Document) denyAll(err error) {
	d.openMetrics()
	d.current.Store(d.counted(corsrules.Compile(new(corsrules.Configuration))))
	d.Failed(err)
}

func (d *Document) publish(rs *corsrules.Ruleset) {
	d.openMetrics()
	rules := d.counted(rs)
	if d.metrics != nil {
		rules.hits = d.metrics.Loaded(rs.RuleNames())
	}
	d.current.Store(rules)
	d.status.Store(&Status{Loaded: time.Now()})
}

// counted returns rules with the document's counts, or with those of all other buckets.
func (d *Document) counted(rs *corsrules.Ruleset) *Rules {
	rules := &Rules{Ruleset: rs, Name: d.name, Metrics: d.metrics}
	if d.metrics == nil && d.overflow != nil {
		rules.Metrics, rules.hits = d.overflow.handle, d.overflow.hits()
	}
	return rules
}

func (d *Document) openMetrics() {
	switch {
	case d.metrics != nil || d.opts.Store == nil:
	case d.overflow != nil:
		d.metrics = d.opts.Store.OpenBucket(d.name, d.opts.metricsOptions())
	default:
		d.metrics = d.opts.Store.Open(d.name, d.opts.metricsOptions())
	}
}

// Failed records that there is no good content to load. Rules in force stay so.
func (d *Document) Failed(err error) {
	status := d.Status()
	if d.Rules() == nil || status.Err != nil && status.Err.Error() == err.Error() {
		return
	}
	d.status.Store(&Status{Loaded: status.Loaded, Err: err})
	if d.metrics != nil {
		d.metrics.Failed()
	}
	outcome := "CORS rules cannot be loaded; the last good ones stay in force"
	if status.Loaded.IsZero() {
		outcome = "CORS rules cannot be loaded, and there are no earlier ones: this bucket denies all"
	}
	d.log().Error(outcome, zap.Error(err))
}

func (d *Document) log() *zap.Logger {
	return d.opts.Logger.With(zap.String("ruleset", d.name), zap.String("document", d.parsing.File))
}

// Close ends the document's metrics.
func (d *Document) Close() {
	if d.metrics != nil {
		d.metrics.Close()
	}
}
