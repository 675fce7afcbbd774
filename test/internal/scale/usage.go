package scale

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/harness"
)

// Usage is the memory and CPU that a Proxy needs with all buckets in use.
type Usage struct {
	XMLBytes int // bytes of all documents
	alone    int // resident with one bucket in use, in bytes
	busy     int // what the others add while all are loaded as fast as can be
	Grown    int // and what is left of that at rest
	Rest     float64
	firstUse []time.Duration // sorted
}

// Use starts the proxy and sends preflights for all buckets, for the first one before the
// others.
func (p *Proxy) Use(t *testing.T) (u Usage) {
	t.Helper()
	p.Start(t, Refresh)
	defer p.Stop()
	u.XMLBytes = p.Bytes
	p.Send(t, 40_000, 50, 200, func(int) string { return Tenant(0) })
	u.alone = p.Resident(t)
	if rules := strings.Count(harness.Get(t, p.metrics), "\ncaddy_oss_cors_rules{"); rules > 2 {
		t.Errorf("%d documents are loaded; one was asked for", rules)
	}
	u.firstUse = p.Send(t, p.Buckets, 1, 200, Tenant)
	p.Send(t, p.Buckets, 50, 200, Tenant)
	u.busy = p.Resident(t) - u.alone

	time.Sleep(2 * time.Second) // what is under way
	const rest = 5 * time.Second
	before := harness.CPUTime(t, p.Cmd.Process.Pid)
	time.Sleep(rest)
	u.Rest = float64(harness.CPUTime(t, p.Cmd.Process.Pid)-before) / float64(rest)
	u.Grown = p.Resident(t) - u.alone
	return u
}

// TimesXML returns memory as a multiple of the size of the documents.
func (u Usage) TimesXML(bytes int) float64 { return float64(bytes) / float64(u.XMLBytes) }

// FirstUseOf returns how long the first use took at most for this share of the buckets.
func (u Usage) FirstUseOf(share float64) time.Duration {
	return u.firstUse[min(int(share*float64(len(u.firstUse))), len(u.firstUse)-1)]
}

// Log writes the figures to the test's log.
func (u Usage) Log(t *testing.T) {
	t.Helper()
	t.Logf("%s of XML; resident with one bucket in use %s, with all %s more: %.2f times the XML (%.2f times while all were loaded as fast as can be)",
		MB(u.XMLBytes), MB(u.alone), MB(u.Grown), u.TimesXML(u.Grown), u.TimesXML(u.busy))
	t.Logf("first use: half within %s, 99%% within %s, all within %s", u.FirstUseOf(0.5), u.FirstUseOf(0.99), u.FirstUseOf(1))
	t.Logf("at rest: %.2f%% of a core", 100*u.Rest)
}

// UnknownNames sends preflights for n names that are not buckets, and returns a sentence with
// the result. The test fails if memory or metrics grow.
func UnknownNames(t *testing.T, n int) string {
	t.Helper()
	p := NewProxy(t, 1)
	p.Start(t, Refresh)
	asked := 0
	ask := func(n int) {
		start := asked
		asked += n
		p.Send(t, n, 50, 403, func(i int) string { return fmt.Sprintf("nobody-%d", start+i) })
	}
	ask(40_000) // more than are remembered
	before, series := p.Resident(t), strings.Count(harness.Get(t, p.metrics), "\n")
	began := time.Now()
	ask(n)
	took := time.Since(began)
	after, seriesAfter := p.Resident(t), strings.Count(harness.Get(t, p.metrics), "\n")
	if after-before > 16<<20 {
		t.Errorf("resident memory grew from %s to %s", MB(before), MB(after))
	}
	if seriesAfter > series+200 { // the 100 denied origins that metrics show, and Go's own
		t.Errorf("the metrics grew from %d lines to %d", series, seriesAfter)
	}
	return fmt.Sprintf("Requests for %d buckets that do not exist, %.0f a second: Caddy has %s resident before and %s after, and the metrics have %d lines before and %d after.",
		n, float64(n)/took.Seconds(), MB(before), MB(after), series, seriesAfter)
}
