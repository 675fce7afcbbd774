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
// send; an origin without a scheme; and any * but a whole leading host label before
// a domain of two labels or more, or the port.
func checkCredentialedOrigin(origin string) string {
	const beside = " cannot stand beside allow_credentials: "
	if strings.EqualFold(origin, "null") {
		return quoteShort(origin) + beside + "any page can send the null origin from a sandboxed frame"
	}
	if origin == "*" {
		return quoteShort(origin) + beside + "it would let every site read with a user's cookies; list the origins"
	}
	scheme, rest, ok := strings.Cut(origin, "://")
	if !ok || scheme == "" || strings.Contains(scheme, "*") {
		return quoteShort(origin) + beside + "it has no scheme; write an origin such as https://app.example.com"
	}
	host, port := splitPort(rest)
	label, domain, _ := strings.Cut(host, ".")
	switch {
	case !strings.Contains(origin, "*"):
		return ""
	case port == "*" && host != "":
		return ""
	case label == "*" && hasTwoLabels(domain):
		return ""
	}
	return quoteShort(origin) + beside + "a * may only be the port (http://localhost:*) or the whole first label of a host (https://*.example.com)"
}

// splitPort splits host:port, a bracketed IPv6 address included; port may be "".
func splitPort(hostport string) (host, port string) {
	colon := strings.LastIndexByte(hostport, ':')
	if colon < 0 || strings.Contains(hostport[colon:], "]") {
		return hostport, ""
	}
	return hostport[:colon], hostport[colon+1:]
}

func hasTwoLabels(domain string) bool {
	labels := strings.Split(strings.TrimSuffix(domain, "."), ".")
	return len(labels) >= 2 && !slices.Contains(labels, "")
}

// quoteShort quotes a value for a message, cut to what a person reads.
func quoteShort(s string) string {
	const longest = 80
	if len(s) > longest {
		return strconv.Quote(strings.ToValidUTF8(s[:longest], "")) + "…"
	}
	return strconv.Quote(s)
}
