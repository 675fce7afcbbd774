package rulesource

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/caddy-oss-cors/caddy-oss-cors/corsrules"
	"github.com/caddy-oss-cors/caddy-oss-cors/metrics"
)

// Tests of time run in a synctest bubble: its clock stands still while anything happens,
// and moves on at once when all wait.

const (
	app   = "https://app.example.com"
	other = "https://other.example.com"
)

// documentFor is a document that allows an origin to GET.
func documentFor(origin string) []byte {
	return fmt.Appendf(nil, `<CORSConfiguration><CORSRule><AllowedOrigin>%s</AllowedOrigin><AllowedMethod>GET</AllowedMethod></CORSRule><ResponseVary>true</ResponseVary></CORSConfiguration>`, origin)
}

// newContext returns a configuration's context, which ends with the test.
func newContext(t testing.TB) caddy.Context {
	t.Helper()
	ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
	t.Cleanup(cancel)
	return ctx
}

// logged are a source's options, and what it then logs and counts.
type logged struct {
	*Options
	lines *observer.ObservedLogs
	store *metrics.Store
}

func newLogged() logged {
	core, lines := observer.New(zapcore.InfoLevel)
	store := metrics.NewStore()
	return logged{&Options{Logger: zap.New(core), Store: store}, lines, store}
}

// messages returns what was logged since the last call.
func (l logged) messages() []string {
	messages := []string{}
	for _, entry := range l.lines.TakeAll() {
		messages = append(messages, entry.Message)
	}
	return messages
}

// exposition returns all that metrics show, as text.
func (l logged) exposition(t testing.TB) string {
	t.Helper()
	registry := prometheus.NewRegistry()
	registry.MustRegister(l.store)
	w := httptest.NewRecorder()
	promhttp.HandlerFor(registry, promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody))
	return w.Body.String()
}

func openDirectory(t testing.TB, dir string, refresh time.Duration, opts *Options) *Directory {
	t.Helper()
	s := &Directory{Path: dir, RefreshOptions: RefreshOptions{Refresh: caddy.Duration(refresh)}}
	if err := s.Open(newContext(t), opts); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Cleanup() })
	return s
}

// shelf keeps documents in memory, and has the troubles of a storage.
type shelf struct {
	mu        sync.Mutex
	documents map[string][]byte
	takes     time.Duration    // a read
	fails     map[string]error // by bucket; of all others: by ""
	hangs     chan struct{}    // reads, until it is closed
	reads     map[string]int   // by bucket
	reading   int
	most      int // of reading
}

func newShelf() *shelf {
	return &shelf{documents: map[string][]byte{}, fails: map[string]error{}, reads: map[string]int{}}
}

// openShelf opens a source of buckets over a shelf.
func openShelf(t testing.TB, refresh time.Duration, opts *Options) (*Directory, *shelf) {
	t.Helper()
	s, documents := openDirectory(t, t.TempDir(), refresh, opts), newShelf()
	s.document = func(bucket string) reader { return shelved{documents, bucket} }
	return s, documents
}

func (s *shelf) put(bucket, origin string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.documents[bucket] = documentFor(origin)
}

// fail has reads of buckets fail, of all if none are named; with nil they do not.
func (s *shelf) fail(err error, buckets ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(buckets) == 0 {
		buckets = []string{""}
	}
	for _, bucket := range buckets {
		s.fails[bucket] = err
	}
}

// hang has reads hang until heal is called.
func (s *shelf) hang(t testing.TB) (heal func()) {
	hangs := make(chan struct{})
	s.mu.Lock()
	s.hangs = hangs
	s.mu.Unlock()
	heal = sync.OnceFunc(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.hangs = nil
		close(hangs)
	})
	t.Cleanup(heal)
	return heal
}

func (s *shelf) readsOf(bucket string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reads[bucket]
}

// shelved is a document on a shelf.
type shelved struct {
	*shelf
	bucket string
}

// read finds what is there when it begins. A call ignores its context, as that of a
// storage of files does.
func (d shelved) read(context.Context) ([]byte, look, error) {
	d.mu.Lock()
	content, isThere := d.documents[d.bucket]
	err := errors.Join(d.fails[d.bucket], d.fails[""])
	hangs, takes := d.hangs, d.takes
	d.reads[d.bucket]++
	d.reading++
	d.most = max(d.most, d.reading)
	d.mu.Unlock()
	if hangs != nil {
		<-hangs
	}
	time.Sleep(takes)
	d.mu.Lock()
	d.reading--
	d.mu.Unlock()
	if err == nil && !isThere {
		err = fs.ErrNotExist
	}
	return content, look{}, err
}

func (shelved) look(context.Context) (look, error) { return look{}, nil }

// fromApp is an actual request.
var fromApp = corsrules.ReadRequest(&http.Request{Method: "GET", Host: "bucket.example", Header: http.Header{"Origin": {app}}})

// reason is why a bucket's rules deny a GET by app; "" if they allow it.
func reason(t testing.TB, s Source, bucket string) string {
	t.Helper()
	rules, err := s.Rules(context.Background(), bucket)
	if err != nil {
		return "unreachable"
	}
	return rules.Decide(fromApp).Reason.String()
}

// expect fails the test unless a bucket's rules say this of a GET by app, within a time.
func expect(t testing.TB, s Source, bucket, want string, within time.Duration) {
	t.Helper()
	start := time.Now()
	got := reason(t, s, bucket)
	if took := time.Since(start); got != want || took > within {
		t.Errorf("%s: %q after %s; want %q within %s", bucket, got, took, want, within)
	}
}

// write replaces a file at once, so that no reader sees half of it.
func write(t testing.TB, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path+".new", content, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

func writeBucket(t testing.TB, dir, bucket, origin string) {
	t.Helper()
	write(t, filepath.Join(dir, bucket+".xml"), documentFor(origin))
}
