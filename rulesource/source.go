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
	// rules could not be reached and none are known; the Rules then only count.
	Rules(ctx context.Context, bucket string) (*Rules, error)
}

// PerBucket is a Source that has rules for each of many buckets, and so needs to be told
// which one a request is for.
type PerBucket interface {
	Source
	PerBucket()
}

// Options are what the handler tells its source. They do not change.
type Options struct {
	// Name is the ruleset label that the user chose; empty: the source's own.
	Name string

	// AllowCredentials refuses rules with origins that are too wide to be answered
	// with Access-Control-Allow-Credentials.
	AllowCredentials bool

	// Logger is for what becomes of the rules.
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
	shown.ActualReasons = names(corsrules.ActualReasons)
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

	// Metrics is nil where Options.Store was.
	Metrics *metrics.Handle

	hits []*metrics.Rule
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
