package metrics

import (
	"cmp"
	"container/heap"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// sketchEntries is how many (rule set, origin, reason) a generation follows. A key
	// with at least 1/sketchEntries of all denials is never lost. The least that has to be
	// shown is one in a hundred, so this is ten times finer than needed; it costs well
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
// smallest first. When it is full, a new key replaces the smallest and takes over its
// count, so that the new entry's count may be too high by that much.
type generation struct {
	entries map[sketchKey]*sketchEntry
	byCount entryHeap
}

type sketchEntry struct {
	key       sketchKey
	count     uint64
	overcount uint64 // how much count may be too high
	index     int    // in the heap
}

// atLeast is a lower bound of how often the key occurred.
func (e *sketchEntry) atLeast() uint64 { return e.count - e.overcount }

// known reports whether the key matters: it did not displace another, or occurred again
// after it did. In a flood of keys that occur once, none does.
func (e *sketchEntry) known() bool { return e.overcount == 0 || e.atLeast() > 1 }

// entryHeap implements heap.Interface.
type entryHeap []*sketchEntry

func (h entryHeap) Len() int           { return len(h) }
func (h entryHeap) Less(i, j int) bool { return h[i].count < h[j].count }
func (h entryHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *entryHeap) Push(x any) {
	e := x.(*sketchEntry)
	e.index = len(*h)
	*h = append(*h, e)
}

// Pop is not used: an entry is replaced, never removed.
func (h *entryHeap) Pop() any { panic("metrics: an entry is never removed") }

func newGeneration() *generation {
	return &generation{entries: map[sketchKey]*sketchEntry{}}
}

// add counts an occurrence. It returns how often the key occurred in this generation, at
// least; 0 where that is not known.
func (s *sketch) add(now time.Time, key sketchKey) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rotate(now)
	if e := s.current.add(key); e.known() {
		return e.atLeast()
	}
	return 0
}

// reset forgets everything.
func (s *sketch) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.current, s.previous = nil, nil
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
	case len(g.byCount) < sketchEntries:
		e = new(sketchEntry)
		heap.Push(&g.byCount, e)
		g.setKey(e, key)
	default:
		e = g.byCount[0]
		delete(g.entries, e.key)
		e.overcount = e.count
		g.setKey(e, key)
	}
	e.count++
	heap.Fix(&g.byCount, e.index)
	return e
}

// setKey gives an entry its key. It copies the origin, because a request's strings keep
// all of its header in memory.
func (g *generation) setKey(e *sketchEntry, key sketchKey) {
	key.origin = strings.Clone(key.origin)
	e.key = key
	g.entries[key] = e
}

// DeniedOrigin is how often a rule set denied an origin in roughly the last hour, at least.
type DeniedOrigin struct {
	Ruleset string `json:"ruleset"`
	Origin  string `json:"origin"`

	// Denied is the sum of Reasons.
	Denied  uint64            `json:"denied"`
	Reasons map[string]uint64 `json:"reasons"`
}

// top returns the origins of the shown rule sets that were denied most.
func (s *sketch) top(now time.Time, most int, shown func(ruleset string) bool) []DeniedOrigin {
	byKey := map[[2]string]*DeniedOrigin{}
	for _, e := range s.snapshot(now) {
		if !e.known() || e.key.origin == "" || !shown(e.key.ruleset) {
			continue
		}
		key := [2]string{e.key.ruleset, e.key.origin}
		o := byKey[key]
		if o == nil {
			o = &DeniedOrigin{Ruleset: e.key.ruleset, Origin: e.key.origin, Reasons: map[string]uint64{}}
			byKey[key] = o
		}
		o.Denied += e.atLeast()
		o.Reasons[e.key.reason] += e.atLeast()
	}
	origins := make([]DeniedOrigin, 0, len(byKey))
	for _, o := range byKey {
		origins = append(origins, *o)
	}
	slices.SortFunc(origins, func(a, b DeniedOrigin) int {
		return cmp.Or(cmp.Compare(b.Denied, a.Denied), cmp.Compare(a.Ruleset, b.Ruleset), cmp.Compare(a.Origin, b.Origin))
	})
	return origins[:min(most, len(origins))]
}

// snapshot copies the entries of both generations. That takes a fraction of a
// millisecond, once a scrape.
func (s *sketch) snapshot(now time.Time) []sketchEntry {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rotate(now)
	entries := make([]sketchEntry, 0, len(s.previous.byCount)+len(s.current.byCount))
	for _, g := range []*generation{s.previous, s.current} {
		for _, e := range g.byCount {
			entries = append(entries, *e)
		}
	}
	return entries
}

// WithoutSecrets returns a text that a client sent as an origin or a name, without what may be
// a key if it is a URL: the user information and the query. No browser sends either.
func WithoutSecrets(text string) string {
	if query := strings.IndexByte(text, '?'); query >= 0 {
		text = text[:query] + "?…"
	}
	if strings.IndexByte(text, '@') < 0 {
		return text
	}
	scheme, rest, ok := strings.Cut(text, "//")
	if at := strings.LastIndexByte(rest, '@'); ok && at >= 0 {
		text = scheme + "//…" + rest[at:]
	}
	return text
}

// OriginLabel returns a request's Origin in a form that can be shown.
func OriginLabel(origin string) string {
	origin = WithoutSecrets(origin)
	if len(origin) > maxOriginLabel {
		origin = origin[:maxOriginLabel] + "…"
	}
	return strings.ToValidUTF8(origin, "\uFFFD")
}
