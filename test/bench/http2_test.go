//go:build measure

package bench

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/harness"
	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/report"
)

// http2Caddyfile has a site for oss_cors, and one for Caddy's directives with the same headers.
const http2Caddyfile = `{
	admin off
	auto_https off
	persist_config off
	log {
		level ERROR
	}
	servers {
		protocols h1 h2c
	}
}

(headers) {
	header {
		Access-Control-Allow-Origin https://app.example.com
		Access-Control-Allow-Methods "GET, PUT"
		Access-Control-Expose-Headers ETag
		Access-Control-Max-Age 600
		{block}
	}
}

http://:%[1]s {
	bind 127.0.0.1
	oss_cors cors.xml
	respond ok
}

http://:%[2]s {
	bind 127.0.0.1
	@preflight {
		method OPTIONS
		header Origin https://app.example.com
	}
	handle @preflight {
		import headers {
			Access-Control-Allow-Headers "content-type, x-oss-date"
			X-Oss-Request-Id 59FC3349BC4D25C01C26CBA2
			X-Oss-Server-Time 0
		}
		respond 200
	}
	handle {
		import headers {
		}
		respond ok
	}
}
`

var (
	h2Answered = regexp.MustCompile(`status codes: (\d+) 2xx, 0 3xx, 0 4xx, 0 5xx`)
	h2Rate     = regexp.MustCompile(`finished in \S+, (\S+) req/s`)
)

// loadHTTP2 is loader.load over HTTP/2: few connections, with several streams each.
func loadHTTP2(t *testing.T, target benchTarget, method string, each time.Duration) loadRun {
	t.Helper()
	args := []string{"-c", loadCore, "h2load", "-t1", "-c4", "-m8", fmt.Sprintf("-D%d", max(1, int(each.Seconds()))), "-H", ":method: " + method}
	for name, value := range appPreflight {
		if method == "OPTIONS" || name == "Origin" {
			args = append(args, "-H", name+": "+value)
		}
	}
	before := harness.CPUTime(t, target.pid)
	out, err := exec.Command("taskset", append(args, target.url)...).CombinedOutput()
	used := harness.CPUTime(t, target.pid) - before
	answered, rate := h2Answered.FindSubmatch(out), h2Rate.FindSubmatch(out)
	if err != nil || answered == nil || rate == nil {
		t.Fatalf("h2load %q: %v\n%s", args, err, out)
	}
	requests, _ := strconv.Atoi(string(answered[1]))
	perSecond, err := strconv.ParseFloat(string(rate[1]), 64)
	if err != nil || requests == 0 {
		t.Fatalf("h2load: %v\n%s", err, out)
	}
	return loadRun{perSecond: perSecond, cpu: float64(used.Microseconds()) / float64(requests)}
}

// TestBenchHTTP2 writes the table of requests over HTTP/2.
func TestBenchHTTP2(t *testing.T) {
	each := report.Duration(t, "BENCHTIME")
	report.RequirePrograms(t, "h2load", "taskset")
	about := report.Machine(t, report.VersionOf(t, "h2load", "--version"))
	dir, ports := t.TempDir(), harness.FreePorts(t, 2)
	for name, text := range map[string]string{"Caddyfile": fmt.Sprintf(http2Caddyfile, ports[0], ports[1]), "cors.xml": harness.TestbedRules} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	pid := startPinnedCaddy(t, dir, "Caddyfile", ports).Cmd.Process.Pid
	var targets [2]benchTarget
	for i, name := range []string{"`oss_cors`", "Caddy's directives"} {
		targets[i] = benchTarget{name: name, pid: pid, url: "http://127.0.0.1:" + ports[i] + "/k.txt"}
		expectRecipe(t, targets[i], 0)
	}
	rows := [][]string{{"request", "`oss_cors`, CPU", "`header` and `respond`, CPU", "oss_cors / it", "requests/s, oss_cors / it"}}
	for _, c := range []struct{ desc, method string }{{"preflight", "OPTIONS"}, {"actual", "GET"}} {
		var results [2]loadSeries
		for round := range benchRounds {
			for i := range targets {
				i = (i + round) % 2
				results[i].add(loadHTTP2(t, targets[i], c.method, each))
			}
		}
		rows = append(rows, []string{
			c.desc,
			fmt.Sprintf("%.1f µs", results[0].cpu.Median()), fmt.Sprintf("%.1f µs", results[1].cpu.Median()),
			results[0].cpu.Over(results[1].cpu).Ratio(), results[0].perSecond.Over(results[1].perSecond).Ratio(),
		})
	}
	report.WriteSection(t, "benchmarks.md", "HTTP/2", about+"\n\n"+report.MarkdownTable(rows))
}
