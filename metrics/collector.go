package metrics

import (
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("caddy_oss_cors_"+name, help, append([]string{"ruleset"}, labels...), nil)
}

var (
	ruleHits = desc("rule_hits_total",
		"Requests that a CORS rule matched.", "rule", "kind")
	deniedTotal = desc("denied_total",
		"Denied cross-origin requests.", "kind", "reason")
	headersRemoved = desc("upstream_headers_removed_total",
		"Responses from which Access-Control headers of the origin server were removed.")
	deniedOrigins = desc("denied_origin_requests",
		"Denied requests per origin in roughly the last hour (lower bound, top origins only).", "origin")
	cacheUnsafe = desc("cache_unsafe_responses_total",
		"Cacheable responses without Vary: Origin that would differ for another origin, or for none.")
	shadowChanges = desc("shadow_changes_total",
		"Requests whose outcome the shadow rules would change.", "kind", "live", "shadow")
	rulesInForce = desc("rules",
		"CORS rules in force.")
	lastLoadSuccessful = desc("rules_last_load_successful",
		"1 if the rules in force are the newest; 0 if newer ones could not be loaded.")
	lastLoadTimestamp = desc("rules_last_load_success_timestamp_seconds",
		"Unix time at which the rules in force were loaded.")
)

// Describe implements prometheus.Collector.
func (s *Store) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{ruleHits, deniedTotal, deniedOrigins, headersRemoved, cacheUnsafe, shadowChanges, rulesInForce, lastLoadSuccessful, lastLoadTimestamp} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (s *Store) Collect(ch chan<- prometheus.Metric) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, c := range s.counts {
		if len(c.open) > 0 {
			c.collect(ch, name)
		}
	}
	s.collectOrigins(ch)
}

// collectOrigins shows the denied origins of those rule sets that want it.
func (s *Store) collectOrigins(ch chan<- prometheus.Metric) {
	for _, o := range s.deniedOrigins() {
		ch <- prometheus.MustNewConstMetric(deniedOrigins, prometheus.GaugeValue, float64(o.Denied), o.Ruleset, o.Origin)
	}
}

// DeniedOrigins returns the denied origins that metrics show, the most often denied first.
func (s *Store) DeniedOrigins() []DeniedOrigin {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.deniedOrigins()
}

// deniedOrigins is DeniedOrigins, for a caller that holds the lock.
func (s *Store) deniedOrigins() []DeniedOrigin {
	most := 0
	wanted := map[string]bool{}
	for name, c := range s.counts {
		for _, h := range c.open {
			most = max(most, h.opts.DeniedOrigins)
			wanted[name] = wanted[name] || h.opts.DeniedOrigins > 0
		}
	}
	return s.denials.top(time.Now(), most, func(ruleset string) bool { return wanted[ruleset] })
}

func (c *counts) collect(ch chan<- prometheus.Metric, ruleset string) {
	counter := func(d *prometheus.Desc, n uint64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), append([]string{ruleset}, labels...)...)
	}
	gauge := func(d *prometheus.Desc, value float64) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, ruleset)
	}
	for kind := range Kind(kinds) {
		for name, rule := range c.rules {
			if rule.uses > 0 {
				counter(ruleHits, rule.hits[kind].Load(), name, kind.String())
			}
		}
		for reason, n := range c.denied[kind] {
			counter(deniedTotal, n.Load(), kind.String(), reason)
		}
	}
	counter(headersRemoved, c.removed.Load())
	counter(cacheUnsafe, c.cacheUnsafe.Load())
	if slices.ContainsFunc(c.open, func(h *Handle) bool { return h.opts.Shadow }) {
		for kind := range Kind(kinds) {
			for live, name := range outcomes {
				counter(shadowChanges, c.changes[kind][live].Load(), kind.String(), name, outcomes[1-live])
			}
		}
	}

	newest, successful := c.open[len(c.open)-1], 1.0
	for _, h := range c.open {
		if h.failing {
			successful = 0
		}
	}
	if ruleset != OtherBuckets { // its rules are those of any number of documents
		gauge(rulesInForce, float64(len(newest.rules)))
	}
	gauge(lastLoadSuccessful, successful)
	if !newest.loadedAt.IsZero() {
		gauge(lastLoadTimestamp, float64(newest.loadedAt.UnixMilli())/1000)
	}
}

var _ prometheus.Collector = (*Store)(nil)
