package corsrules

import (
	"slices"
	"strings"
)

// originDifferences are the mistakes that people make most, the likeliest first. Each
// compares an origin that is denied with one that a rule lists. If that mistake is all that
// keeps them apart, it returns, in words that follow the listed origin, how they differ, and
// what to write in place of the listed one if that is the mistake; else "".
var originDifferences = []func(origin, listed string) (difference, instead string){
	func(origin, listed string) (string, string) {
		problems, cure := originProblems(listed), originCure(listed)
		meant := slices.IndexFunc(cure, func(corrected string) bool { return listedMatches(corrected, origin) })
		if len(problems) == 0 || meant < 0 {
			return "", ""
		}
		return problems[0].message, cure[meant]
	},
	func(origin, listed string) (string, string) {
		return difference("differs only in the scheme", listedMatches(listed, withOtherScheme(origin)))
	},
	func(origin, listed string) (string, string) {
		return difference("differs only in the port", listedMatches(listed, withPortOf(listed, origin)))
	},
	func(origin, listed string) (string, string) {
		scheme, host, _ := strings.Cut(origin, "://")
		return difference("matches sub-domains only", listed == scheme+"://*."+host)
	},
	func(origin, listed string) (string, string) {
		scheme, host, _ := strings.Cut(origin, "://")
		return difference("differs only in www.",
			listedMatches(listed, scheme+"://www."+host) || listedMatches(listed, scheme+"://"+strings.TrimPrefix(host, "www.")))
	},
	func(origin, listed string) (string, string) {
		scheme, host, _ := strings.Cut(origin, "://")
		domain, ok := strings.CutPrefix(lower(listed), scheme+"://")
		return difference("does not match sub-domains", ok && domain != "" && strings.HasSuffix(host, "."+domain))
	},
}

func difference(words string, isOnly bool) (string, string) {
	if !isOnly {
		return "", ""
	}
	return words, ""
}

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
