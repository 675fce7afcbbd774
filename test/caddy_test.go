package test

import (
	"bytes"
	"cmp"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-oss-cors/caddy-oss-cors/internal/freeport"
)

// freePorts returns n different TCP ports that nobody listens at.
func freePorts(t *testing.T, n int) []string {
	t.Helper()
	ports := make([]string, n)
	for i := range ports {
		port, err := freeport.Next()
		if err != nil {
			t.Fatal(err)
		}
		ports[i] = port
	}
	return ports
}

// caddy is a running Caddy.
type caddy = process

// startCaddy runs Caddy with a configuration file, in a working directory (empty: the
// repository's root) and with additions to the environment, such as "PAGE_PORT=8080".
func startCaddy(t *testing.T, dir, config string, env, waitFor []string) *caddy {
	t.Helper()
	cmd := exec.Command(caddyBin, "run", "--config", config)
	cmd.Dir = cmp.Or(dir, repoRoot)
	return startProcess(t, "Caddy ("+config+")", cmd, env, waitFor)
}

// checkCaddyfile fails the test unless a Caddyfile is formatted, adapts and is valid, all
// without a warning.
func checkCaddyfile(t *testing.T, config string) {
	t.Helper()
	for _, args := range [][]string{{"fmt", "--diff", config}, {"adapt", "--validate", "--config", config}} {
		cmd := exec.Command(caddyBin, args...)
		cmd.Dir = repoRoot
		var log bytes.Buffer
		cmd.Stderr = &log
		if out, err := cmd.Output(); err != nil || bytes.Contains(log.Bytes(), []byte(`"level":"warn"`)) {
			t.Errorf("caddy %s: %v\n%s%s", strings.Join(args, " "), err, log.Bytes(), out)
		}
	}
}

// copyOfRepo returns a new directory with a copy of one of the repository's directories
// at the same place in it, for a test that edits files.
func copyOfRepo(t *testing.T, dir string) string {
	t.Helper()
	root := t.TempDir()
	target := filepath.Join(root, dir)
	if err := os.MkdirAll(filepath.Dir(target), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(target, os.DirFS(filepath.Join(repoRoot, dir))); err != nil {
		t.Fatal(err)
	}
	return root
}
