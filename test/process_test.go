package test

import (
	"net"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"
)

// process is a running server.
type process struct {
	cmd    *exec.Cmd
	log    logBuffer
	exited chan struct{}
}

// startProcess starts a server, which finds nothing of the user's own at home, and returns
// when every port in waitFor answers. It is stopped when the test ends, and its log shown,
// by this name, if the test failed.
func startProcess(t *testing.T, name string, cmd *exec.Cmd, env, waitFor []string) *process {
	t.Helper()
	p := &process{cmd: cmd, exited: make(chan struct{})}
	home := t.TempDir()
	if cmd.Dir == "" {
		cmd.Dir = home
	}
	cmd.Env = append(os.Environ(), "HOME="+home, "XDG_DATA_HOME="+home, "XDG_CONFIG_HOME="+home, "XDG_CACHE_HOME="+home)
	cmd.Env = append(cmd.Env, env...)
	cmd.Stdout, cmd.Stderr = &p.log, &p.log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = cmd.Wait()
		close(p.exited)
	}()
	t.Cleanup(func() {
		p.stop()
		if t.Failed() {
			t.Logf("log of %s:\n%s", name, p.log.String())
		}
	})
	for _, port := range waitFor {
		waitUntil(t, name+" answers at port "+port, func() bool { return p.answers(t, port) })
	}
	return p
}

// answers reports whether a port can be connected to. The test ends if that will never be.
func (p *process) answers(t *testing.T, port string) bool {
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

// stop ends this process, by its own ID, and waits until it is gone.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.exited:
	case <-time.After(5 * time.Second):
		p.kill()
	}
}

// kill ends this process as the kernel does when it has no memory left.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.exited
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
