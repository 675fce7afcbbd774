package harness

import (
	"os/exec"
	"strings"
	"testing"
)

// GoList returns the output of "go list -m" in a directory.
func GoList(t *testing.T, dir string, args ...string) string {
	t.Helper()
	list := exec.Command("go", append([]string{"list", "-m"}, args...)...)
	list.Dir = dir
	out, err := list.Output()
	if err != nil {
		t.Fatalf("go list -m %s: %v", strings.Join(args, " "), err)
	}
	return strings.TrimSpace(string(out))
}
