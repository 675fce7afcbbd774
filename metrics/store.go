// Package metrics counts what the rules decide, and shows the counts to Prometheus. It
// does not depend on Caddy: a Store is a prometheus.Collector that can be registered with
// any number of registries.
//
// The counts outlive a server's configurations. A configuration opens a Handle for each
// of its rule sets and closes it when it ends. The collector shows exactly the rule sets
// that are open and the rules that are in force, and where a name stays open over a
// reload its counts go on.
package metrics

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// Kind is the kind of request that was decided.
type Kind uint8

const (
	// Preflight is a CORS-preflight request.
	Preflight Kind = iota
	// Actual is any other request.
	Actual

	kinds = 2
)

// String returns the kind as the label kind shows it.
func (k Kind) String() string { return [kinds]string{"preflight", "actual"}[k] }

const (
	// DefaultDeniedOrigins is how many denied origins are shown by name.
	DefaultDeniedOrigins = 100

	// MaxBuckets is how many buckets have counters of their own: with about thirty
	// series each, they make as many as one Prometheus target should have.
	MaxBuckets = 1000

	// OtherBuckets is the rule set that all other buckets count as.
	OtherBuckets = "_other"
)

// Default is the process's store.
var Default = NewStore()

// Store holds the counts of a process.
type Store struct {
	denials, changes sketch // denied requests, and those that a shadow would change

	mu      sync.Mutex // guards what follows; counting does not take it
	counts  map[string]*counts
	opened  int // how many of counts are open
	buckets int // how many of these are buckets
}

// Options are what a configuration wants shown of a rule set.
type Options struct {
	// PreflightReasons and ActualReasons are all reasons for which preflights and actual
	// requests are denied. Each has its series from the start.
	PreflightReasons, ActualReasons []string

	// DeniedOrigins is how many denied origins are shown by name, in the whole
	// process: the largest number of all open handles. 0: none of this rule set.
	DeniedOrigins int

	// Shadow says that candidate rules are compared with those in force.
	Shadow bool
}

// NewStore returns an empty Store.
func NewStore() *Store { return &Store{counts: map[string]*counts{}} }

// counts are what all open handles of one name share.
type counts struct {
	denied               [kinds]map[string]*atomic.Uint64 // by reason; a map does not change
	removed, cacheUnsafe atomic.Uint64
	changes              [kinds][2]atomic.Uint64 // by the outcome in force: denied, allowed
	rules                map[string]*Rule
	open                 []*Handle // in the order in which they were opened
	buckets              int       // how many of open are buckets
}

// addReasons adds counters for the reasons that have none yet. A configuration can have more
// reasons than the one before it, or another site, that counts by the same name.
func (c *counts) addReasons(opts *Options) {
	for kind, reasons := range [kinds][]string{opts.PreflightReasons, opts.ActualReasons} {
		isKnown := func(reason string) bool { return c.denied[kind][reason] != nil }
		missing := slices.DeleteFunc(slices.Clone(reasons), isKnown)
		if len(missing) == 0 {
			continue
		}
		denied := make(map[string]*atomic.Uint64, len(c.denied[kind])+len(missing))
		maps.Copy(denied, c.denied[kind])
		for _, reason := range missing {
			denied[reason] = new(atomic.Uint64)
		}
		c.denied[kind] = denied
	}
}

// Open returns a handle of the rule set that has this name. The caller closes it.
func (s *Store) Open(name string, opts Options) *Handle {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.open(validLabel(name), opts)
}

// OpenBucket is Open for one of many buckets. It returns nil if MaxBuckets other buckets
// have counters already.
func (s *Store) OpenBucket(name string, opts Options) *Handle {
	name = validLabel(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	isNew := s.counts[name] == nil || s.counts[name].buckets == 0
	if isNew && s.buckets >= MaxBuckets {
		return nil
	}
	if isNew {
		s.buckets++
	}
	h := s.open(name, opts)
	h.bucket = true
	h.counts.buckets++
	return h
}

// open is Open, for a caller that holds the lock.
func (s *Store) open(name string, opts Options) *Handle {
	c := s.counts[name]
	if c == nil {
		c = &counts{rules: map[string]*Rule{}}
		s.counts[name] = c
	}
	c.addReasons(&opts)
	if len(c.open) == 0 {
		s.opened++
	}
	h := &Handle{store: s, name: name, opts: opts, counts: c, denied: c.denied}
	c.open = append(c.open, h)
	return h
}

// validLabel returns a name in the form that labels need: valid UTF-8.
func validLabel(name string) string { return strings.ToValidUTF8(name, "\uFFFD") }

// forget drops the counts of buckets that are not open if there are too many of them, or
// if no source of buckets is open; and everything when nothing is open. The caller holds
// the lock.
func (s *Store) forget() {
	most := s.opened
	if s.counts[OtherBuckets] != nil {
		most += MaxBuckets
	}
	for name, c := range s.counts {
		if len(s.counts) > most && len(c.open) == 0 {
			delete(s.counts, name)
		}
	}
	if s.opened == 0 {
		s.denials.reset()
		s.changes.reset()
	}
}
