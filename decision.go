package osscors

import (
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-oss-cors/caddy-oss-cors/corsrules"
	"github.com/caddy-oss-cors/caddy-oss-cors/rulesource"
)

// decided is a request with its decision. The first oss_cors handler that the request meets
// makes it; what it says is what is counted, logged and applied.
type decided struct {
	handler  *Handler
	http     *http.Request
	request  corsrules.Request
	decision corsrules.Decision
	rules    *rulesource.Rules // by which it was decided; they count it

	// What the request names as its bucket, the bucket, and the rest of the path. Empty
	// without Handler.Bucket; bucket also where no bucket can have that name.
	bucketName, bucket, key string

	// Other handlers may change these before the response is known. The target may hold a
	// key: only its path is shown.
	method, host, target string

	start    time.Time // of a preflight
	denials  uint64    // how often, at least, this origin was denied for this reason
	observed bool      // a response of this request was

	writer responseWriter // of the first decorate: one allocation for both
}

// decide decides a request by the rules in force for its bucket.
func (h *Handler) decide(r *http.Request) *decided {
	d := &decided{handler: h, http: r, request: corsrules.ReadRequest(r), method: r.Method, host: r.Host, target: r.RequestURI}
	if d.request.Kind == corsrules.Preflight {
		d.start = time.Now()
	}
	if h.Bucket != nil {
		d.bucketName, d.key = h.Bucket.of(r)
		d.bucket = validBucket(d.bucketName, r.URL.Path)
	}
	rules, err := h.site.Source.Rules(r.Context(), d.bucket)
	ruleset := rules.Ruleset
	if err != nil { // the source logs why
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

// decorate serves r by next, and puts the decision's headers on the response. Where next
// writes nothing they are put on all the same: the error page that Caddy or handle_errors
// then writes has them too.
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

// apply puts the decision's headers on a response. Access-Control headers from elsewhere are
// removed: this handler is the only one that speaks CORS.
func (d *decided) apply(h http.Header) (removed bool) {
	removed = removeAccessControl(h)
	var values []string // one allocation for all; each header has a part of its own
	for name, value := range d.decision.Headers(d.handler.site.Policy) {
		if name == "Vary" {
			addVaryOrigin(h)
			continue
		}
		if values == nil {
			values = make([]string, 0, corsrules.MaxAccessControlHeaders)
		}
		values = append(values, value)
		h[name] = values[len(values)-1 : len(values) : len(values)]
	}
	if d.handler.DebugHeader {
		h[debugHeader] = []string{d.debugValue()}
	}
	return removed
}
