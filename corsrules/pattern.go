package corsrules

import "strings"

// pattern is a value with one "*".
type pattern struct{ prefix, suffix string }

// Match reports whether s matches a value, which has at most one "*": it stands for any run
// of characters, the empty one included. Case counts.
func Match(value, s string) bool {
	p, ok := newPattern(value)
	return value == s || ok && p.matches(s)
}

// newPattern returns a value's pattern; ok is false where it has no "*".
func newPattern(value string) (p pattern, ok bool) {
	p.prefix, p.suffix, ok = strings.Cut(value, "*")
	return p, ok
}

// matches reports whether p matches s. Prefix and suffix do not overlap: https://ab*bc does
// not match https://abc.
func (p pattern) matches(s string) bool {
	return len(s) >= len(p.prefix)+len(p.suffix) && strings.HasPrefix(s, p.prefix) && strings.HasSuffix(s, p.suffix)
}
