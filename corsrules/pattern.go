package corsrules

import "strings"

// pattern is a value with one "*", which stands for any run of characters, the empty
// one included. Prefix and suffix must not overlap in what they match:
// https://ab*bc does not match https://abc.
type pattern struct {
	value string

	// begin is how the suffix begins. It tells most values apart without a look at the
	// text, which is not in the processor's cache where there are very many buckets.
	begin uint32

	star uint16 // where the "*" is
	rule uint16 // of an origin: its rule's index
}

// newPattern returns a value's pattern; ok is false where it has no "*".
func newPattern(value string) (p pattern, ok bool) {
	_, suffix, ok := strings.Cut(value, "*")
	star := len(value) - len(suffix) - len("*")
	return pattern{value: value, begin: beginning(suffix), star: uint16(star)}, ok //nolint:gosec // a document has 16 KB
}

func matches[text string | headerList](p *pattern, s text) bool {
	star := int(p.star)
	suffixAt := len(s) - (len(p.value) - star - len("*"))
	return suffixAt >= star &&
		beginning(s[suffixAt:]) == p.begin &&
		string(s[:star]) == p.value[:star] &&
		string(s[suffixAt:]) == p.value[star+len("*"):]
}

// beginning returns the first four bytes of s, or all where there are fewer.
func beginning[text string | headerList](s text) (b uint32) {
	if len(s) >= 4 {
		return uint32(s[0]) | uint32(s[1])<<8 | uint32(s[2])<<16 | uint32(s[3])<<24
	}
	for i := range len(s) {
		b |= uint32(s[i]) << (8 * i)
	}
	return b
}
