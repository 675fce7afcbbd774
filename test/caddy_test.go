package test

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// freePorts returns n different TCP ports that nobody listened on a moment ago. They are
// looked for together, so that none is given twice.
func freePorts(t *testing.T, n int) []string {
	t.Helper()
	ports := make([]string, n)
	for i := range ports {
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		ports[i] = strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
	}
	return ports
}

// caddy is a running Caddy.
type caddy struct {
	cmd    *exec.Cmd
	log    logBuffer
	exited chan struct{}
}

// startCaddy runs Caddy with a configuration file, in a working directory (empty: the
// repository's root) and with additions to the environment, such as "PAGE_PORT=8080". It
// returns when every port in waitFor answers; Caddy is stopped when the test ends, and its
// log shown if the test failed.
func startCaddy(t *testing.T, dir, config string, env, waitFor []string) *caddy {
	t.Helper()
	if dir == "" {
		dir = repoRoot
	}
	home := t.TempDir() // nothing of the user's own Caddy is read or written
	c := &caddy{cmd: exec.Command(caddyBin, "run", "--config", config), exited: make(chan struct{})}
	c.cmd.Dir = dir
	c.cmd.Env = append(os.Environ(), "HOME="+home, "XDG_DATA_HOME="+home, "XDG_CONFIG_HOME="+home)
	c.cmd.Env = append(c.cmd.Env, env...)
	c.cmd.Stdout, c.cmd.Stderr = &c.log, &c.log
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = c.cmd.Wait()
		close(c.exited)
	}()
	t.Cleanup(func() {
		c.stop()
		if t.Failed() {
			t.Logf("log of Caddy (%s):\n%s", config, c.log.String())
		}
	})
	for _, port := range waitFor {
		c.waitForPort(t, port)
	}
	return c
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

func (c *caddy) waitForPort(t *testing.T, port string) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
		if conn, err := net.Dial("tcp4", "127.0.0.1:"+port); err == nil {
			conn.Close()
			return
		}
		select {
		case <-c.exited:
			t.Fatal("Caddy has ended before it answered")
		case <-time.After(20 * time.Millisecond):
		}
	}
	t.Fatalf("nothing answers at port %s", port)
}

// stop ends this Caddy, by its own process, and waits until it is gone.
func (c *caddy) stop() {
	_ = c.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-c.exited:
	case <-time.After(5 * time.Second):
		_ = c.cmd.Process.Kill()
		<-c.exited
	}
}

// logBuffer collects what a process writes, and can be read while it does.
type logBuffer struct {
	mu   sync.Mutex
	text []byte
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.text = append(b.text, p...)
	return len(p), nil
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return string(b.text)
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
