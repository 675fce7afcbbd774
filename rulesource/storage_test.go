package rulesource

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"

	"github.com/caddy-oss-cors/caddy-oss-cors/corsrules"
	"github.com/caddy-oss-cors/caddy-oss-cors/metrics"
)

// openStorage opens a source over a storage of files in a directory that is not there yet.
func openStorage(t *testing.T, refresh time.Duration) (s *Storage, dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "storage")
	s = &Storage{RefreshOptions: RefreshOptions{Refresh: caddy.Duration(refresh)}}
	if err := s.Open(newContext(t), &Options{Logger: zap.NewNop(), Store: metrics.NewStore()}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Cleanup() })
	s.storage = &certmagic.FileStorage{Path: dir}
	s.mounted.Store(false)
	return s, dir
}

// A read that began before a write or a deletion does not undo it.
func TestStorage_aSlowReadUndoesNothing(t *testing.T) {
	s, _ := openStorage(t, time.Minute)
	ctx := context.Background()
	old := fmt.Appendf(nil, document, "https://other.example.com")
	for _, c := range []struct {
		desc   string
		change func() error
		want   string
	}{
		{"a write", func() error {
			return s.Store(ctx, "slow-read", fmt.Appendf(nil, document, "https://app.example.com"))
		}, ""},
		{"a deletion", func() error { return s.Delete(ctx, "slow-read") }, "no_rules"},
	} {
		fast := s.read
		began, release := make(chan struct{}), make(chan struct{})
		s.read = func(context.Context, string) ([]byte, error) {
			close(began)
			<-release
			return old, nil
		}
		done := make(chan struct{})
		go func() { defer close(done); _ = s.load("slow-read") }()
		<-began
		s.read = fast
		if err := c.change(); err != nil {
			t.Fatal(err)
		}
		close(release)
		<-done
		if got := reason(t, s, "slow-read"); got != c.want {
			t.Errorf("%s: %q, want %q", c.desc, got, c.want)
		}
	}
}

// A read that began before a write and found nothing does not undo it either.
func TestStorage_aSlowReadOfNothing(t *testing.T) {
	s, _ := openStorage(t, time.Minute)
	ctx := context.Background()
	fast := s.read
	began, release := make(chan struct{}), make(chan struct{})
	s.read = func(context.Context, string) ([]byte, error) {
		close(began)
		<-release
		return nil, os.ErrNotExist
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = s.load("slow-read") }()
	<-began
	s.read = fast
	if err := s.Store(ctx, "slow-read", fmt.Appendf(nil, document, "https://app.example.com")); err != nil {
		t.Fatal(err)
	}
	close(release)
	<-done
	if got := reason(t, s, "slow-read"); got != "" {
		t.Errorf("just written: %q", got)
	}
}

// A storage's directory that is lost and found: nothing is taken for deleted, nothing is
// written beside it, and what was in force stays.
func TestStorage_aLostMount(t *testing.T) {
	s, dir := openStorage(t, 10*time.Millisecond)
	ctx := context.Background()
	if got := reason(t, s, "first"); got != "no_rules" {
		t.Errorf("before the first write: %q", got)
	}
	if err := s.Store(ctx, "first", fmt.Appendf(nil, document, "https://app.example.com")); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(dir, dir+".away"); err != nil {
		t.Fatal(err)
	}
	time.Sleep(20 * time.Millisecond)
	if got := reason(t, s, "first"); got != "" {
		t.Errorf("what was in force: %q", got)
	}
	if got := reason(t, s, "second"); got != "unreachable" {
		t.Errorf("what was not loaded: %q", got)
	}
	if err := s.Store(ctx, "first", fmt.Appendf(nil, document, "https://other.example.com")); err == nil {
		t.Error("a write is said to have been stored")
	}
	if err := s.Delete(ctx, "first"); err == nil {
		t.Error("a deletion is said to have been done")
	}
	if _, err := s.Load(ctx, "first"); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a read: %v", err)
	}
	if err := os.Rename(dir+".away", dir); err != nil {
		t.Fatal(err)
	}
	if got := reason(t, s, "second"); got != "no_rules" {
		t.Errorf("once it is back: %q", got)
	}
	if err := s.Delete(ctx, "first"); err != nil {
		t.Error(err)
	}
	if got := reason(t, s, "first"); got != "no_rules" {
		t.Errorf("deleted: %q", got)
	}
}

// stuckStorage is one whose calls hang, whatever their contexts say, while stuck is set.
type stuckStorage struct {
	certmagic.Storage
	mu    sync.Mutex
	stuck chan struct{}
	calls []string
}

func (s *stuckStorage) call(name, key string) {
	s.mu.Lock()
	s.calls = append(s.calls, name+" "+key)
	stuck := s.stuck
	s.mu.Unlock()
	if stuck != nil {
		<-stuck
	}
}

func (s *stuckStorage) Load(ctx context.Context, key string) ([]byte, error) {
	s.call("load", key)
	return s.Storage.Load(ctx, key)
}

func (s *stuckStorage) Store(ctx context.Context, key string, value []byte) error {
	s.call("store", key)
	return s.Storage.Store(ctx, key, value)
}

func (s *stuckStorage) Delete(ctx context.Context, key string) error {
	s.call("delete", key)
	return s.Storage.Delete(ctx, key)
}

// Who asks for an operation waits as long as the context lasts, be the storage as stuck as
// it may. A change that was given up is not overtaken by another of the same bucket.
func TestStorage_stuck(t *testing.T) {
	s, _ := openStorage(t, time.Minute)
	stuck := &stuckStorage{Storage: s.storage, stuck: make(chan struct{})}
	s.storage = stuck
	version := func(n int) []byte { return fmt.Appendf(nil, document, fmt.Sprintf("https://v%d.example.com", n)) }
	load := func(ctx context.Context) error { _, err := s.Load(ctx, "stuck"); return err }
	store := func(n int) func(context.Context) error {
		return func(ctx context.Context) error { return s.Store(ctx, "stuck", version(n)) }
	}
	remove := func(ctx context.Context) error { return s.Delete(ctx, "stuck") }
	for _, c := range []struct {
		desc string
		do   func(context.Context) error
		want string // in the error
	}{
		{"a read", load, "bucket stuck: reading its rules: no answer"},
		{"a write", store(1), "may still take place"},
		{"another write", store(2), "not begun"},
		{"a deletion", remove, "not begun"},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		done := make(chan error, 1)
		go func() { done <- c.do(ctx) }()
		select {
		case err := <-done:
			if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %v; want a deadline that is exceeded, and %q", c.desc, err, c.want)
			}
		case <-time.After(5 * time.Second):
			t.Fatalf("%s: stuck", c.desc)
		}
	}
	stuck.mu.Lock()
	close(stuck.stuck)
	stuck.stuck = nil
	stuck.mu.Unlock()
	for _, do := range []func(context.Context) error{store(3), load} {
		if err := do(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if got, _ := s.Load(t.Context(), "stuck"); string(got) != string(version(3)) {
		t.Errorf("stored is %s", got)
	}
	stuck.mu.Lock()
	defer stuck.mu.Unlock()
	writes := slices.DeleteFunc(stuck.calls, func(call string) bool { return strings.HasPrefix(call, "load") })
	if want := []string{"store oss_cors/stuck.xml", "store oss_cors/stuck.xml"}; !slices.Equal(writes, want) {
		t.Errorf("the storage was told %q; want %q", writes, want)
	}
}

// The rules that clients of S3 put are in force, though OSS would refuse them: more than ten,
// an empty origin, a name in any case. So are those of a bucket without counters of its own.
func TestStorage_rulesOfS3(t *testing.T) {
	s, _ := openStorage(t, time.Minute)
	const rule = "<CORSRule><AllowedOrigin/><AllowedOrigin>https://%d.example.com</AllowedOrigin><AllowedMethod>GET</AllowedMethod><AllowedHeader>X-A</AllowedHeader></CORSRule>"
	var doc strings.Builder
	doc.WriteString("<CORSConfiguration>")
	for i := range 100 {
		fmt.Fprintf(&doc, rule, i)
	}
	doc.WriteString("</CORSConfiguration>")
	s.read = func(context.Context, string) ([]byte, error) { return []byte(doc.String()), nil }
	preflight := corsrules.ReadRequest(&http.Request{Method: "OPTIONS", Header: http.Header{
		"Origin": {"https://99.example.com"}, "Access-Control-Request-Method": {"GET"}, "Access-Control-Request-Headers": {"x-a"}}})
	for i := range metrics.MaxBuckets + 1 {
		rules, err := s.Rules(t.Context(), fmt.Sprint(i))
		if err != nil {
			t.Fatal(err)
		}
		d := rules.Decide(preflight)
		if d.Outcome != corsrules.Allowed || d.Rule.Number() != 100 {
			t.Fatalf("bucket %d: %+v", i, d)
		}
		rules.Count(metrics.Preflight, d, preflight.Origin)
	}
}
