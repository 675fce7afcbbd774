package wiring

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/harness"
)

// TestUnreachableRules pins what docs/troubleshooting.md says of a directory that cannot be
// read: a series shows it, and the requests that it affects are counted as denied.
func TestUnreachableRules(t *testing.T) {
	tb := harness.StartTestbed(t, harness.TestbedConfig{
		Site:  "oss_cors {\n\trules directory buckets {\n\t\trefresh 50ms\n\t}\n\tbucket path\n}\nreverse_proxy {{origin}}\n",
		Files: map[string]string{"buckets/loaded.xml": harness.TestbedRules},
	})
	ask := func(bucket string) harness.RawResponse {
		return tb.Exchange(t, "OPTIONS", "/"+bucket+"/k.txt", harness.FromApp, harness.ForPut)
	}
	if a := ask("loaded"); a.StatusCode != 200 {
		t.Fatalf("%s %s", a.Status, a.Text)
	}
	buckets := filepath.Join(tb.Dir, "buckets")
	if err := os.Rename(buckets, buckets+".gone"); err != nil {
		t.Fatal(err)
	}

	before := tb.Counts(t)
	if a := ask("another"); a.StatusCode != 503 || !strings.Contains(a.Text, "The CORS rules of this bucket cannot be read") {
		t.Errorf("a preflight: %s %s", a.Status, a.Text)
	}
	if a := tb.Exchange(t, "GET", "/another/k.txt", harness.FromApp); a.StatusCode != 200 || harness.AccessControl(a.Header) != nil {
		t.Errorf("an actual request: %s %q", a.Status, harness.AccessControl(a.Header))
	}
	if a := ask("loaded"); a.StatusCode != 200 {
		t.Errorf("a bucket that was loaded: %s %s", a.Status, a.Text)
	}
	tb.ExpectCounts(t, before, "denied preflight rules_unavailable", "denied actual rules_unavailable", harness.HitsApp)
	const series = `caddy_oss_cors_rules_last_load_successful{ruleset="_other"} `
	if all := harness.Get(t, tb.Metrics); !strings.Contains(all, series+"0\n") {
		t.Errorf("there is no %s0 in\n%s", series, all)
	}

	if err := os.Rename(buckets+".gone", buckets); err != nil {
		t.Fatal(err)
	}
	// The failure is remembered for half of refresh.
	harness.WaitUntil(t, "a preflight gets 403 after the trouble", func() bool { return ask("another").StatusCode == 403 })
	harness.WaitUntil(t, series+"1", func() bool { // when no read has failed for as long as refresh
		ask("another")
		return strings.Contains(harness.Get(t, tb.Metrics), series+"1\n")
	})
}
