//go:build measure

package soak

import (
	"bytes"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/harness"
	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/report"
)

// TestFuzz runs every fuzz target for FUZZTIME, one after another, and writes what came of
// it.
func TestFuzz(t *testing.T) {
	each := report.Duration(t, "FUZZTIME")
	about := report.Machine(t)
	rows := [][]string{{"target, and what it meets", "time", "executions", "findings"}}
	for _, f := range fuzzTargets {
		cmd := exec.Command("go", "test", "-run", "^$", "-fuzz", "^"+f.target+"$", "-fuzztime", each.String(),
			"-fuzzminimizetime", "1s", "-timeout", "0", ".") // by default, it may minimize one input for all of the time
		cmd.Dir = filepath.Join(harness.RepoRoot, f.dir)
		out, err := cmd.CombinedOutput()
		findings := bytes.Count(out, []byte("Failing input written to")) // the first one ends the run
		switch {
		case findings > 0:
			t.Errorf("%s in %s: %s", f.target, f.dir, out)
		case err != nil && !fuzzDeadline.Match(out):
			t.Fatalf("%s in %s: %v\n%s", f.target, f.dir, err, out)
		}
		elapsed, executions := "0s", "0" // a short time may pass before the first line of progress
		for _, progress := range fuzzProgress.FindAllStringSubmatch(string(out), -1) {
			elapsed, executions = progress[1], progress[2]
		}
		t.Logf("%s: %s executions in %s", f.target, executions, elapsed)
		rows = append(rows, []string{"`" + f.target + "`: " + f.meets, elapsed, executions, fmt.Sprint(findings)})
	}
	report.WriteSection(t, "reliability.md", "fuzzing", about+"\n\n"+report.MarkdownTable(rows))
}

var (
	fuzzProgress = regexp.MustCompile(`(?m)^fuzz: elapsed: (\S+), execs: (\d+)`)

	// Go may take the end of the time for a failure (https://go.dev/issue/75804).
	fuzzDeadline = regexp.MustCompile(`(?m)^--- FAIL: Fuzz\w+ \(\S+\)\n +context deadline exceeded\nFAIL$`)
)
