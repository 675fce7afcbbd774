package clients

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/harness"
)

// The script of docs/ask-a-real-bucket.md runs as it stands there, and what it says this project
// answers is what this project answers.
func TestAskARealBucket(t *testing.T) {
	page := harness.ReadRepo(t, "docs/ask-a-real-bucket.md")
	_, script, _ := strings.Cut(page, "```sh\nset -eu\n")
	script, _, closed := strings.Cut(script, "```")
	if !closed {
		t.Fatal("docs/ask-a-real-bucket.md has no script")
	}
	p := harness.StartAPIProxy(t, harness.APIOptions{})
	file := filepath.Join(t.TempDir(), "ask-a-real-bucket.sh")
	harness.WriteFile(t, file, "set -eu\n"+script)

	cmd := exec.Command("sh", file)
	cmd.Env = append(os.Environ(),
		"OSS_URL=http://127.0.0.1:"+p.Path+"/"+harness.APIBucket, "OSS_BUCKET="+harness.APIBucket,
		"OSS_ACCESS_KEY_ID="+harness.APIKey, "OSS_ACCESS_KEY_SECRET="+harness.APISecret,
		"OSS_WAIT=0.2") // more than refresh
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v:\n%s", err, out)
	}
	if n := strings.Count(string(out), "\nsame "); n < 60 {
		t.Errorf("%d questions were answered as the page says:\n%s", n, out)
	}
	if strings.Contains(string(out), harness.APISecret) {
		t.Error("the output has the secret")
	}
}
