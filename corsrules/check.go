package corsrules

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// Each check returns what is wrong with a value, in words that follow its element's
// name, or "".

func checkOrigin(origin string) string {
	switch {
	case origin == "":
		return "is empty: give an origin such as https://app.example.com"
	case strings.Count(origin, "*") > 1:
		return quoteShort(origin) + " has more than one *: at most one is allowed"
	}
	for _, c := range origin {
		if unicode.IsSpace(c) || unicode.IsControl(c) {
			return fmt.Sprintf("%s has a white space or control character (%U): an origin has none; give each origin an element of its own", quoteShort(origin), c)
		}
	}
	return ""
}

func checkMethod(method string) string {
	if slices.Contains(Methods, method) {
		return ""
	}
	if method == "" {
		return "is empty: give one of " + methodsInWords
	}
	return quoteShort(method) + " is not one of " + methodsInWords + ", in upper case"
}

func checkAllowedHeader(name string) string {
	switch {
	case name == "":
		return "is empty: give a header name, with at most one *"
	case strings.Count(name, "*") > 1:
		return quoteShort(name) + " has more than one *: at most one is allowed"
	case !IsToken(name):
		return quoteShort(name) + " is no header name: letters, digits, - and the like, with at most one *"
	}
	return ""
}

func checkExposeHeader(name string) string {
	switch {
	case name == "":
		return "is empty: give a header name"
	case strings.Contains(name, "*"):
		return quoteShort(name) + " has a *: name each header that scripts may read"
	case strings.ContainsAny(name, "&'") || !IsToken(name):
		return quoteShort(name) + " is no header name: letters, digits, - and the like, without *"
	}
	return ""
}

func checkMaxAge(seconds string) string {
	digits := strings.Trim(seconds, "0123456789") == "" && seconds != ""
	if n, err := strconv.Atoi(seconds); digits && err == nil && n <= MaxMaxAgeSeconds {
		return ""
	}
	return fmt.Sprintf("%s is no whole number of seconds from 0 to %d", quoteShort(seconds), MaxMaxAgeSeconds)
}

// checkCredentialedOrigin refuses what would let sites that the rule's author never
// thought of read responses with a user's cookies: null, which any sandboxed frame can
// send; an origin without a scheme; and any * but the port, or a whole leading label of a
// domain under which not anybody can have a name.
func checkCredentialedOrigin(origin string) string {
	quoted := quoteShort(origin) + " is not allowed with allow_credentials: "
	if strings.EqualFold(origin, "null") {
		return quoted + "any page can send the null origin from a sandboxed frame"
	}
	if origin == "*" {
		return quoted + "every site could read with a user's cookies; list the origins"
	}
	scheme, rest, ok := strings.Cut(origin, "://")
	if !ok || scheme == "" || strings.Contains(scheme, "*") {
		return quoted + "it has no scheme; write an origin such as https://app.example.com"
	}
	if !strings.Contains(rest, "*") {
		return ""
	}
	host, port := splitPort(rest)
	label, domain, _ := strings.Cut(host, ".")
	switch {
	case port == "*" && host != "":
		return ""
	case label != "*" || domain == "":
		return quoted + "a * may only be the port (http://localhost:*) or the whole first label of a host (https://*.example.com)"
	case anybodyUnder(domain):
		return quoted + "anybody can have a name under " + domain + "; name your sites, such as https://*.example.com"
	}
	return ""
}

// splitPort splits host:port, a bracketed IPv6 address included; port may be "".
func splitPort(hostport string) (host, port string) {
	colon := strings.LastIndexByte(hostport, ':')
	if colon < 0 || strings.Contains(hostport[colon:], "]") {
		return hostport, ""
	}
	return hostport[:colon], hostport[colon+1:]
}

// quoteShort quotes a value for a message, cut to what a person reads.
func quoteShort(s string) string {
	const longest = 80
	if len(s) > longest {
		return strconv.Quote(strings.ToValidUTF8(s[:longest], "")) + "…"
	}
	return strconv.Quote(s)
}
