package test

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// countedRequests is how many requests TestCountsAreExact sends.
const countedRequests = 10_000

const countsCaddyfile = `{
	admin 127.0.0.1:%[1]s
	auto_https off
	persist_config off
}

http://:%[2]s {
	bind 127.0.0.1
	metrics
}

http://:%[3]s {
	bind 127.0.0.1

	handle /app/* {
		oss_cors {
			rules file app.xml
			name app
			shadow candidate.xml
		}
		handle /app/nested/* {
			oss_cors inner.xml {
				name inner
			}
			reverse_proxy %[5]s
		}
		handle /app/error {
			error 404
		}
		reverse_proxy %[5]s
	}

	handle /open/* {
		oss_cors {
			rules inline <<RULES
				<CORSConfiguration>
					<CORSRule>
						<AllowedOrigin>*</AllowedOrigin>
						<AllowedMethod>GET</AllowedMethod>
						<AllowedHeader>range</AllowedHeader>
					</CORSRule>
					<CORSRule>
						<AllowedOrigin>https://app.example.com</AllowedOrigin>
						<AllowedMethod>PUT</AllowedMethod>
					</CORSRule>
				</CORSConfiguration>
				RULES
			name open
		}
		reverse_proxy %[5]s
	}

	handle_errors {
		oss_cors inner.xml {
			name inner
		}
		respond "{err.status_code}"
	}
}

http://:%[4]s {
	bind 127.0.0.1
	oss_cors {
		rules directory buckets
		bucket path
	}
	reverse_proxy %[5]s
}
`

// countsFiles are the rules.
var countsFiles = map[string]string{
	"app.xml": `<CORSConfiguration>
	<CORSRule>
		<ID>site</ID>
		<AllowedOrigin>https://app.example.com</AllowedOrigin>
		<AllowedMethod>GET</AllowedMethod>
		<AllowedMethod>PUT</AllowedMethod>
		<AllowedHeader>content-type</AllowedHeader>
		<AllowedHeader>x-oss-*</AllowedHeader>
	</CORSRule>
	<CORSRule>
		<ID>preview</ID>
		<AllowedOrigin>https://*.preview.example.com</AllowedOrigin>
		<AllowedMethod>GET</AllowedMethod>
		<AllowedHeader>*</AllowedHeader>
	</CORSRule>
	<CORSRule>
		<ID>unused</ID>
		<AllowedOrigin>https://old.example.com</AllowedOrigin>
		<AllowedMethod>GET</AllowedMethod>
	</CORSRule>
</CORSConfiguration>`,

	// Loses the previews, gains new.example.com.
	"candidate.xml": `<CORSConfiguration>
	<CORSRule>
		<AllowedOrigin>https://app.example.com</AllowedOrigin>
		<AllowedOrigin>https://new.example.com</AllowedOrigin>
		<AllowedMethod>GET</AllowedMethod>
		<AllowedMethod>PUT</AllowedMethod>
		<AllowedHeader>content-type</AllowedHeader>
		<AllowedHeader>x-oss-*</AllowedHeader>
	</CORSRule>
</CORSConfiguration>`,

	// Of the nested instance and the one in handle_errors, which decide nothing.
	"inner.xml": `<CORSConfiguration>
	<CORSRule>
		<AllowedOrigin>*</AllowedOrigin>
		<AllowedMethod>GET</AllowedMethod>
	</CORSRule>
</CORSConfiguration>`,

	"buckets/photos.xml": `<CORSConfiguration>
	<CORSRule>
		<ID>gallery</ID>
		<AllowedOrigin>https://gallery.example.com</AllowedOrigin>
		<AllowedMethod>GET</AllowedMethod>
	</CORSRule>
</CORSConfiguration>`,

	"buckets/uploads.xml": `<CORSConfiguration>
	<CORSRule>
		<AllowedOrigin>https://app.example.com</AllowedOrigin>
		<AllowedMethod>PUT</AllowedMethod>
		<AllowedHeader>*</AllowedHeader>
	</CORSRule>
	<CORSRule>
		<AllowedOrigin>https://app.example.com</AllowedOrigin>
		<AllowedMethod>POST</AllowedMethod>
	</CORSRule>
</CORSConfiguration>`,
}

// countedRequest is a kind of request and what it must count.
type countedRequest struct {
	buckets bool // to the server of the buckets
	method  string
	path    string
	header  http.Header
	status  int
	counts  []string // as hit, denial and so on give them; none: no matter of CORS
}

func hit(ruleset, kind, rule string) string {
	return fmt.Sprintf(`caddy_oss_cors_rule_hits_total{kind=%q,rule=%q,ruleset=%q}`, kind, rule, ruleset)
}

func denial(ruleset, kind, reason string) string {
	return fmt.Sprintf(`caddy_oss_cors_denied_total{kind=%q,reason=%q,ruleset=%q}`, kind, reason, ruleset)
}

func shadowChange(ruleset, kind, live, shadow string) string {
	return fmt.Sprintf(`caddy_oss_cors_shadow_changes_total{kind=%q,live=%q,ruleset=%q,shadow=%q}`, kind, live, ruleset, shadow)
}

func ofRuleset(metric, ruleset string) string {
	return fmt.Sprintf(`caddy_oss_cors_%s{ruleset=%q}`, metric, ruleset)
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

const (
	appOrigin     = "https://app.example.com"
	previewOrigin = "https://42.preview.example.com"
	newOrigin     = "https://new.example.com"
	stranger      = "https://stranger.example"
	sameOrigin    = "http://bucket.example" // as the Host that is asked for
)

var countedMix = []countedRequest{
	// Preflights.
	{method: "OPTIONS", path: "/app/k", header: asking(appOrigin, "PUT", "content-type,x-oss-date"), status: 200,
		counts: []string{hit("app", "preflight", "site")}},
	{method: "OPTIONS", path: "/app/nested/k", header: asking(appOrigin, "GET", ""), status: 200,
		counts: []string{hit("app", "preflight", "site")}},
	{method: "OPTIONS", path: "/app/k", header: asking(previewOrigin, "GET", "x-any"), status: 200,
		counts: []string{hit("app", "preflight", "preview"), shadowChange("app", "preflight", "allowed", "denied")}},
	{method: "OPTIONS", path: "/app/k", header: asking(stranger, "GET", ""), status: 403,
		counts: []string{denial("app", "preflight", "origin")}},
	{method: "OPTIONS", path: "/app/k", header: asking(newOrigin, "GET", ""), status: 403,
		counts: []string{denial("app", "preflight", "origin"), shadowChange("app", "preflight", "denied", "allowed")}},
	{method: "OPTIONS", path: "/app/k", header: asking(appOrigin, "DELETE", ""), status: 403,
		counts: []string{denial("app", "preflight", "method")}},
	{method: "OPTIONS", path: "/app/k", header: asking(appOrigin, "PUT", "content-type,x-secret"), status: 403,
		counts: []string{denial("app", "preflight", "header")}},
	{method: "OPTIONS", path: "/app/k", header: asking("app.example.com/", "PUT", "bad name"), status: 403,
		counts: []string{denial("app", "preflight", "malformed")}},
	{method: "OPTIONS", path: "/app/k", header: asking("", "PUT", ""), status: 400,
		counts: []string{denial("app", "preflight", "missing_origin")}},
	{method: "OPTIONS", path: "/app/k", header: asking(appOrigin, "", ""), status: 400,
		counts: []string{denial("app", "preflight", "missing_method")}},
	{method: "OPTIONS", path: "/open/k", header: asking(stranger, "GET", "range"), status: 200,
		counts: []string{hit("open", "preflight", "1")}},
	{method: "OPTIONS", path: "/open/k", header: asking(appOrigin, "PUT", ""), status: 200,
		counts: []string{hit("open", "preflight", "2")}},
	{method: "OPTIONS", path: "/open/k", header: asking(stranger, "PUT", ""), status: 403,
		counts: []string{denial("open", "preflight", "method")}},
	{method: "OPTIONS", path: "/app/k", status: 200}, // not CORS: the origin server's own business

	// Actual requests.
	{method: "GET", path: "/app/k", header: headers("Origin", appOrigin), status: 200,
		counts: []string{hit("app", "actual", "site")}},
	{method: "PUT", path: "/app/k", header: headers("Origin", appOrigin), status: 200,
		counts: []string{hit("app", "actual", "site")}},
	{method: "GET", path: "/app/nested/k", header: headers("Origin", appOrigin), status: 200,
		counts: []string{hit("app", "actual", "site")}},
	{method: "GET", path: "/app/error", header: headers("Origin", appOrigin), status: 404,
		counts: []string{hit("app", "actual", "site")}},
	{method: "GET", path: "/app/own-cors", header: headers("Origin", appOrigin), status: 200,
		counts: []string{hit("app", "actual", "site"), ofRuleset("upstream_headers_removed_total", "app")}},
	{method: "GET", path: "/app/cacheable", header: headers("Origin", appOrigin), status: 200,
		counts: []string{hit("app", "actual", "site"), ofRuleset("cache_unsafe_responses_total", "app")}},
	{method: "GET", path: "/app/k", header: headers("Origin", previewOrigin), status: 200,
		counts: []string{hit("app", "actual", "preview"), shadowChange("app", "actual", "allowed", "denied")}},
	{method: "GET", path: "/app/k", header: headers("Origin", stranger), status: 200,
		counts: []string{denial("app", "actual", "origin")}},
	{method: "GET", path: "/app/nested/k", header: headers("Origin", stranger), status: 200,
		counts: []string{denial("app", "actual", "origin")}},
	{method: "GET", path: "/app/error", header: headers("Origin", stranger), status: 404,
		counts: []string{denial("app", "actual", "origin")}},
	{method: "GET", path: "/app/own-cors", header: headers("Origin", stranger, "Sec-Fetch-Mode", "cors"), status: 200,
		counts: []string{denial("app", "actual", "origin"), ofRuleset("upstream_headers_removed_total", "app")}},
	{method: "GET", path: "/app/k", header: headers("Origin", newOrigin), status: 200,
		counts: []string{denial("app", "actual", "origin"), shadowChange("app", "actual", "denied", "allowed")}},
	{method: "DELETE", path: "/app/k", header: headers("Origin", appOrigin), status: 200,
		counts: []string{denial("app", "actual", "method")}},
	{method: "GET", path: "/app/k", header: headers("Origin", appOrigin, "Origin", stranger), status: 200,
		counts: []string{denial("app", "actual", "malformed")}},
	{method: "GET", path: "/open/cacheable", header: headers("Origin", stranger), status: 200,
		counts: []string{hit("open", "actual", "1")}}, // "*" is safe to cache

	// Not denied, for they need no CORS: same-origin posts, form posts, navigations and
	// what else browsers send with an Origin, WebSockets.
	{method: "GET", path: "/app/k", status: 200},
	{method: "GET", path: "/app/cacheable", status: 200},
	{method: "GET", path: "/app/own-cors", status: 200,
		counts: []string{ofRuleset("upstream_headers_removed_total", "app")}},
	{method: "POST", path: "/app/k", header: headers("Origin", sameOrigin), status: 200},
	{method: "POST", path: "/app/k", header: headers("Origin", sameOrigin, "Sec-Fetch-Mode", "cors", "Sec-Fetch-Site", "same-origin"), status: 200},
	{method: "POST", path: "/app/k", header: headers("Origin", stranger, "Sec-Fetch-Mode", "navigate", "Content-Type", "application/x-www-form-urlencoded"), status: 200},
	{method: "POST", path: "/app/k", header: headers("Origin", "null", "Sec-Fetch-Mode", "no-cors"), status: 200},
	{method: "GET", path: "/app/socket", header: headers("Origin", stranger, "Connection", "Upgrade", "Upgrade", "websocket"), status: 101},
	{method: "GET", path: "/app/nested/socket", header: headers("Origin", stranger, "Sec-Fetch-Mode", "websocket", "Connection", "Upgrade", "Upgrade", "websocket"), status: 101},

	// The same, where a rule matches: that is counted.
	{method: "GET", path: "/app/socket", header: headers("Origin", appOrigin, "Connection", "Upgrade", "Upgrade", "websocket"), status: 101,
		counts: []string{hit("app", "actual", "site")}},
	{method: "GET", path: "/open/k", header: headers("Origin", sameOrigin), status: 200,
		counts: []string{hit("open", "actual", "1")}},
}

// countedBuckets are requests for buckets: each has a document of its own, or none.
var countedBuckets = []countedRequest{
	{buckets: true, method: "OPTIONS", path: "/photos/k", header: asking("https://gallery.example.com", "GET", ""), status: 200,
		counts: []string{hit("photos", "preflight", "gallery")}},
	{buckets: true, method: "GET", path: "/photos/k", header: headers("Origin", "https://gallery.example.com"), status: 200,
		counts: []string{hit("photos", "actual", "gallery")}},
	{buckets: true, method: "GET", path: "/photos/k", header: headers("Origin", appOrigin), status: 200,
		counts: []string{denial("photos", "actual", "origin")}},
	{buckets: true, method: "OPTIONS", path: "/uploads/k", header: asking(appOrigin, "PUT", "x-any"), status: 200,
		counts: []string{hit("uploads", "preflight", "1")}},
	{buckets: true, method: "OPTIONS", path: "/uploads/k", header: asking(appOrigin, "POST", "x-any"), status: 403,
		counts: []string{denial("uploads", "preflight", "header")}},
	{buckets: true, method: "POST", path: "/uploads/k", header: headers("Origin", appOrigin), status: 200,
		counts: []string{hit("uploads", "actual", "2")}},
	{buckets: true, method: "POST", path: "/uploads/k", header: headers("Origin", sameOrigin), status: 200},
	{buckets: true, method: "OPTIONS", path: "/unknown/k", header: asking(appOrigin, "GET", ""), status: 403,
		counts: []string{denial("_other", "preflight", "no_rules")}},
	{buckets: true, method: "GET", path: "/unknown/k", header: headers("Origin", appOrigin), status: 200,
		counts: []string{denial("_other", "actual", "no_rules")}},
	{buckets: true, method: "GET", path: "/No_Bucket/k", header: headers("Origin", appOrigin), status: 200,
		counts: []string{denial("_other", "actual", "no_rules")}},
	{buckets: true, method: "POST", path: "/unknown/k", header: headers("Origin", sameOrigin), status: 200},
}

// countsOrigin is the origin server behind it all.
func countsOrigin(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Header.Get("Upgrade") != "":
		conn, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = buffered.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		_ = buffered.Flush()
	case strings.HasSuffix(r.URL.Path, "/own-cors"):
		w.Header().Set("Access-Control-Allow-Origin", "*")
	case strings.HasSuffix(r.URL.Path, "/cacheable"):
		w.Header().Set("Cache-Control", "public, max-age=60")
	}
}

// TestCountsAreExact sends traffic of every kind to several rule sets while Caddy's
// configuration is reloaded again and again. Every counter must then be what was sent, and
// those that nothing was sent for must be 0.
func TestCountsAreExact(t *testing.T) {
	run := startCounted(t)
	const ofBuckets = countedRequests / 5
	run.whileReloading(t, 40*time.Millisecond, run.start(t, countedMix, countedRequests-ofBuckets))
	for range 4 { // of each configuration, the buckets are loaded anew
		run.reload(t)
		<-run.start(t, countedBuckets, ofBuckets/4)
	}
	t.Logf("%d requests, %d reloads, %d failed ones, %d requests sent again", countedRequests, run.reloads, run.failed, run.again.Load())
	if run.reloads < 5 || run.failed == 0 {
		t.Error("these are too few reloads")
	}
	run.check(t)
}

// countedRun sends requests of a mix to a Caddy, and notes what they must count.
type countedRun struct {
	servers        [2]string
	admin, metrics string
	caddyfile      string

	reloads, failed int
	again           atomic.Int64

	mu     sync.Mutex
	counts map[string]int
}

func startCounted(t *testing.T) *countedRun {
	t.Helper()
	dir := t.TempDir()
	write := func(name, content string) {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	for name, content := range countsFiles {
		write(name, content)
	}
	origin := newSpyOrigin(t, http.HandlerFunc(countsOrigin))
	ports := freePorts(t, 4)
	run := &countedRun{
		servers:   [2]string{"http://127.0.0.1:" + ports[2], "http://127.0.0.1:" + ports[3]},
		admin:     "http://127.0.0.1:" + ports[0],
		metrics:   "http://127.0.0.1:" + ports[1] + "/metrics",
		caddyfile: fmt.Sprintf(countsCaddyfile, ports[0], ports[1], ports[2], ports[3], origin.addr),
		counts:    map[string]int{},
	}
	write("Caddyfile", run.caddyfile)
	startCaddy(t, dir, "Caddyfile", nil, ports)
	return run
}

// whileReloading reloads Caddy's configuration every so often, until done.
func (run *countedRun) whileReloading(t *testing.T, every time.Duration, done <-chan struct{}) {
	for {
		select {
		case <-done:
			return
		case <-time.After(every):
			run.reload(t)
		}
	}
}

// reload has Caddy load its configuration again; every fourth time one with bad rules, which
// is provisioned in part and given up.
func (run *countedRun) reload(t *testing.T) {
	config := run.caddyfile
	bad := run.reloads > 3*run.failed
	if bad {
		config = strings.Replace(config, "file app.xml", "file missing.xml", 1)
		run.failed++
	} else {
		run.reloads++
	}
	if err := load(run.admin, config); bad != (err != nil) {
		t.Errorf("reload, with bad rules: %t: %v", bad, err)
	}
}

// check compares every counter with what was sent.
func (run *countedRun) check(t *testing.T) {
	t.Helper()
	got := countersOf(t, get(t, run.metrics))
	for series := range run.counts {
		if _, ok := got[series]; !ok {
			t.Errorf("there is no %s", series)
		}
	}
	for _, series := range slices.Sorted(maps.Keys(got)) {
		if got[series] != run.counts[series] {
			t.Errorf("%s is %d; %d were sent", series, got[series], run.counts[series])
		}
	}
}

// start sends n requests of a mix, each at least once, by several clients. It returns a
// channel that is closed when all are answered.
func (run *countedRun) start(t *testing.T, mix []countedRequest, n int) (done chan struct{}) {
	var sent atomic.Int64
	var wg sync.WaitGroup
	for client := range 8 {
		random := rand.New(rand.NewPCG(uint64(client), 1))
		wg.Go(func() {
			for !t.Failed() {
				i := int(sent.Add(1)) - 1
				if i >= n {
					return
				}
				if i >= len(mix) {
					i = random.IntN(len(mix))
				}
				run.send(t, &mix[i])
			}
		})
	}
	done = make(chan struct{})
	go func() {
		wg.Wait()
		close(done)
	}()
	return done
}

// countsClient opens a connection for each request: one that a reload closes while it is
// idle could not be told from one that broke.
var countsClient = &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}

func (run *countedRun) send(t *testing.T, c *countedRequest) {
	server := run.servers[0]
	if c.buckets {
		server = run.servers[1]
	}
	for {
		request, err := http.NewRequest(c.method, server+c.path, nil)
		if err != nil {
			t.Error(err)
			return
		}
		request.Host = "bucket.example"
		if c.header != nil {
			request.Header = c.header.Clone()
		}
		response, err := countsClient.Do(request)
		if wasDropped(err) {
			run.again.Add(1)
			continue
		}
		if err != nil {
			t.Errorf("%s %s: %v", c.method, c.path, err)
			return
		}
		if c.status != http.StatusSwitchingProtocols {
			_, _ = io.Copy(io.Discard, response.Body)
		}
		response.Body.Close()
		if response.StatusCode != c.status {
			t.Errorf("%s %s %v: %s; want %d", c.method, c.path, c.header, response.Status, c.status)
		}
		break
	}
	run.mu.Lock()
	defer run.mu.Unlock()
	for _, series := range c.counts {
		run.counts[series]++
	}
}

// wasDropped reports whether no handler has seen the request that failed so. On a reload,
// Linux resets connections that wait for the old configuration's listener to accept them,
// and Go's server closes those whose request it reads after its shutdown has begun.
func wasDropped(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, io.EOF)
}

// load has Caddy load a Caddyfile, also if nothing in it has changed.
func load(admin, caddyfile string) error {
	request, err := http.NewRequest(http.MethodPost, admin+"/load", strings.NewReader(caddyfile))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "text/caddyfile")
	request.Header.Set("Cache-Control", "must-revalidate")
	response, err := countsClient.Do(request)
	if wasDropped(err) { // the admin endpoint begins anew, too
		return load(admin, caddyfile)
	}
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if body, _ := io.ReadAll(response.Body); response.StatusCode != http.StatusOK {
		return fmt.Errorf("/load: %s %s", response.Status, body)
	}
	return nil
}

var ossCorsCounter = regexp.MustCompile(`(?m)^(caddy_oss_cors_\w+_total\{.*\}) (\S+)$`)

// countersOf returns every counter of this module by its series as the exposition has it.
func countersOf(t *testing.T, exposition string) map[string]int {
	t.Helper()
	counters := map[string]int{}
	for _, line := range ossCorsCounter.FindAllStringSubmatch(exposition, -1) {
		n, err := strconv.ParseFloat(line[2], 64)
		if err != nil {
			t.Fatal(err)
		}
		counters[line[1]] = int(n)
	}
	return counters
}
