package corsrules

import (
	"fmt"
	"strings"

	"golang.org/x/net/idna"
)

// originChecks are asked about each AllowedOrigin by itself. Each returns a finding's
// code, message and advice, or nothing. A browser's Origin is "null", or scheme, "://",
// host, and ":" with the port unless that is the scheme's own, all in lower case (HTML,
// section 7.1.1 "Origins").
var originChecks = []func(origin string) (code, message, advice string){
	checkUnmatchable, checkNull, checkNoScheme, checkUpperCase, checkPath, checkDefaultPort, checkWildcard,
}

func checkUnmatchable(origin string) (code, message, advice string) {
	switch {
	case !isSerializedOrigin(strings.Replace(origin, "*", "", 1)) && len(origin) <= MaxOriginBytes:
		advice = "write the name in punycode, as browsers send it: https://xn--…"
		if ascii, ok := punycode(origin); ok {
			advice = "write it in punycode, as browsers send it: " + ascii
		}
		return LintUnmatchableOrigin, quoteShort(origin) + " matches no request: an Origin header has ASCII characters only", advice
	case len(strings.Replace(origin, "*", "", 1)) > MaxOriginBytes:
		return LintUnmatchableOrigin,
			fmt.Sprintf("an origin of %d bytes matches no request: more than %d are not looked at", len(origin), MaxOriginBytes),
			"remove it, or correct it: a host name has at most 253"
	}
	return "", "", ""
}

// punycode returns an origin with its non-ASCII labels encoded; ok is false where they
// cannot be.
func punycode(origin string) (ascii string, ok bool) {
	scheme, rest, _ := strings.Cut(origin, "://")
	host, port := splitPort(rest)
	labels := strings.Split(host, ".")
	for i, label := range labels {
		if isSerializedOrigin(label) {
			continue
		}
		encoded, err := idna.Lookup.ToASCII(label)
		if err != nil {
			return "", false
		}
		labels[i] = encoded
	}
	ascii = scheme + "://" + strings.Join(labels, ".")
	if port != "" {
		ascii += ":" + port
	}
	return ascii, isSerializedOrigin(ascii)
}

func checkNull(origin string) (code, message, advice string) {
	if origin == "*" || !covers(origin, "null") {
		return "", "", ""
	}
	return LintNullOrigin,
		quoteShort(origin) + " lets every site in: any page can send the null origin, from a sandboxed frame",
		"serve the page from an origin of its own and list that; a local file from http://localhost"
}

func checkNoScheme(origin string) (code, message, advice string) {
	prefix, _, wildcard := strings.Cut(origin, "*")
	switch {
	case origin == "*" || strings.Contains(origin, "://") || covers(origin, "null"):
		return "", "", ""
	case !wildcard:
		return LintNoScheme,
			quoteShort(origin) + " matches no browser: an origin begins with its scheme",
			"write https://" + withoutPath(origin)
	case prefix == "":
		return LintNoScheme,
			quoteShort(origin) + " has no scheme: its * stands for that too, so that pages over plain http match",
			"write https://" + origin
	case strings.Contains(prefix, ".") || strings.HasSuffix(prefix, ":") && !beginsHTTP(prefix):
		return LintNoScheme,
			quoteShort(origin) + " matches no browser: an origin begins with its scheme",
			"write https://" + origin
	}
	return "", "", "" // http*, and what may be the beginning of another scheme
}

// beginsHTTP reports whether http:// or https:// begins with prefix.
func beginsHTTP(prefix string) bool {
	return strings.HasPrefix("http://", lower(prefix)) || strings.HasPrefix("https://", lower(prefix))
}

func checkUpperCase(origin string) (code, message, advice string) {
	if lower(origin) == origin {
		return "", "", ""
	}
	return LintUpperCase,
		quoteShort(origin) + " has upper-case letters, which browsers never send and other stores compare exactly",
		"write " + lower(origin)
}

func checkPath(origin string) (code, message, advice string) {
	_, rest, ok := strings.Cut(origin, "://")
	path := strings.IndexAny(rest, "/?#")
	if !ok || path <= 0 {
		return "", "", "" // file:// is what some web views send
	}
	what := "has a path: browsers send scheme, host and port alone"
	if rest[path:] == "/" {
		what = "ends with a slash, which browsers do not send"
	}
	return LintPathInOrigin, quoteShort(origin) + " " + what, "write " + withoutPath(origin)
}

func withoutPath(origin string) string {
	scheme, rest, ok := strings.Cut(origin, "://")
	if !ok {
		scheme, rest = "", origin
	} else {
		scheme += "://"
	}
	if path := strings.IndexAny(rest, "/?#"); path > 0 {
		rest = rest[:path]
	}
	return scheme + rest
}

func checkDefaultPort(origin string) (code, message, advice string) {
	full := withoutPath(origin)
	bare := withoutDefaultPort(full)
	if bare == full {
		return "", "", ""
	}
	return LintDefaultPort,
		fmt.Sprintf("%s matches no browser: the port %s is left out of an origin", quoteShort(origin), full[len(bare)+1:]),
		"write " + bare
}

// checkWildcard looks for a * behind which anybody's site can be.
func checkWildcard(origin string) (code, message, advice string) {
	prefix, tail, ok := hostWildcard(lower(origin))
	if !ok || matchesNobody(origin) {
		return "", "", ""
	}
	host, _ := splitPort(tail)
	domain, dotted := strings.CutPrefix(host, ".")
	switch {
	case host == "":
		return LintWideOrigin,
			fmt.Sprintf("%s matches anybody's site, such as %s", quoteShort(origin), strangerAfter(prefix)+tail),
			"name your sites (https://*.example.com); or write a lone * if any site may read, which caches keep as one answer"
	case anybodyUnder(domain):
		return LintWideOrigin,
			fmt.Sprintf("%s matches anybody's site: anybody can have a name under %s", quoteShort(origin), domain),
			"name your sites, such as https://*.example.com"
	case !dotted && !isSubdomain(domain):
		return LintGluedWildcard,
			fmt.Sprintf("%s matches other sites whose names end like it, such as %s", quoteShort(origin), prefix+"evil"+tail),
			fmt.Sprintf("write %s*.%s, and %s%s beside it for the site itself", prefix, tail, prefix, tail)
	}
	return "", "", ""
}

// matchesNobody reports whether another check has said that no browser sends the origin.
func matchesNobody(origin string) bool {
	unmatchable, _, _ := checkUnmatchable(origin)
	path, _, _ := checkPath(origin)
	port, _, _ := checkDefaultPort(origin)
	return unmatchable+path+port != ""
}

// hostWildcard splits an origin at a * that stands in its host, or for it. prefix has the
// scheme, completed where the * stands for a piece of http:// or https://.
func hostWildcard(origin string) (prefix, tail string, ok bool) {
	prefix, tail, ok = strings.Cut(origin, "*")
	if !ok || origin == "*" || strings.Contains(tail, "://") {
		return "", "", false
	}
	_, host, hasScheme := strings.Cut(prefix, "://")
	switch {
	case strings.ContainsAny(host, ":[/?#"): // in the port, an address or a path
		return "", "", false
	case hasScheme:
		return prefix, tail, true
	case strings.HasPrefix("https://", prefix):
		return "https://", tail, true
	case strings.HasPrefix("http://", prefix):
		return "http://", tail, true
	}
	return "", "", false
}

// strangerAfter returns somebody else's site whose origin begins with prefix.
func strangerAfter(prefix string) string {
	if strings.HasSuffix(prefix, "/") || strings.HasSuffix(prefix, ".") {
		return prefix + "evil.example"
	}
	return prefix + ".evil.example"
}
