package rulesource

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/caddy-oss-cors/caddy-oss-cors/corsrules"
	"github.com/caddy-oss-cors/caddy-oss-cors/metrics"
)

const document = `<CORSConfiguration><CORSRule><AllowedOrigin>%s</AllowedOrigin><AllowedMethod>GET</AllowedMethod></CORSRule></CORSConfiguration>`

func newContext(t testing.TB) caddy.Context {
	t.Helper()
	ctx, err := caddy.ProvisionContext(&caddy.Config{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := caddy.NewContext(ctx)
	t.Cleanup(cancel)
	return ctx
}

func openDirectory(t testing.TB, dir string, refresh time.Duration) *Directory {
	t.Helper()
	return openLogged(t, dir, refresh, zap.NewNop())
}

func openLogged(t testing.TB, dir string, refresh time.Duration, log *zap.Logger) *Directory {
	t.Helper()
	s := &Directory{Path: dir, RefreshOptions: RefreshOptions{Refresh: caddy.Duration(refresh)}}
	if err := s.Open(newContext(t), &Options{Logger: log, Store: metrics.NewStore()}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Cleanup() })
	return s
}

func write(t testing.TB, dir, bucket, origin string) {
	t.Helper()
	path := filepath.Join(dir, bucket+".xml")
	if err := os.WriteFile(path+".new", fmt.Appendf(nil, document, origin), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// reason asks a bucket's rules for a GET by https://app.example.com.
func reason(t testing.TB, s Source, bucket string) string {
	t.Helper()
	rules, err := s.Rules(context.Background(), bucket)
	if err != nil {
		return "unreachable"
	}
	return rules.Decide(fromApp).Reason.String()
}

func eventually(t testing.TB, want string, got func() string) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for got() != want {
		if time.Now().After(deadline) {
			t.Fatalf("got %q, want %q", got(), want)
		}
		time.Sleep(time.Millisecond)
	}
}

func TestDirectory(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "allows", "https://app.example.com")
	write(t, dir, "denies", "https://other.example.com")
	if err := os.WriteFile(filepath.Join(dir, "broken.xml"), []byte("<CORSConfiguration>"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := openDirectory(t, dir, 10*time.Millisecond)
	for _, c := range []struct{ desc, bucket, want string }{
		{"a rule matches", "allows", ""},
		{"no rule matches", "denies", "origin"},
		{"no document: not enabled", "nothing", "no_rules"},
		{"no bucket: not enabled", "", "no_rules"},
		{"a bad document denies", "broken", "origin"},
	} {
		if got := reason(t, s, c.bucket); got != c.want {
			t.Errorf("%s: %q, want %q", c.desc, got, c.want)
		}
	}

	write(t, dir, "denies", "https://app.example.com")
	eventually(t, "", func() string { return reason(t, s, "denies") })
	write(t, dir, "nothing", "https://app.example.com")
	eventually(t, "", func() string { return reason(t, s, "nothing") })
	write(t, dir, "broken", "https://app.example.com")
	eventually(t, "", func() string { return reason(t, s, "broken") })

	if err := os.WriteFile(filepath.Join(dir, "allows.xml"), []byte("<"), 0o600); err != nil {
		t.Fatal(err)
	}
	known := s.find("allows")
	eventually(t, "true", func() string {
		reason(t, s, "allows")
		return fmt.Sprint(known.document.Status().Err != nil)
	})
	if got := reason(t, s, "allows"); got != "" {
		t.Errorf("the last good rules are not in force: %q", got)
	}
	if err := os.Remove(filepath.Join(dir, "allows.xml")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "no_rules", func() string { return reason(t, s, "allows") })
}

func TestDirectory_missingIsUnreachableAndMayComeLater(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "late")
	s := openDirectory(t, dir, 10*time.Millisecond)
	if got := reason(t, s, "one"); got != "unreachable" {
		t.Errorf("got %q", got)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, dir, "one", "https://app.example.com")
	if got := reason(t, s, "one"); got != "" {
		t.Errorf("once there: %q", got)
	}
	if err := os.Rename(dir, dir+".away"); err != nil {
		t.Fatal(err)
	}
	time.Sleep(20 * time.Millisecond)
	for range 100 {
		if got := reason(t, s, "one"); got != "" {
			t.Fatalf("gone again, the last good rules are not in force: %q", got)
		}
	}
}

// A change is in force within refresh, even for a bucket that nobody asked for meanwhile.
func TestBuckets_noRequestSeesRulesOlderThanRefresh(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "idle", "https://other.example.com")
	const refresh = 50 * time.Millisecond
	s := openDirectory(t, dir, refresh)
	reason(t, s, "idle")
	write(t, dir, "idle", "https://app.example.com")
	time.Sleep(refresh)
	if got := reason(t, s, "idle"); got != "" {
		t.Errorf("after refresh the old rules answer: %q", got)
	}
}

func TestBuckets_oneReadHoweverManyWait(t *testing.T) {
	s := openDirectory(t, t.TempDir(), time.Minute)
	var mu sync.Mutex
	reads := 0
	release := make(chan struct{})
	s.read = func(context.Context, string) ([]byte, error) {
		mu.Lock()
		reads++
		mu.Unlock()
		<-release
		return fmt.Appendf(nil, document, "https://app.example.com"), nil
	}
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			if got := reason(t, s, "one"); got != "" {
				t.Errorf("got %q", got)
			}
		})
	}
	eventually(t, "1", func() string { mu.Lock(); defer mu.Unlock(); return fmt.Sprint(reads) })
	close(release)
	wg.Wait()
	if reads != 1 {
		t.Errorf("%d reads", reads)
	}
}

// What a slow read brings is as old as its beginning.
func TestBuckets_aSlowReadIsOldWhenItEnds(t *testing.T) {
	const refresh = 200 * time.Millisecond
	for _, c := range []struct {
		desc  string
		takes time.Duration // a read
		asked time.Duration // when rules are asked for, since a read began
	}{
		{"after it", refresh, refresh * 3 / 2},
		{"during it", refresh * 2, refresh * 3 / 2},
	} {
		dir := t.TempDir()
		write(t, dir, "slow", "https://other.example.com")
		s := openDirectory(t, dir, refresh)
		read := s.read
		s.read = func(ctx context.Context, bucket string) ([]byte, error) {
			content, err := read(ctx, bucket)
			time.Sleep(c.takes)
			return content, err
		}
		began := time.Now()
		go reason(t, s, "slow")
		time.Sleep(refresh / 4)
		write(t, dir, "slow", "https://app.example.com")
		time.Sleep(time.Until(began.Add(c.asked)))
		if got := reason(t, s, "slow"); got != "" {
			t.Errorf("%s: later than refresh the old rules answer: %q", c.desc, got)
		}
	}
}

func TestBuckets_namesThatDoNotExistGrowNothing(t *testing.T) {
	s := openDirectory(t, t.TempDir(), time.Minute)
	s.read = func(context.Context, string) ([]byte, error) { return nil, os.ErrNotExist }
	for i := range 5 * maxUnknown {
		reason(t, s, fmt.Sprintf("name-%d", i))
	}
	if known := len(s.Reports()) - 1; known != 0 || len(s.unknown.seen) > maxUnknown { // one is of all others
		t.Errorf("%d known, %d unknown", known, len(s.unknown.seen))
	}
}

// A name that OSS would not allow has no document, whatever lies in the directory.
func TestBuckets_theLongestName(t *testing.T) {
	dir := t.TempDir()
	s := openDirectory(t, dir, time.Minute)
	for n, want := range map[int]string{maxName: "", maxName + 1: "no_rules"} {
		name := strings.Repeat("a", n)
		write(t, dir, name, "https://app.example.com")
		if got := reason(t, s, name); got != want {
			t.Errorf("%d bytes: %q; want %q", n, got, want)
		}
	}
	if known := len(s.Reports()) - 1; known != 1 {
		t.Errorf("%d buckets are known; want 1", known)
	}
}

// tenRules is a document as tenants write them.
func tenRules(bucket int) []byte {
	cfg := new(corsrules.Configuration)
	for r := range 10 {
		age := 600
		cfg.Rules = append(cfg.Rules, corsrules.CORSRule{
			AllowedOrigins: []string{fmt.Sprintf("https://app%d.tenant%d.example.com", r, bucket), fmt.Sprintf("https://*.preview%d.tenant%d.example.com", r, bucket)},
			AllowedMethods: []string{"GET", "PUT", "HEAD"},
			AllowedHeaders: []string{"content-type", "x-oss-*"},
			ExposeHeaders:  []string{"ETag", "x-oss-request-id"},
			MaxAgeSeconds:  &age,
		})
	}
	return cfg.Marshal()
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func TestBuckets_memory(t *testing.T) {
	const n = 10_000
	s := openDirectory(t, t.TempDir(), time.Hour)
	size := len(tenRules(n))
	s.read = func(_ context.Context, bucket string) ([]byte, error) {
		var i int
		_, err := fmt.Sscanf(bucket, "tenant-%d", &i)
		return tenRules(i), err
	}
	before := heap()
	for i := range n {
		if got := reason(t, s, fmt.Sprintf("tenant-%d", i)); got != "origin" {
			t.Fatal(got)
		}
	}
	used := float64(heap()-before) / n
	t.Logf("%.0f bytes a bucket, %.2f times its XML's %d", used, used/float64(size), size)
	// A process takes up to twice what it uses, and the same again while it is busy.
	if used > 0.8*float64(size) {
		t.Error("more than 0.8 times the XML")
	}
	runtime.KeepAlive(s)
}

func BenchmarkBuckets(b *testing.B) {
	for _, n := range []int{1, 10_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s := openDirectory(b, b.TempDir(), time.Hour)
			s.read = func(context.Context, string) ([]byte, error) { return tenRules(0), nil }
			names := make([]string, n)
			for i := range names {
				names[i] = fmt.Sprintf("tenant-%d", i)
				if _, err := s.Rules(context.Background(), names[i]); err != nil {
					b.Fatal(err)
				}
			}
			request := corsrules.ReadRequest(&http.Request{Method: "GET", Header: http.Header{"Origin": {"https://app9.tenant0.example.com"}}})
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				rules, _ := s.Rules(context.Background(), names[i%n])
				rules.Decide(request)
				i++
			}
		})
	}
}

// fromApp is an actual request that the tests' rules allow.
var fromApp = corsrules.ReadRequest(&http.Request{Method: "GET", Host: "bucket.example", Header: http.Header{"Origin": {"https://app.example.com"}}})
