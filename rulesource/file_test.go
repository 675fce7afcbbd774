package rulesource

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/caddy/v2"
)

// openFile opens a file's source over a shelf.
func openFile(t *testing.T, documents *shelf, opts *Options) *File {
	t.Helper()
	documents.put("file", app)
	s := &File{Path: "cors.xml", RefreshOptions: RefreshOptions{Refresh: caddy.Duration(refresh)}}
	if err := s.openOn(newContext(t), s.Path, shelved{documents, "file"}, opts); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Cleanup() })
	return s
}

// A file that hangs keeps neither the rules from being used nor the trouble from being
// known; and once reads return, a change is in force within refresh.
func TestFile_readsThatHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		documents, l := newShelf(), newLogged()
		s := openFile(t, documents, l.Options)
		heal := documents.hang(t)
		time.Sleep(refresh + readDeadline)
		synctest.Wait()
		expect(t, s, "", "", 0)
		if got := l.messages(); !slices.Equal(got, []string{inForce, lastGood}) {
			t.Errorf("logged %q", got)
		}
		if err := s.Reports()[0].Status.Err; !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the status is %v", err)
		}
		time.Sleep(time.Hour)
		if reads := documents.readsOf("file"); reads > 1+maxFileReads { // the first did not
			t.Errorf("%d reads", reads)
		}
		documents.put("file", other)
		heal()
		time.Sleep(refresh + tick)
		expect(t, s, "", "origin", 0)
		if err := s.Reports()[0].Status.Err; err != nil {
			t.Errorf("the status is %v", err)
		}
	})
}

// Reads that never return, as those of a lost mount, leave slots for what takes its place later.
// From then on a change is in force within refresh.
func TestFile_readsThatNeverReturn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		documents := newShelf()
		s := openFile(t, documents, newLogged().Options)
		documents.hang(t)
		time.Sleep(10 * time.Minute)
		documents.mu.Lock()
		documents.hangs = nil // of those that begin from now on
		documents.mu.Unlock()
		for i, c := range []struct {
			origin, want string
			within       time.Duration
		}{
			{other, "origin", 20 * time.Minute},
			{app, "", refresh + tick},
		} {
			documents.put("file", c.origin)
			time.Sleep(c.within)
			if got := reason(t, s, ""); got != c.want {
				t.Errorf("change %d: %q, want %q", i, got, c.want)
			}
		}
	})
}

// A configuration with a file that hangs, be it rules or a shadow, is refused in time: the
// one before goes on.
func TestFile_aReloadDoesNotHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		documents := newShelf()
		documents.hang(t)
		s := &File{Path: "hangs.xml"}
		start := time.Now()
		err := s.openOn(newContext(t), s.Path, shelved{documents, "file"}, newLogged().Options)
		if took := time.Since(start); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "hangs.xml") || took > readDeadline {
			t.Errorf("%v after %s", err, took)
		}
		_ = s.Cleanup()
	})
}

func TestFile_notARegularFile(t *testing.T) {
	for desc, make := range notRegularFiles {
		path := filepath.Join(t.TempDir(), "cors.xml")
		make(t, path)
		s := &File{Path: path}
		if err := s.Open(newContext(t), newLogged().Options); err == nil || !strings.Contains(err.Error(), "is not a regular file") {
			t.Errorf("%s: %v", desc, err)
		}
	}
}

func TestShadow(t *testing.T) {
	options := RefreshOptions{Refresh: caddy.Duration(time.Minute), MaxRules: 20}
	for desc, c := range map[string]struct {
		live Shadower
		want File
	}{
		"file":   {&File{Path: "live.xml", RefreshOptions: options}, File{Path: "new.xml", RefreshOptions: options}},
		"inline": {&Inline{XML: "<x/>", MaxRules: 20}, File{Path: "new.xml", RefreshOptions: RefreshOptions{MaxRules: 20}}},
	} {
		if got := c.live.Shadow("new.xml").(*File); got.Path != c.want.Path || got.RefreshOptions != c.want.RefreshOptions {
			t.Errorf("%s: %+v", desc, got)
		}
	}
}
