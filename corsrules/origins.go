package corsrules

import (
	"slices"
	"strings"
)

// origins finds the rules that allow an origin: those that list it, by one map look-up
// however many there are, and those with a pattern that matches it, which are tried in turn.
// The zero origins allow none.
type origins struct {
	exact    map[string]span // in rules, by origin in lower case
	rules    []uint16        // indexes, ascending in each span
	patterns []originPattern // in the order of the rules
}

type span struct{ begin, end uint32 }

// originPattern is a pattern of a rule: two thirds of the size of one that has a pattern.
type originPattern struct {
	text string // in lower case
	star uint32 // where its * is
	rule uint16
}

func (p *originPattern) matches(origin string) bool {
	return pattern{p.text[:p.star], p.text[p.star+1:]}.matches(origin)
}

// listing is an exact origin of a rule.
type listing struct {
	origin string // in lower case
	rule   uint16
}

func newOrigins(rules []Rule) origins {
	stars, all := 0, 0
	for _, r := range rules {
		all += len(r.origins)
		for _, origin := range r.origins {
			stars += strings.Count(origin, "*")
		}
	}
	o := origins{patterns: make([]originPattern, 0, stars)}
	listings := make([]listing, 0, all-stars)
	for i, r := range rules {
		for _, origin := range r.origins {
			origin = lower(origin)
			if star := strings.IndexByte(origin, '*'); star >= 0 {
				o.patterns = append(o.patterns, originPattern{origin, uint32(star), uint16(i)}) //nolint:gosec // no document has 4 GB
			} else {
				listings = append(listings, listing{origin, uint16(i)})
			}
		}
	}
	o.list(listings)
	return o
}

// list fills what is known of exact origins.
func (o *origins) list(listings []listing) {
	slices.SortStableFunc(listings, func(a, b listing) int { return strings.Compare(a.origin, b.origin) })
	listings = slices.Compact(listings)
	different := 0
	for i, l := range listings {
		if i == 0 || l.origin != listings[i-1].origin {
			different++
		}
	}
	o.exact, o.rules = make(map[string]span, different), make([]uint16, len(listings))
	for i, l := range listings {
		o.rules[i] = l.rule
		s, again := o.exact[l.origin]
		if !again {
			s.begin = uint32(i)
		}
		s.end = uint32(i + 1)
		o.exact[l.origin] = s
	}
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
	listing := o.exact[origin]
	return search{origin: origin, exact: o.rules[listing.begin:listing.end], patterns: o.patterns, last: -1}
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
