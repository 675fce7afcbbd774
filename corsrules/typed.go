package corsrules

import (
	"fmt"
	"strings"
)

// BrowserOrigin returns the origin that a browser sends for a page whose address, or part
// of it, a person typed; and in changes what differs, in words for that person. It is for
// explanations only: a request's own Origin is evaluated as sent.
func BrowserOrigin(typed string) (origin string, changes []string) {
	origin = strings.TrimSpace(typed)
	if origin == "" || lower(origin) == "null" || strings.ContainsAny(origin, "* \t\r\n") {
		return typed, nil // not an address
	}
	if !strings.Contains(origin, "://") {
		origin = "https://" + strings.TrimPrefix(origin, "//")
		changes = append(changes, "an origin begins with its scheme, and https is assumed")
	}
	if bare := withoutPath(origin); bare != origin {
		what := "the path is left out"
		if origin == bare+"/" {
			what = "the slash at the end is left out"
		}
		origin, changes = bare, append(changes, what)
	}
	scheme, host, _ := strings.Cut(origin, "://")
	if at := strings.LastIndexByte(host, '@'); at >= 0 {
		host, changes = host[at+1:], append(changes, "the user name is left out")
	}
	origin = scheme + "://" + host
	if folded := lower(origin); folded != origin {
		origin, changes = folded, append(changes, "upper-case letters become lower-case")
	}
	if bare := withoutDefaultPort(origin); bare != origin {
		changes = append(changes, fmt.Sprintf("the port %s is left out", origin[len(bare)+1:]))
		origin = bare
	}
	if hostPort := origin[len(scheme+"://"):]; !isOriginText(hostPort) {
		host, _ := splitPort(hostPort)
		if ascii := punycode(host); ascii != "" {
			origin = origin[:len(scheme+"://")] + ascii + hostPort[len(host):]
			changes = append(changes, "letters other than ASCII are sent in punycode")
		}
	}
	return origin, changes
}

// withoutPath removes what follows the port.
func withoutPath(origin string) string {
	scheme, rest, ok := strings.Cut(origin, "://")
	path := strings.IndexAny(rest, "/?#")
	if !ok || path <= 0 {
		return origin // file:// is what some web views send
	}
	return scheme + "://" + rest[:path]
}

// withoutDefaultPort removes the port that is the scheme's own, which browsers leave out of
// an origin (https://html.spec.whatwg.org/#ascii-serialisation-of-an-origin).
func withoutDefaultPort(origin string) string {
	for scheme, port := range map[string]string{"https://": ":443", "http://": ":80"} {
		if strings.HasPrefix(lower(origin), scheme) {
			return strings.TrimSuffix(origin, port)
		}
	}
	return origin
}
