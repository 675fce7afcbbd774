package console

import (
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// recorder is an admin endpoint that records what gets to it.
type recorder struct {
	mu       sync.Mutex
	requests []string
}

func (rec *recorder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	rec.mu.Lock()
	defer rec.mu.Unlock()
	rec.requests = append(rec.requests, strings.TrimSpace(r.Method+" "+r.RequestURI+" "+string(body)))
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Set-Cookie", "a=b")
	_, _ = io.WriteString(w, "[]")
}

func (rec *recorder) take() []string {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	requests := rec.requests
	rec.requests = nil
	return requests
}

// serve serves a console for an admin endpoint, and returns its host:port.
func serve(t *testing.T, adminAddress string) (host string) {
	t.Helper()
	admin, err := NewAdmin(adminAddress)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := Listen("localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	server := New(admin, listener)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	return listener.Addr().String()
}

// exchange sends a request as it is, without cleaning its path.
func exchange(t *testing.T, host, method, target, body string, lines ...string) *http.Response {
	t.Helper()
	r, err := http.NewRequest(method, "http://"+host+"/", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	path, query, _ := strings.Cut(target, "?")
	r.URL.RawPath, r.URL.RawQuery = path, query
	if r.URL.Path, err = url.PathUnescape(path); err != nil {
		t.Fatal(err)
	}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		if name == "Host" {
			r.Host = value
		}
		r.Header.Set(name, value)
	}
	answer, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = answer.Body.Close() })
	return answer
}

// The console passes on what it needs to read, and nothing else gets to the admin endpoint.
func TestPassesOn(t *testing.T) {
	admin := new(recorder)
	server := httptest.NewServer(admin)
	defer server.Close()
	host := serve(t, server.Listener.Addr().String())
	cases := []struct {
		method, target string
		want           string // at the admin endpoint; empty: 404
	}{
		{"GET", "/oss_cors/rulesets", "GET /oss_cors/rulesets?"},
		{"GET", "/oss_cors/rulesets?limit=3&search=a%26b&pretty=1", "GET /oss_cors/rulesets?limit=3&search=a%26b"},
		{"GET", "/oss_cors/rulesets/%2Fetc%2Fcors.xml/document?x", "GET /oss_cors/rulesets/%2Fetc%2Fcors.xml/document"},
		{"GET", "/oss_cors/denials", "GET /oss_cors/denials"},
		{"POST", "/oss_cors/explain", "POST /oss_cors/explain {}"},
		{"POST", "/oss_cors/check", "POST /oss_cors/check {}"},
		{"POST", "/oss_cors/paste", "POST /oss_cors/paste {}"},

		{"GET", "/config/", ""},
		{"GET", "//config/", ""},
		{"POST", "/config/", ""},
		{"POST", "/load", ""},
		{"POST", "/stop", ""},
		{"POST", "/adapt", ""},
		{"GET", "/id/x", ""},
		{"GET", "/metrics", ""},
		{"GET", "/debug/pprof/", ""},
		{"GET", "/pki/ca/local", ""},
		{"DELETE", "/oss_cors/rulesets", ""},
		{"PUT", "/oss_cors/explain", ""},
		{"GET", "/oss_cors/explain", ""},
		{"POST", "/oss_cors/rulesets/a/document", ""},
		{"GET", "/oss_cors/", ""},
		{"GET", "/oss_cors/../config/", ""},
		{"GET", "/oss_cors/%2e%2e/config/", ""},
		{"GET", "/oss_cors/rulesets/../../config/document", ""},
		{"GET", "/oss_cors/rulesets/%2e%2e/document", ""},
		{"GET", "/oss_cors/rulesets/%2E/document", ""},
		{"GET", "/oss_cors/rulesets//document", ""},
		{"GET", "/console.js/../config/", ""},
		{"GET", "/page/index.html", ""},
	}
	for _, c := range cases {
		body := ""
		if c.method == "POST" {
			body = "{}"
		}
		answer := exchange(t, host, c.method, c.target, body)
		got, status := strings.Join(admin.take(), ", "), http.StatusOK
		if c.want == "" {
			status = http.StatusNotFound
		}
		if answer.StatusCode != status || got != c.want {
			t.Errorf("%s %s: %d; the admin endpoint got %q, want %q", c.method, c.target, answer.StatusCode, got, c.want)
		}
		if answer.Header.Get("Set-Cookie") != "" {
			t.Errorf("%s %s: more than status, type and body is passed back", c.method, c.target)
		}
	}
	name := "GET /oss_cors/rulesets/..%2F..%2Fconfig/document"
	if exchange(t, host, "GET", strings.TrimPrefix(name, "GET "), ""); !slices.Equal(admin.take(), []string{name}) {
		t.Error("a name with slashes is not passed on as one segment")
	}
}

// Another site can neither have its own name resolved to the console, nor have a browser send
// requests here.
func TestOtherSites(t *testing.T) {
	admin := new(recorder)
	server := httptest.NewServer(admin)
	defer server.Close()
	host := serve(t, server.Listener.Addr().String())
	_, port, _ := net.SplitHostPort(host)
	cases := []struct {
		desc   string
		lines  []string
		target string
		status int
	}{
		{"the console's page", []string{"Origin: http://" + host, "Sec-Fetch-Site: same-origin"}, "/oss_cors/denials", 200},
		{"by another of its names", []string{"Host: localhost:" + port, "Origin: http://localhost:" + port}, "/oss_cors/denials", 200},
		{"typed", []string{"Sec-Fetch-Site: none", "Sec-Fetch-Mode: navigate"}, "/", 200},
		{"a link elsewhere", []string{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate"}, "/", 200},
		{"a script elsewhere", []string{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors"}, "/oss_cors/denials", 403},
		{"a page in a frame elsewhere", []string{"Sec-Fetch-Site: same-site", "Sec-Fetch-Mode: navigate"}, "/oss_cors/denials", 403},
		{"another origin", []string{"Origin: https://evil.example"}, "/oss_cors/denials", 403},
		{"another port of this machine", []string{"Origin: http://127.0.0.1:1"}, "/oss_cors/denials", 403},
		{"no origin", []string{"Origin: null"}, "/oss_cors/denials", 403},
		{"HTTPS", []string{"Origin: https://" + host}, "/oss_cors/denials", 403},
		{"another host", []string{"Host: evil.example:" + port}, "/", 403},
		{"another host and its origin", []string{"Host: evil.example:" + port, "Origin: http://evil.example:" + port}, "/oss_cors/denials", 403},
		{"a host without the port", []string{"Host: localhost"}, "/", 403},
	}
	for _, c := range cases {
		answer := exchange(t, host, "GET", c.target, "", c.lines...)
		if passed := len(admin.take()) > 0; answer.StatusCode != c.status || passed != (c.status == 200 && c.target != "/") {
			t.Errorf("%s: %d, passed on: %t; want %d", c.desc, answer.StatusCode, passed, c.status)
		}
	}
}

func TestHeaders(t *testing.T) {
	server := httptest.NewServer(new(recorder))
	defer server.Close()
	host := serve(t, server.Listener.Addr().String())
	for _, target := range []string{"/", "/console.js", "/oss_cors/denials", "/config/"} {
		header := exchange(t, host, "GET", target, "").Header
		csp := header.Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "require-trusted-types-for 'script'", "base-uri 'none'", "form-action 'none'"} {
			if !strings.Contains(csp, want) {
				t.Errorf("%s: the policy lacks %s: %s", target, want, csp)
			}
		}
		if strings.Contains(csp, "unsafe") || strings.Contains(csp, "*") || strings.Contains(csp, "http") {
			t.Errorf("%s: the policy is too wide: %s", target, csp)
		}
		if header.Get("Cache-Control") != "no-store" || header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %v", target, header)
		}
	}
}

// The page makes no markup of text, loads nothing from elsewhere, and each of its files is
// served.
func TestPage(t *testing.T) {
	forbidden := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|eval\(|new Function|style=|\son\w+=|(src|href)="(https?:)?//`)
	served := map[string]bool{}
	for _, file := range files {
		served[file.name] = true
	}
	err := fs.WalkDir(page, "page", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if !served[path] {
			t.Errorf("%s is not served", path)
		}
		text, err := page.ReadFile(path)
		if found := forbidden.Find(text); found != nil {
			t.Errorf("%s has %s", path, found)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(new(recorder))
	defer server.Close()
	host := serve(t, server.Listener.Addr().String())
	for path, file := range files {
		answer := exchange(t, host, "GET", path, "")
		if got := answer.Header.Get("Content-Type"); answer.StatusCode != http.StatusOK || got != file.contentType {
			t.Errorf("%s: %d %s", path, answer.StatusCode, got)
		}
	}
}

func TestListen(t *testing.T) {
	for _, address := range []string{"0.0.0.0:0", ":0", "[::]:0", "192.0.2.1:0", "example.com:0", "localhost.example.com:0", "localhost"} {
		if listener, err := Listen(address); err == nil {
			_ = listener.Close()
			t.Errorf("it listens at %s", address)
		}
	}
	for _, address := range []string{"localhost:0", "127.0.0.1:0", "127.0.0.2:0"} {
		listener, err := Listen(address)
		if err != nil {
			t.Errorf("%s: %v", address, err)
			continue
		}
		_ = listener.Close()
	}
}

func TestAdminBySocket(t *testing.T) {
	dir, err := os.MkdirTemp("", "admin") // t.TempDir's paths can be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	socket := filepath.Join(dir, "s")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	admin := new(recorder)
	server := &http.Server{Handler: admin}
	go func() { _ = server.Serve(listener) }()
	defer server.Close()
	host := serve(t, "unix/"+socket+"|0222")
	if answer := exchange(t, host, "GET", "/oss_cors/denials", ""); answer.StatusCode != 200 || !slices.Equal(admin.take(), []string{"GET /oss_cors/denials"}) {
		t.Errorf("%d", answer.StatusCode)
	}
}

func TestAdminAway(t *testing.T) {
	host := serve(t, "127.0.0.1:1")
	answer := exchange(t, host, "GET", "/oss_cors/denials", "")
	body, _ := io.ReadAll(answer.Body)
	if answer.StatusCode != http.StatusBadGateway || !strings.Contains(string(body), "Caddy cannot be reached at 127.0.0.1:1") {
		t.Errorf("%d %s", answer.StatusCode, body)
	}
	for _, address := range []string{"", "localhost:2019-2021", "localhost:port", "localhost", "localhost:", "[::1]"} {
		if _, err := NewAdmin(address); err == nil {
			t.Errorf("%q is taken for an address", address)
		}
	}
}
