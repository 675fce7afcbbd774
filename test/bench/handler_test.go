//go:build measure

package bench

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/harness"
	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/report"
)

// handlerBench is what the handler's own benchmarks show, round by round.
type handlerBench struct {
	names  []string // in their order
	ns     map[string]report.Series
	allocs map[string]string
}

var benchLine = regexp.MustCompile(`(?m)^Benchmark\w+/(\S+?)(?:-\d+)?\s+\d+\s+(\S+) ns/op\s+\d+ B/op\s+(\d+) allocs/op`)

// benchHandler runs one of them, each of its cases in turn.
func benchHandler(t *testing.T, name string, each time.Duration) handlerBench {
	t.Helper()
	const rounds = 20
	binary := filepath.Join(t.TempDir(), "handler.test")
	build := exec.Command("go", "test", "-c", "-o", binary, ".")
	build.Dir = harness.RepoRoot
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	bench := handlerBench{ns: map[string]report.Series{}, allocs: map[string]string{}}
	for round := range rounds {
		out, err := exec.Command(binary, "-test.run", "^$", "-test.bench", "^"+name+"$", "-test.benchtime", each.String()).CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		for _, match := range benchLine.FindAllStringSubmatch(string(out), -1) {
			if round == 0 {
				bench.names = append(bench.names, match[1])
			}
			n, err := strconv.ParseFloat(match[2], 64)
			if err != nil {
				t.Fatal(err)
			}
			bench.ns[match[1]] = append(bench.ns[match[1]], n)
			bench.allocs[match[1]] = match[3]
		}
	}
	if len(bench.names) == 0 {
		t.Fatal("the benchmark showed nothing")
	}
	return bench
}

// TestBenchObservation writes the table of what metrics and logs cost.
func TestBenchObservation(t *testing.T) {
	each := max(report.Duration(t, "BENCHTIME")/20, time.Millisecond)
	about := report.Machine(t)
	bench := benchHandler(t, "BenchmarkObservation", each)
	rows := [][]string{{"request", "off", "on", "on / off", "allocations"}}
	for _, name := range bench.names {
		base, isOff := strings.CutSuffix(name, "/off")
		if !isOff {
			continue
		}
		off, on := bench.ns[name], bench.ns[base+"/on"]
		rows = append(rows, []string{
			strings.NewReplacer("/", ": ", "_", " ").Replace(base),
			fmt.Sprintf("%.0f ns", off.Median()), fmt.Sprintf("%.0f ns", on.Median()), on.Over(off).Ratio(),
			bench.allocs[name] + " / " + bench.allocs[base+"/on"],
		})
	}
	report.WriteSection(t, "benchmarks.md", "observation", about+"\n\n"+report.MarkdownTable(rows))
}

// TestBenchInCaddy writes the table of what Access-Control headers cost within Caddy's
// server, without a network.
func TestBenchInCaddy(t *testing.T) {
	each := max(report.Duration(t, "BENCHTIME")/20, time.Millisecond)
	about := report.Machine(t)
	bench := benchHandler(t, "BenchmarkInCaddy", each)
	rows := [][]string{{"request", "Access-Control headers by", "time", "oss_cors / it", "allocations"}}
	for _, name := range bench.names {
		kind, by, _ := strings.Cut(name, "/")
		rows = append(rows, []string{
			kind, strings.NewReplacer("none", "nobody", "header", "`header`", "oss_cors", "`oss_cors`").Replace(by),
			fmt.Sprintf("%.0f ns", bench.ns[name].Median()),
			bench.ns[kind+"/oss_cors"].Over(bench.ns[name]).Ratio(), bench.allocs[name],
		})
	}
	report.WriteSection(t, "benchmarks.md", "in Caddy", about+"\n\n"+report.MarkdownTable(rows))
}
