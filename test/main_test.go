// Package test runs the module in a real Caddy, against real clients.
package test

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

var (
	// repoRoot is the root of the repository.
	repoRoot string

	// caddyBin is a Caddy with the module in it: the one that CADDY_BIN names, or one
	// that is built from cmd/caddy.
	caddyBin string
)

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	if err := prepare(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer stopBrowser()
	if os.Getenv("CADDY_BIN") == "" {
		defer os.RemoveAll(filepath.Dir(caddyBin))
	}
	return m.Run()
}

func prepare() (err error) {
	if repoRoot, err = filepath.Abs(".."); err != nil {
		return err
	}
	if caddyBin = os.Getenv("CADDY_BIN"); caddyBin != "" {
		caddyBin, err = filepath.Abs(caddyBin)
		return err
	}
	dir, err := os.MkdirTemp("", "oss-cors-test-")
	if err != nil {
		return err
	}
	caddyBin = filepath.Join(dir, "caddy")
	build := exec.Command("go", "build", "-o", caddyBin, "./cmd/caddy")
	build.Dir = repoRoot
	if out, err := build.CombinedOutput(); err != nil {
		os.RemoveAll(dir)
		return fmt.Errorf("building Caddy: %w\n%s", err, out)
	}
	return nil
}
