package wiring

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/harness"
)

const modulePath = "github.com/caddy-oss-cors/caddy-oss-cors"

// TestXcaddy builds a Caddy as users do, at the oldest version that the module supports, and
// tests it. "make e2e-xcaddy" runs all other tests with such a binary.
func TestXcaddy(t *testing.T) {
	version := oldestCaddy(t)
	binary := buildWithXcaddy(t, version)

	run := func(args ...string) string {
		t.Helper()
		out, err := exec.Command(binary, args...).CombinedOutput()
		if err != nil {
			t.Fatalf("caddy %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return string(out)
	}
	if got := run("version"); !strings.HasPrefix(got, version+" ") {
		t.Errorf("caddy version says %q; want %s", got, version)
	}
	modules := strings.Fields(run("list-modules"))
	for _, module := range []string{
		"http.handlers.oss_cors", "admin.api.oss_cors",
		"http.oss_cors.rules.file", "http.oss_cors.rules.inline", "http.oss_cors.rules.url", "http.oss_cors.rules.directory", "http.oss_cors.rules.storage",
	} {
		if !slices.Contains(modules, module) {
			t.Errorf("caddy list-modules does not list %s", module)
		}
	}

	smoke(t, binary)
}

// smoke checks that a binary decides, sets headers, counts, and refuses bad rules.
func smoke(t *testing.T, binary string) {
	t.Helper()
	tb := harness.StartTestbed(t, harness.TestbedConfig{Binary: binary})
	before := tb.Counts(t)
	tb.Dial(t).ExpectUnharmed(t)
	if a := tb.Exchange(t, "OPTIONS", "/", "Origin: https://evil.example", harness.ForGet); a.StatusCode != 403 || !strings.Contains(a.Text, "<Code>AccessForbidden</Code>") {
		t.Errorf("a denied preflight: %s %s", a.Status, a.Text)
	}
	if a := tb.Exchange(t, "GET", "/k.txt", harness.FromApp); a.StatusCode != 200 || a.Header.Get("Access-Control-Expose-Headers") != "ETag" {
		t.Errorf("an actual request: %s %q", a.Status, harness.AccessControl(a.Header))
	}
	tb.ExpectCounts(t, before, harness.HitsApp, "denied preflight origin", "rule_hits actual app")

	tb.Write(t, "cors.xml", "<CORSConfiguration/>")
	start := exec.Command(binary, "run", "--config", "Caddyfile")
	start.Dir = tb.Dir
	if out, err := start.CombinedOutput(); err == nil || !strings.Contains(string(out), "cors.xml:1:1: CORSConfiguration has no CORSRule") {
		t.Errorf("with bad rules it starts, or does not say why not: %v\n%s", err, out)
	}
}

// oldestCaddy returns the version that go.mod requires: Go does not select an older one.
// README.md must name it, too.
func oldestCaddy(t *testing.T) string {
	t.Helper()
	version := harness.GoList(t, harness.RepoRoot, "-f", "{{.Version}}", "github.com/caddyserver/caddy/v2")
	if !documentSays(t, "README.md", "It needs Caddy "+strings.TrimPrefix(version, "v")+" or newer.") {
		t.Errorf("README.md does not name the oldest Caddy, %s", version)
	}
	return version
}

func buildWithXcaddy(t *testing.T, version string) (binary string) {
	t.Helper()
	binary = filepath.Join(t.TempDir(), "caddy")
	// With a version after the path, xcaddy does not search for released versions.
	xcaddy := exec.Command("go", "tool", "xcaddy", "build", version, "--with", modulePath+"@v0.0.0="+harness.RepoRoot, "--output", binary)
	// With xcaddy's default flags (above all -trimpath) and without cgo, everything is
	// compiled again, which takes minutes. With these flags the build cache of "go build" is
	// used; the code is the same.
	cgo, err := exec.Command("go", "env", "CGO_ENABLED").Output()
	if err != nil {
		t.Fatal(err)
	}
	xcaddy.Env = append(os.Environ(), "XCADDY_GO_BUILD_FLAGS=-ldflags=-w", "CGO_ENABLED="+strings.TrimSpace(string(cgo)))
	if out, err := xcaddy.CombinedOutput(); err != nil {
		t.Fatalf("xcaddy: %v\n%s", err, out)
	}
	return binary
}

// TestNoNewerDependencies: a module that requires newer versions than Caddy forces them on
// every user's build. The versions in go.mod must not be newer than those in Caddy's.
func TestNoNewerDependencies(t *testing.T) {
	type module struct {
		Path, Version string
	}
	var caddys struct{ Require []module }
	caddysMod := harness.GoList(t, harness.RepoRoot, "-f", "{{.GoMod}}", "github.com/caddyserver/caddy/v2")
	out, err := exec.Command("go", "mod", "edit", "-json", caddysMod).Output()
	if err == nil {
		err = json.Unmarshal(out, &caddys)
	}
	if err != nil || len(caddys.Require) < 50 {
		t.Fatalf("%v, %d requirements in %s", err, len(caddys.Require), caddysMod)
	}
	want := map[string]string{}
	for _, m := range caddys.Require {
		want[m.Path] = m.Version
	}
	selected := map[string]string{}
	for _, line := range strings.Split(harness.GoList(t, harness.RepoRoot, "all"), "\n") {
		path, version, _ := strings.Cut(line, " ")
		selected[path] = version
	}
	for path, version := range want {
		if selected[path] != version {
			t.Errorf("%s is selected at %q; Caddy requires %s", path, selected[path], version)
		}
	}
}
