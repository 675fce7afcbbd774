package corsrules

import (
	"slices"
	"strings"
)

// IsSafelistedMethod reports whether browsers send a method whatever
// Access-Control-Allow-Methods says, and by itself without a preflight
// (https://fetch.spec.whatwg.org/#cors-safelisted-method).
func IsSafelistedMethod(method string) bool {
	return method == "GET" || method == "HEAD" || method == "POST"
}

// DebugAnswer returns what to answer to the denied preflight req so that the browser's console
// names the method or header that is missing: what the nearest rule allows, and no more. A
// browser that gets it with status 200 still does not send the actual request
// (https://fetch.spec.whatwg.org/#cors-preflight-fetch). DebugAnswer returns nil where
// no rule allows the origin, and where a browser would send the request: the rule does not
// allow the method, which browsers do not check.
func (d *Decision) DebugAnswer(req Request) *Decision {
	if d.Nearest == nil || d.Reason == MethodMismatch && IsSafelistedMethod(req.Method) {
		return nil
	}
	r := d.Nearest
	names := strings.Split(req.Headers, headerSeparator)
	allowed := slices.DeleteFunc(names, func(name string) bool { return r.effect.headers.firstNotAllowed(name) != "" })
	return &Decision{
		Rule:         r,
		AllowOrigin:  r.allowOrigin(req.Origin),
		AllowHeaders: strings.Join(allowed, headerSeparator),
		ResponseVary: d.ResponseVary,
	}
}

// allowOrigin is the value of Access-Control-Allow-Origin for an origin that the rule allows.
func (r *Rule) allowOrigin(origin string) string {
	if r.anyOrigin {
		return "*"
	}
	return origin
}
