package harness

import (
	"os"
	"syscall"
	"testing"
	"time"
)

// Hang has whoever opens a file wait until release is called, or 45 s, by a lease of the
// kernel's. Who opens it without waiting gets an error.
func Hang(t *testing.T, file string) (release func()) {
	t.Helper()
	f, err := os.OpenFile(file, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(Patience); ; time.Sleep(time.Millisecond) {
		_, _, errno := syscall.Syscall(syscall.SYS_FCNTL, f.Fd(), syscall.F_SETLEASE, syscall.F_WRLCK)
		if errno == 0 {
			return func() { f.Close() }
		}
		if errno != syscall.EAGAIN || time.Now().After(deadline) { // somebody has it open
			t.Fatalf("a lease of %s: %v", file, errno)
		}
	}
}
