//go:build measure

package bench

import (
	"flag"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/harness"
	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/report"
)

// TestBenchPeers writes the table of the engines within one process.
func TestBenchPeers(t *testing.T) {
	const rounds = 15
	each := report.Duration(t, "BENCHTIME") / 50
	if err := flag.Set("test.benchtime", max(each, time.Millisecond).String()); err != nil {
		t.Fatal(err)
	}
	about := report.Machine(t, harness.GoList(t, ".", "github.com/jub0bs/cors"), harness.GoList(t, ".", "github.com/rs/cors"))
	cases := peerCases()
	results := make([][]peerResult, len(cases))
	for i := range results {
		results[i] = make([]peerResult, len(peers))
	}
	for range rounds {
		for i, c := range cases {
			for j, peer := range peers {
				middleware, err := peer.wrap(c, quietHandler)
				if err != nil {
					t.Fatal(err)
				}
				request, w := c.request(t), &quietWriter{header: http.Header{}}
				r := testing.Benchmark(func(b *testing.B) {
					b.ReportAllocs()
					for b.Loop() {
						clear(w.header)
						middleware.ServeHTTP(w, request)
					}
				})
				results[i][j].ns = append(results[i][j].ns, float64(r.T.Nanoseconds())/float64(r.N))
				results[i][j].allocs = r.AllocsPerOp()
			}
		}
	}
	rows := [][]string{{"case", "oss_cors", "the floor", "jub0bs/cors", "rs/cors", "oss_cors / the floor", "oss_cors / the faster library", "allocations"}}
	for i, c := range cases {
		row, allocs := []string{c.desc}, []string{}
		for j, peer := range peers {
			if c.notAskedOfPeers && strings.HasSuffix(peer.name, "/cors") {
				row, allocs = append(row, "–"), append(allocs, "–")
				continue
			}
			row = append(row, fmt.Sprintf("%.0f ns", results[i][j].ns.Median()))
			allocs = append(allocs, fmt.Sprint(results[i][j].allocs))
		}
		ours, floor, a, b := results[i][0].ns, results[i][1].ns, results[i][2].ns, results[i][3].ns
		faster := a
		if b.Median() < a.Median() {
			faster = b
		}
		overLibrary := ours.Over(faster).Ratio()
		if c.notAskedOfPeers {
			overLibrary = "–"
		}
		rows = append(rows, append(row, ours.Over(floor).Ratio(), overLibrary, strings.Join(allocs, " / ")))
	}
	hundred := func(kind string) string {
		at := func(desc string) report.Series {
			i := slices.IndexFunc(cases, func(c peerCase) bool { return c.desc == kind+desc })
			return results[i][0].ns
		}
		return at(", 100 origins").Over(at(", 1 origin")).Ratio()
	}
	report.WriteSection(t, "benchmarks.md", "peers", fmt.Sprintf(
		"%s\n\n%s\n100 exact origins cost %s times as much as 1 on a preflight, %s on an actual request.\n",
		about, report.MarkdownTable(rows), hundred("preflight"), hundred("actual")))
}

// peerResult is what one peer made of one case, round by round.
type peerResult struct {
	ns     report.Series
	allocs int64
}
