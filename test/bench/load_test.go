//go:build measure

package bench

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/harness"
	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/report"
)

// Servers run on one core, and clients and origin servers on another. Then the kernel moves
// neither, and the CPU time of a server is not mixed with theirs.
const (
	serverCore = "0"
	loadCore   = "1"
)

// pin keeps a process, and the processes that it starts from then on, on one core.
func pin(t *testing.T, pid int, core string) {
	t.Helper()
	pids := append([]int{pid}, harness.Children(pid)...)
	for _, pid := range pids {
		if out, err := exec.Command("taskset", "-a", "-p", "-c", core, strconv.Itoa(pid)).CombinedOutput(); err != nil {
			t.Fatalf("taskset: %v\n%s", err, out)
		}
	}
}

// benchRounds is how often each target is loaded.
const benchRounds = 10

// benchTarget is what is loaded.
type benchTarget struct {
	name string
	pid  int
	url  string
}

// loadRun is what a load of some time showed.
type loadRun struct {
	perSecond      float64
	cpu            float64 // microseconds of the server's for a request
	p50, p99, p999 float64 // milliseconds
}

// loadSeries are the runs against one target, a column each.
type loadSeries struct{ perSecond, cpu, p50, p99, p999 report.Series }

func (s *loadSeries) add(r loadRun) {
	s.perSecond = append(s.perSecond, r.perSecond)
	s.cpu = append(s.cpu, r.cpu)
	s.p50 = append(s.p50, r.p50)
	s.p99 = append(s.p99, r.p99)
	s.p999 = append(s.p999, r.p999)
}

// load asks the target the same with so many connections, each as soon as it is answered.
// Any answer but the expected one fails the test.
func (l loader) load(t *testing.T, target benchTarget) loadRun {
	t.Helper()
	before := harness.CPUTime(t, target.pid)
	cmd := exec.Command("taskset", "-c", loadCore, "wrk", "--timeout", "10s",
		"-t1", fmt.Sprintf("-c%d", l.connections), fmt.Sprintf("-d%ds", max(1, int(l.time.Seconds()))), "-s", l.script(t), target.url)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, out)
	}
	used := harness.CPUTime(t, target.pid) - before
	_, line, ok := strings.Cut(string(out), "RESULT ")
	var requests, micros, failed int
	var r loadRun
	if _, err := fmt.Sscan(line, &requests, &micros, &failed, &r.p50, &r.p99, &r.p999); !ok || err != nil || failed > 0 || requests == 0 {
		t.Fatalf("%s: %v\n%s", target.name, err, out)
	}
	r.perSecond = float64(requests) / (float64(micros) / 1e6)
	r.cpu = float64(used.Microseconds()) / float64(requests)
	return r
}

// loader is a load: the request, the number of connections, and the time.
type loader struct {
	method      string
	header      map[string]string
	connections int
	time        time.Duration
}

// script returns a program for wrk that sends the requests and prints the results.
func (l loader) script(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "wrk.method = %q\n", l.method)
	for name, value := range l.header {
		fmt.Fprintf(&b, "wrk.headers[%q] = %q\n", name, value)
	}
	b.WriteString(`done = function(summary, latency, requests)
	local e = summary.errors
	io.write(string.format("RESULT %d %d %d %f %f %f\n", summary.requests, summary.duration,
		e.connect + e.read + e.write + e.status + e.timeout,
		latency:percentile(50) / 1000, latency:percentile(99) / 1000, latency:percentile(99.9) / 1000))
end
`)
	path := filepath.Join(t.TempDir(), "ask.lua")
	if err := os.WriteFile(path, []byte(b.String()), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// compare loads the targets in turn, round by round and every other round backwards, so that
// a drift of the machine's speed affects all of them.
func (l loader) compare(t *testing.T, rounds int, targets []benchTarget) []loadSeries {
	t.Helper()
	results := make([]loadSeries, len(targets))
	warm := l
	warm.time = l.time / 5
	for _, target := range targets {
		warm.load(t, target)
	}
	for round := range rounds {
		for i := range targets {
			if round%2 == 1 {
				i = len(targets) - 1 - i
			}
			results[i].add(l.load(t, targets[i]))
		}
	}
	return results
}
