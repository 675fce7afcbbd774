package metrics

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"
)

func everything(string) bool { return true }

func count(counts []DeniedOrigin, origin string) uint64 {
	for _, c := range counts {
		if c.Origin == origin {
			return c.Denied
		}
	}
	return 0
}

func TestSketch_aLoneOriginShowsAndIsGoneAfterAnHour(t *testing.T) {
	s, start := new(sketch), time.Now()
	s.add(start, sketchKey{"a", "https://typo.example", "origin"})
	if n := count(s.top(start, 100, everything), "https://typo.example"); n != 1 {
		t.Errorf("at the next scrape: %d", n)
	}
	if n := count(s.top(start.Add(40*time.Minute), 100, everything), "https://typo.example"); n != 1 {
		t.Errorf("after 40 minutes: %d", n)
	}
	if n := count(s.top(start.Add(61*time.Minute), 100, everything), "https://typo.example"); n != 0 {
		t.Errorf("after 61 minutes: %d", n)
	}
}

func TestSketch_aFloodHidesNothing(t *testing.T) {
	s, now := new(sketch), time.Now()
	random := rand.New(rand.NewPCG(1, 2))
	const flood = 1_000_000
	for i := range flood {
		s.add(now, sketchKey{"a", fmt.Sprintf("https://%x.example", random.Uint64()), "origin"})
		if i%100 == 0 {
			s.add(now, sketchKey{"a", "https://persistent.example", "origin"})
		}
	}
	top := s.top(now, 100, everything)
	if n := count(top, "https://persistent.example"); n < flood/100*8/10 || n > flood/100 {
		t.Errorf("the persistent origin: %d of %d", n, flood/100)
	}
	if len(top) > 20 {
		t.Errorf("%d origins of the flood show by name", len(top)-1)
	}
	if n := len(s.current.entries) + len(s.previous.entries); n > 2*sketchEntries {
		t.Errorf("%d entries are kept", n)
	}
}

func TestSketch_countsAreLowerBounds(t *testing.T) {
	s, now := new(sketch), time.Now()
	truth := map[string]uint64{}
	random := rand.New(rand.NewPCG(3, 4))
	for range 200_000 {
		origin := fmt.Sprint(int(random.ExpFloat64() * 500))
		truth[origin]++
		s.add(now, sketchKey{"a", origin, "origin"})
	}
	for _, c := range s.top(now, sketchEntries, everything) {
		if c.Denied > truth[c.Origin] {
			t.Errorf("origin %s: %d of %d", c.Origin, c.Denied, truth[c.Origin])
		}
	}
	g := s.current
	for _, e := range g.byCount {
		if parent := g.byCount[max(0, (e.index-1)/2)]; parent.count > e.count || g.byCount[e.index] != e || g.entries[e.key] != e {
			t.Fatalf("not a heap at %d", e.index)
		}
	}
}

// The counts decide which denials are logged: in a flood of keys that occur once, few do.
func TestSketch_addReturnsTheCount(t *testing.T) {
	s, now := new(sketch), time.Now()
	key := sketchKey{"a", "https://x.example", "origin"}
	for want := range uint64(1000) {
		if got := s.add(now, key); got != want+1 {
			t.Fatalf("%d, want %d", got, want+1)
		}
	}
	if got := s.add(now, sketchKey{"a", "https://x.example", "method"}); got != 1 {
		t.Errorf("another reason: %d, want 1", got)
	}
	known := 0
	for i := range 100_000 {
		if s.add(now, sketchKey{"a", fmt.Sprintf("https://%d.example", i), "origin"}) > 0 {
			known++
		}
	}
	if known > sketchEntries {
		t.Errorf("%d of a flood are known", known)
	}
	displacing := sketchKey{"a", "https://again.example", "origin"}
	if got := [3]uint64{s.add(now, displacing), s.add(now, displacing), s.add(now, displacing)}; got != [3]uint64{0, 2, 3} {
		t.Errorf("a key that displaced another: %d, want 0, 2, 3", got)
	}
	if got := s.add(now.Add(generationTime), key); got != 1 {
		t.Errorf("in the next half hour: %d, want 1", got)
	}
}

func TestSketch_onlyTheMostAndTheShown(t *testing.T) {
	s, now := new(sketch), time.Now()
	for i := range 50 {
		for range i + 1 {
			s.add(now, sketchKey{"a", fmt.Sprint(i), "origin"})
			s.add(now, sketchKey{"hidden", fmt.Sprint(i), "origin"})
		}
	}
	top := s.top(now, 3, func(ruleset string) bool { return ruleset == "a" })
	if fmt.Sprint(top) != "[{a 49 50 map[origin:50]} {a 48 49 map[origin:49]} {a 47 48 map[origin:48]}]" {
		t.Error(top)
	}
}

func TestDeniedOriginsFollowTheOpenRulesets(t *testing.T) {
	s := NewStore()
	named, unnamed := s.Open("named", showing(2)), s.Open("unnamed", testOptions)
	for _, origin := range []string{"https://x.example", "https://y.example", "https://y.example", "https://z.example", "https://z.example", ""} {
		named.Denied(Preflight, "origin", origin)
		unnamed.Denied(Preflight, "origin", origin)
	}
	expect(t, s, `https://y.example named 2
https://z.example named 2`, "denied_origin_requests")
	named.Close()
	expect(t, s, "", "denied_origin_requests")
}

func TestOriginLabelsAreFitToShow(t *testing.T) {
	s := NewStore()
	rs := s.Open("a", showing(5))
	rs.Denied(Preflight, "origin", "https://"+strings.Repeat("x", 10_000))
	rs.Denied(Preflight, "origin", "\xff\xfe")
	expect(t, s, "https://"+strings.Repeat("x", maxOriginLabel-len("https://"))+"… a 1\n\uFFFD a 1", "denied_origin_requests")
}

func TestDenyingWhileScraping(t *testing.T) {
	s := NewStore()
	rs := s.Open("a", showing(10))
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for range 5000 {
				rs.Denied(Actual, "origin", fmt.Sprintf("https://%d.example", i))
			}
		})
	}
	wg.Go(func() {
		for range 200 {
			s.denials.top(time.Now(), 10, everything)
		}
	})
	wg.Wait()
	expect(t, s, `https://0.example a 5000
https://1.example a 5000
https://2.example a 5000
https://3.example a 5000`, "denied_origin_requests")
}

func BenchmarkDeniedInAFlood(b *testing.B) {
	rs := NewStore().Open("a", showing(100))
	origins := make([]string, 100_000)
	for i := range origins {
		origins[i] = fmt.Sprintf("https://%d.example", i)
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		rs.Denied(Preflight, "origin", origins[i%len(origins)])
		i++
	}
}

func TestWithoutSecrets(t *testing.T) {
	for text, want := range map[string]string{
		"":                                  "",
		"https://app.example.com":           "https://app.example.com",
		"null":                              "null",
		"x-a, x-b":                          "x-a, x-b",
		"https://a.example/key?Signature=s": "https://a.example/key?…",
		"https://u:s@a.example":             "https://…@a.example",
		"https://u:s@t@a.example:8/k?s?s@":  "https://…@a.example:8/k?…",
		"GET?s":                             "GET?…",
		"?s":                                "?…",
		"u@a":                               "u@a",
	} {
		if got := WithoutSecrets(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
