package soak

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/harness"
)

// tally is what the clients have seen, and so what Caddy must have counted.
type tally struct {
	mu       sync.Mutex
	asked    map[string]int // by the clients' kind
	answers  map[string]int // by counter
	outages  int
	cut      int            // by Caddy, at a reload
	maybe    map[string]int // by counter: requests without an answer
	problems []string
	start    map[string]int
}

func (t *tally) reset(counts map[string]int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.asked, t.answers, t.maybe, t.outages, t.cut, t.start = map[string]int{}, map[string]int{}, map[string]int{}, 0, 0, counts
}

// add notes an answer to one of the clients of a kind, which these counters have.
func (t *tally) add(asked string, counters []string, outage bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.asked != nil {
		t.asked[asked]++
	}
	for _, counter := range counters {
		t.answers[counter]++
	}
	if outage {
		t.outages++
	}
}

// cutOff notes a request without an answer, which each of these counters may have.
func (t *tally) cutOff(origin bool, counters []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if origin {
		t.outages++
	} else {
		t.cut++
	}
	for _, counter := range counters {
		t.maybe[counter]++
	}
}

// problem records what is wrong. A few problems end the test.
func (t *tally) problem(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.problems = append(t.problems, fmt.Sprintf(format, args...))
}

func (t *tally) failed() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.problems) >= 5
}

// compare fails the test unless the counters grew by what was answered.
func (t *tally) compare(test *testing.T, counts map[string]int) {
	test.Helper()
	for name, n := range t.answers {
		if grown := counts[name] - t.start[name]; grown < n || grown > n+t.maybe[name] {
			test.Errorf("counter %q grew by %d; %d answers were of its kind", name, grown, n)
		}
	}
	for name, n := range counts {
		if _, ok := t.answers[name]; !ok && t.maybe[name] == 0 && n != t.start[name] {
			test.Errorf("counter %q grew by %d, for no answer", name, n-t.start[name])
		}
	}
}

var shadowLine = regexp.MustCompile(`(?m)^caddy_oss_cors_shadow_changes_total\{kind="(\w+)",live="(\w+)",ruleset="soak",shadow="\w+"\} (\d+)$`)

// counts are the testbed's, those of the shadow by what the rules in force said, such as
// "shadow_changes preflight allowed".
func (s *soak) counts(t *testing.T) map[string]int {
	t.Helper()
	counts := s.Testbed.Counts(t)
	maps.DeleteFunc(counts, func(name string, _ int) bool { return strings.HasPrefix(name, "shadow_changes") })
	lines := shadowLine.FindAllStringSubmatch(harness.Get(t, s.Metrics), -1)
	if len(lines) != 4 {
		t.Fatalf("%d counters of the shadow; want 4", len(lines))
	}
	for _, line := range lines {
		n, err := strconv.Atoi(line[3])
		if err != nil {
			t.Fatal(err)
		}
		counts["shadow_changes "+line[1]+" "+line[2]] = n
	}
	return counts
}

func keysInOrder[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
