package harness

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// Goroutines returns how many goroutines Caddy has, and how many of them have this module
// on their stacks, except the one that watches the rules file.
func (tb *Testbed) Goroutines(t *testing.T) (all, ours int) {
	t.Helper()
	profile := Get(t, tb.Admin+"/debug/pprof/goroutine?debug=1")
	if _, err := fmt.Sscanf(profile, "goroutine profile: total %d", &all); err != nil {
		t.Fatal(err)
	}
	stack := regexp.MustCompile(`^(\d+) @`)
	for _, record := range strings.Split(profile, "\n\n") {
		lines := strings.Split(record, "\n")
		for _, line := range lines { // the first record begins with the total
			match := stack.FindStringSubmatch(line)
			if match == nil || !strings.Contains(record, "caddy-oss-cors") || strings.Contains(record, "keepCurrent") {
				continue
			}
			n, _ := strconv.Atoi(match[1])
			ours += n
		}
	}
	return all, ours
}

// Heap runs a garbage collection in Caddy, and returns how many bytes are then in use.
func (tb *Testbed) Heap(t *testing.T) int {
	t.Helper()
	profile := Get(t, tb.Admin+"/debug/pprof/heap?gc=1&debug=1")
	match := regexp.MustCompile(`# HeapAlloc = (\d+)`).FindStringSubmatch(profile)
	if match == nil {
		t.Fatal("no HeapAlloc in the heap profile")
	}
	n, err := strconv.Atoi(match[1])
	if err != nil {
		t.Fatal(err)
	}
	return n
}
