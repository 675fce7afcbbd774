package osscors

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"

	"github.com/caddy-oss-cors/caddy-oss-cors/internal/freeport"
	"github.com/caddy-oss-cors/caddy-oss-cors/internal/running"
)

// The tests run a whole Caddy in this process, of which there is one: they are not parallel.

// patience is how long anything may take before it counts as never.
const patience = 10 * time.Second

// proxy is the Caddy of one test: sites, and one more that shows metrics.
type proxy struct {
	addrs      []string // host:port of each site
	metricsURL string
	state      string // where Caddy keeps its own files, so that it does not touch the user's
	options    string // more global options
	miswired   bool   // others answer or speak CORS in the handler's place
}

// newProxy prepares a Caddy and makes a new directory the working directory. Caddy is
// stopped when the test ends.
func newProxy(t testing.TB) *proxy {
	t.Helper()
	t.Chdir(t.TempDir())
	if n := len(running.Sites()); n > 0 { // expectAgreement would check nothing
		t.Fatalf("a test before this one left %d sites running", n)
	}
	p := &proxy{state: stateDir(t), options: "log {\noutput discard\n}"}
	t.Cleanup(func() { p.stop(t) })
	return p
}

// stateDir is t.TempDir for what Caddy may write to for a moment after it stopped, such as the
// marker of rules storage.
func stateDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "caddy-state-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
			if err := os.RemoveAll(dir); err == nil || time.Now().After(deadline) {
				return
			}
		}
	})
	return dir
}

// stop ends the configuration. With the last one, all counts of the process are forgotten.
func (p *proxy) stop(t testing.TB) {
	t.Helper()
	if err := caddy.Stop(); err != nil {
		t.Error(err)
	}
}

// freePorts returns n different loopback addresses that nobody listens at.
func freePorts(t testing.TB, n int) []string {
	t.Helper()
	addrs := make([]string, n)
	for i := range addrs {
		port, err := freeport.Next()
		if err != nil {
			t.Fatal(err)
		}
		addrs[i] = net.JoinHostPort("127.0.0.1", port)
	}
	return addrs
}

const globalOptions = `{
	admin off
	auto_https off
	persist_config off
	grace_period 1s
	storage_clean_interval off
	storage file_system %s
	servers {
		protocols h1 h2c
	}
	%s
}
http://%s {
	metrics /metrics
}
`

// caddyfile returns a Caddyfile with a site for each of the bodies, at the next addresses.
func (p *proxy) caddyfile(addrs []string, sites []string) string {
	text := fmt.Sprintf(globalOptions, p.state, p.options, addrs[0])
	for i, site := range sites {
		_, port, _ := net.SplitHostPort(addrs[i+1])
		text += fmt.Sprintf("http://:%s {\nbind 127.0.0.1\n%s\n}\n", port, site)
	}
	return text
}

// tryLoad loads a configuration in place of the one that runs. Its sites have new
// addresses, for at the old ones the old servers may take a last connection and drop it.
func (p *proxy) tryLoad(t testing.TB, sites ...string) error {
	t.Helper()
	addrs := freePorts(t, 1+len(sites))
	config, err := adapt(p.caddyfile(addrs, sites))
	if err != nil {
		return err
	}
	if err := caddy.Load([]byte(config), false); err != nil {
		return err
	}
	p.metricsURL, p.addrs = "http://"+addrs[0]+"/metrics", addrs[1:]
	return nil
}

func (p *proxy) load(t testing.TB, sites ...string) {
	t.Helper()
	if err := p.tryLoad(t, sites...); err != nil {
		t.Fatal(err)
	}
}

// reply is a response that was read to its end.
type reply struct {
	*http.Response
	body string
}

// ask sends a request to the first site, on a connection of its own and byte for byte.
func (p *proxy) ask(t testing.TB, requestLine string, lines ...string) reply {
	t.Helper()
	rules := onlyRules(t)
	answer := askAt(t, p.addrs[0], requestLine, lines...)
	if !p.miswired && rules != nil && rules == onlyRules(t) { // the same all the time
		expectAgreement(t, rules, requestLine, lines, answer)
	}
	return answer
}

func (p *proxy) preflight(t testing.TB, lines ...string) reply {
	t.Helper()
	return p.ask(t, "OPTIONS /key HTTP/1.1", lines...)
}

func (p *proxy) get(t testing.TB, lines ...string) reply {
	t.Helper()
	return p.ask(t, "GET /key HTTP/1.1", lines...)
}

func askAt(t testing.TB, addr, requestLine string, lines ...string) reply {
	t.Helper()
	conn := dial(t, addr)
	defer conn.Close()
	conn.send(requestLine, append(lines, "Connection: close")...)
	return conn.receive(t, requestLine)
}

// conn is a connection that sends what no HTTP client would.
type conn struct {
	net.Conn
	reader *bufio.Reader
}

func dial(t testing.TB, addr string) *conn {
	t.Helper()
	c, err := net.Dial("tcp4", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return &conn{c, bufio.NewReader(c)}
}

// send sends a request without a body. Unless a line says otherwise its Host is
// bucket.example.com.
func (c *conn) send(requestLine string, lines ...string) {
	if !slices.ContainsFunc(lines, func(line string) bool { return strings.HasPrefix(line, "Host:") }) {
		lines = append([]string{"Host: bucket.example.com"}, lines...)
	}
	_, _ = io.WriteString(c, requestLine+"\r\n"+strings.Join(lines, "\r\n")+"\r\n\r\n")
}

func (c *conn) receive(t testing.TB, requestLine string) reply {
	t.Helper()
	method, _, _ := strings.Cut(requestLine, " ")
	response, err := http.ReadResponse(c.reader, &http.Request{Method: method})
	if err != nil {
		t.Fatalf("%s: no answer: %v", requestLine, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) { // which a truncated upstream makes
		t.Fatalf("%s: %v", requestLine, err)
	}
	return reply{response, string(body)}
}

// cors returns the Access-Control headers, sorted, each as "Name: value" without the
// prefix. A header with several lines shows as such.
func cors(h http.Header) []string {
	lines := []string{}
	for key, values := range h {
		if name, ok := strings.CutPrefix(key, "Access-Control-"); ok {
			lines = append(lines, name+": "+strings.Join(values, " | "))
		}
	}
	slices.Sort(lines)
	return lines
}

// expect fails the test unless a response has a status and exactly these Access-Control
// headers.
func (r reply) expect(t testing.TB, status int, want ...string) {
	t.Helper()
	if r.StatusCode != status {
		t.Errorf("status %d; want %d", r.StatusCode, status)
	}
	if got := cors(r.Header); !slices.Equal(got, want) {
		t.Errorf("Access-Control headers:\n got %q\nwant %q", got, want)
	}
}

// upstream starts an origin server and returns its address.
func upstream(t testing.TB, serve http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(serve)
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

// element is an element of a rule.
func element(name, value string) string { return "<" + name + ">" + value + "</" + name + ">" }

// document is a rules document with these rules, each a run of elements.
func document(rules ...string) string {
	return "<CORSConfiguration>\n<CORSRule>" + strings.Join(rules, "</CORSRule>\n<CORSRule>") + "</CORSRule>\n</CORSConfiguration>\n"
}

// withVary adds ResponseVary to a document.
func withVary(document string) string {
	return strings.Replace(document, "</CORSConfiguration>", "<ResponseVary>true</ResponseVary></CORSConfiguration>", 1)
}

var (
	appRule = element("ID", "app") +
		element("AllowedOrigin", "https://app.example.com") + element("AllowedOrigin", "https://*.preview.example.com") +
		element("AllowedMethod", "PUT") + element("AllowedMethod", "GET") +
		element("AllowedHeader", "Content-Type") + element("AllowedHeader", "x-oss-*") +
		element("ExposeHeader", "ETag") + element("ExposeHeader", "x-oss-Test") +
		element("MaxAgeSeconds", "600")
	plainRule = element("AllowedOrigin", "https://plain.example.com") + element("AllowedMethod", "GET")
	openRule  = element("AllowedOrigin", "https://named.example.com") + element("AllowedOrigin", "*") +
		element("AllowedMethod", "GET") + element("AllowedMethod", "HEAD") + element("AllowedHeader", "*") +
		element("MaxAgeSeconds", "0")

	appRules  = document(appRule, plainRule)
	openRules = document(openRule)
)

// What an actual request from the origin app gets by appRules.
var appGranted = []string{
	"Allow-Methods: PUT, GET",
	"Allow-Origin: https://app.example.com",
	"Expose-Headers: ETag, x-oss-Test",
	"Max-Age: 600",
}

const (
	fromApp      = "Origin: https://app.example.com"
	fromStranger = "Origin: https://stranger.example.net"
)

// adapt turns a Caddyfile into JSON.
func adapt(text string) (string, error) {
	config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(text), map[string]any{"filename": "Caddyfile"})
	return string(config), err
}

// readLog returns a log file's lines that contain a text.
func readLog(t testing.TB, name, text string) (lines []string) {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(content)) {
		if strings.Contains(line, text) {
			lines = append(lines, line)
		}
	}
	return lines
}

// logTo is the global option that writes everything to a file.
func logTo(name string) string { return "log {\noutput file " + name + "\nformat json\n}" }

// write replaces a file at once, so that no reader sees half of it.
func write(t testing.TB, file, content string) {
	t.Helper()
	if err := os.WriteFile(file+".new", []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		t.Fatal(err)
	}
}

// eventually waits for what must come, but nobody can say when.
func eventually(t *testing.T, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s", patience)
		}
	}
}

func mkdir(t testing.TB, path ...string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(path...), 0o777); err != nil {
		t.Fatal(err)
	}
}
