package metrics

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// sketchEntries is how many (rule set, origin, reason) a generation follows. An
	// entry that makes one denial in sketchEntries or more is never lost, so that this
	// is ten times finer than the one in a hundred that must show; it costs well
	// under a megabyte.
	sketchEntries = 1000

	// generationTime is half of "the last hour": two generations are kept.
	generationTime = 30 * time.Minute

	// maxOriginLabel is the longest origin that is shown: a scheme, the 253 bytes of
	// the longest host name, and a port. A longer one is cut.
	maxOriginLabel = 270
)

// sketch finds what occurs most often among unboundedly many keys, in bounded memory:
// Space-Saving (Metwally, Agrawal and El Abbadi, 2005) in two generations, so that what
// no longer occurs is forgotten within the hour.
type sketch struct {
	mu                sync.Mutex
	started           time.Time // of the current generation
	current, previous *generation
}

type sketchKey struct{ ruleset, origin, reason string }

// generation is Space-Saving's summary: entries by key, and in a heap by count, the
// smallest first. When it is full, a new key takes the place of the smallest, and with it
// its count, by which the new entry may then be too high.
type generation struct {
	entries map[sketchKey]*sketchEntry
	heap    []*sketchEntry
	all     []*sketchEntry // the same in the order in which they were made
}

type sketchEntry struct {
	key       sketchKey
	count     uint64
	overcount uint64 // at most, for what it displaced
	place     int    // in the heap
}

// atLeast is a lower bound of how often the key occurred.
func (e *sketchEntry) atLeast() uint64 { return e.count - e.overcount }

// sure reports whether the key is known to matter: it has been there from the start, or
// came back after it displaced another. In a flood of keys that occur once none is.
func (e *sketchEntry) sure() bool { return e.overcount == 0 || e.atLeast() > 1 }

func newGeneration() *generation {
	return &generation{entries: map[sketchKey]*sketchEntry{}}
}

// add counts an occurrence. It reports whether that is worth a line in the log: the first
// of a key that found room, and after that the 10th, 100th and so on.
func (s *sketch) add(now time.Time, key sketchKey) (worthALine bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rotate(now)
	e := s.current.add(key)
	if !e.sure() {
		return false
	}
	n := e.atLeast()
	for n >= 10 && n%10 == 0 {
		n /= 10
	}
	return n == 1
}

// rotate begins a new generation when it is time. The caller holds the lock.
func (s *sketch) rotate(now time.Time) {
	age := now.Sub(s.started)
	switch {
	case s.current == nil || age >= 2*generationTime:
		s.previous, s.current, s.started = newGeneration(), newGeneration(), now
	case age >= generationTime:
		s.previous, s.current, s.started = s.current, newGeneration(), s.started.Add(generationTime)
	}
}

func (g *generation) add(key sketchKey) *sketchEntry {
	e := g.entries[key]
	switch {
	case e != nil:
	case len(g.heap) < sketchEntries:
		e = &sketchEntry{place: len(g.heap)}
		g.heap = append(g.heap, e)
		g.all = append(g.all, e)
		g.enter(e, key)
		g.up(e)
	default:
		e = g.heap[0]
		delete(g.entries, e.key)
		e.overcount = e.count
		g.enter(e, key)
	}
	e.count++
	g.down(e)
	return e
}

// enter gives an entry its key: a copy, for a request's strings hold on to all of its
// header.
func (g *generation) enter(e *sketchEntry, key sketchKey) {
	key.origin = strings.Clone(key.origin)
	e.key = key
	g.entries[key] = e
}

func (g *generation) up(e *sketchEntry) {
	for e.place > 0 {
		parent := g.heap[(e.place-1)/2]
		if parent.count <= e.count {
			return
		}
		g.swap(parent, e)
	}
}

func (g *generation) down(e *sketchEntry) {
	for {
		child := 2*e.place + 1
		if child >= len(g.heap) {
			return
		}
		if right := child + 1; right < len(g.heap) && g.heap[right].count < g.heap[child].count {
			child = right
		}
		if g.heap[child].count >= e.count {
			return
		}
		g.swap(g.heap[child], e)
	}
}

func (g *generation) swap(a, b *sketchEntry) {
	a.place, b.place = b.place, a.place
	g.heap[a.place], g.heap[b.place] = a, b
}

// originCount is how often a rule set denied an origin in about the last hour, at least.
type originCount struct {
	ruleset, origin string
	count           uint64
}

// top returns the origins of the shown rule sets that were denied most.
func (s *sketch) top(now time.Time, most int, shown func(ruleset string) bool) []originCount {
	sums := map[[2]string]uint64{}
	for _, e := range s.snapshot(now) {
		if e.sure() && e.key.origin != "" && shown(e.key.ruleset) {
			sums[[2]string{e.key.ruleset, e.key.origin}] += e.atLeast()
		}
	}
	counts := make([]originCount, 0, len(sums))
	for key, n := range sums {
		counts = append(counts, originCount{key[0], key[1], n})
	}
	slices.SortFunc(counts, func(a, b originCount) int {
		return cmp.Or(cmp.Compare(b.count, a.count), cmp.Compare(a.ruleset, b.ruleset), cmp.Compare(a.origin, b.origin))
	})
	return counts[:min(most, len(counts))]
}

// snapshot copies the entries of both generations, a few under each hold of the lock, so
// that no denial waits for a scrape.
func (s *sketch) snapshot(now time.Time) (entries []sketchEntry) {
	const few = 16
	s.mu.Lock()
	s.rotate(now)
	generations := []*generation{s.previous, s.current}
	s.mu.Unlock()
	for _, g := range generations {
		for i, more := 0, true; more; i += few {
			s.mu.Lock()
			end := min(i+few, len(g.all))
			for _, e := range g.all[i:end] {
				entries = append(entries, *e)
			}
			more = end < len(g.all)
			s.mu.Unlock()
		}
	}
	return entries
}

// OriginLabel makes a request's Origin fit to be shown.
func OriginLabel(origin string) string {
	if len(origin) > maxOriginLabel {
		origin = origin[:maxOriginLabel] + "…"
	}
	return strings.ToValidUTF8(origin, "\uFFFD")
}
