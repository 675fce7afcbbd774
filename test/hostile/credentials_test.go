package hostile

import (
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/harness"
)

// CVE-2018-20744: rs/cors answered "any origin" with the origin of the request, and with
// credentials. This module answers a lone * with a literal *, and refuses it together with
// allow_credentials, at the start and later.
func TestCVE_2018_20744_wildcardReflected(t *testing.T) {
	tb := harness.StartTestbed(t, harness.TestbedConfig{Rules: rulesFor(false, "*")})
	for _, origin := range []string{"https://evil.example", "null", "*"} {
		for _, a := range []harness.RawResponse{tb.Exchange(t, "GET", "/", "Origin: "+origin, "Cookie: session=1"), tb.Exchange(t, "OPTIONS", "/", "Origin: "+origin, forGet)} {
			if got := harness.AccessControl(a.Header); !slices.Contains(got, "Allow-Origin: *") || strings.Contains(strings.Join(got, " "), "Credentials") {
				t.Errorf("from %s: %q", origin, got)
			}
		}
	}
	for _, origin := range []string{"*", "https://*", "http*://example.com", "https://*example.com", "https://*.com", "https://example.*", "null", "NULL", "www.example.com", "*://app.example.com", "https://*.vercel.app", "https://*.co.uk"} {
		t.Run(origin, func(t *testing.T) {
			refusesStart(t, rulesFor(false, "https://app.example.com", origin), "is not allowed with allow_credentials")
		})
	}
}

// refusesStart fails the test unless Caddy finds a configuration with these rules and
// allow_credentials invalid, and says why.
func refusesStart(t *testing.T, rules, why string) {
	t.Helper()
	dir := t.TempDir()
	caddyfile := "{\n\tadmin off\n}\n\nhttp://:0 {\n\toss_cors {\n\t\trules file cors.xml\n\t\tallow_credentials\n\t}\n}\n"
	for name, content := range map[string]string{"Caddyfile": caddyfile, "cors.xml": rules} {
		harness.WriteFile(t, filepath.Join(dir, name), content)
	}
	cmd := exec.Command(harness.CaddyBinary(t), "validate", "--config", "Caddyfile")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), why) {
		t.Errorf("%v, without %q:\n%s", err, why, out)
	}
}

// CVE-2024-25124: Fiber sent Access-Control-Allow-Credentials: true together with a *. This
// module never does: not by its rules, not by rules that are edited while Caddy runs, and not
// with headers of the origin server.
func TestCVE_2024_25124_wildcardWithCredentials(t *testing.T) {
	tb := harness.StartTestbed(t, harness.TestbedConfig{
		Rules: rulesFor(false, "https://app.example.com", "https://*.example.com"),
		Site:  "oss_cors {\n\trules file cors.xml {\n\t\trefresh 20ms\n\t}\n\tallow_credentials\n}\nreverse_proxy {{origin}}\n",
		Origin: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Access-Control-Allow-Origin", "*")
			w.Header().Set("Access-Control-Allow-Credentials", "true")
		}),
	})
	ask := func(origin string) []string {
		return harness.AccessControl(tb.Exchange(t, "GET", "/", "Origin: "+origin).Header)
	}
	expect := func(when string) {
		t.Helper()
		for _, origin := range []string{"https://app.example.com", "https://x.example.com"} {
			want := []string{"Allow-Credentials: true", "Allow-Methods: GET, PUT", "Allow-Origin: " + origin, "Expose-Headers: ETag"}
			if got := ask(origin); !slices.Equal(got, want) {
				t.Errorf("%s, from %s: %q", when, origin, got)
			}
		}
		for _, origin := range []string{"https://evil.example", "null"} {
			if got := ask(origin); len(got) > 0 {
				t.Errorf("%s, from %s: %q", when, origin, got)
			}
		}
	}
	expect("at the start")
	tb.Write(t, "cors.xml", rulesFor(false, "*"))
	harness.WaitUntil(t, "the edited rules are refused", func() bool {
		return strings.Contains(harness.Get(t, tb.Metrics), `rules_last_load_successful{ruleset="cors.xml"} 0`)
	})
	expect("after a bad edit")
}
