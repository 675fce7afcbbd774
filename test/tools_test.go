package test

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// tool returns the path of one of the programs that stores/go.mod pins. The go command
// builds it on first use and keeps it in its build cache.
func tool(t *testing.T, name string) string {
	t.Helper()
	cmd := exec.Command("go", "tool", "-n", name)
	cmd.Dir = filepath.Join(repoRoot, "test/stores")
	var log bytes.Buffer
	cmd.Stderr = &log
	path, err := cmd.Output()
	if err != nil {
		t.Fatalf("building %s: %v\n%s\nin test/stores, try: go tool -n %s", name, err, log.Bytes(), name)
	}
	return strings.TrimSpace(string(path))
}

// startServer runs a server until the test ends, and returns its process ID when it answers
// at port. Its log is shown if the test failed.
func startServer(t *testing.T, port, program string, args ...string) (pid int) {
	t.Helper()
	var log logBuffer
	cmd := exec.Command(program, args...)
	home := t.TempDir() // no configuration of the user's own
	cmd.Env = append(os.Environ(), "HOME="+home, "XDG_CONFIG_HOME="+home, "XDG_CACHE_HOME="+home)
	cmd.Dir = home
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(exited)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-exited:
		case <-time.After(5 * time.Second):
			_ = cmd.Process.Kill()
			<-exited
		}
		if t.Failed() {
			t.Logf("log of %s:\n%s", filepath.Base(program), log.String())
		}
	})
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
		if conn, err := net.Dial("tcp4", "127.0.0.1:"+port); err == nil {
			conn.Close()
			return cmd.Process.Pid
		}
		select {
		case <-exited:
			t.Fatalf("%s has ended before it answered:\n%s", filepath.Base(program), log.String())
		case <-time.After(20 * time.Millisecond):
		}
	}
	t.Fatalf("%s does not answer at port %s", filepath.Base(program), port)
	return 0
}
