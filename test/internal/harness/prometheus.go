package harness

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Installed returns the path of a program of Debian's package prometheus.
func Installed(t *testing.T, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Fatalf("no %s: %v\ninstall it with: make deps", program, err)
	}
	return path
}

// Promtool runs promtool in one of the repository's directories.
func Promtool(t *testing.T, dir, stdin string, args ...string) {
	t.Helper()
	cmd := exec.Command(Installed(t, "promtool"), args...)
	cmd.Dir = filepath.Join(RepoRoot, dir)
	cmd.Stdin = strings.NewReader(stdin)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}
