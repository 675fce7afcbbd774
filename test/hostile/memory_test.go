package hostile

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/harness"
)

// flood sends n requests over a few connections, pipelined, and reads the answers.
func flood(t *testing.T, tb *harness.Testbed, n int, request func(i int) string) {
	t.Helper()
	const connections = 8
	var wg sync.WaitGroup
	for first := range connections {
		conn := tb.Dial(t)
		wg.Go(func() {
			for i := first; i < n; i += connections {
				conn.Send(request(i))
			}
		})
		wg.Go(func() {
			for i := first; i < n; i += connections {
				if a, err := conn.TryReceive("OPTIONS"); err != nil || a.StatusCode != 403 {
					t.Errorf("request %d: %v %v", i, a.Response, err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// TestHostileMemory floods Caddy with denials, each of another origin and as long as allowed.
// Caddy keeps a bounded number of origins of bounded length, and the totals count every
// denial.
func TestHostileMemory(t *testing.T) {
	tb := harness.StartTestbed(t, harness.TestbedConfig{})
	long := strings.Repeat("x", 400)
	request := func(i int) string {
		return harness.PreflightText(fmt.Sprintf("Origin: https://%d.%s.example", i, long), forGet, asksFor+names(1, 4*kilobyte))
	}
	const warm, n = 3000, 20_000
	flood(t, tb, warm, request) // the pools and the sketch of origins fill up
	before, heap := tb.Counts(t), tb.Heap(t)

	flood(t, tb, n, func(i int) string { return request(warm + i) })

	// A request has 5 KB: to keep them all would take 100 MB.
	if grown := tb.Heap(t) - heap; grown > 4<<20 {
		t.Errorf("after %d denials, %d KB more are in use", n, grown>>10)
	}
	counts := make([]string, n)
	for i := range counts {
		counts[i] = "denied preflight origin"
	}
	tb.ExpectCounts(t, before, counts...)
	metrics := harness.Get(t, tb.Metrics)
	if series := strings.Count(metrics, "caddy_oss_cors_denied_origin_requests{"); series > 100 {
		t.Errorf("%d origins have a series of their own", series)
	}
	if lines := strings.Count(tb.Log.String(), "CORS request denied"); lines > 3000 {
		t.Errorf("%d lines in the log", lines)
	}
}
