package test

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
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
// at port.
func startServer(t *testing.T, port, program string, args ...string) (pid int) {
	t.Helper()
	return startProcess(t, filepath.Base(program), exec.Command(program, args...), nil, []string{port}).cmd.Process.Pid
}
