package test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"
)

// TestScale has many buckets with ten rules each, all in use, in one process.
// TestBenchScale has more of them, and measures more.
func TestScale(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Fatal("memory and CPU of a process are read from Linux's /proc: run this on Linux")
	}
	p := newScaleProxy(t, 10_000)
	u := p.use(t)
	u.log(t)
	if u.grown > 4*p.bytes {
		t.Errorf("resident memory grew by more than 4 times the XML")
	}
	if u.rest > 0.02 {
		t.Error("more than 2% of a core at rest")
	}
}

// scaleUse is what it takes to have all buckets in use.
type scaleUse struct {
	xml      int // bytes of all documents
	alone    int // resident with one bucket in use, in bytes
	busy     int // what the others add while all are loaded as fast as can be
	grown    int // and what is left of that at rest
	rest     float64
	firstUse []time.Duration // sorted
}

// use runs the proxy and has all buckets used, the first one before the others.
func (p *scaleProxy) use(t *testing.T) (u scaleUse) {
	t.Helper()
	p.start(t, scaleRefresh)
	defer p.stop()
	u.xml = p.bytes
	p.ask(t, 40_000, 50, 200, func(int) string { return tenant(0) })
	u.alone = p.resident(t)
	if rules := strings.Count(get(t, p.metrics), "\ncaddy_oss_cors_rules{"); rules > 2 {
		t.Errorf("%d documents are loaded; one was asked for", rules)
	}
	u.firstUse = p.ask(t, p.buckets, 1, 200, tenant)
	p.ask(t, p.buckets, 50, 200, tenant)
	u.busy = p.resident(t) - u.alone

	time.Sleep(2 * time.Second) // what is under way
	const rest = 5 * time.Second
	before := cpuTime(t, p.cmd.Process.Pid)
	time.Sleep(rest)
	u.rest = float64(cpuTime(t, p.cmd.Process.Pid)-before) / float64(rest)
	u.grown = p.resident(t) - u.alone
	return u
}

// timesXML is memory as a multiple of the documents.
func (u scaleUse) timesXML(bytes int) float64 { return float64(bytes) / float64(u.xml) }

// firstUseOf is how long the first use took at most for this share of the buckets.
func (u scaleUse) firstUseOf(share float64) time.Duration {
	return u.firstUse[min(int(share*float64(len(u.firstUse))), len(u.firstUse)-1)]
}

func (u scaleUse) log(t *testing.T) {
	t.Helper()
	t.Logf("%s of XML; resident with one bucket in use %s, with all %s more: %.2f times the XML (%.2f times while all were loaded as fast as can be)",
		mb(u.xml), mb(u.alone), mb(u.grown), u.timesXML(u.grown), u.timesXML(u.busy))
	t.Logf("first use: half within %s, 99%% within %s, all within %s", u.firstUseOf(0.5), u.firstUseOf(0.99), u.firstUseOf(1))
	t.Logf("at rest: %.2f%% of a core", 100*u.rest)
}

// TestScaleUnknownNames asks for buckets that do not exist, each once. Nothing grows.
func TestScaleUnknownNames(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Fatal("memory of a process is read from Linux's /proc: run this on Linux")
	}
	t.Log(unknownNames(t, 200_000))
}

// unknownNames asks for so many names and tells what came of it; something that grows
// fails the test.
func unknownNames(t *testing.T, n int) string {
	t.Helper()
	p := newScaleProxy(t, 1)
	p.start(t, scaleRefresh)
	asked := 0
	ask := func(n int) {
		start := asked
		asked += n
		p.ask(t, n, 50, 403, func(i int) string { return fmt.Sprintf("nobody-%d", start+i) })
	}
	ask(40_000) // more than are remembered
	before, series := p.resident(t), strings.Count(get(t, p.metrics), "\n")
	began := time.Now()
	ask(n)
	took := time.Since(began)
	after, seriesAfter := p.resident(t), strings.Count(get(t, p.metrics), "\n")
	if after-before > 16<<20 {
		t.Errorf("resident memory grew from %s to %s", mb(before), mb(after))
	}
	if seriesAfter > series+200 { // the 100 denied origins that metrics show, and Go's own
		t.Errorf("the metrics grew from %d lines to %d", series, seriesAfter)
	}
	return fmt.Sprintf("%d names that are no bucket's, %.0f a second: resident memory %s before and %s after, %d lines of metrics before and %d after.",
		n, float64(n)/took.Seconds(), mb(before), mb(after), series, seriesAfter)
}
