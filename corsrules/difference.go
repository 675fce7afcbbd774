package corsrules

import (
	"slices"
	"strings"
)

// originDifferences are the mistakes that people make most, the likeliest first. Each
// compares an origin that is denied with one that a rule lists. If that mistake is all that
// keeps them apart, it returns an advice, formatted with the origin, the listed one and the
// rule's name; else "".
var originDifferences = []func(origin, listed string) (format string){
	func(origin, listed string) string {
		problems, cure := originProblems(listed), originCure(listed)
		meant := slices.IndexFunc(cure, func(corrected string) bool { return listedMatches(corrected, origin) })
		if len(problems) == 0 || meant < 0 {
			return ""
		}
		escape := strings.NewReplacer("%", "%%").Replace
		return "write " + escape(cure[meant]) + " in rule %[3]s, where " + escape(problems[0].message)
	},
	func(origin, listed string) string {
		if !listedMatches(listed, withOtherScheme(origin)) {
			return ""
		}
		return addOrigin + "differs only in the scheme"
	},
	func(origin, listed string) string {
		if !listedMatches(listed, withPortOf(listed, origin)) {
			return ""
		}
		return addOrigin + "differs only in the port"
	},
	func(origin, listed string) string {
		scheme, host, _ := strings.Cut(origin, "://")
		if listed != scheme+"://*."+host {
			return ""
		}
		return addOrigin + "matches sub-domains only"
	},
	func(origin, listed string) string {
		scheme, host, _ := strings.Cut(origin, "://")
		if !listedMatches(listed, scheme+"://www."+host) && !listedMatches(listed, scheme+"://"+strings.TrimPrefix(host, "www.")) {
			return ""
		}
		return addOrigin + "differs only in www."
	},
	func(origin, listed string) string {
		scheme, host, _ := strings.Cut(origin, "://")
		domain, ok := strings.CutPrefix(lower(listed), scheme+"://")
		if !ok || domain == "" || !strings.HasSuffix(host, "."+domain) {
			return ""
		}
		return addOrigin + "does not match sub-domains"
	},
}

const addOrigin = "add <AllowedOrigin>%[1]s</AllowedOrigin> to rule %[3]s: its %[2]s "

// listedMatches reports whether an origin that a rule lists matches one.
func listedMatches(listed, origin string) bool {
	if p, ok := newPattern(lower(listed)); ok {
		return p.matches(lower(origin))
	}
	return lower(listed) == lower(origin)
}

func withOtherScheme(origin string) string {
	if rest, ok := strings.CutPrefix(origin, "http://"); ok {
		return "https://" + rest
	}
	if rest, ok := strings.CutPrefix(origin, "https://"); ok {
		return "http://" + rest
	}
	return origin
}

// withPortOf returns an origin with the port that another one has, or without one.
func withPortOf(listed, origin string) string {
	scheme, rest, _ := strings.Cut(origin, "://")
	_, listedRest, _ := strings.Cut(listed, "://")
	host, _ := splitPort(rest)
	_, port := splitPort(listedRest)
	if port != "" {
		port = ":" + strings.Replace(port, "*", "1", 1)
	}
	return scheme + "://" + host + port
}
