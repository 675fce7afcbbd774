package rulesource

import (
	"crypto/sha256"
	"errors"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-oss-cors/caddy-oss-cors/corsrules"
	"github.com/caddy-oss-cors/caddy-oss-cors/metrics"
)

// Document is the one rules document of a source: it parses, checks and publishes what Load
// gives it, and keeps the last good rules in force while that is bad.
//
// The methods that change it must not run concurrently with each other; Close may run
// concurrently with them once there are rules. Rules, Status and Report may be called from
// any goroutine at any time.
type Document struct {
	name    string
	parsing corsrules.Options
	blocks  bool // the content can be rule blocks, too
	opts    *Options

	current atomic.Pointer[Rules]
	status  atomic.Pointer[Status]
	handle  *metrics.Handle // from the first publication on; nil: nothing is counted

	// sum is of the content in force. It is atomic because a read that timed out may
	// still compare with it.
	sum atomic.Pointer[[sha256.Size]byte]
}

// Status is what became of a document's content.
type Status struct {
	// Loaded is when the rules in force were loaded, by this process or, for those that
	// Caddy's storage kept, by the one that saved them. It is zero where that is not known,
	// where a bucket's first document is bad, so that it denies everything, and where the
	// rules are not available yet.
	Loaded time.Time

	// Err is why newer content could not be loaded; nil while all is well.
	Err error
}

// NewDocument returns a document without rules yet. Its name is the ruleset label, unless
// opts has one; file is what faults call it; maxRules is as in corsrules.Options.
func NewDocument(name, file string, maxRules int, opts *Options) *Document {
	d := &Document{name: name, opts: opts}
	if opts.Name != "" {
		d.name = opts.Name
	}
	d.parsing = corsrules.Options{File: file, MaxRules: maxRules, Credentials: opts.AllowCredentials, Dialect: opts.Dialect.Documents()}
	return d
}

// Rules returns the rules in force; nil until Load succeeds or Unavailable is called.
func (d *Document) Rules() *Rules { return d.current.Load() }

// Status returns what became of the content; the zero Status while there are no rules.
func (d *Document) Status() Status {
	if s := d.status.Load(); s != nil {
		return *s
	}
	return Status{}
}

// Report returns what the document has in force.
func (d *Document) Report() Report {
	status, rules := d.Status(), d.Rules() // in this order: see remote.rules
	return Report{Rules: rules, Document: d.parsing.File, Unavailable: rules != nil && rules.unavailable, Status: status}
}

// Load puts content in force if it is good; otherwise it returns the error of
// corsrules.Parse. A change of state is logged once.
func (d *Document) Load(content []byte) error { return d.loadAsOf(content, time.Now()) }

// LoadAbsent puts in force that there is no document: CORS is not enabled.
func (d *Document) LoadAbsent() { d.loadAbsentAsOf(time.Now()) }

// loadAsOf is Load of what was first loaded at another time; zero: that is not known.
func (d *Document) loadAsOf(content []byte, at time.Time) error {
	if d.confirm(content) {
		return nil
	}
	cfg, findings, err := d.parse(content)
	if err != nil {
		d.Failed(err)
		return err
	}
	sum := sha256.Sum256(content)
	d.sum.Store(&sum)
	d.put(cfg, at)
	d.logFindings(findings)
	return nil
}

// parse returns the rules of a content, and what may be a mistake in them.
func (d *Document) parse(content []byte) (*corsrules.Configuration, []corsrules.Finding, error) {
	if d.blocks {
		return ParseAndLint(content, d.parsing, true)
	}
	return corsrules.ParseAndLint(content, d.parsing)
}

// noDocument stands for the content of a document that does not exist. It is not a document.
var noDocument = []byte("<!-- CORS is not enabled -->\n")

func (d *Document) loadAbsentAsOf(at time.Time) {
	if d.confirm(noDocument) {
		return
	}
	sum := sha256.Sum256(noDocument)
	d.sum.Store(&sum)
	d.publish(nil, at)
	d.log().Info(notEnabled)
}

// confirm reports whether content is in force already, and is then good again.
func (d *Document) confirm(content []byte) bool {
	if !d.holds(content) {
		return false
	}
	if d.Status().Err != nil {
		d.publish(d.Rules().Ruleset, time.Now())
		d.log().Info(goodAgain)
	}
	return true
}

// put puts good rules in force.
func (d *Document) put(cfg *corsrules.Configuration, at time.Time) {
	d.publish(corsrules.Compile(cfg), at)
	d.log().Info(inForce, zap.Int("rules", len(cfg.Rules)))
}

// holds reports whether content is what is in force. It may be called from any goroutine.
func (d *Document) holds(content []byte) bool {
	sum := d.sum.Load()
	return sum != nil && sha256.Sum256(content) == *sum
}

// Unavailable lets a source start without rules: until the first Load that succeeds, Rules
// only count, and Status has no time. It is for the source to report that as an error.
func (d *Document) Unavailable(err error) {
	d.openMetrics()
	d.current.Store(&Rules{Name: d.name, Metrics: d.handle, unavailable: true})
	d.Failed(err)
}

func (d *Document) openMetrics() {
	if d.handle == nil && d.opts.Store != nil {
		d.handle = d.opts.Store.Open(d.name, d.opts.metricsOptions())
	}
}

// publish puts rules in force, which are nil if CORS is not enabled, and were loaded at a time.
func (d *Document) publish(rs *corsrules.Ruleset, at time.Time) {
	d.openMetrics()
	rules := &Rules{Ruleset: rs, Name: d.name, Metrics: d.handle}
	if d.handle != nil {
		rules.hits = d.handle.LoadedAt(rs.RuleNames(), at)
	}
	d.current.Store(rules)
	d.status.Store(&Status{Loaded: at})
}

// Failed records that there is no good content to load. Rules in force stay so. Before the
// first Load that succeeded, or Unavailable, it does nothing.
func (d *Document) Failed(err error) {
	status, rules := d.Status(), d.Rules()
	err = brief(err)
	if rules == nil || sameError(status.Err, err) {
		return
	}
	d.status.Store(&Status{Loaded: status.Loaded, Err: err})
	if d.handle != nil {
		d.handle.Failed()
	}
	message := lastGood
	if rules.unavailable {
		message = unavailable
	}
	d.log().Error(message, zap.Error(err))
}

func (d *Document) log() *zap.Logger { return documentLog(d.opts.Logger, d.name, d.parsing.File) }

// Close ends the document's metrics.
func (d *Document) Close() {
	if d.handle != nil {
		d.handle.Close()
	}
}

// What the log says of a document.
const (
	inForce     = "CORS rules in force"
	notEnabled  = "CORS is not enabled: the bucket has no CORS rules"
	goodAgain   = "CORS rules are good again, and are those in force"
	lastGood    = "CORS rules cannot be loaded; the last good ones stay in force"
	unavailable = "CORS rules cannot be loaded, and none are known: preflights are answered 503, and other requests pass"
	deniesAll   = "CORS rules cannot be loaded, and there are no earlier ones: this bucket denies all"
)

func documentLog(log *zap.Logger, ruleset, document string) *zap.Logger {
	return log.With(zap.String("ruleset", ruleset), zap.String("document", document))
}

// brief returns an error that fits into a log line: a document can have thousands of faults.
func brief(err error) error {
	var faults corsrules.Faults
	if errors.As(err, &faults) {
		return faults.Brief()
	}
	return err
}

// sameError reports whether two errors say the same.
func sameError(a, b error) bool { return a != nil && b != nil && a.Error() == b.Error() }
