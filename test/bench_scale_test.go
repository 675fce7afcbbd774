package test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// scaleHot is how many buckets nearly all requests are for, on most days.
const scaleHot = 100

// TestBenchScale writes the table of what it costs to have many buckets.
func TestBenchScale(t *testing.T) {
	each := measuring(t, "BENCHTIME")
	requirePrograms(t, "wrk", "taskset")
	about := machine(t, versionOf(t, "wrk", "-v"))
	table := [][]string{{"ten rules each"}, {"size of the XML"}, {"resident memory for them"}, {"CPU at rest"},
		{"first use, median"}, {"first use, 99%"}, {"CPU of reading one again"},
		{"CPU of a preflight, one bucket"}, {fmt.Sprintf("%d in turn / one", scaleHot)}, {"all by Zipf's law / one"}, {"all in turn / one"}}
	for _, buckets := range []int{10_000, 100_000} {
		p := newScaleProxy(t, buckets)
		u := p.use(t)
		u.log(t)
		again, preflights := p.readAgain(t), p.preflights(t, each)
		for i, cell := range []string{
			fmt.Sprintf("%d buckets", buckets),
			mb(u.xml),
			fmt.Sprintf("%s, %.2f times the XML", mb(u.grown), u.timesXML(u.grown)),
			fmt.Sprintf("%.1f%% of a core", 100*u.rest),
			fmt.Sprintf("%.2f ms", u.firstUseOf(0.5).Seconds()*1000),
			fmt.Sprintf("%.2f ms", u.firstUseOf(0.99).Seconds()*1000),
			fmt.Sprintf("%.1f µs", again.median()),
			fmt.Sprintf("%.1f µs", preflights[0].cpu.median()),
			preflights[1].cpu.over(preflights[0].cpu).ratio(),
			preflights[2].cpu.over(preflights[0].cpu).ratio(),
			preflights[3].cpu.over(preflights[0].cpu).ratio(),
		} {
			table[i] = append(table[i], cell)
		}
	}
	writeSection(t, "benchmarks.md", "many buckets", about+"\n\n"+markdownTable(table)+"\n"+unknownNames(t, 1_000_000)+"\n")
}

// startPinned runs the proxy with a core to itself.
func (p *scaleProxy) startPinned(t *testing.T, refresh time.Duration) {
	t.Helper()
	p.start(t, refresh, "GOMAXPROCS=1")
	pin(t, p.cmd.Process.Pid, serverCore)
}

// preflights loads the proxy with preflights for one bucket, for some in turn, for all as
// often as Zipf's law has it (the n-th most asked for one n-th as often as the first), and for
// all in turn. All buckets are in use before, and no document is read again. Each load begins
// with a garbage collection: where there is much memory they are so rare that some loads would
// have one and some none.
func (p *scaleProxy) preflights(t *testing.T, each time.Duration) []loadSeries {
	t.Helper()
	p.startPinned(t, time.Hour)
	defer p.stop()
	p.ask(t, p.buckets, 50, 200, tenant)
	var targets []benchTarget
	for _, next := range []string{
		"0",
		fmt.Sprintf("i %% %d", scaleHot),
		fmt.Sprintf("math.floor(%d ^ math.random()) - 1", p.buckets),
		fmt.Sprintf("i %% %d", p.buckets),
	} {
		targets = append(targets, benchTarget{
			name: fmt.Sprintf("bucket %s of %d", next, p.buckets),
			pid:  p.cmd.Process.Pid, url: "http://127.0.0.1:" + p.port,
			requests: scaleRequests(next, p.buckets),
			prepare:  func() { get(t, p.admin+"/debug/pprof/heap?gc=1") },
		})
	}
	return loader{method: http.MethodOptions, connections: 32, time: each}.compare(t, 2*benchRounds, targets)
}

// scaleRequests has wrk send what scalePreflight returns, each time for the bucket that a Lua
// expression says. Neighbours in its count are none in the directory; 7919 is a prime. The key
// of the object is another each time, however few buckets there are: requests that differ take
// Caddy longer than the same one again and again.
func scaleRequests(next string, buckets int) string {
	return fmt.Sprintf(`local i = 0
request = function()
	local tenant = (%d + (%s) * 7919) %% %d
	i = i + 1
	return string.format(%q, tenant, i * 7919 %% 10007, tenant)
end
`, buckets/2, next, buckets, strings.Replace(scalePreflight("tenant-%d"), "/k ", "/key-%d ", 1))
}

// readAgain returns how many microseconds of CPU time it takes, beside the preflight that
// asks for it, to read a document again: those of a pass over buckets whose documents have
// aged, less those of one right behind it.
func (p *scaleProxy) readAgain(t *testing.T) (each series) {
	t.Helper()
	const buckets, age = 10_000, 3 * time.Second // a pass takes much less
	p.startPinned(t, age)
	defer p.stop()
	pass := func() float64 {
		before := cpuTime(t, p.cmd.Process.Pid)
		p.ask(t, buckets, 50, 200, tenant)
		time.Sleep(100 * time.Millisecond) // what is read in the background
		return float64((cpuTime(t, p.cmd.Process.Pid) - before).Microseconds()) / buckets
	}
	pass()
	for range benchRounds {
		time.Sleep(age)
		aged := pass()
		each = append(each, aged-pass())
	}
	return each
}
