package test

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// fuzzTargets says of every fuzz target which bytes of whose it meets.
var fuzzTargets = []struct{ target, dir, meets string }{
	{"FuzzParse", "corsrules", "tenants' and operators' XML documents"},
	{"FuzzDialects", "corsrules", "tenants' documents, as OSS and as S3 take them"},
	{"FuzzPreflight", "corsrules", "browsers' Origin, Access-Control-Request-Method and -Headers, on any document"},
	{"FuzzDifferential", "corsrules", "the same, made to nearly suit; beside a second, simple implementation"},
	{"FuzzBucket", ".", "Host, path and placeholder that a bucket's name is taken from"},
	{"FuzzDirective", ".", "operators' Caddyfiles"},
	{"FuzzIsRequest", "bucketapi", "queries that may be the bucket API's"},
	{"FuzzAuthorization", "bucketapi", "Authorization, query and headers of requests that nobody signed"},
	{"FuzzPut", "bucketapi", "body and Content-MD5 of a signed PutBucketCors"},
	{"FuzzError", "internal/ossresponse", "what an error's document quotes of a request"},
	{"FuzzDenied", "metrics", "Origin, as a label of metrics"},
}

// TestFuzz runs every fuzz target for FUZZTIME, one after another, and writes what came of
// it.
func TestFuzz(t *testing.T) {
	each := measuring(t, "FUZZTIME")
	about := machine(t)
	rows := [][]string{{"target, and what it meets", "time", "executions", "findings"}}
	for _, f := range fuzzTargets {
		cmd := exec.Command("go", "test", "-run", "^$", "-fuzz", "^"+f.target+"$", "-fuzztime", each.String(),
			"-fuzzminimizetime", "1s", "-timeout", "0", ".") // by default, it may minimize one input for all of the time
		cmd.Dir = filepath.Join(repoRoot, f.dir)
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
	writeSection(t, "reliability.md", "fuzzing", about+"\n\n"+markdownTable(rows))
}

var (
	fuzzFunction = regexp.MustCompile(`(?m)^func (Fuzz\w+)\(`)
	fuzzProgress = regexp.MustCompile(`(?m)^fuzz: elapsed: (\S+), execs: (\d+)`)

	// Go may take the end of the time for a failure (https://go.dev/issue/75804).
	fuzzDeadline = regexp.MustCompile(`(?m)^--- FAIL: Fuzz\w+ \(\S+\)\n +context deadline exceeded\nFAIL$`)
)

// fuzzTargets has all targets of the module.
func TestFuzzTargets(t *testing.T) {
	var found, listed []string
	err := fs.WalkDir(os.DirFS(repoRoot), ".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (path == "test" || strings.HasPrefix(d.Name(), ".") && path != "."):
			return fs.SkipDir
		case !strings.HasSuffix(path, "_test.go"):
			return nil
		}
		text, err := os.ReadFile(filepath.Join(repoRoot, path))
		for _, match := range fuzzFunction.FindAllSubmatch(text, -1) {
			found = append(found, filepath.Dir(path)+" "+string(match[1]))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range fuzzTargets {
		listed = append(listed, f.dir+" "+f.target)
	}
	slices.Sort(found)
	slices.Sort(listed)
	if !slices.Equal(found, listed) {
		t.Errorf("fuzzTargets has\n%q\nand the packages have\n%q", listed, found)
	}
}
