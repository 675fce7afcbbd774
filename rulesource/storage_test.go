package rulesource

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"

	"github.com/caddy-oss-cors/caddy-oss-cors/corsrules"
	"github.com/caddy-oss-cors/caddy-oss-cors/metrics"
)

// engine is a storage over a store of keys that can fail, as one over a network does.
type engine struct {
	certmagic.Storage // not used: nil

	mu       sync.Mutex
	values   map[string][]byte
	saved    map[string][]byte          // by a backup
	sizes    map[string]int64           // where Stat says another size than the value has
	modified time.Time                  // of every value; zero: not known
	down     error                      // of every operation
	lies     bool                       // it says fs.ErrNotExist instead, as many storage modules do
	on       map[string]func(e *engine) // what happens when an operation begins, such as "Stat key"
	readOnly bool
	hangs    chan struct{} // every operation, until it is closed
	calls    []string      // "Store key" and so on
}

func newEngine() *engine { return &engine{values: map[string][]byte{}, sizes: map[string]int64{}} }

var errDown = errors.New("connection refused")

// set changes how the engine behaves.
func (e *engine) set(change func(e *engine)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	change(e)
}

// keys returns what is stored.
func (e *engine) keys() map[string][]byte {
	e.mu.Lock()
	defer e.mu.Unlock()
	return maps.Clone(e.values)
}

// called returns the operations since the last call, those of the marker left out.
func (e *engine) called() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	calls := slices.DeleteFunc(e.calls, func(call string) bool { return strings.HasSuffix(call, "/.oss_cors") })
	e.calls = nil
	return calls
}

// begin begins an operation, and returns why it cannot be carried out.
func (e *engine) begin(operation, key string) error {
	e.mu.Lock()
	e.calls = append(e.calls, operation+" "+key)
	hangs := e.hangs
	e.mu.Unlock()
	if hangs != nil {
		<-hangs
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if happens := e.on[operation+" "+key]; happens != nil {
		happens(e)
	}
	writes := operation == "Store" || operation == "Delete"
	switch {
	case e.down != nil && e.lies && operation != "Store":
		return fs.ErrNotExist
	case e.down != nil:
		return e.down
	case e.readOnly && writes:
		return errors.New("read-only")
	}
	if _, isThere := e.values[key]; !isThere && !writes {
		return fs.ErrNotExist
	}
	return nil
}

func (e *engine) Load(_ context.Context, key string) ([]byte, error) {
	if err := e.begin("Load", key); err != nil {
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.values[key], nil
}

func (e *engine) Stat(_ context.Context, key string) (certmagic.KeyInfo, error) {
	if err := e.begin("Stat", key); err != nil {
		return certmagic.KeyInfo{}, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	size, isSet := e.sizes[key]
	if !isSet {
		size = int64(len(e.values[key]))
	}
	return certmagic.KeyInfo{Key: key, Size: size, Modified: e.modified, IsTerminal: true}, nil
}

func (e *engine) Store(_ context.Context, key string, value []byte) error {
	if err := e.begin("Store", key); err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.values[key] = value
	return nil
}

func (e *engine) Delete(_ context.Context, key string) error {
	if err := e.begin("Delete", key); err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.values, key)
	return nil
}

func openStorage(t testing.TB, storage certmagic.Storage, opts *Options) *Storage {
	t.Helper()
	s := &Storage{RefreshOptions: RefreshOptions{Refresh: caddy.Duration(refresh)}}
	if err := s.openOn(newContext(t), storage, opts); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Cleanup() })
	return s
}

func store(t testing.TB, s *Storage, bucket, origin string) {
	t.Helper()
	if err := s.Store(t.Context(), bucket, documentFor(origin)); err != nil {
		t.Fatal(err)
	}
}

// troubles are what can happen to a storage while it is in use.
var troubles = []struct {
	desc        string
	begin, heal func(e *engine)
}{
	{"it is down", func(e *engine) { e.down = errDown }, func(e *engine) { e.down = nil }},
	{"it is down, and says that nothing exists", func(e *engine) { e.down, e.lies = errDown, true }, func(e *engine) { e.down = nil }},
	{"it is emptied, and restored", func(e *engine) { e.saved, e.values = e.values, map[string][]byte{} }, func(e *engine) { e.values = e.saved }},
}

// Whatever a storage in trouble answers, rules that are loaded stay in force, others cannot
// be had, nothing is written, and that is logged and shown. Afterwards all is as before.
func TestStorage_trouble(t *testing.T) {
	for _, trouble := range troubles {
		t.Run(trouble.desc, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e, l := newEngine(), newLogged()
				s := openStorage(t, e, l.Options)
				store(t, s, "loaded", app)
				store(t, s, "forgotten", app)
				expect(t, s, "absent", "no_rules", 0)
				fresh := openStorage(t, e, l.Options) // another proxy, which has loaded nothing
				synctest.Wait()
				l.messages()

				e.set(trouble.begin)
				for range 20 {
					time.Sleep(refresh / 2)
					expect(t, s, "loaded", "", 0)
				}
				for _, bucket := range []string{"forgotten", "absent"} {
					expect(t, fresh, bucket, "unreachable", 0)
				}
				for desc, err := range map[string]error{
					"a write":    s.Store(t.Context(), "loaded", documentFor(other)),
					"a deletion": s.Delete(t.Context(), "loaded"),
				} {
					if err == nil {
						t.Errorf("%s is said to have taken place", desc)
					}
				}
				if _, err := s.Load(t.Context(), "loaded"); err == nil || errors.Is(err, fs.ErrNotExist) {
					t.Errorf("a read: %v", err)
				}
				expect(t, s, "loaded", "", 0)
				if got := l.messages(); !slices.Equal(got, []string{cannotBeRead, noneLoaded}) {
					t.Errorf("logged %q", got)
				}
				if line := `caddy_oss_cors_rules_last_load_successful{ruleset="_other"} 0`; !strings.Contains(l.exposition(t), line+"\n") {
					t.Errorf("metrics do not show %s", line)
				}

				e.set(trouble.heal)
				time.Sleep(refresh)
				expect(t, s, "loaded", "", 0)
				expect(t, fresh, "forgotten", "", 0)
				expect(t, fresh, "absent", "no_rules", 0)
				store(t, s, "loaded", other)
				expect(t, s, "loaded", "origin", 0)
			})
		})
	}
}

// A storage that goes down in the middle of a deletion has not deleted anything, whatever it
// says.
func TestStorage_downInADeletion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEngine()
		s := openStorage(t, e, newLogged().Options)
		store(t, s, "b", app)
		e.set(func(e *engine) {
			e.on = map[string]func(e *engine){"Delete oss_cors/b.xml": func(e *engine) { e.down, e.lies = errDown, true }}
		})
		if err := s.Delete(t.Context(), "b"); err == nil {
			t.Error("it is said to have taken place")
		}
		expect(t, s, "b", "", 0)
	})
}

// A document that another proxy stores, while this one finds out whether there is any, is in
// force.
func TestStorage_storedMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, l := newEngine(), newLogged()
		s := openStorage(t, e, l.Options)
		synctest.Wait()
		e.on = map[string]func(e *engine){"Load oss_cors/.oss_cors": func(e *engine) { e.values["oss_cors/b.xml"] = documentFor(app) }}
		expect(t, s, "b", "", 0)
		if got := l.messages(); !slices.Equal(got, []string{inForce}) {
			t.Errorf("logged %q", got)
		}
	})
}

// A marker that is made while somebody looks for it is not gone.
func TestStorage_markerMadeMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEngine()
		s := openStorage(t, e, newLogged().Options)
		synctest.Wait()
		e.set(func(e *engine) {
			delete(e.values, "oss_cors/.oss_cors")
			s.marker.seen = false
			e.on = map[string]func(e *engine){"Load oss_cors/.oss_cors": func(e *engine) {
				s.marker.mu.Lock()
				defer s.marker.mu.Unlock()
				s.marker.seen = true // by another request, which has found none either
			}}
		})
		store(t, s, "b", app)
	})
}

// A storage that was emptied is not filled again by whoever writes first: it may be another
// one. It is taken as it is when a configuration is loaded.
func TestStorage_emptied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, l := newEngine(), newLogged()
		s := openStorage(t, e, l.Options)
		store(t, s, "b", app)
		e.set(func(e *engine) { clear(e.values) })
		for _, err := range []error{s.Store(t.Context(), "c", documentFor(app)), s.Delete(t.Context(), "b")} {
			if err == nil || !strings.Contains(err.Error(), "oss_cors/.oss_cors is gone") || !strings.Contains(err.Error(), "caddy reload --force") {
				t.Errorf("%v", err)
			}
		}
		if stored := e.keys(); len(stored) > 0 {
			t.Errorf("stored is %q", stored)
		}
		time.Sleep(refresh)
		expect(t, s, "b", "", 0)
		time.Sleep(24 * time.Hour) // unused, it is not dropped
		expect(t, s, "b", "", 0)
		after := openStorage(t, e, l.Options)
		expect(t, after, "b", "no_rules", 0)
		store(t, after, "b", other)
		expect(t, after, "b", "origin", 0)
		time.Sleep(refresh)
		expect(t, s, "b", "origin", 0)
	})
}

// A storage without a marker gets one: when a configuration is loaded or, if that failed,
// when it is first needed.
func TestStorage_theMarkerIsMade(t *testing.T) {
	const key = "oss_cors/.oss_cors"
	for _, c := range []struct {
		desc string
		need func(t *testing.T, s *Storage)
	}{
		{"by a read", func(t *testing.T, s *Storage) { expect(t, s, "absent", "no_rules", 0) }},
		{"by a write", func(t *testing.T, s *Storage) { store(t, s, "b", app) }},
	} {
		synctest.Test(t, func(t *testing.T) {
			e, l := newEngine(), newLogged()
			e.down, e.lies = errDown, true // as Caddy starts
			s := openStorage(t, e, l.Options)
			synctest.Wait()
			for range 10 {
				expect(t, s, "absent", "unreachable", 0)
			}
			if got := l.messages(); !slices.Equal(got, []string{cannotBeProven, noneLoaded}) {
				t.Errorf("%s: logged %q", c.desc, got)
			}
			e.set(func(e *engine) { e.down = nil })
			time.Sleep(refresh)
			c.need(t, s)
			if stored := e.keys(); len(stored[key]) == 0 {
				t.Errorf("%s: there is no marker in %q", c.desc, stored)
			}
		})
	}
	synctest.Test(t, func(t *testing.T) {
		e := newEngine()
		openStorage(t, e, newLogged().Options)
		synctest.Wait()
		if stored := e.keys(); len(stored[key]) == 0 {
			t.Errorf("when it was opened: there is no marker in %q", stored)
		}
	})
}

const cannotBeProven = "it cannot be proven that a bucket has no CORS rules: store the marker, with any content, or let Caddy store it"

// Where the marker cannot be made, that is logged once. Documents are read all the same.
// Once somebody has made it, absence can be proven.
func TestStorage_readOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, l := newEngine(), newLogged()
		e.values["oss_cors/b.xml"] = documentFor(app)
		e.readOnly = true
		s := openStorage(t, e, l.Options)
		synctest.Wait()
		for range 100 {
			expect(t, s, "b", "", 0)
			expect(t, s, "absent", "unreachable", 0)
			time.Sleep(refresh / 2)
		}
		messages := l.messages()
		if got := len(slices.DeleteFunc(slices.Clone(messages), func(m string) bool { return m != cannotBeProven })); got != 1 {
			t.Errorf("%d lines say so: %q", got, messages)
		}
		e.set(func(e *engine) { e.values["oss_cors/.oss_cors"] = []byte("x") })
		time.Sleep(refresh)
		expect(t, s, "absent", "no_rules", 0)
	})
}

// A lost mount leaves an empty directory, or none: nothing is taken for deleted, and nothing
// is written where it would be hidden once the mount is back.
func TestStorage_aLostMount(t *testing.T) {
	for _, c := range []struct {
		desc string
		lose func(dir string) error
	}{
		{"the directory is gone", func(string) error { return nil }},
		{"the directory is empty", func(dir string) error { return os.Mkdir(dir, 0o700) }},
	} {
		synctest.Test(t, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "storage")
			s := openStorage(t, &certmagic.FileStorage{Path: dir}, newLogged().Options)
			expect(t, s, "first", "no_rules", time.Second)
			store(t, s, "first", app)
			if err := errors.Join(os.Rename(dir, dir+".away"), c.lose(dir)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(refresh)
			expect(t, s, "first", "", 0)
			expect(t, s, "second", "unreachable", 0)
			if err := s.Store(t.Context(), "first", documentFor(other)); err == nil {
				t.Errorf("%s: a write is said to have taken place", c.desc)
			}
			if err := s.Delete(t.Context(), "first"); err == nil {
				t.Errorf("%s: a deletion is said to have taken place", c.desc)
			}
			if _, err := s.Load(t.Context(), "first"); err == nil || errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s: a read: %v", c.desc, err)
			}
			if written, _ := filepath.Glob(dir + "/*"); len(written) > 0 {
				t.Errorf("%s: written is %q", c.desc, written)
			}
			_ = os.Remove(dir)
			if err := os.Rename(dir+".away", dir); err != nil {
				t.Fatal(err)
			}
			time.Sleep(refresh / 2)
			expect(t, s, "second", "no_rules", 0)
			if err := s.Delete(t.Context(), "first"); err != nil {
				t.Error(err)
			}
			expect(t, s, "first", "no_rules", 0)
		})
	}
}

// What the API writes or deletes is in force at once, whatever reads are under way, and
// whether or not it can be read just then.
func TestStorage_aWriteIsInForceAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEngine()
		s := openStorage(t, e, newLogged().Options)
		store(t, s, "b", other)
		for _, c := range []struct {
			desc  string
			write func() error
			want  string
		}{
			{"a write", func() error { return s.Store(t.Context(), "b", documentFor(app)) }, ""},
			{"a deletion", func() error { return s.Delete(t.Context(), "b") }, "no_rules"},
			{"a write of a bucket that is not loaded", func() error { return s.Store(t.Context(), "b", documentFor(app)) }, ""},
		} {
			time.Sleep(refresh)
			hangs := make(chan struct{})
			found := e.keys()["oss_cors/b.xml"] // what a read finds that begins now
			s.document = func(string) reader { return slowRead{found, hangs} }
			_ = reason(t, s, "b")
			if err := c.write(); err != nil {
				t.Fatal(err)
			}
			expect(t, s, "b", c.want, 0)
			close(hangs)
			synctest.Wait()
			expect(t, s, "b", c.want, 0)
		}
	})
}

// slowRead is a read that finds what was there when it began.
type slowRead struct {
	found []byte // nil: nothing
	hangs chan struct{}
}

func (r slowRead) read(context.Context) ([]byte, look, error) {
	<-r.hangs
	if r.found == nil {
		return nil, look{}, fs.ErrNotExist
	}
	return r.found, look{}, nil
}

func (slowRead) look(context.Context) (look, error) { return look{}, nil }

// A document that is too long is not loaded, however long it is.
func TestStorage_aLongDocument(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, l := newEngine(), newLogged()
		s := openStorage(t, e, l.Options)
		store(t, s, "grows", app)
		e.set(func(e *engine) {
			for _, bucket := range []string{"big", "grows"} {
				e.values["oss_cors/"+bucket+".xml"] = documentFor(other)
				e.sizes["oss_cors/"+bucket+".xml"] = 500 << 20
			}
			// A storage that does not know the size: the document is bad all the same.
			e.values["oss_cors/unknown.xml"] = bytes.Repeat([]byte("x"), 1<<20)
			e.sizes["oss_cors/unknown.xml"] = 0
		})
		e.called()
		time.Sleep(refresh)
		expect(t, s, "big", "origin", 0)
		expect(t, s, "grows", "", 0)
		expect(t, s, "unknown", "origin", 0)
		if calls := e.called(); slices.Contains(calls, "Load oss_cors/big.xml") || slices.Contains(calls, "Load oss_cors/grows.xml") {
			t.Errorf("called were %q", calls)
		}
		for _, report := range s.Reports()[:3] {
			if err := report.Status.Err; err == nil || !strings.Contains(err.Error(), fmt.Sprint(maxStoredBytes)) {
				t.Errorf("%s: %v", report.Rules.Name, err)
			}
		}
	})
}

// A document is read with two operations, and with one more where it has changed.
func TestStorage_operations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEngine()
		s := openStorage(t, e, newLogged().Options)
		e.set(func(e *engine) { e.values["oss_cors/b.xml"] = documentFor(app) })
		for _, c := range []struct {
			desc string
			want []string
		}{
			{"the first read", []string{"Stat oss_cors/b.xml", "Load oss_cors/b.xml", "Stat oss_cors/b.xml"}},
			{"unchanged", []string{"Stat oss_cors/b.xml", "Load oss_cors/b.xml"}},
		} {
			e.called()
			expect(t, s, "b", "", 0)
			if got := e.called(); !slices.Equal(got, c.want) {
				t.Errorf("%s: %q; want %q", c.desc, got, c.want)
			}
			time.Sleep(refresh)
		}
	})
}

// The caller of an operation waits as long as its context lasts, even if the storage
// hangs. A write that was given up is not overtaken by another of the same bucket.
func TestStorage_hangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEngine()
		s := openStorage(t, e, newLogged().Options)
		synctest.Wait()
		version := func(n int) []byte { return documentFor(fmt.Sprintf("https://v%d.example.com", n)) }
		load := func(ctx context.Context) error { _, err := s.Load(ctx, "b"); return err }
		write := func(n int) func(context.Context) error {
			return func(ctx context.Context) error { return s.Store(ctx, "b", version(n)) }
		}
		remove := func(ctx context.Context) error { return s.Delete(ctx, "b") }
		hangs := make(chan struct{})
		e.set(func(e *engine) { e.hangs = hangs })
		e.called()
		for _, c := range []struct {
			desc string
			do   func(context.Context) error
			want string // in the error
		}{
			{"a read", load, "no answer"},
			{"a write", write(1), "may still take place"},
			{"another write", write(2), "not started"},
			{"a deletion", remove, "not started"},
		} {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if err := c.do(ctx); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %v; want a deadline that is exceeded, and %q", c.desc, err, c.want)
			}
		}
		e.set(func(e *engine) { e.hangs = nil })
		close(hangs)
		synctest.Wait()
		expect(t, s, "b", "origin", 0) // the write that was given up has taken place
		if err := write(3)(t.Context()); err != nil {
			t.Error(err)
		}
		if got, err := s.Load(t.Context(), "b"); !bytes.Equal(got, version(3)) || err != nil {
			t.Errorf("stored is %s, %v", got, err)
		}
		writes := slices.DeleteFunc(e.called(), func(call string) bool { return !strings.HasPrefix(call, "Store") })
		if want := []string{"Store oss_cors/b.xml", "Store oss_cors/b.xml"}; !slices.Equal(writes, want) {
			t.Errorf("the storage was told %q; want %q", writes, want)
		}
	})
}

// A storage that hangs keeps no configuration from being loaded.
func TestStorage_openDoesNotHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEngine()
		hangs := make(chan struct{})
		e.hangs = hangs
		start := time.Now()
		s := openStorage(t, e, newLogged().Options)
		if took := time.Since(start); took > 0 {
			t.Errorf("after %s", took)
		}
		expect(t, s, "b", "unreachable", readDeadline)
		close(hangs)
	})
}

func TestStorage_prefix(t *testing.T) {
	for prefix, good := range map[string]bool{"": true, "a/b": true, ".": false, "/a": false, "a//b": false, "../a": false} {
		s := &Storage{Prefix: prefix}
		err := s.openOn(newContext(t), newEngine(), &Options{Logger: zap.NewNop(), Store: newLogged().store})
		_ = s.Cleanup()
		if (err == nil) != good {
			t.Errorf("%q: %v", prefix, err)
		}
	}
}

// The rules that clients of S3 put are in force, though OSS would refuse them: more than ten,
// an empty origin, a name in any case. So are those of a bucket without counters of its own.
func TestStorage_rulesOfS3(t *testing.T) {
	const rule = "<CORSRule><AllowedOrigin/><AllowedOrigin>https://%d.example.com</AllowedOrigin><AllowedMethod>GET</AllowedMethod><AllowedHeader>X-A</AllowedHeader></CORSRule>"
	var doc strings.Builder
	doc.WriteString("<CORSConfiguration>")
	for i := range 100 {
		fmt.Fprintf(&doc, rule, i)
	}
	doc.WriteString("</CORSConfiguration>")
	e := newEngine()
	s := openStorage(t, e, newLogged().Options)
	preflight := corsrules.ReadRequest(&http.Request{Method: "OPTIONS", Header: http.Header{
		"Origin": {"https://99.example.com"}, "Access-Control-Request-Method": {"GET"}, "Access-Control-Request-Headers": {"x-a"}}})
	for i := range metrics.MaxBuckets + 1 {
		e.set(func(e *engine) { e.values[fmt.Sprintf("oss_cors/%d.xml", i)] = []byte(doc.String()) })
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
