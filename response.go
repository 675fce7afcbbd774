package osscors

import (
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-oss-cors/caddy-oss-cors/corsrules"
	"github.com/caddy-oss-cors/caddy-oss-cors/metrics"
	"github.com/caddy-oss-cors/caddy-oss-cors/rulesource"
)

// answer is a request's decision and what it does to the response. It is made once for a
// request, by the first instance that sees it.
type answer struct {
	handler  *Handler
	request  *http.Request
	kind     metrics.Kind
	decision corsrules.Decision

	// The request as it was judged; other handlers may change it before its response
	// is known. The method of a preflight is the one that it asks for.
	origin, method, host, uri string
	start                     time.Time // of a preflight

	bucket, key string // that the request names; empty without Handler.Bucket
	rules       *rulesource.Rules
	unreachable error // why the bucket's rules are not known: nothing is decided

	denials uint64 // how often, at least, this origin was denied for this reason
	applied bool
}

// answerVar is where a request's answer travels. It is one of Caddy's request variables,
// for these alone reach handle_errors, whose request is not the one that we passed on.
const answerVar = "oss_cors.answer"

func answerOf(r *http.Request) *answer {
	a, _ := caddyhttp.GetVar(r.Context(), answerVar).(*answer)
	return a
}

// decorate serves r by next, and has the response carry the answer's headers. Where next
// writes nothing they are put on all the same, so that the error page that Caddy or
// handle_errors then writes has them too.
func (a *answer) decorate(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	caddyhttp.SetVar(r.Context(), answerVar, a)
	rw := &responseWriter{ResponseWriterWrapper: caddyhttp.ResponseWriterWrapper{ResponseWriter: w}, answer: a}
	err := next.ServeHTTP(rw, r)
	rw.setHeaders(0)
	return err
}

// responseWriter sets the CORS headers at the last moment, when every other handler has
// had its say.
type responseWriter struct {
	caddyhttp.ResponseWriterWrapper
	answer *answer
	values headerValues
	done   bool
}

// WriteHeader lets informational responses pass: browsers take no CORS from them. 101 is
// final.
func (w *responseWriter) WriteHeader(status int) {
	if status >= http.StatusOK || status == http.StatusSwitchingProtocols {
		w.setHeaders(status)
	}
	w.ResponseWriterWrapper.WriteHeader(status)
}

func (w *responseWriter) Write(p []byte) (int, error) {
	w.setHeaders(http.StatusOK)
	return w.ResponseWriterWrapper.Write(p)
}

// ReadFrom keeps sendfile in use.
func (w *responseWriter) ReadFrom(r io.Reader) (int64, error) {
	w.setHeaders(http.StatusOK)
	return w.ResponseWriterWrapper.ReadFrom(r)
}

// FlushError is what http.ResponseController calls.
func (w *responseWriter) FlushError() error {
	w.setHeaders(http.StatusOK)
	return http.NewResponseController(w.ResponseWriter).Flush()
}

func (w *responseWriter) setHeaders(status int) {
	if w.done {
		return
	}
	w.done = true
	w.answer.decorateHeader(w.Header(), &w.values, status)
}

// decorateHeader does what the decision does to the header of a response that another
// handler made. The status is 0 where it is not known yet.
func (a *answer) decorateHeader(h http.Header, values *headerValues, status int) {
	removed := removeAccessControl(h)
	a.setHeaders(h, values)
	if !a.applied {
		a.applied = true
		a.observeResponse(h, status, removed)
	}
}

// setHeaders sets all headers that tell the decision.
func (a *answer) setHeaders(h http.Header, values *headerValues) {
	if a.decision.Rule != nil {
		a.setAccessControl(h, values)
	}
	if a.handler.ResponseVary || a.rules.ResponseVary() {
		values.addVaryOrigin(h)
	}
	if a.handler.DebugHeader {
		values.set(h, "X-Oss-Cors-Decision", a.debugValue())
	}
}

// setAccessControl sets the Access-Control headers of an allowed request.
func (a *answer) setAccessControl(h http.Header, values *headerValues) {
	rule := a.decision.Rule
	values.set(h, "Access-Control-Allow-Origin", a.decision.AllowOrigin)
	values.set(h, "Access-Control-Allow-Methods", rule.AllowMethods())
	values.set(h, "Access-Control-Allow-Headers", a.decision.AllowHeaders)
	values.set(h, "Access-Control-Expose-Headers", rule.ExposeHeaders())
	values.set(h, "Access-Control-Max-Age", rule.MaxAge())
	if a.handler.AllowCredentials && a.echoesOrigin() {
		values.set(h, "Access-Control-Allow-Credentials", "true")
	}
}

// echoesOrigin reports whether the request's origin is allowed by name.
func (a *answer) echoesOrigin() bool {
	return a.decision.AllowOrigin != "" && a.decision.AllowOrigin != "*"
}

// headerValues is room for the values of one response's Access-Control headers, Vary and
// X-Oss-Cors-Decision: one allocation in place of eight. It is never shared between
// responses, for a handler may append to what it finds in a header.
type headerValues struct {
	room [8]string
	used int
}

// set sets a header, unless the value is empty.
func (v *headerValues) set(h http.Header, key, value string) {
	if value == "" {
		return
	}
	v.room[v.used] = value
	h[key] = v.room[v.used : v.used+1 : v.used+1]
	v.used++
}

// removeAccessControl removes every Access-Control header, in whatever case it was set,
// and reports whether there was one.
func removeAccessControl(h http.Header) (removed bool) {
	const prefix = "Access-Control-"
	for key := range h {
		if len(key) > len(prefix) && strings.EqualFold(key[:len(prefix)], prefix) {
			delete(h, key)
			removed = true
		}
	}
	return removed
}

// addVaryOrigin adds Origin to the Vary header, beside what is there, unless it is.
func (v *headerValues) addVaryOrigin(h http.Header) {
	switch lines := h["Vary"]; {
	case len(lines) == 0:
		v.set(h, "Vary", "Origin")
	case !listHas(lines, "Origin"):
		h["Vary"] = append(lines, "Origin")
	}
}

// listHas reports whether a list header has an element, ignoring case and what follows
// a "=".
func listHas(lines []string, element string) bool {
	for _, line := range lines {
		for field := range strings.SplitSeq(line, ",") {
			name, _, _ := strings.Cut(field, "=")
			if strings.EqualFold(strings.Trim(name, " \t"), element) {
				return true
			}
		}
	}
	return false
}
