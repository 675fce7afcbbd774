// Package metrics counts what the rules decide, and shows the counts to Prometheus. It
// knows nothing of Caddy: a Store is a prometheus.Collector that can be registered with
// any number of registries.
//
// The counts outlive a server's configurations. A configuration opens a Ruleset for each
// of its rule sets and closes it when it ends; the collector shows exactly the rule sets
// that are open and the rules that are in force, and where a name stays open over a
// reload its counts go on.
package metrics

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Kind is the kind of request that was decided.
type Kind uint8

const (
	// Preflight is an OPTIONS request that asks for leave.
	Preflight Kind = iota
	// Actual is any other request.
	Actual

	kinds = 2
)

// String returns the kind as the label kind shows it.
func (k Kind) String() string { return [kinds]string{"preflight", "actual"}[k] }

// maxRetiredRules bounds how many counts of rules that are no longer in force a rule set
// keeps, to go on with them should the rules return. A document has at most a few dozen
// rules; more retired ones than this means that IDs are generated anew each time.
const maxRetiredRules = 1000

// Store holds the counts of a process.
type Store struct {
	reasons [kinds][]string

	denials, changes sketch // of the rules, and what a shadow would change

	mu      sync.Mutex // guards what follows, never taken to count
	counts  map[string]*counts
	opened  int // of counts, those that are open
	buckets int // of these, those of buckets
}

// DefaultDeniedOrigins is how many denied origins are shown by name.
const DefaultDeniedOrigins = 100

// Options are what a configuration wants shown of a rule set.
type Options struct {
	// DeniedOrigins is how many denied origins are shown by name, in the whole
	// process: the largest number of those that are open. 0: none of this rule set.
	DeniedOrigins int

	// Shadow says that candidate rules are judged beside those in force.
	Shadow bool
}

// NewStore returns an empty Store. The reasons are all that Denied will be called with:
// each has its series from the start.
func NewStore(preflightReasons, actualReasons []string) *Store {
	return &Store{
		reasons: [kinds][]string{preflightReasons, actualReasons},
		counts:  map[string]*counts{},
	}
}

// counts are what all open Rulesets of one name share.
type counts struct {
	denied               [kinds]map[string]*atomic.Uint64 // by reason; never changed once made
	removed, cacheUnsafe atomic.Uint64
	changes              [kinds][2]atomic.Uint64 // by what the live rules said: denied, allowed
	rules                map[string]*Rule
	open                 []*Ruleset // in the order in which they were opened
	buckets              int        // of open, those of buckets
}

// Rule counts the hits of one rule.
type Rule struct {
	hits [kinds]atomic.Uint64
	uses int // by open rule sets
}

// Hit counts a request that the rule matched.
func (r *Rule) Hit(k Kind) { r.hits[k].Add(1) }

// Ruleset is one configuration's hold on the counts of a rule set. All its methods may
// be called from any goroutine.
type Ruleset struct {
	store *Store
	name  string
	opts  Options
	*counts

	// What the gauges show of this hold.
	rules    []string
	failing  bool
	loadedAt time.Time
	closed   bool
	bucket   bool
}

// Open returns a hold on the counts of the rule set that has this name. Holds of the
// same name count together. The caller closes it.
func (s *Store) Open(name string, opts Options) *Ruleset {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.open(validLabel(name), opts)
}

const (
	// MaxBuckets is how many buckets have counts of their own: some thirty series each
	// make as many as one Prometheus target should have.
	MaxBuckets = 1000

	// OtherBuckets is the rule set that all other buckets count as.
	OtherBuckets = "_other"
)

// OpenBucket is Open for one of many buckets; nil if MaxBuckets have counts of their own
// already, and this is none of them.
func (s *Store) OpenBucket(name string, opts Options) *Ruleset {
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
	rs := s.open(name, opts)
	rs.bucket = true
	rs.counts.buckets++
	return rs
}

// open is Open, for a caller that holds the lock.
func (s *Store) open(name string, opts Options) *Ruleset {
	c := s.counts[name]
	if c == nil {
		c = s.newCounts()
		s.counts[name] = c
	}
	if len(c.open) == 0 {
		s.opened++
	}
	rs := &Ruleset{store: s, name: name, opts: opts, counts: c}
	c.open = append(c.open, rs)
	return rs
}

// validLabel returns a name as a label may be: of valid UTF-8.
func validLabel(name string) string { return strings.ToValidUTF8(name, "\uFFFD") }

func (s *Store) newCounts() *counts {
	c := &counts{rules: map[string]*Rule{}}
	for kind, reasons := range s.reasons {
		c.denied[kind] = make(map[string]*atomic.Uint64, len(reasons))
		for _, reason := range reasons {
			c.denied[kind][reason] = new(atomic.Uint64)
		}
	}
	return c
}

// Loaded records that rules of these names are now in force, and returns their counters
// in the same order. After Close it only returns them.
func (rs *Ruleset) Loaded(names []string) []*Rule {
	rs.store.mu.Lock()
	defer rs.store.mu.Unlock()
	counters := make([]*Rule, len(names))
	for i, name := range names {
		if rs.counts.rules[name] == nil {
			rs.counts.rules[name] = new(Rule)
		}
		counters[i] = rs.counts.rules[name]
	}
	if rs.closed {
		return counters
	}
	for _, counter := range counters {
		counter.uses++
	}
	rs.retire()
	rs.rules, rs.failing, rs.loadedAt = slices.Clone(names), false, time.Now()
	return counters
}

// Failed records that the newest rules could not be loaded: those in force stay.
func (rs *Ruleset) Failed() {
	rs.store.mu.Lock()
	defer rs.store.mu.Unlock()
	rs.failing = true
}

// Recovered records that nothing newer is wrong with the rules in force.
func (rs *Ruleset) Recovered() {
	rs.store.mu.Lock()
	defer rs.store.mu.Unlock()
	rs.failing = false
}

// Close ends the hold; once is enough. What no other hold of the same name has is shown no
// more, and its counts are gone; but a bucket's stay while there is any source of buckets,
// for after a reload it is opened when it is next asked for.
func (rs *Ruleset) Close() {
	s := rs.store
	s.mu.Lock()
	defer s.mu.Unlock()
	if rs.closed {
		return
	}
	rs.retire()
	rs.rules, rs.closed = nil, true
	rs.open = slices.DeleteFunc(rs.open, func(other *Ruleset) bool { return other == rs })
	if rs.bucket {
		if rs.buckets--; rs.buckets == 0 {
			s.buckets--
		}
	}
	if len(rs.open) > 0 {
		return
	}
	s.opened--
	if other := s.counts[OtherBuckets]; !rs.bucket || other == nil || len(other.open) == 0 {
		delete(s.counts, rs.name)
	}
	s.forget()
}

// forget drops the counts of buckets that are not open if there are too many, or if there
// is no source of buckets any more.
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
}

// retire gives up the rules that were in force so far. Their counts stay, in case they
// return, as long as there are not too many.
func (rs *Ruleset) retire() {
	for _, name := range rs.rules {
		rs.counts.rules[name].uses--
	}
	if len(rs.counts.rules) <= maxRetiredRules {
		return
	}
	for name, rule := range rs.counts.rules {
		if rule.uses == 0 {
			delete(rs.counts.rules, name)
		}
	}
}

// Denied counts a denial. The reason is one of those that the Store was made with; the
// origin is the request's, as sent, or empty. It reports whether the denial is worth a line
// in the log: the first of its origin and reason, and then ever fewer.
func (rs *Ruleset) Denied(k Kind, reason, origin string) (worthALine bool) {
	rs.denied[k][reason].Add(1)
	return rs.store.denials.add(time.Now(), sketchKey{rs.name, OriginLabel(origin), reason})
}

// ShadowChange counts a request of which the candidate rules say the contrary of those in
// force. It reports whether that is worth a line in the log, as Denied does.
func (rs *Ruleset) ShadowChange(k Kind, liveAllowed bool, origin string) (worthALine bool) {
	live := outcome(liveAllowed)
	rs.changes[k][live].Add(1)
	return rs.store.changes.add(time.Now(), sketchKey{rs.name, OriginLabel(origin), outcomes[live]})
}

var outcomes = [2]string{"denied", "allowed"}

func outcome(allowed bool) int {
	if allowed {
		return 1
	}
	return 0
}

// UpstreamHeadersRemoved counts a response that lost Access-Control headers of the
// origin server's own.
func (rs *Ruleset) UpstreamHeadersRemoved() { rs.removed.Add(1) }

// CacheUnsafe counts a cacheable response for one origin without Vary: Origin. It reports
// whether it is the rule set's first.
func (rs *Ruleset) CacheUnsafe() (first bool) { return rs.cacheUnsafe.Add(1) == 1 }
