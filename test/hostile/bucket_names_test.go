package hostile

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/harness"
)

// TestHostileBucketNames requests buckets by names that would leave the directory of the
// rules, in every way that a path allows. None is a bucket's name, so no file is read: each
// is answered as a bucket without rules.
func TestHostileBucketNames(t *testing.T) {
	tb := harness.StartTestbed(t, harness.TestbedConfig{Site: "oss_cors {\n\trules directory rules\n\tbucket path\n}\nreverse_proxy {{origin}}\n"})
	all := rulesFor(false, "*")
	if err := os.MkdirAll(filepath.Join(tb.Dir, "rules/sub"), 0o777); err != nil {
		t.Fatal(err)
	}
	tb.Write(t, "rules/bucket.xml", all)
	tb.Write(t, "rules/sub/inner.xml", all)
	tb.Write(t, "secret.xml", all) // next to the directory, as cors.xml is
	tb.Write(t, "rules/.xml", all)
	tb.Write(t, "rules/...xml", all)
	tb.Write(t, "rules/BUCKET.xml", all)

	if a := tb.Exchange(t, "OPTIONS", "/bucket/k.txt", fromApp, forGet); a.StatusCode != 200 {
		t.Fatalf("a bucket that has rules: %s", a.Status)
	}
	before := tb.Counts(t)
	var counts []string
	for _, path := range []string{
		"/../secret/k", "/..%2fsecret/k", "/%2e%2e%2fsecret/k", "/%2e%2e/secret/k", "/..%5csecret/k", "/..\\secret/k",
		"/bucket/../secret/k", "/./bucket/k", "/bucket/./k", "/bucket/%2e%2e/k", "/bucket%2f..%2f..%2fsecret/k",
		"/sub%2finner/k", "/sub/inner", "//bucket/k", "/", "/..", "/.", "/../..", "/%00/k", "/bucket%00/k", "/bucket%2exml/k",
		"/BUCKET/k", "/b\xc3\xbccket/k", "/" + strings.Repeat("b", 64) + "/k", "/" + strings.Repeat("b", 10_000), "/-bucket/k", "/bucket-/k", "/cors/k", "/secret/k",
		"/*/k", "/bucke?/k", "/file:%2f%2f%2fetc%2fpasswd/k", "/con/k", "/bucket.xml/k", "/{env.HOME}/k", "/{http.request.header.X}/k",
	} {
		if a := tb.Exchange(t, "OPTIONS", path, fromApp, forGet, "X: bucket"); a.StatusCode != 403 || !strings.Contains(a.Text, "not enabled") {
			t.Errorf("%.80s: %s", path, a.Status)
		}
		counts = append(counts, "denied preflight no_rules")
	}
	tb.ExpectCounts(t, before, counts...)
	if log := tb.Log.String(); strings.Contains(log, `"level":"error"`) {
		t.Errorf("errors in the log:\n%s", strings.Join(slices.DeleteFunc(strings.Split(log, "\n"), func(line string) bool { return !strings.Contains(line, `"error"`) }), "\n"))
	}
}
