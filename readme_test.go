package osscors

import (
	"os"
	"regexp"
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
