package corsrules

import "iter"

// Policy is what a server adds to what its rules say. The zero Policy is OSS's.
type Policy struct {
	// ResponseVary adds "Vary: Origin" to every response, as ResponseVary in the rules
	// does.
	ResponseVary bool

	// AllowCredentials adds "Access-Control-Allow-Credentials: true" wherever
	// Access-Control-Allow-Origin is the request's origin, and not "*". OSS never sends it.
	// Only rules that were parsed with Options.Credentials are narrow enough for it.
	AllowCredentials bool

	// Dialect is whose answers the server gives: OSS's, or S3's. Requests are to be read
	// by the same.
	Dialect Dialect
}

// MaxAccessControlHeaders is how many Access-Control headers a decision can call for.
const MaxAccessControlHeaders = 6

// Headers returns the names and values of the response headers that the decision calls for
// (docs/oss-behaviour.md, sections 3 and 4). All Access-Control headers that the response has
// from elsewhere have to be removed first; Vary, which is a list, is to be added to what is
// there.
func (d *Decision) Headers(p Policy) iter.Seq2[string, string] {
	return func(yield func(name, value string) bool) { d.yieldHeaders(p, yield) }
}

func (d *Decision) yieldHeaders(p Policy, yield func(name, value string) bool) {
	if r := d.Rule; r != nil &&
		(!yield("Access-Control-Allow-Origin", d.AllowOrigin) ||
			!yield("Access-Control-Allow-Methods", r.AllowMethods()) ||
			d.AllowHeaders != "" && !yield("Access-Control-Allow-Headers", d.AllowHeaders) ||
			r.ExposeHeaders() != "" && !yield("Access-Control-Expose-Headers", r.ExposeHeaders()) ||
			r.MaxAge() != "" && !yield("Access-Control-Max-Age", r.MaxAge()) ||
			p.AllowCredentials && d.NamesOrigin() && !yield("Access-Control-Allow-Credentials", "true")) {
		return
	}
	if vary := d.vary(p); vary != "" {
		yield("Vary", vary)
	}
}

// NamesOrigin reports whether Access-Control-Allow-Origin names the request's origin, so
// that the response is good for that origin alone.
func (d *Decision) NamesOrigin() bool { return d.AllowOrigin != "" && d.AllowOrigin != "*" }
