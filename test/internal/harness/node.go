package harness

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// NodePackages installs what the package-lock.json of one of the repository's directories
// pins, unless it is there from an earlier run. It returns the directory's path.
func NodePackages(t *testing.T, dir string) string {
	t.Helper()
	defer lock()()
	dir = filepath.Join(RepoRoot, dir)
	want, err := os.Stat(filepath.Join(dir, "package-lock.json"))
	if err != nil {
		t.Fatal(err)
	}
	installed, err := os.Stat(filepath.Join(dir, "node_modules/.package-lock.json"))
	if err == nil && !installed.ModTime().Before(want.ModTime()) {
		return dir
	}
	cmd := exec.Command("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("npm ci in %s: %v\n%s\ninstall Node and its npm with: make deps", dir, err, out)
	}
	return dir
}
