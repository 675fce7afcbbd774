package osscors

import (
	"io"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// responseWriter sets the decision's headers on a response at the last moment, after every
// other handler has set its own.
type responseWriter struct {
	caddyhttp.ResponseWriterWrapper
	decided *decided
	set     bool // whether setHeaders has run
}

// WriteHeader passes informational responses on as they are: browsers take no CORS headers
// from them. 101 ends the HTTP exchange, so it counts as a final status.
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

// ReadFrom sets the headers first. Without it, io.Copy would call the embedded wrapper's
// ReadFrom, which sends the header.
func (w *responseWriter) ReadFrom(r io.Reader) (int64, error) {
	w.setHeaders(http.StatusOK)
	return w.ResponseWriterWrapper.ReadFrom(r)
}

// FlushError sets the headers first, because a flush sends the header. It is what
// http.ResponseController calls.
func (w *responseWriter) FlushError() error {
	w.setHeaders(http.StatusOK)
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// setHeaders sets the headers once. The status is 0 if it is not known yet.
func (w *responseWriter) setHeaders(status int) {
	if w.set {
		return
	}
	w.set = true
	removed := w.decided.apply(w.Header(), &w.decided.decision)
	w.decided.observeResponse(w.Header(), status, removed)
}

// removeAccessControl removes every Access-Control header, in whatever case it was set,
// and reports whether there was one.
func removeAccessControl(h http.Header) (removed bool) {
	const prefix = "Access-Control-"
	for key := range h {
		if len(key) >= len(prefix) && strings.EqualFold(key[:len(prefix)], prefix) {
			delete(h, key)
			removed = true
		}
	}
	return removed
}

// addVary adds to the Vary header what it lacks of a list.
func addVary(h http.Header, list string) {
	lines := h["Vary"]
	if len(lines) == 0 {
		h["Vary"] = []string{list}
		return
	}
	var missing []string
	for name := range strings.SplitSeq(list, ", ") {
		if !listHas(lines, name) {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		h["Vary"] = append(lines, strings.Join(missing, ", "))
	}
}

// listHas reports whether a list header has an element. It ignores case and a value after
// "=".
func listHas(lines []string, element string) bool {
	_, has := listValue(lines, element)
	return has
}

// listValue returns what a list header has after an element and "=", without quotes. It ignores
// case.
func listValue(lines []string, element string) (value string, has bool) {
	for _, line := range lines {
		for field := range strings.SplitSeq(line, ",") {
			name, value, _ := strings.Cut(field, "=")
			if strings.EqualFold(strings.Trim(name, " \t"), element) {
				return strings.Trim(value, " \t\""), true
			}
		}
	}
	return "", false
}
