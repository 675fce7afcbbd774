package harness

import (
	"regexp"
	"strconv"
	"testing"
)

var counterLine = regexp.MustCompile(`(?m)^caddy_oss_cors_(\w+)_total\{(.*)\} (\S+)$`)

// Counts returns every oss_cors counter by what it counts, such as
// "denied preflight malformed" or "rule_hits actual app".
func (tb *Testbed) Counts(t *testing.T) map[string]int {
	t.Helper()
	counts := map[string]int{}
	for _, line := range counterLine.FindAllStringSubmatch(Get(t, tb.Metrics), -1) {
		name := line[1]
		for _, label := range []string{"kind", "reason", "rule"} {
			if value := regexp.MustCompile(`(?:^|,)` + label + `="([^"]*)"`).FindStringSubmatch(line[2]); value != nil {
				name += " " + value[1]
			}
		}
		n, err := strconv.Atoi(line[3])
		if err != nil {
			t.Fatal(err)
		}
		counts[name] += n
	}
	if len(counts) == 0 {
		t.Fatal("/metrics has no oss_cors counters")
	}
	return counts
}

// ExpectCounts fails the test unless exactly these counters grew since before, each by 1
// for every time it is named. A request is counted before it is answered, so a test that has
// read the response finds it counted.
func (tb *Testbed) ExpectCounts(t *testing.T, before map[string]int, want ...string) (after map[string]int) {
	t.Helper()
	wanted := map[string]int{}
	for _, name := range want {
		wanted[name]++
	}
	after = tb.Counts(t)
	for name := range wanted {
		if _, ok := after[name]; !ok {
			t.Errorf("there is no counter %q", name)
		}
	}
	for name, n := range after {
		if grown := n - before[name]; grown != wanted[name] {
			t.Errorf("counter %q grew by %d; want %d", name, grown, wanted[name])
		}
	}
	return after
}
