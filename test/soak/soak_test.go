package soak

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/harness"
	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/report"
)

const (
	// soakInTests is how long the soak takes in an ordinary test run; "make soak" sets
	// SOAKTIME, for a soak that writes docs/reliability.md.
	soakInTests = 20 * time.Second

	soakRefresh = 50 * time.Millisecond

	// soakLag is how long after a change the old rules may still decide: the refresh, and
	// what a busy machine adds.
	soakLag = soakRefresh + time.Second

	soakRuleChange   = time.Second
	soakReload       = 1700 * time.Millisecond
	soakFailedReload = 2300 * time.Millisecond
	soakOutage       = 3100 * time.Millisecond
	soakDown         = 300 * time.Millisecond
)

const soakSite = `oss_cors {
	rules file cors.xml {
		refresh 50ms
	}
	name soak
	shadow shadow.xml
	debug_header
}
reverse_proxy 127.0.0.1:%s
`

// soak is a Caddy for which everything changes and fails at once.
type soak struct {
	*harness.Testbed
	config      []byte
	generations generations
	server      flakyOrigin
	sources     *sources
	reloads     periods
	tally       tally
}

// TestSoak loads Caddy at full speed while its rules change every second, its configuration
// is reloaded, with success and without, its origin server dies and returns, and clients
// misbehave in every way. Each response is checked against the rules that were in force during
// the request; in the end, every counter is checked against the responses. Meanwhile a second
// Caddy has its rules from sources that are in trouble.
func TestSoak(t *testing.T) {
	duration := soakInTests
	long := os.Getenv("SOAKTIME") != ""
	if long {
		duration = report.Duration(t, "SOAKTIME")
	}
	about := report.Machine(t)
	s := startSoak(t)
	s.work(t, min(duration/10, 5*time.Second)) // what pools and caches hold is there before
	s.settle()
	before, sourcesBefore := sampleOf(t, s.Testbed), sampleOf(t, s.sources.Testbed)
	s.tally.reset(s.counts(t))

	during, events := s.work(t, duration)
	s.sources.expectWell(t)
	s.settle()
	after, sourcesAfter := sampleOf(t, s.Testbed), sampleOf(t, s.sources.Testbed)
	expectSmall(t, sourcesBefore, sourcesAfter)

	s.tally.compare(t, s.counts(t))
	expectFlat(t, before, after, during)
	if long && !t.Failed() {
		report.WriteSection(t, "reliability.md", "soak", about+"\n\n"+s.report(duration, events, before, during, after, sourcesBefore, sourcesAfter))
	}
}

func startSoak(t *testing.T) *soak {
	s := &soak{tally: tally{answers: map[string]int{}, maybe: map[string]int{}}}
	s.server.start(t)
	s.Testbed = harness.StartTestbed(t, harness.TestbedConfig{Rules: soakRules(0), Site: fmt.Sprintf(soakSite, s.server.port), Files: map[string]string{"shadow.xml": soakRules(shadowGeneration)}})
	s.config = adapted(t, s.Testbed)
	s.sources = startSources(t)
	s.generations.begin(0, time.Now())
	s.generations.done(time.Now())
	return s
}

// work runs every client, and the events, for some time.
func (s *soak) work(t *testing.T, duration time.Duration) (during []sample, events map[string]int) {
	stop := make(chan struct{})
	var clients sync.WaitGroup
	for _, client := range s.clients() {
		clients.Go(func() {
			for round := 0; ; round++ {
				select {
				case <-stop:
					return
				default:
				}
				if s.tally.failed() {
					return
				}
				client.run(s, round)
			}
		})
	}
	for range sourcesClients {
		clients.Go(func() { s.sources.run(t, &s.tally, stop) })
	}
	during, events = s.disturb(t, duration)
	close(stop)
	clients.Wait()
	for _, problem := range s.tally.problems {
		t.Error(problem)
	}
	if t.Failed() {
		t.FailNow()
	}
	return during, events
}

// disturb has the events happen, each at its own pace, and looks at Caddy meanwhile.
func (s *soak) disturb(t *testing.T, duration time.Duration) (during []sample, events map[string]int) {
	events = map[string]int{}
	begin := time.Now()
	schedule := []struct {
		name  string
		every time.Duration
		do    func(t *testing.T, n int)
	}{
		{"changes of the rules", soakRuleChange, s.changeRules},
		{"reloads of the configuration", soakReload, s.reload},
		{"reloads that were refused", soakFailedReload, s.failReload},
		{"deaths of the origin server", soakOutage, func(*testing.T, int) { s.server.die() }},
		{"", max(duration/20, time.Second), func(t *testing.T, _ int) { during = append(during, sampleOf(t, s.Testbed)) }},
	}
	for time.Since(begin) < duration && !s.tally.failed() {
		for _, event := range schedule {
			if n := events[event.name]; time.Since(begin) >= time.Duration(n+1)*event.every {
				event.do(t, n)
				events[event.name]++
			}
		}
		if s.server.away.runs(soakDown) {
			s.server.live(t)
		}
		for _, trouble := range s.sources.troubles {
			trouble.step(t, time.Since(begin))
		}
		time.Sleep(10 * time.Millisecond)
	}
	s.server.live(t)
	for _, trouble := range s.sources.troubles {
		trouble.stop()
	}
	delete(events, "")
	return during, events
}

// changeRules publishes the next generation. Every fourth time it first publishes an invalid
// document, which changes nothing.
func (s *soak) changeRules(t *testing.T, n int) {
	if n%4 == 3 {
		s.replace(t, "<CORSConfiguration><CORSRule>")
		time.Sleep(2 * soakRefresh)
	}
	g := s.generations.next()
	s.generations.begin(g, time.Now())
	s.replace(t, soakRules(g))
	s.generations.done(time.Now())
}

func (s *soak) replace(t *testing.T, rules string) {
	t.Helper()
	s.Write(t, "new.xml", rules)
	if err := os.Rename(filepath.Join(s.Dir, "new.xml"), filepath.Join(s.Dir, "cors.xml")); err != nil {
		t.Fatal(err)
	}
}

// soakRules are the rules of a generation. Access-Control-Max-Age of a response shows the
// generation. Each generation allows another origin and another header.
func soakRules(g int) string {
	return fmt.Sprintf(`<CORSConfiguration>
  <CORSRule>
    <ID>steady</ID>
    <AllowedOrigin>https://app.example.com</AllowedOrigin>
    <AllowedMethod>GET</AllowedMethod>
    <AllowedMethod>PUT</AllowedMethod>
    <AllowedHeader>content-type</AllowedHeader>
    <AllowedHeader>x-turn-%d</AllowedHeader>
    <ExposeHeader>ETag</ExposeHeader>
    <MaxAgeSeconds>%d</MaxAgeSeconds>
  </CORSRule>
  <CORSRule>
    <ID>turn</ID>
    <AllowedOrigin>https://turn-%[3]d.example.com</AllowedOrigin>
    <AllowedMethod>GET</AllowedMethod>
    <AllowedHeader>*</AllowedHeader>
    <MaxAgeSeconds>%[2]d</MaxAgeSeconds>
  </CORSRule>
</CORSConfiguration>
`, g%3, g, g%2)
}

// generations records when which rules were published.
type generations struct {
	mu    sync.Mutex
	begun []time.Time
	ended []time.Time // of the publication
}

func (gs *generations) next() int {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	return len(gs.begun)
}

func (gs *generations) begin(g int, at time.Time) {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	gs.begun = append(gs.begun[:g], at)
}

func (gs *generations) done(at time.Time) {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	gs.ended = append(gs.ended, at)
}

// between returns the generations that may have been in force at some time between.
func (gs *generations) between(from, to time.Time) (possible []int) {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	for g := len(gs.begun) - 1; g >= 0; g-- {
		if gs.begun[g].After(to) {
			continue
		}
		possible = append(possible, g)
		if g < len(gs.ended) && gs.ended[g].Add(soakLag).Before(from) {
			break // and none before it
		}
	}
	return possible
}

// sample is what Caddy uses at a time.
type sample struct{ heap, goroutines int }

func sampleOf(t *testing.T, tb *harness.Testbed) sample {
	t.Helper()
	heap := tb.Heap(t)
	goroutines, _ := tb.Goroutines(t)
	return sample{heap, goroutines}
}

// settle waits until Caddy has freed what the last clients used.
func (s *soak) settle() { time.Sleep(3 * time.Second) }

func largest(samples []sample) (most sample) {
	for _, one := range samples {
		most.heap, most.goroutines = max(most.heap, one.heap), max(most.goroutines, one.goroutines)
	}
	return most
}

const heapSlack, goroutineSlack = 8 << 20, 50

// expectSmall fails the test if something has grown.
func expectSmall(t *testing.T, before, after sample) {
	t.Helper()
	if after.heap > before.heap+heapSlack || after.goroutines > before.goroutines+goroutineSlack {
		t.Errorf("%+v before, and %+v after", before, after)
	}
}

// expectFlat fails the test if something grows with time.
func expectFlat(t *testing.T, before, after sample, during []sample) {
	t.Helper()
	expectSmall(t, before, after)
	half := len(during) / 2
	early, late := largest(during[:half]), largest(during[half:])
	if late.heap > early.heap+heapSlack || late.goroutines > early.goroutines+2*goroutineSlack {
		t.Errorf("at most %+v in the first half, and %+v in the second", early, late)
	}
}

func (s *soak) report(duration time.Duration, events map[string]int, before sample, during []sample, after, sourcesBefore, sourcesAfter sample) string {
	var b strings.Builder
	rows := [][]string{{fmt.Sprintf("in %s", duration), "number"}}
	for _, name := range keysInOrder(s.tally.asked) {
		rows = append(rows, []string{name, fmt.Sprint(s.tally.asked[name])})
	}
	for _, name := range keysInOrder(events) {
		rows = append(rows, []string{name, fmt.Sprint(events[name])})
	}
	rows = append(rows,
		[]string{"answers that were not by the rules in force", "0"},
		[]string{"failures, but for an origin server that was away", "0"},
		[]string{"answers 502, or cut off, for an origin server that was away", fmt.Sprint(s.tally.outages)},
		[]string{"connections that Caddy closed at a reload, before an answer", fmt.Sprint(s.tally.cut)},
		[]string{"counters compared with the answers, all exact but for what had none", fmt.Sprint(len(s.tally.answers))})
	rows = append(rows, s.sources.rows()...)
	b.WriteString(report.MarkdownTable(rows))
	b.WriteString("\n")
	usage := func(name string, at sample) []string {
		return []string{name, fmt.Sprintf("%.1f MB", float64(at.heap)/(1<<20)), fmt.Sprint(at.goroutines)}
	}
	half := len(during) / 2
	b.WriteString(report.MarkdownTable([][]string{
		{"", "heap in use", "goroutines"},
		usage("before, idle", before),
		usage("at most, in the first half", largest(during[:half])),
		usage("at most, in the second half", largest(during[half:])),
		usage("after, idle", after),
		usage("the second Caddy before, idle", sourcesBefore),
		usage("the second Caddy after, idle", sourcesAfter),
	}))
	return b.String()
}
