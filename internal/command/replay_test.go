package command

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/caddy-oss-cors/caddy-oss-cors/corsrules"
)

// Every line of a log arrives once and whole, wherever chunks end; longer ones than a chunk
// are left out and counted.
func TestLogReader(t *testing.T) {
	log := bytes.NewBufferString(`{"request":{"method":"GET"}}` + "\n")
	want := 1
	for i := range 3000 {
		fmt.Fprintf(log, "%d%s\n", i, strings.Repeat("x", i))
		want++
	}
	long := strings.Repeat("y", 3*logChunk)
	fmt.Fprintf(log, "%s\nshort\n%s\nwithout a line end", long, long)
	want += 2
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, _ = z.Write(log.Bytes())
	_ = z.Close()
	dir := t.TempDir()
	for name, content := range map[string][]byte{"plain.log": log.Bytes(), "zipped.log.gz": zipped.Bytes()} {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
		lines := make(chan string, want+10)
		l := &logReader{handle: func(chunk []byte) {
			for line := range bytes.Lines(chunk) {
				lines <- string(bytes.TrimSuffix(line, []byte("\n")))
			}
		}}
		if err := l.readAll(new(cobra.Command), []string{file}); err != nil {
			t.Fatal(err)
		}
		close(lines)
		seen := map[string]bool{}
		for line := range lines {
			if seen[line] || strings.Contains(line, "y") {
				t.Errorf("%s: %.20s… is wrong or arrived twice", name, line)
			}
			seen[line] = true
		}
		if len(seen) != want || l.tooLong != 2 || l.read.Load() != int64(len(content)) {
			t.Errorf("%s: %d lines, want %d; %d too long; %d bytes", name, len(seen), want, l.tooLong, l.read.Load())
		}
	}
}

// What replay tells apart is bounded, whatever a log has.
func TestReplayIsBounded(t *testing.T) {
	rules := corsrules.Compile(&corsrules.Configuration{Rules: []corsrules.CORSRule{{AllowedOrigins: []string{"*"}, AllowedMethods: []string{"PUT"}, AllowedHeaders: []string{"*"}}}})
	r := &replay{candidate: rules, groups: map[group]uint64{}}
	const more = 10
	for i := range maxGroups + more {
		r.handle(fmt.Appendf(nil, `{"request":{"method":"OPTIONS","headers":{"Origin":["https://%d.example"],"Access-Control-Request-Method":["PUT"],"Access-Control-Request-Headers":["%s"]}},"oss_cors":{"outcome":"denied"}}`, i, strings.Repeat("x", 4000)))
	}
	if result := r.summarize(); result.NowAllowed != maxGroups+more || result.OtherGroups != more || len(result.Changes) != maxGroups {
		t.Errorf("%d newly allowed, %d of other groups, %d groups", result.NowAllowed, result.OtherGroups, len(result.Changes))
	}
	for g := range r.groups {
		if len(g.Headers) > maxGroupHeaders {
			t.Fatalf("%d bytes of headers are kept", len(g.Headers))
		}
	}
}

// The suggested rules allow what was seen and nothing else, and no fewer rules would.
func TestSuggestionIsExact(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	origins := []string{"https://a.example", "https://b.example", "https://c.example"}
	headerSets := []string{"", "x-a", "x-a, x-b"}
	for round := range 300 {
		s, err := newSuggestion(origins)
		if err != nil {
			t.Fatal(err)
		}
		methods := corsrules.Methods
		if s.anyMethod = round%2 == 0; s.anyMethod {
			methods = append(slices.Clone(methods), "PATCH", "PROPFIND")
		}
		seen := map[string]bool{}
		for range 1 + random.IntN(8) {
			origin, method := origins[random.IntN(3)], methods[random.IntN(len(methods))]
			headers := headerSets[random.IntN(3)]
			s.collect(preflightFor(origin, method, headers))
			seen[origin+method] = true
			for name := range strings.SplitSeq(headers, ", ") {
				seen[origin+method+name] = true
			}
		}
		cfg := s.configuration()
		rules := corsrules.Compile(cfg)
		for _, origin := range append(slices.Clone(origins), "https://d.example") {
			for _, method := range methods {
				for _, name := range []string{"", "x-a", "x-b", "x-c"} {
					d := rules.Decide(preflightFor(origin, method, name))
					if allowed := d.Outcome == corsrules.Allowed; allowed != seen[origin+method+name] {
						t.Fatalf("%s %s %s: allowed is %t\n%s", origin, method, name, allowed, cfg.Marshal())
					}
				}
			}
		}
	}
}

func TestSuggestionHasFewestRules(t *testing.T) {
	cases := []struct {
		seen string
		want int
	}{
		{"a:GET a:PUT b:GET b:PUT", 1},
		{"a:GET b:PUT", 2},
		{"a:GET a:PUT b:GET c:PUT", 2},
		{"a:GET a:PUT b:PUT b:POST c:POST c:GET", 3},
	}
	for _, c := range cases {
		s, err := newSuggestion([]string{"https://a.example", "https://b.example", "https://c.example"})
		if err != nil {
			t.Fatal(err)
		}
		for request := range strings.FieldsSeq(c.seen) {
			origin, method, _ := strings.Cut(request, ":")
			s.collect(preflightFor("https://"+origin+".example", method, ""))
		}
		if rules := s.configuration().Rules; len(rules) != c.want {
			t.Errorf("%s: %d rules, want %d: %+v", c.seen, len(rules), c.want, rules)
		}
	}
}

// No fewer sets cover a table than are found, and these do.
func TestFewestSets(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	covers := func(rows, sets []methodBits) bool {
		_, missing := firstUncovered(rows, sets)
		return missing == 0
	}
	for range 300 {
		rows := make([]methodBits, 5)
		for i := range rows {
			rows[i] = methodBits(random.IntN(16))
		}
		found := (&methodTable{methods: rows}).fewestSets()
		if !covers(rows, found) {
			t.Fatalf("%b does not cover %b", found, rows)
		}
		var try func(sets []methodBits, from methodBits, size int) bool
		try = func(sets []methodBits, from methodBits, size int) bool {
			if covers(rows, sets) {
				return true
			}
			for set := from; size > 0 && set < 16; set++ {
				if try(append(slices.Clone(sets), set), set+1, size-1) {
					return true
				}
			}
			return false
		}
		if len(found) > 0 && try(nil, 1, len(found)-1) {
			t.Fatalf("%b covers %b, and fewer do too", found, rows)
		}
	}
}

// A table that somebody made up does not take long.
func TestFewestSetsAreFoundSoon(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	rows := make([]methodBits, 200)
	for i := range rows {
		rows[i] = methodBits(1 + random.IntN(255))
	}
	if found := (&methodTable{methods: rows}).fewestSets(); len(found) == 0 {
		t.Error("nothing found")
	}
}

func preflightFor(origin, method, headers string) corsrules.Request {
	return corsrules.ReadRequest(&http.Request{Method: http.MethodOptions, Header: http.Header{
		"Origin":                         {origin},
		"Access-Control-Request-Method":  {method},
		"Access-Control-Request-Headers": {headers},
	}})
}

func TestProgressBar(t *testing.T) {
	for _, c := range []struct {
		read, total int64
		want        string
	}{
		{0, 100e6, "[                              ]   0%  0 MB, 0 MB/s"},
		{50e6, 100e6, "[===============               ]  50%  50 MB, 25 MB/s"},
		{101e6, 100e6, "[==============================] 100%  101 MB, 50 MB/s"},
		{50e6, 0, "50 MB, 25 MB/s"},
	} {
		if got := progressBar(c.read, c.total, 2*time.Second); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}
