package rulesource

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// notRegularFiles are what may stand where a document should, and how to make it.
var notRegularFiles = map[string]func(t testing.TB, path string){
	"pipe": func(t testing.TB, path string) {
		if err := syscall.Mkfifo(path, 0o600); err != nil {
			t.Fatal(err)
		}
	},
	"link-to-pipe": func(t testing.TB, path string) {
		if err := syscall.Mkfifo(path+".pipe", 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(path+".pipe", path); err != nil {
			t.Fatal(err)
		}
	},
	"directory": func(t testing.TB, path string) {
		if err := os.Mkdir(path, 0o700); err != nil {
			t.Fatal(err)
		}
	},
	"device": func(t testing.TB, path string) {
		if err := os.Symlink("/dev/zero", path); err != nil {
			t.Fatal(err)
		}
	},
}

func TestRegularFile_isNothingElse(t *testing.T) {
	for desc, make := range notRegularFiles {
		path := filepath.Join(t.TempDir(), "cors.xml")
		make(t, path)
		done := time.AfterFunc(10*time.Second, func() { panic(desc + ": the read hangs") })
		if _, _, err := regularFile(path).read(t.Context()); err == nil || !strings.Contains(err.Error(), "is not a regular file") {
			t.Errorf("%s: %v", desc, err)
		}
		done.Stop()
	}
}

// A link that is swapped between the rules and a named pipe never has a read hang.
func TestRegularFile_swapped(t *testing.T) {
	dir := t.TempDir()
	path, pipe, rules := filepath.Join(dir, "cors.xml"), filepath.Join(dir, "pipe"), filepath.Join(dir, "rules")
	notRegularFiles["pipe"](t, pipe)
	write(t, rules, documentFor(app))
	var stop atomic.Bool
	swapping := make(chan struct{})
	swap := func(target string) {
		_ = os.Symlink(target, path+".new")
		_ = os.Rename(path+".new", path)
	}
	swap(rules)
	go func() {
		defer close(swapping)
		for !stop.Load() {
			swap(pipe)
			swap(rules)
		}
	}()
	reads := make(chan struct{})
	go func() {
		defer close(reads)
		for range 10_000 {
			_, _, _ = regularFile(path).read(context.Background())
		}
	}()
	select {
	case <-reads:
	case <-time.After(30 * time.Second):
		t.Error("a read hangs")
	}
	stop.Store(true)
	<-swapping
}

// scripted is a document that changes while it is read.
type scripted struct {
	contents []string // of one read after another
	first    []look   // of each read
	second   []look   // after it
	reads    int
}

func (s *scripted) read(context.Context) ([]byte, look, error) {
	s.reads++
	return []byte(s.contents[s.reads-1]), s.first[s.reads-1], nil
}

func (s *scripted) look(context.Context) (look, error) { return s.second[s.reads-1], nil }

func TestReadSettled(t *testing.T) {
	a, b := look{size: 1, modified: 1}, look{size: 1, modified: 2}
	longer := look{size: 2, modified: 1}
	for _, c := range []struct {
		desc     string
		document scripted
		want     string // empty: an error
		takes    time.Duration
	}{
		{"both looks agree", scripted{contents: []string{"x"}, first: []look{a}, second: []look{a}}, "x", 0},
		{"written while it is read", scripted{contents: []string{"x", "y"}, first: []look{a, b}, second: []look{b, b}}, "y", settleTime},
		{"longer after it was read", scripted{contents: []string{"x", "y"}, first: []look{a, longer}, second: []look{longer, longer}}, "y", settleTime},
		{"written again and again", scripted{contents: []string{"x", "y", "z"}, first: []look{a, b, a}, second: []look{b, a, b}}, "", 3 * settleTime},
		{"it is what is in force", scripted{contents: []string{"old"}, first: []look{a}, second: []look{b}}, "old", 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			content, err := readSettled(t.Context(), &c.document, func(content []byte) bool { return string(content) == "old" })
			if string(content) != c.want || (err == nil) != (c.want != "") || time.Since(start) != c.takes {
				t.Errorf("%s: %q after %s, %v; want %q after %s", c.desc, content, time.Since(start), err, c.want, c.takes)
			}
		})
	}
}

// A document that was written a moment ago is read again: a change within the same tick of
// the kernel's clock would leave the same time.
func TestReadSettled_justWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		written := look{size: 1, modified: time.Now().UnixNano()}
		document := scripted{contents: []string{"mixture", "x"}, first: []look{written, written}, second: []look{written, written}}
		content, err := readSettled(t.Context(), &document, func([]byte) bool { return false })
		if string(content) != "x" || err != nil {
			t.Errorf("%q, %v", content, err)
		}
	})
}

// A file shows that it was overwritten in place, even if its length stays the same.
func TestRegularFile_overwrittenInPlace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cors.xml")
	write(t, path, []byte("aaaa"))
	file := regularFile(path)
	content, first, err := file.read(t.Context())
	if string(content) != "aaaa" || err != nil || first.isSettled() {
		t.Fatalf("%q, %v, %v", content, first, err)
	}
	time.Sleep(settleTime)
	if again, err := file.look(t.Context()); again != first || err != nil || !again.isSettled() {
		t.Errorf("unchanged: %v, %v, %v", first, again, err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte("b"), 0); err != nil {
		t.Fatal(err)
	}
	if again, err := file.look(t.Context()); again == first || err != nil {
		t.Errorf("overwritten: %v, %v, %v", first, again, err)
	}
}

func TestCallWithin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slots, hangs := make(chan struct{}, 1), make(chan struct{})
		within := func(call func() (string, error)) (string, error) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			return callWithin(ctx, slots, call)
		}
		at := func() (string, error) { return "value", errors.New("and error") }
		if value, err := within(at); value != "value" || err == nil || err.Error() != "and error" {
			t.Errorf("%q, %v", value, err)
		}
		if _, err := within(func() (string, error) { <-hangs; return "late", nil }); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "no answer") {
			t.Errorf("a call that hangs: %v", err)
		}
		if _, err := within(at); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "not started") {
			t.Errorf("while it hangs, another: %v", err)
		}
		close(hangs)
		synctest.Wait()
		if value, _ := within(at); value != "value" {
			t.Errorf("after it has returned, another: %q", value)
		}
		for range 2 { // the first one does not keep the slot
			if _, err := within(func() (string, error) { panic("a fault") }); err == nil || err.Error() != "panic: a fault" {
				t.Errorf("a panic: %v", err)
			}
		}
	})
}
