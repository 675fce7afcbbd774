package explain

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/caddy-oss-cors/caddy-oss-cors/corsrules"
)

// asBrowsersSend returns the request that a browser sends for what a person typed, and in
// notes what differs. Headers are then the names in Access-Control-Request-Headers, one each.
func asBrowsersSend(q Request) (sent Request, notes []string) {
	origin, changes := corsrules.BrowserOrigin(q.Origin)
	if len(changes) > 0 {
		notes = append(notes, fmt.Sprintf("the origin is %s: %s", origin, strings.Join(changes, "; ")))
	}
	method := strings.TrimSpace(q.Method)
	if upper := strings.ToUpper(method); upper != method && slices.Contains(normalizedMethods, upper) {
		notes = append(notes, fmt.Sprintf("the method is %s: browsers send it in upper case", upper))
		method = upper
	}
	headers, headerNotes := askedFor(readHeaders(q.Headers))
	q.Origin, q.Method, q.Headers = origin, method, headers
	return q, append(notes, headerNotes...)
}

// normalizedMethods are those that browsers send in upper case however a script writes them
// (https://fetch.spec.whatwg.org/#concept-method-normalize). PATCH is not one of them.
var normalizedMethods = []string{
	http.MethodDelete, http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodPost, http.MethodPut,
}

// header is a request header that somebody typed or copied.
type header struct {
	name     string
	value    string
	hasValue bool
}

// readHeaders reads header names with commas between them, and lines "Name: value".
func readHeaders(typed []string) (headers []header) {
	for line := range strings.Lines(strings.Join(typed, "\n")) {
		line = strings.TrimSpace(line)
		pseudo := strings.HasPrefix(line, ":") // of HTTP/2, as developer tools show it: ":authority: …"
		name, value, hasValue := strings.Cut(strings.TrimPrefix(line, ":"), ":")
		if pseudo {
			headers = append(headers, header{name: ":" + name, hasValue: true})
			continue
		}
		if hasValue && !strings.Contains(name, ",") {
			headers = append(headers, header{strings.TrimSpace(name), strings.TrimSpace(value), true})
			continue
		}
		for name := range strings.SplitSeq(line, ",") {
			if name = strings.TrimSpace(name); name != "" {
				headers = append(headers, header{name: name})
			}
		}
	}
	return headers
}

// askedFor returns the names of the headers that a browser asks for in a preflight, and in
// notes which it does not, and why.
func askedFor(headers []header) (names, notes []string) {
	var safelisted, byBrowser []string
	safe := allSafelisted(headers)
	for _, h := range headers {
		switch name := strings.ToLower(h.name); {
		case corsrules.IsForbiddenHeader(name) || isBrowsersOwn(h, headers):
			byBrowser = append(byBrowser, h.name)
		case safe && isSafelisted(h):
			safelisted = append(safelisted, h.name)
		default:
			names = append(names, h.name)
		}
	}
	if len(safelisted) > 0 {
		notes = append(notes, "no preflight is needed for "+strings.Join(safelisted, ", ")+": CORS-safelisted")
	}
	if len(byBrowser) > 0 {
		notes = append(notes, "left out, because the browser sets them and not a script: "+strings.Join(byBrowser, ", "))
	}
	return names, notes
}

// isBrowsersOwn reports whether a header in a copied list is one that browsers add by
// themselves, though a script could set it too. The last two are what "Disable cache" in
// developer tools adds.
func isBrowsersOwn(h header, all []header) bool {
	if !h.hasValue {
		return false
	}
	switch strings.ToLower(h.name) {
	case "user-agent", "priority", "upgrade-insecure-requests":
		return true
	case "pragma", "cache-control":
		return isNoCache(all, "pragma") && isNoCache(all, "cache-control")
	}
	return strings.HasPrefix(h.name, ":")
}

func isNoCache(headers []header, name string) bool {
	return slices.ContainsFunc(headers, func(h header) bool {
		return strings.EqualFold(h.name, name) && h.value == "no-cache"
	})
}
