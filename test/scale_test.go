package test

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Here: go test -run TestScale . -scale -v
var scale = flag.Bool("scale", false, "have TestScale go on to 100 000 buckets and 1 000 000 names")

const scaleCaddyfile = `{
	admin off
	auto_https off
	persist_config off
	default_bind 127.0.0.1
	log {
		output discard
	}
}

http://:{$METRICS_PORT} {
	metrics /metrics
}

http://:{$PORT} {
	oss_cors {
		rules directory buckets {
			refresh {$REFRESH}
		}
		bucket path
	}
	respond ok
}
`

// scaleProxy is a proxy over a directory of many buckets' rules.
type scaleProxy struct {
	*caddy
	dir           string
	port, metrics string
	bytes         int // of all documents
	names         []string
}

// newScaleProxy prepares one that is not running yet.
func newScaleProxy(t *testing.T, buckets int) *scaleProxy {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "buckets"), 0o700); err != nil {
		t.Fatal(err)
	}
	p := &scaleProxy{dir: dir}
	for i := range buckets {
		name, document := fmt.Sprintf("tenant-%d", i), tenRules(i)
		if err := os.WriteFile(filepath.Join(dir, "buckets", name+".xml"), []byte(document), 0o600); err != nil {
			t.Fatal(err)
		}
		p.bytes += len(document)
		p.names = append(p.names, name)
	}
	if err := os.WriteFile(filepath.Join(dir, "Caddyfile"), []byte(scaleCaddyfile), 0o600); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *scaleProxy) start(t *testing.T, refresh string) {
	t.Helper()
	ports := freePorts(t, 2)
	p.port, p.metrics = ports[0], "http://127.0.0.1:"+ports[1]+"/metrics"
	p.caddy = startCaddy(t, p.dir, "Caddyfile", []string{"PORT=" + ports[0], "METRICS_PORT=" + ports[1], "REFRESH=" + refresh}, ports)
}

// tenRules is a document as tenants write them.
func tenRules(tenant int) string {
	var b strings.Builder
	b.WriteString("<CORSConfiguration>\n")
	for rule := range 10 {
		fmt.Fprintf(&b, `  <CORSRule>
    <AllowedOrigin>https://app%d.tenant%d.example.com</AllowedOrigin>
    <AllowedOrigin>https://*.preview%d.tenant%d.example.com</AllowedOrigin>
    <AllowedMethod>GET</AllowedMethod>
    <AllowedMethod>PUT</AllowedMethod>
    <AllowedHeader>content-type</AllowedHeader>
    <AllowedHeader>x-oss-*</AllowedHeader>
    <ExposeHeader>ETag</ExposeHeader>
    <ExposeHeader>x-oss-request-id</ExposeHeader>
    <MaxAgeSeconds>600</MaxAgeSeconds>
  </CORSRule>
`, rule, tenant, rule, tenant)
	}
	b.WriteString("</CORSConfiguration>\n")
	return b.String()
}

// scalePreflight is one that the last rule of a tenant's document allows.
func scalePreflight(bucket string) string {
	tenant, _ := strings.CutPrefix(bucket, "tenant-")
	return request("OPTIONS /"+bucket+"/k HTTP/1.1", "Host: store", "Origin: https://app9.tenant"+tenant+".example.com",
		"Access-Control-Request-Method: PUT", "Access-Control-Request-Headers: content-type")
}

// ask sends a preflight for each of n names, batch by batch on a few connections, and
// returns how long each took if a batch is one. Every answer must have the status.
func (p *scaleProxy) ask(t *testing.T, n, batch, status int, name func(int) string) (latencies []time.Duration) {
	t.Helper()
	const connections = 4
	var mu sync.Mutex
	var wg sync.WaitGroup
	for c := range connections {
		wg.Go(func() {
			conn, err := net.Dial("tcp4", "127.0.0.1:"+p.port)
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			reader := bufio.NewReader(conn)
			for first := c * batch; first < n; first += connections * batch {
				var text strings.Builder
				last := min(first+batch, n)
				for i := first; i < last; i++ {
					text.WriteString(scalePreflight(name(i)))
				}
				began := time.Now()
				if _, err := io.WriteString(conn, text.String()); err != nil {
					t.Error(err)
					return
				}
				for i := first; i < last; i++ {
					a, err := http.ReadResponse(reader, nil)
					if err == nil {
						_, err = io.Copy(io.Discard, a.Body)
					}
					if err != nil || a.StatusCode != status {
						t.Errorf("%s: %v, %v; want %d", name(i), a, err, status)
						return
					}
				}
				mu.Lock()
				latencies = append(latencies, time.Since(began))
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	slices.Sort(latencies)
	return latencies
}

var residentText = regexp.MustCompile(`(?m)^VmRSS:\s+(\d+) kB$`)

// resident returns the process's resident memory in bytes.
func (c *caddy) resident(t *testing.T) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	kb, _ := strconv.Atoi(residentText.FindStringSubmatch(string(status))[1])
	return kb << 10
}

// cpu returns how long the process has computed, in user and system mode.
func (c *caddy) cpu(t *testing.T) time.Duration {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", c.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	ticks := 0
	for _, field := range fields[11:13] { // utime and stime, as proc(5) counts from 1, 14 and 15
		n, _ := strconv.Atoi(field)
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond // a tick is that long on every Linux
}

func mb(bytes int) string { return fmt.Sprintf("%.1f MB", float64(bytes)/1e6) }

// TestScale has many buckets with ten rules each, all in use, in one process.
func TestScale(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("memory and CPU of a process are read from Linux's /proc")
	}
	sizes := []int{10_000}
	if *scale {
		sizes = append(sizes, 100_000)
	}
	for _, buckets := range sizes {
		t.Run(fmt.Sprint(buckets), func(t *testing.T) { testScale(t, buckets) })
	}
}

func testScale(t *testing.T, buckets int) {
	p := newScaleProxy(t, buckets)
	p.start(t, "5s") // the default

	// One bucket in use: what is there of the others costs nothing.
	one := func(int) string { return p.names[0] }
	p.ask(t, 40_000, 50, 200, one)
	alone := p.resident(t)
	if rules := strings.Count(get(t, p.metrics), "\ncaddy_oss_cors_rules{"); rules > 2 {
		t.Errorf("%d documents are loaded; one was asked for", rules)
	}

	latencies := p.ask(t, buckets, 1, 200, func(i int) string { return p.names[i] })
	p.ask(t, buckets, 50, 200, func(i int) string { return p.names[i] })
	busy := p.resident(t) - alone
	t.Logf("first use: half within %s, 99%% within %s, all within %s", latencies[len(latencies)/2], latencies[len(latencies)*99/100], latencies[len(latencies)-1])

	time.Sleep(2 * time.Second) // what is under way
	const rest = 5 * time.Second
	before := p.cpu(t)
	time.Sleep(rest)
	used := float64(p.cpu(t)-before) / float64(rest)
	grown := p.resident(t) - alone
	t.Logf("%d documents of 10 rules, %s of XML; resident with one in use %s, with all %s more: %.2f times the XML (%.2f times while all were loaded as fast as can be)",
		buckets, mb(p.bytes), mb(alone), mb(grown), float64(grown)/float64(p.bytes), float64(busy)/float64(p.bytes))
	if grown > 4*p.bytes {
		t.Errorf("resident memory grew by more than 4 times the XML")
	}
	t.Logf("at rest: %.2f%% of a core", 100*used)
	if used > 0.02 {
		t.Error("more than 2% of a core at rest")
	}

	// What a whole request costs, revalidation left out. It is told and not judged: the
	// difference is smaller than what other processes on the machine do to it.
	p.stop()
	p.start(t, "1h")
	p.ask(t, buckets, 50, 200, func(i int) string { return p.names[i] })
	cost := func(name func(int) string) time.Duration {
		const requests = 50_000
		before := p.cpu(t)
		p.ask(t, requests, 50, 200, name)
		return (p.cpu(t) - before) / requests
	}
	var few, many []time.Duration
	for range 3 {
		few = append(few, cost(one))
		many = append(many, cost(func(i int) string { return p.names[i*7919%buckets] }))
	}
	slices.Sort(few)
	slices.Sort(many)
	t.Logf("CPU of a preflight over HTTP: %s of one bucket, %s of %d: %.2f times", few[1], many[1], buckets, float64(many[1])/float64(few[1]))
}

// TestScaleUnknownNames asks for buckets that do not exist, each once. Nothing grows.
func TestScaleUnknownNames(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("memory of a process is read from Linux's /proc")
	}
	p := newScaleProxy(t, 1)
	p.start(t, "5s")
	n, asked := 200_000, 0
	if *scale {
		n = 1_000_000
	}
	ask := func(n int) {
		start := asked
		asked += n
		p.ask(t, n, 50, 403, func(i int) string { return fmt.Sprintf("nobody-%d", start+i) })
	}
	ask(40_000) // more than are remembered
	before, series := p.resident(t), strings.Count(get(t, p.metrics), "\n")
	began := time.Now()
	ask(n)
	took := time.Since(began)
	after, seriesAfter := p.resident(t), strings.Count(get(t, p.metrics), "\n")
	t.Logf("%d names: resident %s, then %s; %d series, then %d; %.0f requests a second", n, mb(before), mb(after), series, seriesAfter, float64(n)/took.Seconds())
	if after-before > 16<<20 {
		t.Errorf("resident memory grew from %s to %s", mb(before), mb(after))
	}
	if seriesAfter > series+200 { // the 100 denied origins that metrics show, and Go's own
		t.Errorf("the metrics grew from %d lines to %d", series, seriesAfter)
	}
}
