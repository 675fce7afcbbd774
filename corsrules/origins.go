package corsrules

import (
	"hash/maphash"
	"math"
	"math/bits"
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
	// found in the order of the rules. A third of the places, at least, stay free.
	listed []listedOrigin

	patterns []pattern // in the order of the rules
}

// listedOrigin is an exact origin of a rule, in lower case. It has the size of a line of the
// processor's cache, and most origins' text is in it: elsewhere it would be waited for in its
// turn.
type listedOrigin struct {
	rule   uint16 // its index
	length uint16 // of the origin; 0: a free place
	text   [44]byte
	long   string // an origin that is longer than text
}

// hashSeed keeps whoever writes rules from choosing origins that meet in one place.
var hashSeed = maphash.MakeSeed()

func newOrigins(rules []CORSRule) origins {
	type exactOrigin struct {
		text string
		rule uint16
	}
	var exact []exactOrigin
	var patterns []pattern
	for i, r := range rules {
		rule := uint16(i)
		for _, origin := range r.AllowedOrigins {
			origin = lower(origin)
			if p, ok := newPattern(origin); ok {
				p.rule = rule
				patterns = append(patterns, p)
			} else if isSerializedOrigin(origin) { // else no Origin header can have it
				exact = append(exact, exactOrigin{origin, rule})
			}
		}
	}
	o := origins{listed: make([]listedOrigin, len(exact)*3/2+1), patterns: slices.Clone(patterns)}
	for _, e := range exact {
		place := o.first(e.text)
		for o.listed[place].length != 0 {
			place = o.after(place)
		}
		o.listed[place] = newListedOrigin(e.text, e.rule)
	}
	return o
}

func newListedOrigin(origin string, rule uint16) listedOrigin {
	l := listedOrigin{rule: rule, length: uint16(len(origin))} //nolint:gosec // a document has 16 KB
	if copy(l.text[:], origin) < len(origin) {
		l.long = origin
	}
	return l
}

func (l *listedOrigin) is(origin string) bool {
	if int(l.length) > len(l.text) {
		return l.long == origin
	}
	return string(l.text[:l.length]) == origin
}

// first returns the place that an origin's hash names: as far into the table as the hash is into
// all numbers.
func (o *origins) first(origin string) uint64 {
	place, _ := bits.Mul64(maphash.String(hashSeed, origin), uint64(len(o.listed)))
	return place
}

func (o *origins) after(place uint64) uint64 {
	if place++; place < uint64(len(o.listed)) {
		return place
	}
	return 0
}

// noMore stands behind the indexes of all rules.
const noMore = math.MaxInt

// search goes through the rules that allow an origin, in their order.
type search struct {
	origins  *origins
	folded   string    // the origin in lower case
	rule     int       // that was found last
	listed   int       // the next rule that lists the origin
	place    uint64    // where that of the one after it may be
	patterns []pattern // not tried yet
}

// begin begins to search for an origin.
func (s *search) begin(o *origins, folded string) {
	s.origins, s.folded, s.rule, s.place, s.patterns = o, folded, -1, o.first(folded), o.patterns
	s.lookUp()
}

func (s *search) lookUp() {
	for len(s.origins.listed) > 0 {
		l := &s.origins.listed[s.place]
		if l.length == 0 {
			break
		}
		s.place = s.origins.after(s.place)
		if l.is(s.folded) {
			s.listed = int(l.rule)
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
		rule := int(p.rule)
		if rule >= s.listed {
			break
		}
		s.patterns = s.patterns[1:]
		if rule > last && matches(p, s.folded) {
			s.rule = rule
			break
		}
	}
	return s.rule
}
