package corsrules

import (
	"hash/maphash"
	"math"
	"slices"
)

// origins tells which rules allow an origin: those that list it, by one look-up however many
// there are, and those with a pattern that matches it. It is laid out for a proxy of very
// many buckets, where the cost of a decision is that of waiting for the memory: what is
// tried lies side by side, and Go's map takes several more steps that each have to wait. The
// zero origins allow none.
type origins struct {
	// listed is a hash table with open addressing: an entry stands in the first free
	// place from the one that its origin's hash names, so that those of one origin are
	// found in the order of the rules. A quarter of the places, at least, stay free.
	listed []listedOrigin
	mask   uint64 // the number of places, a power of two, less one

	patterns []originPattern // in the order of the rules
}

// listedOrigin is an exact origin of a rule, in lower case.
type listedOrigin struct {
	origin string // empty: a free place
	rule   int    // its index, as below
}

// originPattern is an origin of a rule that has a "*".
type originPattern struct {
	pattern
	rule int
}

// hashSeed keeps whoever writes rules from choosing origins that meet in one place.
var hashSeed = maphash.MakeSeed()

func newOrigins(rules []CORSRule) origins {
	var exact []listedOrigin
	var patterns []originPattern
	for i, r := range rules {
		for _, origin := range r.AllowedOrigins {
			origin = lower(origin)
			if p, ok := newPattern(origin); ok {
				patterns = append(patterns, originPattern{p, i})
			} else if isSerializedOrigin(origin) { // else no Origin header can have it
				exact = append(exact, listedOrigin{origin, i})
			}
		}
	}
	places, mask := 1, uint64(0)
	for places*3/4 < len(exact) {
		places, mask = places*2, mask<<1|1
	}
	o := origins{listed: make([]listedOrigin, places), mask: mask, patterns: slices.Clone(patterns)}
	for _, entry := range exact {
		place := o.hash(entry.origin)
		for o.listed[place].origin != "" {
			place = o.after(place)
		}
		o.listed[place] = entry
	}
	return o
}

func (o *origins) hash(origin string) uint64 { return maphash.String(hashSeed, origin) & o.mask }

func (o *origins) after(place uint64) uint64 { return (place + 1) & o.mask }

// noMore stands behind the indexes of all rules.
const noMore = math.MaxInt

// search goes through the rules that allow an origin, in their order.
type search struct {
	origins  *origins
	folded   string          // the origin in lower case
	rule     int             // that was found last
	listed   int             // the next rule that lists the origin
	place    uint64          // where that of the one after it may be
	patterns []originPattern // not tried yet
}

// begin begins to search for an origin.
func (s *search) begin(o *origins, folded string) {
	s.origins, s.folded, s.rule, s.place, s.patterns = o, folded, -1, o.hash(folded), o.patterns
	s.lookUp()
}

func (s *search) lookUp() {
	for len(s.origins.listed) > 0 {
		entry := &s.origins.listed[s.place]
		if entry.origin == "" {
			break
		}
		s.place = s.origins.after(s.place)
		if entry.origin == s.folded {
			s.listed = entry.rule
			return
		}
	}
	s.listed = noMore
}

// next returns the next rule that allows the origin; noMore after the last.
func (s *search) next() int {
	last := s.rule
	for s.listed <= last {
		s.lookUp()
	}
	s.rule = s.listed
	for len(s.patterns) > 0 {
		p := &s.patterns[0]
		if p.rule >= s.listed {
			break
		}
		s.patterns = s.patterns[1:]
		if p.rule > last && matches(&p.pattern, s.folded) {
			s.rule = p.rule
			break
		}
	}
	return s.rule
}
