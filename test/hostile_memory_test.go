package test

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// heap collects garbage in Caddy, and returns how many bytes are then in use.
func (tb *testbed) heap(t *testing.T) int {
	t.Helper()
	profile := get(t, tb.admin+"/debug/pprof/heap?gc=1&debug=1")
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

// flood sends n requests over a few connections, pipelined, and reads the answers.
func (tb *testbed) flood(t *testing.T, n int, request func(i int) string) {
	t.Helper()
	const connections = 8
	var wg sync.WaitGroup
	for first := range connections {
		conn := tb.dial(t)
		wg.Go(func() {
			for i := first; i < n; i += connections {
				conn.send(request(i))
			}
		})
		wg.Go(func() {
			for i := first; i < n; i += connections {
				if a, err := conn.tryReceive("OPTIONS"); err != nil || a.StatusCode != 403 {
					t.Errorf("request %d: %v %v", i, a.Response, err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// TestHostileMemory floods Caddy with denials, each of another origin and with all that
// may be long: what stays behind is a bounded number of bounded origins, and every denial
// is in the totals.
func TestHostileMemory(t *testing.T) {
	tb := startTestbed(t, testbedConfig{})
	long := strings.Repeat("x", 400)
	request := func(i int) string {
		return preflight(fmt.Sprintf("Origin: https://%d.%s.example", i, long), forGet, asksFor+names(1, 4*kilobyte))
	}
	const warm, n = 3000, 20_000
	tb.flood(t, warm, request) // the pools and the sketch of origins fill up
	before, heap := tb.counts(t), tb.heap(t)

	tb.flood(t, n, func(i int) string { return request(warm + i) })

	// A request's own text is 5 KB: 100 MB in all, had it stayed.
	if grown := tb.heap(t) - heap; grown > 4<<20 {
		t.Errorf("after %d denials, %d KB more are in use", n, grown>>10)
	}
	counts := make([]string, n)
	for i := range counts {
		counts[i] = "denied preflight origin"
	}
	tb.expectCounts(t, before, counts...)
	metrics := get(t, tb.metrics)
	if series := strings.Count(metrics, "caddy_oss_cors_denied_origin_requests{"); series > 100 {
		t.Errorf("%d origins have a series of their own", series)
	}
	if lines := strings.Count(tb.log.String(), "CORS request denied"); lines > 3000 {
		t.Errorf("%d lines in the log", lines)
	}
}
