package fleet

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/harness"
)

// TestHangingDocuments has more documents in a storage hang than are read at the same time.
// Loaded rules decide at once, those that can be read are changed, and of the requests for rules
// that cannot be read only the first ones wait.
func TestHangingDocuments(t *testing.T) {
	const hanging = 70
	const waits = 2 * time.Second // longer than 100 ms on a slow machine, shorter than the 3 s of a read
	p := harness.NewAPIProxy(t, harness.APIOptions{Env: []string{"REFRESH=2s"}})
	names := []string{"alice-sound", "alice-loaded"}
	for i := range hanging {
		names = append(names, fmt.Sprintf("alice-hangs-%d", i))
	}
	for _, bucket := range names {
		writeDocument(t, p, bucket, versioned(1, 0))
	}
	p.Start(t)
	expect := func(bucket string, wantStatus, wantVersion int) (took time.Duration) {
		t.Helper()
		began := time.Now()
		status, version, err := askVersion(http.DefaultClient, p.Path, bucket)
		if err != nil || status != wantStatus || version != wantVersion {
			t.Errorf("%s: %d, version %d, %v; want %d, version %d", bucket, status, version, err, wantStatus, wantVersion)
		}
		return time.Since(began)
	}
	expect("alice-sound", 200, 1)
	expect("alice-loaded", 200, 1)
	var releases []func()
	for _, bucket := range names[1:] {
		releases = append(releases, harness.Hang(t, p.Document(bucket)))
	}
	release := sync.OnceFunc(func() {
		for _, release := range releases {
			release()
		}
	})
	defer release()

	var first sync.WaitGroup
	for _, bucket := range names[2:] {
		first.Go(func() { expect(bucket, 503, 0) })
	}
	first.Wait()
	began := time.Now()
	for _, bucket := range names[2:] {
		expect(bucket, 503, 0)
	}
	if took := time.Since(began); took > hanging*waits/4 {
		t.Errorf("%d buckets that are known to be in trouble took %s", hanging, took)
	}
	writeDocument(t, p, "alice-sound", versioned(2, 0))
	harness.WaitUntil(t, "a changed document is in force", func() bool {
		_, version, err := askVersion(http.DefaultClient, p.Path, "alice-sound")
		return err == nil && version == 2
	})
	for range 10 {
		if took := expect("alice-loaded", 200, 1); took > waits {
			t.Errorf("loaded rules, whose document hangs, took %s", took)
		}
		time.Sleep(300 * time.Millisecond)
	}
	release()
	harness.WaitUntil(t, "documents that do not hang any more are in force", func() bool {
		status, _, err := askVersion(http.DefaultClient, p.Path, names[len(names)-1])
		return err == nil && status == 200
	})
}

// TestHangingFile has a rules file, or that of the candidate rules, hang. A reload is refused
// instead of waiting for it, and the rules stay in force.
func TestHangingFile(t *testing.T) {
	tb := harness.StartTestbed(t, harness.TestbedConfig{
		Site:  strings.Replace(harness.TestbedSite, "name testbed", "shadow shadow.xml", 1),
		Files: map[string]string{"shadow.xml": harness.TestbedRules},
	})
	caddyfile, err := os.ReadFile(filepath.Join(tb.Dir, "Caddyfile"))
	if err != nil {
		t.Fatal(err)
	}
	expectAllowed := func() {
		t.Helper()
		r, _ := http.NewRequest(http.MethodOptions, "http://"+tb.Addr+"/k", http.NoBody)
		r.Header = harness.PreflightHeader("https://app.example.com", "GET", "")
		answer, err := harness.FreshClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			t.Errorf("a preflight: %s", answer.Status)
		}
	}
	for _, name := range []string{"cors.xml", "shadow.xml"} {
		release := harness.Hang(t, filepath.Join(tb.Dir, name))
		began := time.Now()
		if err := harness.Load(tb.Admin, string(caddyfile)); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s hangs: a reload: %v", name, err)
		}
		if took := time.Since(began); took > harness.Patience { // the lease takes 45 s
			t.Errorf("%s hangs: a reload took %s", name, took)
		}
		expectAllowed()
		release()
		if err := harness.Load(tb.Admin, string(caddyfile)); err != nil {
			t.Errorf("%s does not hang any more: a reload: %v", name, err)
		}
		expectAllowed()
	}
}
