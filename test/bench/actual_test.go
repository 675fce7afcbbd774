//go:build measure

package bench

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/harness"
	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/report"
)

// actualCaddyfile has a site for each port: reverse_proxy alone; with the usual header
// directive, which decides nothing and sets what oss_cors sets; with oss_cors; and file_server,
// alone and with oss_cors.
const actualCaddyfile = `{
	admin off
	auto_https off
	persist_config off
	log {
		level ERROR
	}
}

(origin) {
	bind 127.0.0.1
	reverse_proxy 127.0.0.1:%[1]s {
		transport http {
			keepalive_idle_conns_per_host 1000
		}
	}
}

http://:%[2]s {
	import origin
}

http://:%[3]s {
	header {
		Access-Control-Allow-Origin https://app.example.com
		Access-Control-Allow-Methods "GET, PUT"
		Access-Control-Expose-Headers ETag
		Access-Control-Max-Age 600
		Vary Origin
	}
	import origin
}

http://:%[4]s {
	oss_cors cors.xml {
		response_vary
	}
	import origin
}

http://:%[5]s {
	bind 127.0.0.1
	root %[7]s
	file_server
}

http://:%[6]s {
	bind 127.0.0.1
	root %[7]s
	oss_cors cors.xml
	file_server
}
`

// TestBenchActual writes the tables of what it costs to set headers on a response.
func TestBenchActual(t *testing.T) {
	each := report.Duration(t, "BENCHTIME")
	report.RequirePrograms(t, "wrk", "taskset", "nginx", "strace")
	about := report.Machine(t, report.VersionOf(t, "nginx", "-v")+" as the origin server", report.VersionOf(t, "wrk", "-v"))
	caddy, ports := startActual(t)
	expectSameCORS(t, ports[1], ports[2])
	cpu := [][]string{{"CPU time a request", "bare", "`header`", "`oss_cors`", "oss_cors / bare", "oss_cors / header"}}
	latency := [][]string{{"latency: bare / `header` / `oss_cors`", "p50", "p99", "p99.9"}}
	for _, c := range []struct {
		desc, path  string
		connections int
	}{
		{"1 KB objects, 32 connections", "/small", 32},
		{"1 MB objects, 8 connections", "/large", 8},
		{"1 KB objects, 1 000 connections", "/small", 1000},
	} {
		var targets []benchTarget
		for i, name := range []string{"bare", "header", "oss_cors"} {
			targets = append(targets, benchTarget{name: name, pid: caddy, url: "http://127.0.0.1:" + ports[i] + c.path})
		}
		load := loader{http.MethodGet, map[string]string{"Origin": recipeOrigin}, c.connections, each}
		results := load.compare(t, benchRounds, targets)
		bare, header, with := results[0], results[1], results[2]
		all := func(column func(s loadSeries) report.Series) string {
			return fmt.Sprintf("%.2f / %.2f / %.2f ms", column(bare).Median(), column(header).Median(), column(with).Median())
		}
		cpu = append(cpu, []string{
			c.desc,
			fmt.Sprintf("%.1f µs", bare.cpu.Median()),
			fmt.Sprintf("%.1f µs", header.cpu.Median()),
			fmt.Sprintf("%.1f µs", with.cpu.Median()),
			with.cpu.Over(bare.cpu).Ratio(),
			with.cpu.Over(header.cpu).Ratio(),
		})
		latency = append(latency, []string{
			c.desc,
			all(func(s loadSeries) report.Series { return s.p50 }),
			all(func(s loadSeries) report.Series { return s.p99 }),
			all(func(s loadSeries) report.Series { return s.p999 }),
		})
	}
	report.WriteSection(t, "benchmarks.md", "actual requests",
		about+"\n\n"+report.MarkdownTable(cpu)+"\n"+report.MarkdownTable(latency)+"\n"+sendfile(t, caddy, ports[3], ports[4]))
}

// startActual runs the Caddy of actualCaddyfile, and returns the ports of its sites.
func startActual(t *testing.T) (pid int, ports []string) {
	t.Helper()
	dir, ports := t.TempDir(), harness.FreePorts(t, 5)
	nginxPort, _ := startNginx(t, dir, loadCore)
	for name, text := range map[string]string{
		"Caddyfile": fmt.Sprintf(actualCaddyfile, nginxPort, ports[0], ports[1], ports[2], ports[3], ports[4], dir),
		"cors.xml":  harness.TestbedRules,
		"small":     strings.Repeat("x", harness.Kilobyte),
		"large":     strings.Repeat("x", harness.Kilobyte*harness.Kilobyte),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return startPinnedCaddy(t, dir, "Caddyfile", ports).Cmd.Process.Pid, ports
}

// getFromApp gets an object with the origin of the rule app, and returns the response's header
// and body.
func getFromApp(t *testing.T, url string) (http.Header, []byte) {
	t.Helper()
	request, err := http.NewRequest(http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Origin", recipeOrigin)
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.Header, body
}

// expectSameCORS fails the test unless two sites set the same headers, some of them CORS's.
func expectSameCORS(t *testing.T, port, other string) {
	t.Helper()
	one, _ := getFromApp(t, "http://127.0.0.1:"+port+"/small")
	two, _ := getFromApp(t, "http://127.0.0.1:"+other+"/small")
	one.Del("Date")
	two.Del("Date")
	if !maps.EqualFunc(one, two, slices.Equal[[]string]) || len(harness.AccessControl(one)) != 4 || one.Get("Vary") != "Origin" {
		t.Fatalf("not the same headers, or not those of a rule:\n%v\n%v", one, two)
	}
}

// sendfile reports how two sites send files, without and with oss_cors.
func sendfile(t *testing.T, caddy int, barePort, withPort string) string {
	t.Helper()
	bare := sendfileCalls(t, caddy, "http://127.0.0.1:"+barePort+"/large")
	with := sendfileCalls(t, caddy, "http://127.0.0.1:"+withPort+"/large")
	if with < bare {
		t.Errorf("with oss_cors, sendfile is called %d times; without it %d times", with, bare)
	}
	return fmt.Sprintf("Sending a file of 1 MB ten times, `file_server` calls sendfile %d times by itself, and %d times behind `oss_cors`.\n", bare, with)
}

// sendfileCalls counts the calls of sendfile with which a process sends an object of 1 MB
// ten times.
func sendfileCalls(t *testing.T, pid int, url string) (calls int) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "trace")
	strace := exec.Command("strace", "-f", "-q", "-e", "trace=sendfile", "-o", path, "-p", fmt.Sprint(pid))
	if err := strace.Start(); err != nil {
		t.Fatal(err)
	}
	traced := func() bool {
		status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		return !bytes.Contains(status, []byte("TracerPid:\t0\n"))
	}
	for deadline := time.Now().Add(harness.Patience); !traced(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("strace does not trace Caddy")
		}
	}
	for range 10 {
		if _, body := getFromApp(t, url); len(body) != harness.Kilobyte*harness.Kilobyte {
			t.Fatalf("%d bytes", len(body))
		}
	}
	_ = strace.Process.Signal(os.Interrupt)
	_ = strace.Wait() // by a signal
	trace, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(trace)) {
		if strings.Contains(line, "sendfile(") { // not its resumption
			calls++
		}
	}
	return calls
}
