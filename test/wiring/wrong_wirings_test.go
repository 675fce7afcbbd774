package wiring

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/harness"
)

const (
	wiringRules  = "oss_cors {\n\trules file cors.xml\n\tname testbed\n}\n"
	wiringHeader = "header >Access-Control-Allow-Origin *\n" // as soon as a block of header deletes anything, all of it is as late
)

// TestWrongWirings pins what two wirings do that Caddy permits and that leak
// Access-Control headers to everyone, and that what docs/configuration.md tells people to do
// instead cures them. A leak that is gone here would be good news, and a reason to change that
// page. TestWiring, next to the handler, has more wirings, and those that are safe.
func TestWrongWirings(t *testing.T) {
	fails := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		panic(http.ErrAbortHandler) // the proxy answers 502
	})
	for _, c := range []struct {
		desc    string
		site    string
		origin  http.Handler
		status  int
		leaks   bool
		because string // docs/configuration.md says
	}{
		{desc: "header around a handle", leaks: true, status: 200,
			site:    wiringHeader + "handle {\n" + wiringRules + "reverse_proxy {{origin}}\n}\n",
			because: "A deferred `header >Access-Control-Allow-Origin …` at the site's level, around a `handle` that holds `oss_cors`, runs after `oss_cors` and adds the header for denied origins too."},
		{desc: "header around a handle, oss_cors at the site's level too", status: 200,
			site:    wiringRules + wiringHeader + "handle {\n" + wiringRules + "reverse_proxy {{origin}}\n}\n",
			because: "Remove it, or put `oss_cors` at the site's level as well."},
		{desc: "header within handle_errors", leaks: true, status: 502, origin: fails,
			site:    wiringRules + "reverse_proxy {{origin}}\nhandle_errors {\n" + wiringHeader + "respond failed\n}\n",
			because: "`header Access-Control-…` inside `handle_errors` runs after `oss_cors` has finished."},
		{desc: "header within handle_errors, oss_cors there too", status: 502, origin: fails,
			site:    wiringRules + "reverse_proxy {{origin}}\nhandle_errors {\n" + wiringRules + wiringHeader + "respond failed\n}\n",
			because: "Put `oss_cors` inside `handle_errors` as well: it applies the decision that was already made, and counts nothing twice."},
	} {
		t.Run(c.desc, func(t *testing.T) {
			if !documentSays(t, "docs/configuration.md", c.because) {
				t.Errorf("docs/configuration.md does not say: %s", c.because)
			}
			tb := harness.StartTestbed(t, harness.TestbedConfig{Site: c.site, Origin: c.origin})
			before := tb.Counts(t)
			denied := tb.Exchange(t, "GET", "/", "Origin: https://evil.example")
			want := []string(nil)
			if c.leaks {
				want = []string{"Allow-Origin: *"}
			}
			if got := harness.AccessControl(denied.Header); denied.StatusCode != c.status || !slices.Equal(got, want) {
				t.Errorf("a denied origin: %s %q; want %q", denied.Status, got, want)
			}
			allowed := tb.Exchange(t, "GET", "/", harness.FromApp)
			want = slices.DeleteFunc(slices.Clone(harness.GoodPreflightHeaders), func(line string) bool { return strings.HasPrefix(line, "Allow-Headers") })
			if c.leaks {
				want[slices.Index(want, "Allow-Origin: https://app.example.com")] = "Allow-Origin: *"
			}
			if got := harness.AccessControl(allowed.Header); allowed.StatusCode != c.status || !slices.Equal(got, want) {
				t.Errorf("an allowed origin: %s %q; want %q", allowed.Status, got, want)
			}
			tb.ExpectCounts(t, before, "denied actual origin", "rule_hits actual app")
		})
	}
}

// documentSays reports whether a document has a text, however its lines are broken.
func documentSays(t *testing.T, document, text string) bool {
	t.Helper()
	return strings.Contains(strings.Join(strings.Fields(harness.ReadRepo(t, document)), " "), text)
}
