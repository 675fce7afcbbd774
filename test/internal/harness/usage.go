package harness

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

var residentText = regexp.MustCompile(`(?m)^VmRSS:\s+(\d+) kB$`)

// Resident returns the process's resident memory in bytes.
func (p *Process) Resident(t *testing.T) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.Cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	kb, _ := strconv.Atoi(residentText.FindStringSubmatch(string(status))[1])
	return kb << 10
}

// CPUTime returns the CPU time that a process and its children (such as nginx's workers)
// have used.
func CPUTime(t *testing.T, pid int) (total time.Duration) {
	t.Helper()
	const tick = 10 * time.Millisecond // Linux's USER_HZ is 100
	for _, pid := range append([]int{pid}, Children(pid)...) {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			t.Fatal(err)
		}
		fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
		for _, field := range fields[11:13] { // utime and stime
			n, err := strconv.Atoi(field)
			if err != nil {
				t.Fatal(err)
			}
			total += time.Duration(n) * tick
		}
	}
	return total
}

// Children returns the IDs of the processes that a process has started.
func Children(pid int) (pids []int) {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", pid))
	for _, field := range strings.Fields(string(text)) {
		if child, err := strconv.Atoi(field); err == nil {
			pids = append(pids, child)
		}
	}
	return pids
}
