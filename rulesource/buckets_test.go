package rulesource

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-oss-cors/caddy-oss-cors/corsrules"
	"github.com/caddy-oss-cors/caddy-oss-cors/metrics"
)

func TestBuckets_namesThatDoNotExistGrowNothing(t *testing.T) {
	s, _ := openShelf(t, time.Minute, newLogged().Options)
	for i := range 5 * maxUnloaded {
		if got := reason(t, s, fmt.Sprintf("name-%d", i)); got != "no_rules" {
			t.Fatal(got)
		}
	}
	if loaded := len(s.Reports()) - 1; loaded != 0 || len(s.unloaded) > maxUnloaded { // one is of all others
		t.Errorf("%d loaded, %d not", loaded, len(s.unloaded))
	}
}

// While so many names are being read that none can be forgotten, no more are.
func TestBuckets_readsUnderWayAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, documents := openShelf(t, refresh, newLogged().Options)
		documents.put("loaded", app)
		expect(t, s, "loaded", "", 0)
		heal := documents.hang(t)
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		for i := range maxUnloaded {
			if _, err := s.Rules(gone, fmt.Sprintf("name-%d", i)); err == nil {
				t.Fatal("there are rules")
			}
		}
		expect(t, s, "one-more", "unreachable", 0)
		expect(t, s, "loaded", "", 0)
		heal()
		time.Sleep(refresh)
		expect(t, s, "one-more", "no_rules", 0)
	})
}

// A name that OSS would not allow does not have a document, whatever is in the directory.
func TestBuckets_theLongestName(t *testing.T) {
	dir := t.TempDir()
	s := openDirectory(t, dir, time.Minute, newLogged().Options)
	for n, want := range map[int]string{maxName: "", maxName + 1: "no_rules"} {
		name := strings.Repeat("a", n)
		writeBucket(t, dir, name, app)
		if got := reason(t, s, name); got != want {
			t.Errorf("%d bytes: %q; want %q", n, got, want)
		}
	}
	if loaded := len(s.Reports()) - 1; loaded != 1 {
		t.Errorf("%d buckets are loaded; want 1", loaded)
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

// tenant is a bucket's document of ten rules.
type tenant string

func (name tenant) read(context.Context) ([]byte, look, error) {
	var number int
	_, err := fmt.Sscanf(string(name), "tenant-%d", &number)
	return tenRules(number), look{}, err
}

func (tenant) look(context.Context) (look, error) { return look{}, nil }

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func TestBuckets_memory(t *testing.T) {
	const n = 10_000
	s := openDirectory(t, t.TempDir(), time.Hour, &Options{Logger: zap.NewNop(), Store: metrics.NewStore()})
	s.document = func(bucket string) reader { return tenant(bucket) }
	size := len(tenRules(n))
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

// A handler whose buckets nobody requests costs kilobytes.
func TestBuckets_memoryOfAHandler(t *testing.T) {
	const n = 1000
	dir, opts := t.TempDir(), &Options{Logger: zap.NewNop(), Store: metrics.NewStore()}
	sources, ctx := make([]*Directory, n), newContext(t)
	before := heap()
	for i := range sources {
		sources[i] = &Directory{Path: dir}
		if err := sources[i].Open(ctx, opts); err != nil {
			t.Fatal(err)
		}
	}
	used := (heap() - before) / n
	t.Logf("%d bytes a source", used)
	if used > 4<<10 {
		t.Error("more than 4 KB")
	}
	runtime.KeepAlive(sources)
}

func BenchmarkBuckets(b *testing.B) {
	for _, n := range []int{1, 100, 10_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s := openDirectory(b, b.TempDir(), time.Hour, &Options{Logger: zap.NewNop(), Store: metrics.NewStore()})
			s.document = func(string) reader { return tenant("tenant-0") }
			names := make([]string, n)
			for i := range names {
				names[i] = fmt.Sprintf("tenant-%d", i)
				if _, err := s.Rules(context.Background(), names[i]); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				rules, _ := s.Rules(context.Background(), names[i%n])
				rules.Decide(fromApp)
				i++
			}
		})
	}
}

// BenchmarkOneBucket has all processors request one bucket, whose lock they share.
func BenchmarkOneBucket(b *testing.B) {
	s, documents := openShelf(b, time.Hour, &Options{Logger: zap.NewNop(), Store: metrics.NewStore()})
	documents.put("b", app)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			_, _ = s.Rules(context.Background(), "b")
		}
	})
}

func TestDirectory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir, l := t.TempDir(), newLogged()
		writeBucket(t, dir, "allows", app)
		writeBucket(t, dir, "denies", other)
		write(t, filepath.Join(dir, "broken.xml"), []byte("<CORSConfiguration>"))
		s := openDirectory(t, dir, refresh, l.Options)
		for _, c := range []struct{ desc, bucket, want string }{
			{"a rule matches", "allows", ""},
			{"no rule matches", "denies", "origin"},
			{"without a document CORS is not enabled", "nothing", "no_rules"},
			{"without a bucket CORS is not enabled", "", "no_rules"},
			{"a bad document denies", "broken", "origin"},
		} {
			if got := reason(t, s, c.bucket); got != c.want {
				t.Errorf("%s: %q, want %q", c.desc, got, c.want)
			}
		}

		writeBucket(t, dir, "denies", app)
		writeBucket(t, dir, "nothing", app)
		writeBucket(t, dir, "broken", app)
		write(t, filepath.Join(dir, "allows.xml"), []byte("<"))
		time.Sleep(refresh)
		for _, bucket := range []string{"denies", "nothing", "broken", "allows"} {
			if got := reason(t, s, bucket); got != "" {
				t.Errorf("%s: %q", bucket, got)
			}
		}
		for _, report := range s.Reports() {
			if failed := report.Status.Err != nil; failed != (report.Rules.Name == "allows") {
				t.Errorf("%s: %v", report.Rules.Name, report.Status.Err)
			}
		}
		if err := os.Remove(filepath.Join(dir, "allows.xml")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(refresh)
		expect(t, s, "allows", "no_rules", 0)
	})
}

func TestDirectory_missingIsUnreachableAndMayComeLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "late")
		s := openDirectory(t, dir, refresh, newLogged().Options)
		expect(t, s, "one", "unreachable", 0)
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		writeBucket(t, dir, "one", app)
		time.Sleep(refresh / 2) // for so long the failure is remembered
		expect(t, s, "one", "", 0)
		if err := os.Rename(dir, dir+".away"); err != nil {
			t.Fatal(err)
		}
		for range 10 {
			time.Sleep(refresh / 2)
			expect(t, s, "one", "", 0)
		}
	})
}

// A bucket has no document only if the directory exists, whichever look of a read finds that out.
func TestDirectory_absence(t *testing.T) {
	for desc, dir := range map[string]string{"a directory": t.TempDir(), "none": filepath.Join(t.TempDir(), "missing")} {
		document := directoryFile{regularFile(filepath.Join(dir, "bucket.xml")), dir}
		_, _, first := document.read(t.Context())
		_, second := document.look(t.Context())
		for method, err := range map[string]error{"read": first, "look": second} {
			if isCertain := errors.Is(err, fs.ErrNotExist); err == nil || isCertain != (desc == "a directory") {
				t.Errorf("%s: %s: %v", desc, method, err)
			}
		}
	}
}

// A directory that hangs, as on a lost mount, keeps no configuration from being loaded. A named
// pipe hangs when it is opened.
func TestDirectory_openDoesNotHang(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "pipe")
	notRegularFiles["pipe"](t, dir)
	start := time.Now()
	openDirectory(t, dir, refresh, newLogged().Options)
	if took := time.Since(start); took >= readDeadline {
		t.Errorf("after %s", took)
	}
	f, err := os.OpenFile(dir, os.O_RDWR, 0) // ends what hangs
	if err != nil {
		t.Fatal(err)
	}
	_ = f.Close()
}

// Documents that are not regular files are refused, and nothing waits for them.
func TestDirectory_notARegularFile(t *testing.T) {
	dir := t.TempDir()
	for bucket, make := range notRegularFiles {
		make(t, filepath.Join(dir, bucket+".xml"))
	}
	s := openDirectory(t, dir, MinRefresh, newLogged().Options)
	for range 3 {
		for bucket := range notRegularFiles {
			expect(t, s, bucket, "unreachable", time.Second)
		}
		time.Sleep(MinRefresh)
	}
	for bucket := range notRegularFiles {
		if err := os.RemoveAll(filepath.Join(dir, bucket+".xml")); err != nil {
			t.Fatal(err)
		}
		writeBucket(t, dir, bucket, app)
		time.Sleep(MinRefresh)
		expect(t, s, bucket, "", time.Second)
	}
}

// A request that is under way when its configuration ends is counted, also if it loads the
// bucket's rules only then.
func TestBuckets_countedAfterTheEnd(t *testing.T) {
	l := newLogged()
	old, documents := openShelf(t, time.Hour, l.Options)
	documents.put("b", app)
	next, nextDocuments := openShelf(t, time.Hour, l.Options)
	nextDocuments.put("b", app)
	old.close()

	for _, s := range []*Directory{old, next} {
		rules, err := s.Rules(t.Context(), "b")
		if err != nil {
			t.Fatal(err)
		}
		rules.Count(metrics.Actual, rules.Decide(fromApp), app)
	}
	rules, _ := next.Rules(t.Context(), "b")
	if hits := rules.hits[0].Hits(metrics.Actual); hits != 2 {
		t.Errorf("%d of 2 requests are counted", hits)
	}
}
