package rulesource

import (
	"crypto/sha256"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-oss-cors/caddy-oss-cors/corsrules"
	"github.com/caddy-oss-cors/caddy-oss-cors/metrics"
)

// bucketDocument is the document of one of many buckets. Unlike a Document it has rules
// from the start: if its first content is bad, it denies everything. Past
// metrics.MaxBuckets it has no counters of its own. The bucket's lock guards it.
type bucketDocument struct {
	buckets *buckets
	name    string
	handle  *metrics.Handle // nil: it counts with the overflow

	rules  *Rules
	status Status
	sum    [sha256.Size]byte // of the content in force
}

// parsedContent is what a bucket's content says.
type parsedContent struct {
	sum   [sha256.Size]byte
	rules *corsrules.Ruleset
	err   error // why there are no rules
}

// holds reports whether content is what is in force.
func (d *bucketDocument) holds(content []byte) bool {
	return !d.status.Loaded.IsZero() && sha256.Sum256(content) == d.sum
}

// confirm records that what is in force was read again.
func (d *bucketDocument) confirm() {
	if d.status.Err != nil {
		d.publish(d.rules.Ruleset)
		d.log().Info(goodAgain)
	}
}

// load puts content in force if it is good. A change of state is logged once.
func (d *bucketDocument) load(content *parsedContent) {
	switch {
	case content.err == nil:
		d.sum = content.sum
		d.publish(content.rules)
		d.log().Info(inForce, zap.Int("rules", content.rules.Len()))
	case d.rules == nil:
		d.rules = d.newRules(corsrules.Compile(new(corsrules.Configuration)), nil)
		d.failed(content.err, deniesAll)
	case d.status.Loaded.IsZero():
		d.failed(content.err, deniesAll)
	default:
		d.failed(content.err, lastGood)
	}
}

func (d *bucketDocument) publish(rs *corsrules.Ruleset) {
	var hits []*metrics.Rule
	if d.handle != nil {
		hits = d.handle.Loaded(rs.RuleNames())
	} else {
		hits = d.buckets.overflow.hits()
	}
	d.rules, d.status = d.newRules(rs, hits), Status{Loaded: time.Now()}
}

func (d *bucketDocument) newRules(rs *corsrules.Ruleset, hits []*metrics.Rule) *Rules {
	handle := d.handle
	if handle == nil {
		handle = d.buckets.overflow.handle
	}
	return &Rules{Ruleset: rs, Name: d.name, Metrics: handle, hits: hits}
}

func (d *bucketDocument) failed(err error, outcome string) {
	err = brief(err)
	if sameError(d.status.Err, err) {
		return
	}
	d.status.Err = err
	if d.handle != nil {
		d.handle.Failed()
	}
	d.log().Error(outcome, zap.Error(err))
}

func (d *bucketDocument) report() Report {
	return Report{Rules: d.rules, Document: d.buckets.file(d.name), Status: d.status}
}

func (d *bucketDocument) log() *zap.Logger {
	return documentLog(d.buckets.opts.Logger, d.name, d.buckets.file(d.name))
}

func (d *bucketDocument) close() {
	if d.handle != nil {
		d.handle.Close()
	}
}
