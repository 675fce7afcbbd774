package test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestUnreachableRules pins what docs/troubleshooting.md says of a directory that cannot be
// read: one series tells it, and what it costs no counter counts.
func TestUnreachableRules(t *testing.T) {
	tb := startTestbed(t, testbedConfig{
		site:  "oss_cors {\n\trules directory buckets {\n\t\trefresh 50ms\n\t}\n\tbucket path\n}\nreverse_proxy {{origin}}\n",
		files: map[string]string{"buckets/loaded.xml": testbedRules},
	})
	ask := func(bucket string) answer {
		return tb.askOnce(t, "OPTIONS", "/"+bucket+"/k.txt", fromApp, forPut)
	}
	if a := ask("loaded"); a.StatusCode != 200 {
		t.Fatalf("%s %s", a.Status, a.body)
	}
	buckets := filepath.Join(tb.dir, "buckets")
	if err := os.Rename(buckets, buckets+".gone"); err != nil {
		t.Fatal(err)
	}

	before := tb.counts(t)
	if a := ask("another"); a.StatusCode != 503 || !strings.Contains(a.body, "The CORS rules of this bucket cannot be read") {
		t.Errorf("a preflight: %s %s", a.Status, a.body)
	}
	if a := tb.askOnce(t, "GET", "/another/k.txt", fromApp); a.StatusCode != 200 || accessControl(a.Header) != nil {
		t.Errorf("an actual request: %s %q", a.Status, accessControl(a.Header))
	}
	if a := ask("loaded"); a.StatusCode != 200 {
		t.Errorf("a bucket that was loaded: %s %s", a.Status, a.body)
	}
	tb.expectCounts(t, before, hitsApp)
	const series = `caddy_oss_cors_rules_last_load_successful{ruleset="_other"} `
	if all := get(t, tb.metrics); !strings.Contains(all, series+"0\n") {
		t.Errorf("there is no %s0 in\n%s", series, all)
	}

	if err := os.Rename(buckets+".gone", buckets); err != nil {
		t.Fatal(err)
	}
	if a := ask("another"); a.StatusCode != 403 {
		t.Errorf("a preflight after the trouble: %s %s", a.Status, a.body)
	}
	waitUntil(t, series+"1", func() bool { // when no read has failed for as long as refresh
		ask("another")
		return strings.Contains(get(t, tb.metrics), series+"1\n")
	})
}
