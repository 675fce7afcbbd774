//go:build measure

package bench

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/harness"
	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/report"
)

// appPreflight is the preflight that every server is loaded with.
var appPreflight = map[string]string{
	"Origin":                         "https://app.example.com",
	"Access-Control-Request-Method":  "PUT",
	"Access-Control-Request-Headers": "content-type,x-oss-date",
}

// The recipes below answer it as their users write them, with the headers of the rule app.
const (
	recipeOrigin  = "https://app.example.com"
	recipeMethods = "GET, PUT"
	recipeHeaders = "content-type, x-oss-date"
)

// benchCaddyfile has a site for each port: oss_cors; a response without any decision, whose
// headers staticHeaders adds; and the recipe that is usual in Caddyfiles.
const benchCaddyfile = `{
	admin off
	auto_https off
	persist_config off
	log {
		level ERROR
	}
}

http://:%[1]s {
	bind 127.0.0.1
	oss_cors cors.xml
}

http://:%[2]s {
	bind 127.0.0.1
	respond 299
}

http://:%[3]s {
	bind 127.0.0.1
	@preflight {
		method OPTIONS
		header Origin https://app.example.com
	}
	handle @preflight {
		header {
			Access-Control-Allow-Origin https://app.example.com
			Access-Control-Allow-Methods "GET, PUT"
			Access-Control-Allow-Headers "content-type, x-oss-date"
			Access-Control-Expose-Headers ETag
			Access-Control-Max-Age 600
			X-Oss-Request-Id 59FC3349BC4D25C01C26CBA2
			X-Oss-Server-Time 0
		}
		respond 200
	}
}
`

// staticHeaders gives the static response as many headers as OSS's response has, which a
// Caddyfile cannot say.
func staticHeaders(t *testing.T, dir string) {
	t.Helper()
	adapt := exec.Command(harness.CaddyBinary(t), "adapt", "--config", "Caddyfile")
	adapt.Dir = dir
	config, err := adapt.Output()
	if err != nil {
		t.Fatal(err)
	}
	const bare = `{"handler":"static_response","status_code":299}`
	static := bytes.Replace(config, []byte(bare), []byte(`{
		"handler": "static_response",
		"status_code": 200,
		"headers": {
			"Access-Control-Allow-Origin": ["https://app.example.com"],
			"Access-Control-Allow-Methods": ["GET, PUT"],
			"Access-Control-Allow-Headers": ["content-type, x-oss-date"],
			"Access-Control-Expose-Headers": ["ETag"],
			"Access-Control-Max-Age": ["600"],
			"X-Oss-Request-Id": ["59FC3349BC4D25C01C26CBA2"],
			"X-Oss-Server-Time": ["0"]
		}
	}`), 1)
	if bytes.Equal(static, config) {
		t.Fatalf("the static answer is not in %s", config)
	}
	if err := os.WriteFile(filepath.Join(dir, "caddy.json"), static, 0o666); err != nil {
		t.Fatal(err)
	}
}

const nginxRecipe = `daemon off;
user root;
worker_processes 1;
pid %[1]s/nginx.pid;
error_log stderr crit;
events {
	worker_connections 4096;
}
http {
	access_log off;
	keepalive_requests 100000000;
	sendfile on;
	client_body_temp_path %[1]s/body;
	proxy_temp_path %[1]s/proxy;
	fastcgi_temp_path %[1]s/fastcgi;
	uwsgi_temp_path %[1]s/uwsgi;
	scgi_temp_path %[1]s/scgi;
	map $http_origin $cors_origin {
		default "";
		https://app.example.com $http_origin;
	}
	server {
		listen 127.0.0.1:%[2]s;
		root %[1]s;
		location / {
			if ($request_method = OPTIONS) {
				add_header Access-Control-Allow-Origin $cors_origin always;
				add_header Access-Control-Allow-Methods "GET, PUT" always;
				add_header Access-Control-Allow-Headers "content-type, x-oss-date" always;
				add_header Access-Control-Expose-Headers ETag always;
				add_header Access-Control-Max-Age 600 always;
				return 204;
			}
		}
	}
}
`

const haproxyRecipe = `global
	nbthread 1
defaults
	mode http
	timeout client 60s
	timeout server 60s
	timeout connect 5s
	timeout http-keep-alive 60s
frontend cors
	bind 127.0.0.1:%s
	acl allowed req.hdr(Origin) -m str https://app.example.com
	http-request return status 204 hdr Access-Control-Allow-Origin "%%[req.hdr(Origin)]" hdr Access-Control-Allow-Methods "GET, PUT" hdr Access-Control-Allow-Headers "content-type, x-oss-date" hdr Access-Control-Expose-Headers ETag hdr Access-Control-Max-Age 600 if METH_OPTIONS allowed
	http-request deny
`

// startNginx runs nginx over a directory, and pins it to a core.
func startNginx(t *testing.T, dir, core string) (port string, pid int) {
	t.Helper()
	port = harness.FreePorts(t, 1)[0]
	config := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(config, fmt.Appendf(nil, nginxRecipe, dir, port), 0o666); err != nil {
		t.Fatal(err)
	}
	pid = harness.StartServer(t, port, "nginx", "-c", config, "-e", "stderr")
	pin(t, pid, core)
	return port, pid
}

// startPinnedCaddy runs a Caddy for measurements: with one core, and no more threads.
func startPinnedCaddy(t *testing.T, dir, config string, ports []string) *harness.Process {
	t.Helper()
	c := harness.StartCaddy(t, dir, config, []string{"GOMAXPROCS=1"}, ports)
	pin(t, c.Cmd.Process.Pid, serverCore)
	return c
}

// expectRecipe fails the test unless a server answers the preflight as the rule does.
func expectRecipe(t *testing.T, target benchTarget, headers int) {
	t.Helper()
	request, err := http.NewRequest(http.MethodOptions, target.url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range appPreflight {
		request.Header.Set(name, value)
	}
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	h := response.Header
	if h.Get("Access-Control-Allow-Origin") != recipeOrigin || h.Get("Access-Control-Allow-Methods") != recipeMethods ||
		h.Get("Access-Control-Allow-Headers") != recipeHeaders || h.Get("Access-Control-Max-Age") != "600" || h.Get("Access-Control-Expose-Headers") != "ETag" {
		t.Fatalf("%s: %s %v", target.name, response.Status, h)
	}
	if headers > 0 && len(h) != headers {
		t.Fatalf("%s: %d headers; want %d: %v", target.name, len(h), headers, h)
	}
}

// TestBenchPreflights writes the table of preflights a second.
func TestBenchPreflights(t *testing.T) {
	each := report.Duration(t, "BENCHTIME")
	report.RequirePrograms(t, "wrk", "taskset", "nginx", "haproxy")
	about := report.Machine(t, report.VersionOf(t, "nginx", "-v"), report.VersionOf(t, "haproxy", "-v"), report.VersionOf(t, "wrk", "-v"))
	dir, ports := t.TempDir(), harness.FreePorts(t, 4)
	for name, text := range map[string]string{
		"Caddyfile":   fmt.Sprintf(benchCaddyfile, ports[0], ports[1], ports[2]),
		"cors.xml":    harness.TestbedRules,
		"haproxy.cfg": fmt.Sprintf(haproxyRecipe, ports[3]),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	staticHeaders(t, dir)
	caddy := startPinnedCaddy(t, dir, "caddy.json", ports[:3]).Cmd.Process.Pid
	haproxy := harness.StartServer(t, ports[3], "haproxy", "-db", "-f", filepath.Join(dir, "haproxy.cfg"))
	pin(t, haproxy, serverCore)
	nginxPort, nginx := startNginx(t, dir, serverCore)
	url := func(port string) string { return "http://127.0.0.1:" + port + "/dir/k.txt" }
	targets := []benchTarget{
		{name: "`oss_cors`", pid: caddy, url: url(ports[0])},
		{name: "Caddy, a static answer with as many headers", pid: caddy, url: url(ports[1])},
		{name: "Caddy, `header` and `respond`, the same headers", pid: caddy, url: url(ports[2])},
		{name: "nginx, `map` and `add_header`", pid: nginx, url: url(nginxPort)},
		{name: "HAProxy, `http-request return`", pid: haproxy, url: url(ports[3])},
	}
	const ossHeaders = 10
	for _, target := range targets[:3] {
		expectRecipe(t, target, ossHeaders)
	}
	for _, target := range targets[3:] {
		expectRecipe(t, target, 0)
	}
	results := loader{http.MethodOptions, appPreflight, 32, each}.compare(t, benchRounds, targets)
	rows := [][]string{{"server", "preflights/s", "oss_cors / it", "CPU a preflight", "oss_cors / it"}}
	for i, target := range targets {
		rows = append(rows, []string{
			target.name,
			fmt.Sprintf("%.0f", results[i].perSecond.Median()),
			results[0].perSecond.Over(results[i].perSecond).Ratio(),
			fmt.Sprintf("%.1f µs", results[i].cpu.Median()),
			results[0].cpu.Over(results[i].cpu).Ratio(),
		})
	}
	report.WriteSection(t, "benchmarks.md", "preflights", about+"\n\n"+report.MarkdownTable(rows))
}
