package corsrules

import "strings"

// pattern is a value with one "*", which stands for any run of characters, the empty
// one included. Prefix and suffix must not overlap in what they match:
// https://ab*bc does not match https://abc.
type pattern struct {
	prefix, suffix string
}

// newPattern splits value at its "*"; ok is false where it has none.
func newPattern(value string) (p pattern, ok bool) {
	p.prefix, p.suffix, ok = strings.Cut(value, "*")
	return p, ok
}

// anyMatches reports whether one of the patterns matches s.
func anyMatches[text string | headerList](patterns []pattern, s text) bool {
	for _, p := range patterns {
		if len(s) >= len(p.prefix)+len(p.suffix) &&
			string(s[:len(p.prefix)]) == p.prefix &&
			string(s[len(s)-len(p.suffix):]) == p.suffix {
			return true
		}
	}
	return false
}
