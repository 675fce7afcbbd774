package harness

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// RepoRoot is the root of the repository.
var RepoRoot = findRoot()

// findRoot searches from the working directory upwards: go test runs a package's tests in
// the package's directory.
func findRoot() string {
	start, err := os.Getwd()
	if err != nil {
		panic(err)
	}
	for dir := start; ; dir = filepath.Dir(dir) {
		text, _ := os.ReadFile(filepath.Join(dir, "go.mod"))
		if bytes.HasPrefix(text, []byte("module github.com/caddy-oss-cors/caddy-oss-cors\n")) {
			return dir
		}
		if dir == filepath.Dir(dir) {
			panic("no directory above " + start + " has the go.mod of caddy-oss-cors")
		}
	}
}

// CaddyBinary returns the path of the Caddy that is tested: the one that CADDY_BIN names,
// or one built from the current sources.
func CaddyBinary(t *testing.T) string {
	t.Helper()
	t.Cleanup(func() { preventCaching(t) })
	path, err := builtCaddy()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// preventCaching keeps "go test" from showing an old result as "(cached)". It does not know
// that a test runs a program that is built from another module. But it does not cache results
// of tests that open a file, within this module, that is less than two seconds old.
func preventCaching(t *testing.T) {
	if err := os.WriteFile(filepath.Join(RepoRoot, "test/.last-run"), nil, 0o666); err != nil {
		t.Error(err)
	}
}

// builtCaddy builds at most once in a process. If nothing changed since the last build, the
// go command only checks that.
var builtCaddy = sync.OnceValues(func() (string, error) {
	if path := os.Getenv("CADDY_BIN"); path != "" {
		return filepath.Abs(path)
	}
	return build(".", "./cmd/caddy", "caddy-test")
})

// RedisCaddyBinary returns the path of test/rediscaddy, built from the current sources.
func RedisCaddyBinary(t *testing.T) string {
	t.Helper()
	t.Cleanup(func() { preventCaching(t) })
	path, err := build("test/rediscaddy", ".", "caddy-redis")
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// build builds a package of the module in a directory of the repository.
func build(dir, pkg, name string) (path string, err error) {
	defer lock()()
	path = filepath.Join(RepoRoot, "bin", name)
	build := exec.Command("go", "build", "-o", path, pkg)
	build.Dir = filepath.Join(RepoRoot, dir)
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building %s: %w\n%s", name, err, out)
	}
	return path, nil
}

// Tool returns the path of one of the programs that test/tools/go.mod pins. The go command
// builds it on first use and keeps it in its build cache.
func Tool(t *testing.T, name string) string {
	t.Helper()
	return tool(t, "test/tools", name)
}

// MinIOTool is Tool for minio and mc, which test/minio/go.mod pins: they need other versions of what
// the other programs need, too.
func MinIOTool(t *testing.T, name string) string {
	t.Helper()
	return tool(t, "test/minio", name)
}

func tool(t *testing.T, module, name string) string {
	t.Helper()
	defer lock()()
	cmd := exec.Command("go", "tool", "-n", name)
	cmd.Dir = filepath.Join(RepoRoot, module)
	var log bytes.Buffer
	cmd.Stderr = &log
	path, err := cmd.Output()
	if err != nil {
		t.Fatalf("building %s: %v\n%s\nin %s, try: go tool -n %s", name, err, log.Bytes(), module, name)
	}
	return strings.TrimSpace(string(path))
}

// lock lets one process at a time build and install: go test may run the tests of several
// packages at once, which would do the same work at the same place.
func lock() (unlock func()) {
	dir := filepath.Join(RepoRoot, "bin")
	if err := os.MkdirAll(dir, 0o777); err != nil {
		panic(err)
	}
	file, err := os.OpenFile(filepath.Join(dir, "test.lock"), os.O_CREATE|os.O_RDWR, 0o666)
	if err != nil {
		panic(err)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
		panic(err)
	}
	return func() { file.Close() }
}
