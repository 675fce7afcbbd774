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
		"Cross-origin requests that no CORS rule allowed, or that could not be judged.", "kind", "reason")
	headersRemoved = desc("upstream_headers_removed_total",
		"Responses that lost Access-Control headers of the origin server's own.")
	deniedOrigins = desc("denied_origin_requests",
		"Denials of an origin in about the last hour, at least; of the origins denied most.", "origin")
	cacheUnsafe = desc("cache_unsafe_responses_total",
		"Cacheable responses that name one allowed origin and have no Vary: Origin.")
	shadowChanges = desc("shadow_changes_total",
		"Requests of which the candidate rules say the contrary of those in force.", "kind", "live", "shadow")
	rulesInForce = desc("rules",
		"CORS rules in force.")
	lastLoadSuccessful = desc("rules_last_load_successful",
		"Whether the newest rules document could be loaded: 1, or 0 while older rules stay in force.")
	lastLoadTimestamp = desc("rules_last_load_success_timestamp_seconds",
		"When rules were last loaded, in Unix seconds.")
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
	most := 0
	wanted := map[string]bool{}
	for name, c := range s.counts {
		for _, rs := range c.open {
			most = max(most, rs.opts.DeniedOrigins)
			wanted[name] = wanted[name] || rs.opts.DeniedOrigins > 0
		}
	}
	top := s.denials.top(time.Now(), most, func(ruleset string) bool { return wanted[ruleset] })
	for _, o := range top {
		ch <- prometheus.MustNewConstMetric(deniedOrigins, prometheus.GaugeValue, float64(o.count), o.ruleset, o.origin)
	}
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
	if slices.ContainsFunc(c.open, func(rs *Ruleset) bool { return rs.opts.Shadow }) {
		for kind := range Kind(kinds) {
			for live, name := range outcomes {
				counter(shadowChanges, c.changes[kind][live].Load(), kind.String(), name, outcomes[1-live])
			}
		}
	}

	newest, successful := c.open[len(c.open)-1], 1.0
	for _, rs := range c.open {
		if rs.failing {
			successful = 0
		}
	}
	if ruleset != OtherBuckets { // whose rules are those of any number of documents
		gauge(rulesInForce, float64(len(newest.rules)))
	}
	gauge(lastLoadSuccessful, successful)
	if !newest.loadedAt.IsZero() {
		gauge(lastLoadTimestamp, float64(newest.loadedAt.UnixMilli())/1000)
	}
}

var _ prometheus.Collector = (*Store)(nil)
