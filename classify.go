package osscors

import (
	"net/http"
	"strings"
)

// isPreflight reports whether r is a preflight, whole or broken: an OPTIONS request with
// Origin or Access-Control-Request-Method (Fetch, section 3.3.2 "HTTP requests"). Any
// other OPTIONS request is the origin server's business.
func isPreflight(r *http.Request) bool {
	return r.Method == http.MethodOptions &&
		(hasValue(r.Header["Origin"]) || hasValue(r.Header["Access-Control-Request-Method"]))
}

// first returns a header's first line, as http.Header.Get does for a name in any case.
func first(lines []string) string {
	if len(lines) == 0 {
		return ""
	}
	return lines[0]
}

// hasValue reports whether one of a header's lines has a value; a line without one counts
// as absent.
func hasValue(lines []string) bool {
	for _, line := range lines {
		if strings.Trim(line, " \t") != "" {
			return true
		}
	}
	return false
}

// needsCORS reports whether a browser could need Access-Control headers on the response
// to r, an actual request with an Origin. Browsers send Origin on same-origin posts, form
// posts and WebSocket handshakes too: for these, the absence of a rule denies nothing.
// Behind a proxy that rewrites Host, Sec-Fetch-Site still tells the first.
func needsCORS(r *http.Request) bool {
	mode := first(r.Header["Sec-Fetch-Mode"])
	return !isSameHost(first(r.Header["Origin"]), r.Host) &&
		first(r.Header["Sec-Fetch-Site"]) != "same-origin" &&
		(mode == "" || mode == "cors") &&
		!isUpgrade(r)
}

// isSameHost reports whether an origin's host and port are those of a request's Host. The
// scheme is not compared: behind another proxy it is not known.
func isSameHost(origin, host string) bool {
	scheme, originHost, ok := strings.Cut(origin, "://")
	if !ok {
		return false
	}
	defaultPort := ":443"
	if strings.EqualFold(scheme, "http") {
		defaultPort = ":80"
	}
	return strings.EqualFold(strings.TrimSuffix(originHost, defaultPort), strings.TrimSuffix(host, defaultPort))
}

// isUpgrade reports whether r asks for another protocol, such as WebSocket, by HTTP/1.1's
// Upgrade or by HTTP/2's extended CONNECT (RFC 8441), which net/http shows as a header.
func isUpgrade(r *http.Request) bool {
	return first(r.Header["Upgrade"]) != "" || r.Method == http.MethodConnect && r.Header.Get(":protocol") != ""
}
