package test

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// testbed is a Caddy for a test to attack: oss_cors above a proxied origin server, and the
// metrics and the admin endpoint on ports of their own.
type testbed struct {
	*caddy
	addr    string // host:port of the site
	metrics string // URL of the metrics
	admin   string // URL of the admin endpoint
	dir     string // of the Caddyfile and cors.xml
	origin  *spyOrigin
}

// testbedConfig is what differs between testbeds.
type testbedConfig struct {
	rules  string       // cors.xml; empty: testbedRules
	site   string       // the site's block; empty: testbedSite. {{origin}} is the origin server's address
	global string       // more global options
	origin http.Handler // empty: answers 200 to everything
	files  map[string]string
}

const testbedRules = `<CORSConfiguration>
  <CORSRule>
    <ID>app</ID>
    <AllowedOrigin>https://app.example.com</AllowedOrigin>
    <AllowedMethod>GET</AllowedMethod>
    <AllowedMethod>PUT</AllowedMethod>
    <AllowedHeader>content-type</AllowedHeader>
    <AllowedHeader>x-oss-*</AllowedHeader>
    <ExposeHeader>ETag</ExposeHeader>
    <MaxAgeSeconds>600</MaxAgeSeconds>
  </CORSRule>
  <CORSRule>
    <ID>preview</ID>
    <AllowedOrigin>https://*.preview.example.com</AllowedOrigin>
    <AllowedMethod>GET</AllowedMethod>
    <AllowedHeader>*</AllowedHeader>
  </CORSRule>
</CORSConfiguration>
`

const testbedSite = `oss_cors {
	rules file cors.xml
	name testbed
}
reverse_proxy {{origin}}
`

// Caddy reads headers of up to 16 KB by default: with more, longer ones come as far as our
// own bounds. The timeouts end what slow clients hold: by default a header may take a
// minute, and a body for ever.
const testbedCaddyfile = `{
	admin 127.0.0.1:%s
	auto_https off
	persist_config off
	servers {
		max_header_size 1MB
		protocols h1 h2c
		timeouts {
			read_header 2s
			read_body 2s
		}
	}
	%s
}

http://:%s {
	bind 127.0.0.1
	metrics /metrics
}

http://:%s {
	bind 127.0.0.1
	%s
}
`

func startTestbed(t *testing.T, config testbedConfig) *testbed {
	t.Helper()
	if config.rules == "" {
		config.rules = testbedRules
	}
	if config.site == "" {
		config.site = testbedSite
	}
	ports := freePorts(t, 3)
	tb := &testbed{
		admin:   "http://127.0.0.1:" + ports[0],
		metrics: "http://127.0.0.1:" + ports[1] + "/metrics",
		addr:    "127.0.0.1:" + ports[2],
		dir:     t.TempDir(),
		origin:  newSpyOrigin(t, config.origin),
	}
	site := strings.ReplaceAll(config.site, "{{origin}}", tb.origin.addr)
	caddyfile := fmt.Sprintf(testbedCaddyfile, ports[0], config.global, ports[1], ports[2], site)
	tb.write(t, "Caddyfile", caddyfile)
	tb.write(t, "cors.xml", config.rules)
	for name, content := range config.files {
		tb.write(t, name, content)
	}
	tb.caddy = startCaddy(t, tb.dir, "Caddyfile", nil, ports)
	return tb
}

func (tb *testbed) write(t *testing.T, name, content string) {
	t.Helper()
	writeFile(t, filepath.Join(tb.dir, name), content)
}

// writeFile writes a file, and makes the directories that it is in.
func writeFile(t *testing.T, file, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), 0o666); err != nil {
		t.Fatal(err)
	}
}

// spyOrigin is an origin server that notes what reaches it.
type spyOrigin struct {
	addr string

	mu   sync.Mutex
	seen []string // "METHOD URI"
}

func newSpyOrigin(t *testing.T, next http.Handler) *spyOrigin {
	spy := new(spyOrigin)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		spy.mu.Lock()
		spy.seen = append(spy.seen, r.Method+" "+r.RequestURI)
		spy.mu.Unlock()
		if next != nil {
			next.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(server.Close)
	spy.addr = server.Listener.Addr().String()
	return spy
}

// requests returns what has reached the origin server since it was last asked.
func (s *spyOrigin) requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := s.seen
	s.seen = nil
	return seen
}

var counterLine = regexp.MustCompile(`(?m)^caddy_oss_cors_(\w+)_total\{(.*)\} (\S+)$`)

// counts returns every oss_cors counter by what it counts, such as
// "denied preflight malformed" or "rule_hits actual app".
func (tb *testbed) counts(t *testing.T) map[string]int {
	t.Helper()
	counts := map[string]int{}
	for _, line := range counterLine.FindAllStringSubmatch(get(t, tb.metrics), -1) {
		name := line[1]
		for _, label := range []string{"kind", "reason", "rule"} {
			if value := regexp.MustCompile(`(?:^|,)` + label + `="([^"]*)"`).FindStringSubmatch(line[2]); value != nil {
				name += " " + value[1]
			}
		}
		n, err := strconv.Atoi(line[3])
		if err != nil {
			t.Fatal(err)
		}
		counts[name] += n
	}
	if len(counts) == 0 {
		t.Fatal("/metrics has no oss_cors counters")
	}
	return counts
}

// expectCounts fails the test unless exactly these counters grew since before, each by 1
// for every time it is named. A request is counted before it is answered, so that whoever
// has read the answer finds it counted.
func (tb *testbed) expectCounts(t *testing.T, before map[string]int, want ...string) (after map[string]int) {
	t.Helper()
	wanted := map[string]int{}
	for _, name := range want {
		wanted[name]++
	}
	after = tb.counts(t)
	for name := range wanted {
		if _, ok := after[name]; !ok {
			t.Errorf("there is no counter %q", name)
		}
	}
	for name, n := range after {
		if grown := n - before[name]; grown != wanted[name] {
			t.Errorf("counter %q grew by %d; want %d", name, grown, wanted[name])
		}
	}
	return after
}

// patience is how long an answer may take before it counts as never: much longer than any
// takes, even on a machine under load.
const patience = 15 * time.Second

// waitUntil waits for what must come, but nobody can say when.
func waitUntil(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", patience, what)
		}
	}
}

// waitForCertificate waits until a new Caddy has made its own authority, and a certificate
// for a name (empty: the address's own).
func waitForCertificate(t *testing.T, addr, name string) {
	t.Helper()
	waitUntil(t, "there is a certificate at "+addr, func() bool {
		conn, err := tls.Dial("tcp4", addr, &tls.Config{ServerName: name, InsecureSkipVerify: true})
		if err != nil {
			return false
		}
		conn.Close()
		return true
	})
}

// accessControl returns the Access-Control headers of a response, sorted, each as
// "Name: value" without the prefix.
func accessControl(h http.Header) (lines []string) {
	for key, values := range h {
		if name, ok := strings.CutPrefix(key, "Access-Control-"); ok {
			lines = append(lines, name+": "+strings.Join(values, " | "))
		}
	}
	slices.Sort(lines)
	return lines
}

// headers makes a header of pairs of name and value.
func headers(pairs ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(pairs); i += 2 {
		h.Add(pairs[i], pairs[i+1])
	}
	return h
}

// asking is the header of a preflight; an empty value is left out.
func asking(origin, method, requestHeaders string) http.Header {
	h := http.Header{}
	for name, value := range map[string]string{"Origin": origin, "Access-Control-Request-Method": method, "Access-Control-Request-Headers": requestHeaders} {
		if value != "" {
			h.Set(name, value)
		}
	}
	return h
}

func get(t *testing.T, url string) string {
	t.Helper()
	response, err := http.Get(strings.Replace(url, "localhost", "127.0.0.1", 1))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}
