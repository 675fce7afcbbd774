package clients

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/harness"
)

// TestOssutilWritesRules pins what docs/migration.md says of the file in which ossutil keeps
// a bucket's rules: it is a valid rules file.
func TestOssutilWritesRules(t *testing.T) {
	p := harness.StartAPIProxy(t, harness.APIOptions{})
	config := apiClientConfig{style: "path", port: p.Path, v4: true, id: harness.APIKey, secret: harness.APISecret, bucket: harness.APIBucket}
	rules := []ruleFields{
		{Origins: []string{"https://app.example.com"}, Methods: []string{"PUT"}, Headers: []string{"x-oss-*"}, Expose: []string{"ETag"}, MaxAge: new(300)},
		{Origins: []string{"https://*.preview.example.com"}, Methods: []string{"GET"}},
	}
	if err := newSDKv2(t, config).put(rules, true); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "cors.xml")
	printed, err := newOssutil(t, config).(*ossutilClient).cors("get", file)
	if err != nil || strings.Contains(string(printed), "CORSRule") {
		t.Fatalf("%v, and it prints %s", err, printed)
	}
	if out, err := exec.Command(harness.CaddyBinary(t), "oss-cors", "lint", file).CombinedOutput(); err != nil {
		t.Errorf("lint: %v\n%s", err, out)
	}
	out, err := exec.Command(harness.CaddyBinary(t), "oss-cors", "explain", "--rules", file,
		"--origin", "https://app.example.com", "--method", "PUT", "--headers", "x-oss-date").CombinedOutput()
	for _, line := range []string{"Access-Control-Max-Age: 300\n", "Vary: Origin\n"} {
		if err != nil || !strings.Contains(string(out), line) {
			t.Errorf("explain: %v, without %q in\n%s", err, line, out)
		}
	}
	// The second rule has none.
	written, err := os.ReadFile(file)
	if err != nil || !strings.Contains(string(written), "<MaxAgeSeconds>0</MaxAgeSeconds>") {
		t.Errorf("%v, and ossutil writes\n%s", err, written)
	}
}
