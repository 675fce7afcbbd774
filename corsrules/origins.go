package corsrules

import "slices"

// origins finds the rules that allow an origin: those that list it, by one map look-up
// however many there are, and those with a pattern that matches it, which are tried in turn.
// The zero origins allow none.
type origins struct {
	exact    map[string][]uint16 // rule indexes, ascending, by origin in lower case
	patterns []originPattern     // in the order of the rules
}

type originPattern struct {
	pattern
	rule uint16
}

func newOrigins(rules []CORSRule) origins {
	o := origins{exact: map[string][]uint16{}}
	for i, r := range rules {
		rule := uint16(i)
		for _, origin := range r.AllowedOrigins {
			origin = lower(origin)
			if p, ok := newPattern(origin); ok {
				o.patterns = append(o.patterns, originPattern{p, rule})
			} else if listing := o.exact[origin]; len(listing) == 0 || listing[len(listing)-1] != rule {
				o.exact[origin] = append(listing, rule)
			}
		}
	}
	o.patterns = slices.Clone(o.patterns) // without most of the room to grow
	return o
}

// search goes through the rules that allow an origin, in their order, each once.
type search struct {
	origin   string // in lower case
	exact    []uint16
	patterns []originPattern
	last     int // the rule that next returned, or -1
}

func (o *origins) search(origin string) search {
	origin = lower(origin)
	return search{origin: origin, exact: o.exact[origin], patterns: o.patterns, last: -1}
}

// next returns the index of the next rule that allows the origin; ok is false after the
// last.
func (s *search) next() (rule int, ok bool) {
	for len(s.patterns) > 0 && (len(s.exact) == 0 || s.patterns[0].rule < s.exact[0]) {
		p := &s.patterns[0]
		s.patterns = s.patterns[1:]
		if int(p.rule) != s.last && p.matches(s.origin) {
			s.last = int(p.rule)
			return s.last, true
		}
	}
	if len(s.exact) == 0 {
		return 0, false
	}
	s.last, s.exact = int(s.exact[0]), s.exact[1:]
	return s.last, true
}

// lower changes ASCII letters only: origins and header names have no others, and by Unicode
// the Kelvin sign would become a k. It does not allocate where nothing changes.
func lower(s string) string {
	for i := range len(s) {
		if 'A' <= s[i] && s[i] <= 'Z' {
			return string(appendLower(nil, s))
		}
	}
	return s
}

func appendLower(dst []byte, s string) []byte {
	for i := range len(s) {
		c := s[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		dst = append(dst, c)
	}
	return dst
}
