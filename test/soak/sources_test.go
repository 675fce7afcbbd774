package soak

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/harness"
)

const (
	sourcesBuckets = 4
	sourcesClients = 4

	// sourcesGrace is how long after the storage is lost a request that began earlier may
	// still be answered by what was read before.
	sourcesGrace = 300 * time.Millisecond

	// sourcesLongest is how long an answer may take. Who waits for a document that hangs
	// waits for 3 s.
	sourcesLongest = 3 * time.Second
)

// sourcesSite has each kind of source that can be in trouble while it is used.
const sourcesSite = `handle_path /file/* {
	oss_cors {
		rules file cors.xml {
			refresh 50ms
		}
	}
	respond served
}
handle_path /url/* {
	oss_cors {
		rules url %s/cors.xml {
			refresh 50ms
		}
	}
	respond served
}
handle_path /directory/* {
	oss_cors {
		rules directory directory {
			refresh 50ms
		}
		bucket path
	}
	respond served
}
handle_path /storage/* {
	oss_cors {
		rules storage {
			refresh 50ms
		}
		bucket path
	}
	respond served
}
`

// sources is a second Caddy, which has its rules from a file, a URL, a directory and a storage.
// These are in trouble again and again, but the rules do not change: each answer is known.
type sources struct {
	*harness.Testbed
	client   *http.Client
	url      atomic.Value // http.HandlerFunc
	storage  string       // the directory of Caddy's storage
	link     string       // by which Caddy sees it
	lost     periods      // the storage
	troubles []*trouble

	answers, refusals atomic.Int64
	longest           atomic.Int64 // nanoseconds
}

// trouble begins again and again, and lasts for a while.
type trouble struct {
	name         string
	every, lasts time.Duration
	begin        func(t *testing.T, n int) (end func())

	n     int
	since time.Time
	end   func() // nil: there is none now
}

// step begins or ends the trouble if it is time.
func (tr *trouble) step(t *testing.T, elapsed time.Duration) {
	switch {
	case tr.end == nil && elapsed >= time.Duration(tr.n+1)*tr.every:
		tr.end, tr.since = tr.begin(t, tr.n), time.Now()
		tr.n++
	case tr.end != nil && time.Since(tr.since) >= tr.lasts:
		tr.stop()
	}
}

func (tr *trouble) stop() {
	if tr.end != nil {
		tr.end()
		tr.end = nil
	}
}

func startSources(t *testing.T) *sources {
	t.Helper()
	s := &sources{client: &http.Client{Transport: new(http.Transport), Timeout: harness.Patience}, storage: t.TempDir()}
	s.link = filepath.Join(t.TempDir(), "storage")
	s.url.Store(http.HandlerFunc(goodDocument))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.url.Load().(http.HandlerFunc)(w, r) }))
	t.Cleanup(server.Close)
	files := map[string]string{}
	for i := range sourcesBuckets {
		files[fmt.Sprintf("directory/bucket-%d.xml", i)] = soakRules(0)
		harness.WriteFile(t, s.stored(i), soakRules(0))
	}
	s.replace(t, s.link, func(path string) error { return os.Symlink(s.storage, path) })
	s.Testbed = harness.StartTestbed(t, harness.TestbedConfig{
		Rules: soakRules(0), Site: fmt.Sprintf(sourcesSite, server.URL), Files: files,
		Global: "storage file_system " + s.link + "\nstorage_clean_interval off",
	})
	for _, path := range s.paths() {
		if status, origin := s.ask(t, path); status != http.StatusOK || origin != soakApp {
			t.Fatalf("%s: %d, %q is allowed", path, status, origin)
		}
	}
	s.troubles = []*trouble{
		{name: "troubles of the URL's server", every: 2900 * time.Millisecond, lasts: 1300 * time.Millisecond, begin: s.spoilURL},
		{name: "files replaced by what has no rules", every: 1900 * time.Millisecond, lasts: 700 * time.Millisecond, begin: s.spoilFiles},
		{name: "losses of the storage", every: 5300 * time.Millisecond, lasts: 1500 * time.Millisecond, begin: s.loseStorage},
		{name: "documents in the storage that hang", every: 7100 * time.Millisecond, lasts: 4 * time.Second, begin: s.hangStorage},
	}
	return s
}

// stored is the file of a bucket in the storage.
func (s *sources) stored(bucket int) string {
	return filepath.Join(s.storage, "oss_cors", fmt.Sprintf("bucket-%d.xml", bucket))
}

// paths are those of all loaded rules.
func (s *sources) paths() []string {
	paths := []string{"/file/k", "/url/k"}
	for i := range sourcesBuckets {
		paths = append(paths, fmt.Sprintf("/directory/bucket-%d/k", i), fmt.Sprintf("/storage/bucket-%d/k", i))
	}
	return paths
}

// replace puts something else in a file's place, in one step.
func (s *sources) replace(t *testing.T, path string, put func(path string) error) {
	t.Helper()
	err := put(path + ".new")
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func goodDocument(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("ETag", `"1"`)
	http.ServeContent(w, r, "cors.xml", time.Time{}, strings.NewReader(soakRules(0)))
}

// spoilURL has the URL's server answer in a way that has no rules.
func (s *sources) spoilURL(_ *testing.T, n int) func() {
	answers := []http.HandlerFunc{
		func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) },
		func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") },
		func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "500")
			_, _ = io.WriteString(w, "<CORSConfiguration>")
			panic(http.ErrAbortHandler)
		},
		func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path, http.StatusFound) },
		func(w http.ResponseWriter, _ *http.Request) {
			spaces := []byte(strings.Repeat(" ", harness.Kilobyte))
			for range 1 << 20 { // a gigabyte, if anybody reads it
				if _, err := w.Write(spaces); err != nil {
					return
				}
			}
		},
		func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) },
	}
	s.url.Store(answers[n%len(answers)])
	return func() { s.url.Store(http.HandlerFunc(goodDocument)) }
}

// spoilFiles puts what has no rules in the place of files.
func (s *sources) spoilFiles(t *testing.T, n int) func() {
	kinds := []func(path string) error{
		func(path string) error { return syscall.Mkfifo(path, 0o600) },
		func(path string) error { return os.WriteFile(path, []byte(soakRules(0))[:200], 0o600) },
		func(path string) error { return os.Symlink(strings.TrimSuffix(path, ".new"), path) }, // a loop
		func(path string) error { return os.WriteFile(path, nil, 0o600) },
		func(path string) error { // a gigabyte
			err := os.WriteFile(path, nil, 0o600)
			if err == nil {
				err = os.Truncate(path, 1<<30)
			}
			return err
		},
	}
	files := []string{filepath.Join(s.Dir, "cors.xml"), filepath.Join(s.Dir, "directory", fmt.Sprintf("bucket-%d.xml", n%sourcesBuckets))}
	for _, file := range files {
		s.replace(t, file, kinds[n%len(kinds)])
	}
	return func() {
		for _, file := range files {
			s.replace(t, file, func(path string) error { return os.WriteFile(path, []byte(soakRules(0)), 0o600) })
		}
	}
}

// loseStorage has Caddy see an empty directory, as when a mount is lost.
func (s *sources) loseStorage(t *testing.T, _ int) func() {
	empty := t.TempDir()
	s.replace(t, s.link, func(path string) error { return os.Symlink(empty, path) })
	s.lost.begin()
	return func() {
		s.lost.end()
		s.replace(t, s.link, func(path string) error { return os.Symlink(s.storage, path) })
	}
}

// hangStorage has whoever opens a document in the storage wait.
func (s *sources) hangStorage(t *testing.T, _ int) func() {
	var releases []func()
	for i := range sourcesBuckets {
		releases = append(releases, harness.Hang(t, s.stored(i)))
	}
	return func() {
		for _, release := range releases {
			release()
		}
	}
}

// ask sends a preflight, and returns the answer's status and the origin that it allows.
func (s *sources) ask(t *testing.T, path string) (status int, origin string) {
	r, err := http.NewRequest(http.MethodOptions, "http://"+s.Addr+path, http.NoBody)
	if err != nil {
		t.Error(err)
		return 0, ""
	}
	r.Header = harness.PreflightHeader(soakApp, "GET", "content-type")
	began := time.Now()
	answer, err := s.client.Do(r)
	if err != nil {
		t.Errorf("%s: %v", path, err)
		return 0, ""
	}
	_, _ = io.Copy(io.Discard, answer.Body)
	answer.Body.Close()
	took := int64(time.Since(began))
	for longest := s.longest.Load(); took > longest && !s.longest.CompareAndSwap(longest, took); longest = s.longest.Load() {
	}
	return answer.StatusCode, answer.Header.Get("Access-Control-Allow-Origin")
}

// run asks for loaded rules, which stay in force, and for a bucket without rules: that it has
// none is not said while the storage is lost.
func (s *sources) run(t *testing.T, tally *tally, stop chan struct{}) {
	for {
		for _, path := range s.paths() {
			if status, origin := s.ask(t, path); status != http.StatusOK || origin != soakApp {
				tally.problem("%s: %d, %q is allowed", path, status, origin)
			}
			s.answers.Add(1)
		}
		wasLost := s.lost.runs(sourcesGrace)
		status, _ := s.ask(t, fmt.Sprintf("/storage/none-%x/k", rand.Uint64()))
		stillLost := s.lost.runs(sourcesGrace)
		if status != http.StatusServiceUnavailable && (status != http.StatusForbidden || wasLost && stillLost) {
			tally.problem("a bucket without rules, with the storage lost before %t and after %t: %d", wasLost, stillLost, status)
		}
		s.refusals.Add(1)
		select {
		case <-stop:
			return
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// expectWell fails the test unless all troubles are over, and no answer took too long. It sends
// requests, because rules of buckets are read only when they are requested.
func (s *sources) expectWell(t *testing.T) {
	t.Helper()
	harness.WaitUntil(t, "all rules are the newest again", func() bool {
		for _, path := range append(s.paths(), "/storage/none/k", "/directory/none/k") {
			s.ask(t, path)
		}
		metrics := harness.Get(t, s.Metrics)
		for line := range strings.Lines(metrics) {
			if strings.HasPrefix(line, "caddy_oss_cors_rules_last_load_successful{") && strings.HasSuffix(line, " 0\n") {
				return false
			}
		}
		return strings.Contains(metrics, "caddy_oss_cors_rules_last_load_successful{")
	})
	if longest := time.Duration(s.longest.Load()); longest >= sourcesLongest {
		t.Errorf("an answer took %s", longest)
	}
}

func (s *sources) rows() (rows [][]string) {
	for _, tr := range s.troubles {
		rows = append(rows, []string{tr.name, fmt.Sprint(tr.n)})
	}
	return append(rows,
		[]string{"answers by rules whose source was in such trouble, or was not", fmt.Sprint(s.answers.Load())},
		[]string{"answers for buckets without rules: 403, and 503 while the storage was lost", fmt.Sprint(s.refusals.Load())},
		[]string{"the longest of these answers took", fmt.Sprintf("%d ms", time.Duration(s.longest.Load()).Milliseconds())})
}
