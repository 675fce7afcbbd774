package browsers

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/harness"
)

// newcomersAPI is what runs on port 3000 in README.md: it knows nothing of CORS, and records
// what reaches it.
type newcomersAPI struct {
	mu       sync.Mutex
	requests []string
}

func (a *newcomersAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.requests = append(a.requests, r.Method+" "+r.URL.Path+" "+string(body))
	_, _ = io.WriteString(w, "changed")
}

// readmeCaddyfile is the first Caddyfile of README.md, with nothing replaced but the three names
// that a reader replaces: the site's, the app's and the API's.
func readmeCaddyfile(t *testing.T, site, app, api string) string {
	t.Helper()
	_, text, _ := strings.Cut(harness.ReadRepo(t, "README.md"), "```caddyfile\n")
	text, _, _ = strings.Cut(text, "```")
	for shown, mine := range map[string]string{"api.example.com {": site + " {", "https://app.example.com": app, "127.0.0.1:3000": api} {
		if strings.Count(text, shown) != 1 {
			t.Fatalf("README.md's first Caddyfile does not have one %q:\n%s", shown, text)
		}
		text = strings.Replace(text, shown, mine, 1)
	}
	return text
}

// A newcomer with an API and one app gets from nothing to an allowed PATCH, in a browser, by
// README.md's first example alone, and is told what to add for a DELETE.
func TestNewcomer(t *testing.T) {
	api := new(newcomersAPI)
	server := httptest.NewServer(api)
	defer server.Close()
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, "<!doctype html><title>The app</title>")
	}))
	defer page.Close()
	_, pagePort, _ := strings.Cut(page.Listener.Addr().String(), ":")
	port := harness.FreePorts(t, 1)[0]
	site, app := "http://api.localhost:"+port, "http://app.localhost:"+pagePort

	dir := t.TempDir()
	run := func(args ...string) (output string, err error) {
		cmd := exec.Command(harness.CaddyBinary(t), args...)
		cmd.Dir = dir
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		err = cmd.Run()
		t.Logf("$ caddy %s\n%s", strings.Join(args, " "), out.String())
		return out.String(), err
	}
	if out, err := run("list-modules"); err != nil || !strings.Contains(out, "http.handlers.oss_cors") {
		t.Fatal("Caddy does not have the module")
	}
	caddyfile := readmeCaddyfile(t, site, app, server.Listener.Addr().String())
	harness.WriteFile(t, filepath.Join(dir, "Caddyfile"), caddyfile)
	t.Logf("the Caddyfile:\n%s", caddyfile)
	if out, err := run("fmt", "--diff", "Caddyfile"); err != nil {
		t.Errorf("caddy fmt: %v\n%s", err, out)
	}
	if out, err := run("oss-cors", "lint", "Caddyfile"); err != nil {
		t.Errorf("lint: %v\n%s", err, out)
	}
	// What a machine of many tests needs, and no newcomer.
	harness.WriteFile(t, filepath.Join(dir, "Caddyfile"), "{\n\tadmin off\n\tdefault_bind 127.0.0.1\n}\n\n"+caddyfile)
	harness.StartCaddy(t, dir, "Caddyfile", nil, []string{port})

	tab := harness.NewTab(t)
	if err := chromedp.Run(tab, chromedp.Navigate(app)); err != nil {
		t.Fatal(err)
	}
	if got := fetch(t, tab, "PATCH", site+"/items/1"); got != "200 changed" {
		t.Errorf("PATCH: %s", got)
	}
	if got := fetch(t, tab, "DELETE", site+"/items/1"); got != "TypeError: Failed to fetch" {
		t.Errorf("DELETE, which the rule does not allow: %s", got)
	}
	api.mu.Lock()
	if got, want := fmt.Sprint(api.requests), `[PATCH /items/1 {"a":1}]`; got != want {
		t.Errorf("the API got %s; want %s: no preflight, and nothing that was denied", got, want)
	}
	api.mu.Unlock()

	out, err := run("oss-cors", "explain", "--rules", "Caddyfile", "--origin", app, "--method", "DELETE", "--headers", "content-type")
	if err == nil || !strings.Contains(out, `To allow it, add "method DELETE" to rule 1.`) {
		t.Errorf("explain does not say what to add: %v\n%s", err, out)
	}
}

// fetch sends JSON from the page that is open, and returns the status and the body, or the error
// that a script gets.
func fetch(t *testing.T, tab context.Context, method, url string) (result string) {
	t.Helper()
	script := fmt.Sprintf(`fetch(%q, {method: %q, headers: {'Content-Type': 'application/json'}, body: '{"a":1}'}).then(
		async (r) => r.status + ' ' + await r.text(), (error) => String(error))`, url, method)
	err := chromedp.Run(tab, chromedp.Evaluate(script, &result,
		func(call *runtime.EvaluateParams) *runtime.EvaluateParams { return call.WithAwaitPromise(true) }))
	if err != nil {
		t.Fatal(err)
	}
	return result
}
