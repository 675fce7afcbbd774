package osscors

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	_ "github.com/caddyserver/caddy/v2/modules/standard"
)

// Every Caddyfile in the README adapts, and without a warning: none is unformatted.
func TestREADMECaddyfiles(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```caddyfile\n(.*?)```").FindAllSubmatch(readme, -1)
	if len(blocks) < 2 {
		t.Fatalf("found %d Caddyfiles", len(blocks))
	}
	for _, block := range blocks {
		_, warnings, err := caddyconfig.GetAdapter("caddyfile").Adapt(block[1], nil)
		if err != nil || len(warnings) > 0 {
			t.Errorf("%v %v in:\n%s", err, warnings, block[1])
		}
	}
}

// What the README shows of caddy oss-cors explain is what it prints of the README's rules.
func TestREADMEExplain(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	rules := regexp.MustCompile("(?s)```xml\n(.*?)```").FindSubmatch(readme)
	shown := regexp.MustCompile(`(?s)\$ caddy (oss-cors explain [^\n]*)\n(.*?)…\n`).FindSubmatch(readme)
	if rules == nil || shown == nil {
		t.Fatal("the README shows no rules or no explanation")
	}
	file := filepath.Join(t.TempDir(), "cors.xml")
	write(t, file, string(rules[1]))
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, strings.Fields(string(shown[1]))...)
	cmd.Dir = filepath.Dir(file)
	cmd.Env = append(os.Environ(), asCaddy+"=1")
	printed, _ := cmd.Output() // it exits with 1, for a denial
	if !strings.HasPrefix(string(printed), string(shown[2])) {
		t.Errorf("printed:\n%s\nshown:\n%s", printed, shown[2])
	}
}
