package harness

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Process is a running server.
type Process struct {
	Cmd    *exec.Cmd
	Log    LogBuffer
	exited chan struct{}
}

// startProcess starts a server, with an empty home directory, and returns when every port in
// waitFor answers. The server is stopped when the test ends. If the test failed, its log is
// shown under this name.
func startProcess(t *testing.T, name string, cmd *exec.Cmd, env, waitFor []string) *Process {
	t.Helper()
	p := &Process{Cmd: cmd, exited: make(chan struct{})}
	home := t.TempDir()
	if cmd.Dir == "" {
		cmd.Dir = home
	}
	cmd.Env = append(os.Environ(), "HOME="+home, "XDG_DATA_HOME="+home, "XDG_CONFIG_HOME="+home, "XDG_CACHE_HOME="+home)
	cmd.Env = append(cmd.Env, env...)
	cmd.Stdout, cmd.Stderr = &p.Log, &p.Log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = cmd.Wait()
		close(p.exited)
	}()
	t.Cleanup(func() {
		p.Stop()
		if t.Failed() {
			t.Logf("log of %s:\n%s", name, p.Log.String())
		}
	})
	for _, port := range waitFor {
		WaitUntil(t, name+" answers at port "+port, func() bool { return p.answers(t, port) })
	}
	return p
}

// answers reports whether a port accepts connections. The test ends if the process has.
func (p *Process) answers(t *testing.T, port string) bool {
	t.Helper()
	conn, err := net.Dial("tcp4", "127.0.0.1:"+port)
	if err == nil {
		conn.Close()
		return true
	}
	select {
	case <-p.exited:
		t.Fatal("the process has ended before it answered")
	default:
	}
	return false
}

// Stop ends this process, by its own ID, and waits until it is gone.
func (p *Process) Stop() {
	_ = p.Cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.exited:
	case <-time.After(5 * time.Second):
		p.Kill()
	}
}

// Kill ends this process without a warning, as the kernel does when memory runs out.
func (p *Process) Kill() {
	_ = p.Cmd.Process.Kill()
	<-p.exited
}

// LogBuffer collects what a process writes. It can be read while the process runs.
type LogBuffer struct {
	mu   sync.Mutex
	text []byte
}

func (b *LogBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.text = append(b.text, p...)
	return len(p), nil
}

func (b *LogBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return string(b.text)
}

// StartProgram runs a server until the test ends. It returns when the server answers at port.
func StartProgram(t *testing.T, port, program string, args ...string) *Process {
	t.Helper()
	return startProcess(t, filepath.Base(program), exec.Command(program, args...), nil, []string{port})
}

// StartServer is StartProgram for who needs the process ID alone.
func StartServer(t *testing.T, port, program string, args ...string) (pid int) {
	t.Helper()
	return StartProgram(t, port, program, args...).Cmd.Process.Pid
}
