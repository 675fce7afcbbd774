package test

import (
	"fmt"
	"maps"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestBenchObservation writes the table of what it costs to be told everything, from the
// handler's own benchmark.
func TestBenchObservation(t *testing.T) {
	const rounds = 10
	each := max(measuring(t, "BENCHTIME")/20, time.Millisecond)
	about := machine(t)
	ns := map[string]series{}
	line := regexp.MustCompile(`(?m)^BenchmarkObservation/(\S+?)(?:-\d+)?\s+\d+\s+(\S+) ns/op`)
	binary := filepath.Join(t.TempDir(), "handler.test")
	build := exec.Command("go", "test", "-c", "-o", binary, ".")
	build.Dir = repoRoot
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for range rounds { // on and off in turn
		cmd := exec.Command(binary, "-test.run", "^$", "-test.bench", "^BenchmarkObservation$", "-test.benchtime", each.String())
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		for _, match := range line.FindAllStringSubmatch(string(out), -1) {
			n, err := strconv.ParseFloat(match[2], 64)
			if err != nil {
				t.Fatal(err)
			}
			ns[match[1]] = append(ns[match[1]], n)
		}
	}
	rows := [][]string{{"request", "off", "on", "on / off"}}
	for _, name := range slices.Sorted(maps.Keys(ns)) {
		base, isOff := strings.CutSuffix(name, "/off")
		if !isOff {
			continue
		}
		off, on := ns[name], ns[base+"/on"]
		rows = append(rows, []string{
			base, fmt.Sprintf("%.0f ns", off.median()), fmt.Sprintf("%.0f ns", on.median()), on.over(off).ratio(),
		})
	}
	if len(rows) == 1 {
		t.Fatal("the benchmark showed nothing")
	}
	writeSection(t, "benchmarks.md", "observation", about+"\n\n"+markdownTable(rows))
}
