package harness

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
)

// Testbed is a Caddy for a test to attack: oss_cors above a proxied origin server, and the
// metrics and the admin endpoint on ports of their own.
type Testbed struct {
	*Process
	Addr    string // host:port of the site
	Metrics string // URL of the metrics
	Admin   string // URL of the admin endpoint
	Dir     string // of the Caddyfile and cors.xml
	Origin  *SpyOrigin
}

// TestbedConfig is the part of a testbed that tests choose.
type TestbedConfig struct {
	Rules  string       // cors.xml; empty: TestbedRules
	Site   string       // the site's block; empty: TestbedSite. {{origin}} is the origin server's address
	Global string       // more global options
	Origin http.Handler // empty: answers 200 to everything
	Files  map[string]string
	Binary string // empty: the Caddy that is tested
}

// TestbedRules are the rules of a testbed whose test has none of its own.
const TestbedRules = `<CORSConfiguration>
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

// TestbedSite is the site of a testbed whose test has none of its own.
const TestbedSite = `oss_cors {
	rules file cors.xml
	name testbed
}
reverse_proxy {{origin}}
`

// By default Caddy reads headers of up to 16 KB. With 1 MB, longer headers reach the module's
// own bounds. The timeouts end what slow clients hold: by default a header may take a minute,
// and a body for ever.
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

// StartTestbed starts a Caddy and its origin server. They are stopped when the test ends.
func StartTestbed(t *testing.T, config TestbedConfig) *Testbed {
	t.Helper()
	if config.Rules == "" {
		config.Rules = TestbedRules
	}
	if config.Site == "" {
		config.Site = TestbedSite
	}
	ports := FreePorts(t, 3)
	tb := &Testbed{
		Admin:   "http://127.0.0.1:" + ports[0],
		Metrics: "http://127.0.0.1:" + ports[1] + "/metrics",
		Addr:    "127.0.0.1:" + ports[2],
		Dir:     t.TempDir(),
		Origin:  NewSpyOrigin(t, config.Origin),
	}
	site := strings.ReplaceAll(config.Site, "{{origin}}", tb.Origin.Addr)
	caddyfile := fmt.Sprintf(testbedCaddyfile, ports[0], config.Global, ports[1], ports[2], site)
	tb.Write(t, "Caddyfile", caddyfile)
	tb.Write(t, "cors.xml", config.Rules)
	for name, content := range config.Files {
		tb.Write(t, name, content)
	}
	if config.Binary == "" {
		config.Binary = CaddyBinary(t)
	}
	tb.Process = StartBinary(t, config.Binary, tb.Dir, "Caddyfile", nil, ports)
	return tb
}

// Write writes a file into the testbed's directory.
func (tb *Testbed) Write(t *testing.T, name, content string) {
	t.Helper()
	WriteFile(t, filepath.Join(tb.Dir, name), content)
}
