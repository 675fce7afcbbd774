package browsers

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/harness"
)

// consoleCases are the ways in which a request fails, and what the browsers' consoles print.
// The words are those of the rows of docs/troubleshooting.md.
var consoleCases = []struct {
	desc string
	page string // the page that sends it; default: app, whose origin the rules allow
	// A script that sends a request to URL. Each case has a path of its own, which the
	// console prints.
	path, script      string
	chromium, firefox []string // none: the request does not fail
}{
	{
		desc: "a preflight is denied for its method", path: "/rules/method", script: `fetch(URL, {method: "DELETE"})`,
		chromium: []string{"Response to preflight request doesn't pass access control check: No 'Access-Control-Allow-Origin' header is present on the requested resource."},
		firefox:  []string{"(Reason: CORS header ‘Access-Control-Allow-Origin’ missing). Status code: 403."},
	},
	{
		desc: "a preflight is denied for a header", path: "/rules/header", script: `fetch(URL, {headers: {"x-foo": "1"}})`,
		chromium: []string{"Response to preflight request doesn't pass access control check: No 'Access-Control-Allow-Origin' header is present on the requested resource."},
		firefox:  []string{"(Reason: CORS header ‘Access-Control-Allow-Origin’ missing). Status code: 403."},
	},
	{
		desc: "a preflight is denied for its origin", page: "other", path: "/rules/origin", script: `fetch(URL, {method: "PUT"})`,
		chromium: []string{"Response to preflight request doesn't pass access control check: No 'Access-Control-Allow-Origin' header is present on the requested resource."},
		firefox:  []string{"(Reason: CORS header ‘Access-Control-Allow-Origin’ missing). Status code: 403."},
	},
	{
		desc: "an actual request is denied", page: "other", path: "/rules/actual", script: `fetch(URL)`,
		chromium: []string{"blocked by CORS policy: No 'Access-Control-Allow-Origin' header is present on the requested resource."},
		firefox:  []string{"(Reason: CORS header ‘Access-Control-Allow-Origin’ missing). Status code: 200."},
	},
	{
		desc: "debug_preflights: the header", path: "/debug/header", script: `fetch(URL, {headers: {"x-foo": "1", "content-type": "application/json"}})`,
		chromium: []string{"Request header field x-foo is not allowed by Access-Control-Allow-Headers in preflight response."},
		firefox:  []string{"(Reason: header ‘x-foo’ is not allowed according to header ‘Access-Control-Allow-Headers’ from CORS preflight response)."},
	},
	{
		desc: "debug_preflights: the method", path: "/debug/method", script: `fetch(URL, {method: "DELETE"})`,
		chromium: []string{"Method DELETE is not allowed by Access-Control-Allow-Methods in preflight response."},
		firefox:  []string{"(Reason: Did not find method in CORS header ‘Access-Control-Allow-Methods’)."},
	},
	{
		desc: "a login page redirects the preflight", path: "/login/redirect", script: `fetch(URL, {method: "PUT"})`,
		chromium: []string{"Response to preflight request doesn't pass access control check: Redirect is not allowed for a preflight request."},
		firefox:  []string{"(Reason: CORS header ‘Access-Control-Allow-Origin’ missing). Status code: 302."},
	},
	{
		desc: "an image is cached without CORS headers", path: "/open/cached", script: imageFirst,
		chromium: []string{"blocked by CORS policy: No 'Access-Control-Allow-Origin' header is present on the requested resource."},
	},
	{
		desc: "cookies, and the rule has a lone *", path: "/open/cookies", script: `fetch(URL, {credentials: "include"})`,
		chromium: []string{"The value of the 'Access-Control-Allow-Origin' header in the response must not be the wildcard '*' when the request's credentials mode is 'include'."},
		firefox:  []string{"(Reason: Credential is not supported if the CORS header ‘Access-Control-Allow-Origin’ is ‘*’)."},
	},
	{
		desc: "cookies, and the rule names the origin", path: "/rules/cookies", script: `fetch(URL, {credentials: "include"})`,
		chromium: []string{"The value of the 'Access-Control-Allow-Credentials' header in the response is '' which must be 'true' when the request's credentials mode is 'include'."},
		firefox:  []string{"(Reason: expected ‘true’ in CORS header ‘Access-Control-Allow-Credentials’)."},
	},
	{
		desc: "two values of Access-Control-Allow-Origin", path: "/twice/values", script: `fetch(URL)`,
		chromium: []string{"The 'Access-Control-Allow-Origin' header contains multiple values"},
		firefox:  []string{"(Reason: Multiple CORS header ‘Access-Control-Allow-Origin’ not allowed)."},
	},
	{
		desc: "a secure page requests an insecure resource", page: "secure", path: "/mixed", script: `fetch("http://plain.example/mixed")`,
		chromium: []string{"Mixed Content: The page at", "This request has been blocked; the content must be served over HTTPS."},
		firefox:  []string{"Blocked loading mixed active content"},
	},
}

// imageFirst shows an image, and then fetches the same URL.
const imageFirst = `new Promise((done, failed) => {
	const image = new Image();
	image.onload = done;
	image.onerror = () => failed(new Error("no image"));
	image.src = URL;
}).then(() => fetch(URL))`

// TestConsole produces every failure that docs/troubleshooting.md explains, in both browsers,
// and holds its words against what their consoles print.
func TestConsole(t *testing.T) {
	troubleshooting, err := os.ReadFile(filepath.Join(harness.RepoRoot, "docs/troubleshooting.md"))
	if err != nil {
		t.Fatal(err)
	}
	w := startConsoleWorld(t)
	for _, browser := range []struct {
		name string
		open func(*testing.T) matrixBrowser
	}{
		{"Chromium", openChromium},
		{"Firefox", openFirefox},
	} {
		t.Run(browser.name, func(t *testing.T) {
			b := browser.open(t)
			for _, c := range consoleCases {
				words := c.chromium
				if browser.name == "Firefox" {
					words = c.firefox
				}
				want := "TypeError"
				if words == nil {
					want = "200"
				}
				if got := w.run(t, b, c.page, c.path, c.script); got != want {
					t.Errorf("%s: the script got %q; want %s", c.desc, got, want)
				}
				for _, text := range words {
					if line, ok := printed(b, c.path, text); !ok {
						t.Errorf("%s: the console prints %q; want %q", c.desc, line, text)
					}
					if !strings.Contains(string(troubleshooting), text) {
						t.Errorf("%s: docs/troubleshooting.md does not have %q", c.desc, text)
					}
				}
			}
		})
	}
}

// TestCachedImage: without Vary: Origin a browser gives the response to an <img> to a fetch,
// even if the rule has a lone *. With response_vary it does not.
func TestCachedImage(t *testing.T) {
	w := startConsoleWorld(t)
	b := openChromium(t)
	for _, test := range []struct{ path, want string }{
		{"/open/image", "TypeError"},
		{"/vary/image", "200"},
	} {
		if got := w.run(t, b, "", test.path, imageFirst); got != test.want {
			t.Errorf("%s: %s; want %s", test.path, got, test.want)
		}
	}
}

// TestSameOriginOptions: an OPTIONS request of a page to its own site reaches the origin
// server. From another origin a preflight comes first, and is denied; an OPTIONS request
// that is not from a browser is a broken preflight.
func TestSameOriginOptions(t *testing.T) {
	w := startConsoleWorld(t)
	for _, open := range []func(*testing.T) matrixBrowser{openChromium, openFirefox} {
		b := open(t)
		for _, test := range []struct{ page, want string }{{"api", "204 1, 2"}, {"app", "TypeError"}} {
			got := w.run(t, b, test.page, "/dav/k",
				`fetch(URL, {method: "OPTIONS"}).then((r) => ({status: r.status + " " + r.headers.get("DAV")}))`)
			if got != test.want {
				t.Errorf("from %s: %q; want %q", test.page, got, test.want)
			}
		}
	}
	r, err := http.NewRequest(http.MethodOptions, w.api+"/dav/k", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.URL.Host = strings.Replace(r.URL.Host, "api.localhost", "127.0.0.1", 1)
	r.Header.Set("Origin", w.pages["app"])
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusBadRequest {
		t.Errorf("OPTIONS from another origin: %s; want 400", response.Status)
	}
}

// consoleWorld is pages, and a Caddy that they send requests to.
type consoleWorld struct {
	api   string // its origin
	pages map[string]string
}

func startConsoleWorld(t *testing.T) *consoleWorld {
	t.Helper()
	page := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, `<!doctype html><link rel=icon href="data:,">`)
	})
	plain, secure := httptest.NewServer(page), httptest.NewTLSServer(page)
	t.Cleanup(plain.Close)
	t.Cleanup(secure.Close)
	port := func(s *httptest.Server) string { return s.URL[strings.LastIndexByte(s.URL, ':')+1:] }
	ports := harness.FreePorts(t, 1)
	words := strings.NewReplacer("API_PORT", ports[0], "PAGE_PORT", port(plain))
	dir := t.TempDir()
	files, err := filepath.Glob("testdata/console/*")
	if err != nil || len(files) == 0 {
		t.Fatalf("testdata/console: %d files, %v", len(files), err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		harness.WriteFile(t, filepath.Join(dir, filepath.Base(file)), words.Replace(string(content)))
	}
	harness.StartCaddy(t, dir, "Caddyfile", nil, ports)
	w := &consoleWorld{api: "http://api.localhost:" + ports[0]}
	w.pages = map[string]string{
		"app":    "http://app.localhost:" + port(plain),
		"other":  "http://other.localhost:" + port(plain),
		"secure": "https://secure.localhost:" + port(secure),
		"api":    w.api,
	}
	return w
}

// run lets a page run a script that sends a request to a path, and returns the status that the
// page sees or the name of the error.
func (w *consoleWorld) run(t *testing.T, b matrixBrowser, page, path, script string) string {
	t.Helper()
	if page == "" {
		page = "app"
	}
	if err := b.navigate(w.pages[page] + "/page"); err != nil {
		t.Fatalf("opening %s: %v", page, err)
	}
	script = strings.ReplaceAll(script, "URL", "'"+w.api+path+"'")
	got, err := b.evaluate("(" + script + ").then((r) => '' + r.status, (e) => e.name)")
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return got
}

// printed waits until the console prints a line with a path and a text; otherwise it returns
// what is printed of the path.
func printed(b matrixBrowser, path, text string) (lines []string, ok bool) {
	for deadline := time.Now().Add(harness.Patience); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		lines = nil
		for _, line := range b.console() {
			if strings.Contains(line, path) {
				lines = append(lines, line)
				ok = ok || strings.Contains(line, text)
			}
		}
		if ok {
			return lines, true
		}
	}
	return lines, false
}
