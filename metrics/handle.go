package metrics

import (
	"slices"
	"sync/atomic"
	"time"
)

// maxRules bounds how many counters of rules a rule set keeps. Those of rules that are no
// longer in force are kept, to go on with them should the rules return, until there are more
// counters than this: then IDs are generated anew each time. A document has at most 200
// rules.
const maxRules = 1000

// Handle is one configuration's reference to a rule set's counters. Handles of the same
// name share them. All methods may be called from any goroutine.
type Handle struct {
	store *Store
	name  string
	opts  Options
	*counts
	denied [kinds]map[string]*atomic.Uint64 // those of counts when it was opened, which have its reasons

	// What the gauges show of this handle.
	rules    []string
	failing  bool
	loadedAt time.Time
	closed   bool
	bucket   bool
}

// Rule counts the hits of one rule.
type Rule struct {
	hits [kinds]atomic.Uint64
	uses int // by open handles
}

// Hit counts a request that the rule matched.
func (r *Rule) Hit(k Kind) { r.hits[k].Add(1) }

// Hits returns how many requests of a kind the rule matched.
func (r *Rule) Hits(k Kind) uint64 { return r.hits[k].Load() }

// Loaded records that rules of these names are now in force, and returns their counters
// in the same order. After Close it only returns them.
func (h *Handle) Loaded(names []string) []*Rule { return h.LoadedAt(names, time.Now()) }

// LoadedAt is Loaded for rules that were loaded at another time; zero: that is not known, and
// not shown.
func (h *Handle) LoadedAt(names []string, at time.Time) []*Rule {
	h.store.mu.Lock()
	defer h.store.mu.Unlock()
	if !h.closed {
		h.failing, h.loadedAt = false, at
	}
	return h.countRules(names)
}

// CountRules is Loaded for OtherBuckets, whose rules are those of any number of documents:
// it does not record that one was loaded.
func (h *Handle) CountRules(names []string) []*Rule {
	h.store.mu.Lock()
	defer h.store.mu.Unlock()
	return h.countRules(names)
}

// countRules is CountRules, for a caller that holds the lock.
func (h *Handle) countRules(names []string) []*Rule {
	counters := make([]*Rule, len(names))
	for i, name := range names {
		if h.counts.rules[name] == nil {
			h.counts.rules[name] = new(Rule)
		}
		counters[i] = h.counts.rules[name]
	}
	if h.closed {
		return counters
	}
	for _, counter := range counters {
		counter.uses++
	}
	h.retire()
	h.rules = slices.Clone(names)
	return counters
}

// retire gives up the rules that were in force so far. Their counts stay, in case they
// return, as long as there are not too many. The caller holds the lock.
func (h *Handle) retire() {
	for _, name := range h.rules {
		h.counts.rules[name].uses--
	}
	if len(h.counts.rules) <= maxRules {
		return
	}
	for name, rule := range h.counts.rules {
		if rule.uses == 0 {
			delete(h.counts.rules, name)
		}
	}
}

// Failed records that the newest rules could not be loaded. Those in force stay so.
func (h *Handle) Failed() { h.setFailing(true) }

// Recovered records that the rules in force are the newest again.
func (h *Handle) Recovered() { h.setFailing(false) }

func (h *Handle) setFailing(failing bool) {
	h.store.mu.Lock()
	defer h.store.mu.Unlock()
	h.failing = failing
}

// Close closes the handle; closing it again does nothing. A name without another handle is
// no longer shown, and its counts are dropped. A bucket's counts are kept while a source of
// buckets is open: after a reload, a bucket is opened when a request next names it.
func (h *Handle) Close() {
	s := h.store
	s.mu.Lock()
	defer s.mu.Unlock()
	if h.closed {
		return
	}
	h.retire()
	h.rules, h.closed = nil, true
	h.open = slices.DeleteFunc(h.open, func(other *Handle) bool { return other == h })
	if h.bucket {
		if h.buckets--; h.buckets == 0 {
			s.buckets--
		}
	}
	if len(h.open) > 0 {
		return
	}
	s.opened--
	if other := s.counts[OtherBuckets]; !h.bucket || other == nil || len(other.open) == 0 {
		delete(s.counts, h.name)
	}
	s.forget()
}

// Denied counts a denied request. The reason is one of Options'; the origin is the
// request's, as sent, or empty. It returns how often, at least, this origin and reason have
// been counted in the current half hour; 0 where that is not known, because there are too
// many of them.
func (h *Handle) Denied(k Kind, reason, origin string) uint64 {
	h.denied[k][reason].Add(1)
	return h.store.denials.add(time.Now(), sketchKey{h.name, OriginLabel(origin), reason})
}

// Denials returns how many requests of a kind were denied, by reason. Every reason is
// there from the start.
func (h *Handle) Denials(k Kind) map[string]uint64 {
	denials := make(map[string]uint64, len(h.denied[k]))
	for reason, n := range h.denied[k] {
		denials[reason] = n.Load()
	}
	return denials
}

// ShadowChange counts a request that the candidate rules decide differently. It returns
// how often that was counted for this origin, as Denied does.
func (h *Handle) ShadowChange(k Kind, liveAllowed bool, origin string) uint64 {
	live := outcome(liveAllowed)
	h.changes[k][live].Add(1)
	return h.store.changes.add(time.Now(), sketchKey{h.name, OriginLabel(origin), outcomes[live]})
}

var outcomes = [2]string{"denied", "allowed"}

func outcome(allowed bool) int {
	if allowed {
		return 1
	}
	return 0
}

// UpstreamHeadersRemoved counts a response that lost Access-Control headers of the
// origin server.
func (h *Handle) UpstreamHeadersRemoved() { h.removed.Add(1) }

// CacheUnsafe counts a cacheable response that depends on the request's Origin and has no
// Vary: Origin. It returns how many there were.
func (h *Handle) CacheUnsafe() uint64 { return h.cacheUnsafe.Add(1) }
