package metrics

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// testOptions are the least that a rule set needs to count.
var testOptions = showing(0)

func showing(deniedOrigins int) Options {
	return Options{
		PreflightReasons: []string{"origin", "header"},
		ActualReasons:    []string{"origin"},
		DeniedOrigins:    deniedOrigins,
	}
}

// expect compares the named metrics of the store with the lines of an exposition.
func expect(t *testing.T, s *Store, lines string, names ...string) {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(s)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, family := range families {
		if !slices.Contains(names, strings.TrimPrefix(family.GetName(), "caddy_oss_cors_")) {
			continue
		}
		for _, m := range family.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetValue())
			}
			got = append(got, fmt.Sprintf("%s %v", strings.Join(labels, " "), m.GetCounter().GetValue()+m.GetGauge().GetValue()))
		}
	}
	want := strings.Fields(strings.ReplaceAll(strings.TrimSpace(lines), " ", "_"))
	for i := range got {
		got[i] = strings.ReplaceAll(got[i], " ", "_")
	}
	if !slices.Equal(got, want) {
		t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestSeriesStandAtZeroFromTheStart(t *testing.T) {
	s := NewStore()
	rs := s.Open("a", testOptions)
	rs.Loaded([]string{"app", "2"})
	expect(t, s, `actual 2 a 0
actual app a 0
preflight 2 a 0
preflight app a 0`, "rule_hits_total")
	expect(t, s, `actual origin a 0
preflight header a 0
preflight origin a 0`, "denied_total")
	expect(t, s, "a 0", "upstream_headers_removed_total")
	expect(t, s, "a 2", "rules")
	expect(t, s, "a 1", "rules_last_load_successful")
}

func TestCounting(t *testing.T) {
	s := NewStore()
	rs := s.Open("a", testOptions)
	rules := rs.Loaded([]string{"1", "2"})
	rules[1].Hit(Preflight)
	rules[1].Hit(Actual)
	rules[1].Hit(Actual)
	rs.Denied(Preflight, "header", "")
	rs.UpstreamHeadersRemoved()
	expect(t, s, `actual 1 a 0
actual 2 a 2
preflight 1 a 0
preflight 2 a 1`, "rule_hits_total")
	expect(t, s, `actual origin a 0
preflight header a 1
preflight origin a 0`, "denied_total")
	expect(t, s, "a 1", "upstream_headers_removed_total")
}

func TestCountsGoOnWhileANameStaysOpen(t *testing.T) {
	s := NewStore()
	before := s.Open("a", testOptions)
	before.Loaded([]string{"app", "gone"})[0].Hit(Actual)

	after := s.Open("a", testOptions) // a reload provisions the new configuration first
	rules := after.Loaded([]string{"app"})
	before.Close()
	rules[0].Hit(Actual)
	expect(t, s, `actual app a 2
preflight app a 0`, "rule_hits_total")
	expect(t, s, "a 1", "rules")

	after.Close()
	expect(t, s, "", "rule_hits_total", "denied_total", "rules", "rules_last_load_successful")
}

// A reload opens the buckets of the new configuration one by one, as they are requested.
func TestABucketThatIsOpenedAgainGoesOn(t *testing.T) {
	s := NewStore()
	other := s.Open(OtherBuckets, testOptions)
	bucket, plain := s.OpenBucket("bucket", testOptions), s.Open("plain", testOptions)
	bucket.Loaded([]string{"1"})[0].Hit(Actual)
	plain.Loaded([]string{"1"})[0].Hit(Actual)
	bucket.Close()
	plain.Close()
	expect(t, s, "", "rule_hits_total")
	s.Open("plain", testOptions).Loaded([]string{"1"})
	bucket = s.OpenBucket("bucket", testOptions)
	bucket.Loaded([]string{"1"})
	expect(t, s, `actual 1 bucket 1
actual 1 plain 0
preflight 1 bucket 0
preflight 1 plain 0`, "rule_hits_total")
	bucket.Close()
	other.Close()
	if len(s.counts) != 1 {
		t.Errorf("counts of buckets stay without a source: %v", s.counts)
	}
}

func TestBucketsAreBounded(t *testing.T) {
	s := NewStore()
	other := s.Open(OtherBuckets, testOptions)
	const files = 50 // which are not buckets, though the first has the name of one
	for i := range files {
		s.Open(fmt.Sprint(i*MaxBuckets), testOptions)
	}
	var open []*Handle
	for i := range 3 * MaxBuckets {
		if rs := s.OpenBucket(fmt.Sprint(i), testOptions); rs != nil {
			open = append(open, rs)
		}
	}
	if len(open) != MaxBuckets || s.OpenBucket("7", testOptions) == nil {
		t.Errorf("%d buckets have counts of their own", len(open))
	}
	for _, rs := range open {
		rs.Close()
	}
	for i := range 3 * MaxBuckets {
		s.OpenBucket(fmt.Sprint("again-", i), testOptions).Close()
	}
	if len(s.counts) > MaxBuckets+2+files {
		t.Errorf("%d counts are kept", len(s.counts))
	}
	other.Close()
	if len(s.counts) > 1+files { // "7" is open
		t.Errorf("%d counts are kept without a source", len(s.counts))
	}
}

// A configuration can have more reasons than another one of the same name, as after a change of
// dialect. Both count in the same counters.
func TestReasonsOfTwoConfigurations(t *testing.T) {
	s := NewStore()
	more := testOptions
	more.ActualReasons = []string{"origin", "header"}
	before, after := s.Open("a", testOptions), s.Open("a", more)
	for _, h := range []*Handle{before, after} {
		h.Denied(Actual, "origin", "")
	}
	before.Close()
	after.Denied(Actual, "header", "")
	expect(t, s, `actual header a 1
actual origin a 2
preflight header a 0
preflight origin a 0`, "denied_total")
	if got := fmt.Sprint(after.Denials(Actual)); got != "map[header:1 origin:2]" {
		t.Errorf("got %s", got)
	}
}

func TestAFailedReloadLeavesTheOldHoldAsItWas(t *testing.T) {
	s := NewStore()
	running := s.Open("a", testOptions)
	running.Loaded([]string{"1", "2"})
	failed := s.Open("a", testOptions)
	failed.Loaded([]string{"1", "2", "3"})
	failed.Close()
	expect(t, s, "a 2", "rules")
	expect(t, s, `actual 1 a 0
actual 2 a 0
preflight 1 a 0
preflight 2 a 0`, "rule_hits_total")
}

func TestARuleThatReturnsGoesOn(t *testing.T) {
	s := NewStore()
	rs := s.Open("a", testOptions)
	rs.Loaded([]string{"1", "2"})[1].Hit(Actual)
	rs.Loaded([]string{"1"})
	expect(t, s, `actual 1 a 0
preflight 1 a 0`, "rule_hits_total")
	rs.Loaded([]string{"1", "2"})
	expect(t, s, `actual 1 a 0
actual 2 a 1
preflight 1 a 0
preflight 2 a 0`, "rule_hits_total")
}

func TestRetiredRulesAreBounded(t *testing.T) {
	s := NewStore()
	rs := s.Open("a", testOptions)
	for i := range 5 * maxRules {
		rs.Loaded([]string{fmt.Sprintf("generated-%d", i)})
	}
	if n := len(rs.counts.rules); n > maxRules+1 {
		t.Errorf("%d rules are kept", n)
	}
}

func TestFailedShowsUntilTheNextLoad(t *testing.T) {
	s := NewStore()
	rs := s.Open("a", testOptions)
	rs.Loaded([]string{"1"})
	rs.Failed()
	expect(t, s, "a 0", "rules_last_load_successful")
	expect(t, s, "a 1", "rules")
	rs.Loaded([]string{"1"})
	expect(t, s, "a 1", "rules_last_load_successful")
}

func TestLoadedAfterCloseShowsNothing(t *testing.T) {
	s := NewStore()
	other, rs := s.Open("a", testOptions), s.Open("a", testOptions)
	rs.Loaded([]string{"1"})
	rs.Close()
	rs.Close()
	rs.Loaded([]string{"2"})[0].Hit(Actual)
	expect(t, s, "", "rule_hits_total")
	other.Close()
}

func TestTwoHoldsOfOneNameCountTogether(t *testing.T) {
	s := NewStore()
	for range 2 {
		s.Open("a", testOptions).Loaded([]string{"1"})[0].Hit(Preflight)
	}
	s.Open("b", testOptions).Loaded([]string{"1"})
	expect(t, s, `actual 1 a 0
actual 1 b 0
preflight 1 a 2
preflight 1 b 0`, "rule_hits_total")
}

func TestALabelIsValidUTF8(t *testing.T) {
	s := NewStore()
	rs := s.Open("caf\xe9.xml", testOptions)
	rs.Loaded([]string{"1"})
	expect(t, s, "caf\uFFFD.xml 1", "rules")
	rs.Close()
	expect(t, s, "", "rules")
}

func TestLintAndTwoRegistries(t *testing.T) {
	s := NewStore()
	s.Open("a", testOptions).Loaded([]string{"1"})
	for range 2 {
		registry := prometheus.NewPedanticRegistry()
		registry.MustRegister(s)
		problems, err := testutil.GatherAndLint(registry)
		if err != nil || len(problems) > 0 {
			t.Error(err, problems)
		}
	}
}

func TestCountingWhileCollectingAndReloading(t *testing.T) {
	s := NewStore()
	rs := s.Open("a", testOptions)
	first := rs.Loaded([]string{"1"})[0]
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 1000 {
				first.Hit(Actual)
				rs.Denied(Actual, "origin", "")
			}
		})
	}
	wg.Go(func() {
		for i := range 100 {
			rs.Loaded([]string{"1", fmt.Sprint(i % 3)})
			testutil.CollectAndCount(s)
		}
	})
	wg.Wait()
	rs.Loaded([]string{"1"})
	expect(t, s, `actual 1 a 4000
preflight 1 a 0`, "rule_hits_total")
	expect(t, s, `actual origin a 4000
preflight header a 0
preflight origin a 0`, "denied_total")
}

// What counts for many documents has rules, but none that were loaded.
func TestCountRulesShowsNoLoad(t *testing.T) {
	s := NewStore()
	h := s.Open(OtherBuckets, testOptions)
	expect(t, s, "", "rule_hits_total", "rules", "rules_last_load_success_timestamp_seconds")
	h.CountRules([]string{"1"})[0].Hit(Actual)
	expect(t, s, `actual 1 _other 1
preflight 1 _other 0`, "rule_hits_total")
	expect(t, s, "", "rules", "rules_last_load_success_timestamp_seconds")
	expect(t, s, "_other 1", "rules_last_load_successful")
}

// A configuration that begins when none is open begins anew.
func TestEverythingIsForgottenWithTheLastHandle(t *testing.T) {
	s := NewStore()
	for range 2 {
		h := s.Open("a", showing(10))
		if got := h.Denied(Actual, "origin", "https://x.example"); got != 1 {
			t.Errorf("%d denials, want 1", got)
		}
		expect(t, s, "https://x.example a 1", "denied_origin_requests")
		expect(t, s, `actual origin a 1
preflight header a 0
preflight origin a 0`, "denied_total")
		h.Close()
	}
}
