// Package rulesource has the places that CORS rules come from. Each is a Caddy guest
// module in the namespace http.oss_cors.rules; others can be added by any Caddy plugin
// that implements Source, most easily on top of a Document.
package rulesource

import (
	"context"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/caddy-oss-cors/caddy-oss-cors/corsrules"
	"github.com/caddy-oss-cors/caddy-oss-cors/metrics"
)

// Namespace is where Caddy finds the sources: a source's module ID is this, a dot, and
// the word that follows "rules" in the Caddyfile.
const Namespace = "http.oss_cors.rules"

// Source is a place that rules come from.
type Source interface {
	// Open loads the rules and keeps them current until ctx is done. It is called
	// once, after Provision; an error stops the configuration from being loaded.
	Open(ctx caddy.Context, opts *Options) error

	// Rules returns the rules in force for a bucket, which a source of one document
	// need not look at; it is empty where the request names none. It is called for
	// each request, from any goroutine, and never returns nil. An error means that the
	// rules could not be reached and none are known; the returned Rules then have no
	// Ruleset, and are for Count only.
	Rules(ctx context.Context, bucket string) (*Rules, error)
}

// A Source can also implement the following.

// PerBucket is a Source that has rules for each of many buckets, and so needs to be told
// which one a request is for.
type PerBucket interface {
	Source

	// PerBucket marks the type. It is never called.
	PerBucket()
}

// Reporter is a Source that tells what it has in force, for the admin API.
type Reporter interface {
	Source

	// Reports returns a report for each rule set: one for a source of one document; for a
	// source of many buckets one for each bucket that is loaded, sorted by name, and then
	// one for metrics.OtherBuckets. It may be called from any goroutine.
	Reports() []Report
}

// Writable is a PerBucket source whose documents can be changed, by the bucket API. Its
// methods may be called from any goroutine, with names that OSS allows, and return when ctx
// is done.
type Writable interface {
	PerBucket

	// Load returns a bucket's document as it is stored now; fs.ErrNotExist if there is
	// none.
	Load(ctx context.Context, bucket string) ([]byte, error)

	// Store stores a bucket's document, whole or not at all, and puts it in force. When it
	// returns nil, both have happened. When ctx was done before that, both may still happen
	// later.
	Store(ctx context.Context, bucket string, document []byte) error

	// Delete deletes a bucket's document, if there is one, and puts that in force, as
	// Store does.
	Delete(ctx context.Context, bucket string) error

	Limited
}

// Limited is a Source whose documents may have more rules than OSS's.
type Limited interface {
	Source

	// MaxDocumentRules is how many rules a document may have, as in corsrules.Options.
	MaxDocumentRules() int
}

// Shadower is a Source of one document, to which candidate rules can be compared.
type Shadower interface {
	Source

	// Shadow returns a source of candidate rules in a file, which is read as often, and may
	// have as many rules, as those in force. It is opened later than this Source, without
	// a Store.
	Shadow(path string) Source
}

// Report is what a source has in force for one rule set.
type Report struct {
	Rules *Rules

	// Document is where the rules come from: a file's path, for instance.
	Document string

	// Unavailable: no rules are known, because they cannot be read: preflights are answered
	// 503. Of many buckets, those that are not loaded.
	Unavailable bool

	Status Status
}

// Options are what the handler tells its source. They do not change.
type Options struct {
	// Name is the ruleset label that the user chose; empty: the source's own.
	Name string

	// AllowCredentials refuses rules with origins that are too wide to be answered
	// with Access-Control-Allow-Credentials.
	AllowCredentials bool

	// ResponseVary: the handler adds "Vary: Origin", so rules need not.
	ResponseVary bool

	// Dialect is whose decisions the handler makes. Documents are those of
	// Dialect.Documents.
	Dialect corsrules.Dialect

	// Logger is for what becomes of the rules. Required.
	Logger *zap.Logger

	// Store counts what the rules decide. Default: nothing is counted, as for a shadow.
	Store *metrics.Store

	// Metrics are what the Store shows. The source adds the reasons.
	Metrics metrics.Options
}

// metricsOptions returns what the Store shows, with the reasons.
func (o *Options) metricsOptions() metrics.Options {
	shown := o.Metrics
	shown.PreflightReasons = names(corsrules.PreflightReasons)
	shown.ActualReasons = names(o.Dialect.ActualReasons())
	return shown
}

func names(reasons []corsrules.Reason) []string {
	names := make([]string, len(reasons))
	for i, reason := range reasons {
		names[i] = reason.String()
	}
	return names
}

// Rules are rules in force and their counters; immutable.
type Rules struct {
	*corsrules.Ruleset // nil: CORS is not enabled

	// Name is the ruleset label.
	Name string

	// Metrics is nil if Options.Store was: then Count must not be called.
	Metrics *metrics.Handle

	hits        []*metrics.Rule
	unavailable bool // none are known, and these only count
}

// Count counts a decision by these rules on a request from origin. For a denial it returns
// how often, at least, that was counted for this origin and reason (metrics.Handle.Denied).
func (r *Rules) Count(kind metrics.Kind, d corsrules.Decision, origin string) uint64 {
	switch d.Outcome {
	case corsrules.Allowed:
		r.hits[d.Rule.Number()-1].Hit(kind)
	case corsrules.Denied:
		return r.Metrics.Denied(kind, d.Reason.String(), origin)
	}
	return 0
}

// Hits returns how many requests of a kind the i-th rule matched, from 0.
func (r *Rules) Hits(kind metrics.Kind, i int) uint64 { return r.hits[i].Hits(kind) }
