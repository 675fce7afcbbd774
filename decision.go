package osscors

import (
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-oss-cors/caddy-oss-cors/corsrules"
	"github.com/caddy-oss-cors/caddy-oss-cors/rulesource"
)

// decided is a request with its decision. The first oss_cors handler that the request meets
// makes it. This one decision is counted, logged and applied.
type decided struct {
	handler  *Handler
	r        *http.Request
	request  corsrules.Request
	decision corsrules.Decision
	rules    *rulesource.Rules // that decided; its Count counts

	// bucketName is what the request names as its bucket. bucket is the same, but empty
	// where no bucket can have that name. Both are empty without Handler.Bucket.
	bucketName, bucket string

	// Other handlers may change these before the response is known. The target may hold a
	// key: only its path is shown.
	method, host, target string

	start    time.Time // of a preflight
	denials  uint64    // how often, at least, this origin was denied for this reason
	observed bool      // whether a response was observed already

	// The first response writer and the header values are stored here: allocations of
	// their own make an allowed actual request 10% slower in the handler.
	writer responseWriter
	values [corsrules.MaxAccessControlHeaders]string
}

// decide decides a request by the rules in force for its bucket.
func (h *Handler) decide(r *http.Request) *decided {
	d := &decided{handler: h, r: r, request: h.site.Policy.Dialect.ReadRequest(r), method: r.Method, host: r.Host, target: r.RequestURI}
	if d.request.Kind == corsrules.Preflight {
		d.start = time.Now()
	}
	if h.Bucket != nil {
		d.bucketName, _ = h.Bucket.of(r)
		d.bucket = validBucket(d.bucketName, r.URL.Path)
	}
	rules, err := h.site.Source.Rules(r.Context(), d.bucket) // not nil, even with an error
	ruleset := rules.Ruleset
	if err != nil { // the source logs it
		ruleset = corsrules.Unavailable
	}
	d.rules, d.decision = rules, ruleset.Decide(d.request)
	return d
}

// decidedVar is where a request's decision travels. It is one of Caddy's request variables,
// because only these reach handle_errors, whose request is not the one that was passed on.
const decidedVar = "oss_cors.decided"

// fromContext returns the decision of another oss_cors handler; nil if there was none.
func fromContext(r *http.Request) *decided {
	d, _ := caddyhttp.GetVar(r.Context(), decidedVar).(*decided)
	return d
}

// decorate serves r by next, and sets the decision's headers on the response. If next writes
// nothing, they are set anyway, so that the error page that Caddy or handle_errors then writes
// has them.
func (d *decided) decorate(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	caddyhttp.SetVar(r.Context(), decidedVar, d)
	rw := &d.writer
	if rw.decided != nil { // handlers are nested, or this is handle_errors
		rw = new(responseWriter)
	}
	rw.ResponseWriter, rw.decided = w, d
	err := next.ServeHTTP(rw, r)
	rw.setHeaders(0)
	return err
}

// apply sets the headers of a decision on a response: the request's own, or DebugAnswer's.
// Only this handler sets Access-Control headers; it removes those of others, and reports
// whether there were any.
func (d *decided) apply(h http.Header, decision *corsrules.Decision) (removed bool) {
	removed = removeAccessControl(h)
	n := 0 // of the values that are used: each header has a part of its own
	for name, value := range decision.Headers(d.handler.site.Policy) {
		if name == "Vary" {
			addVary(h, value)
			continue
		}
		d.values[n] = value
		h[name] = d.values[n : n+1 : n+1]
		n++
	}
	if d.handler.DebugHeader {
		h[debugHeader] = []string{d.debugValue()}
	}
	return removed
}
