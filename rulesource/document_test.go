package rulesource

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-oss-cors/caddy-oss-cors/corsrules"
	"github.com/caddy-oss-cors/caddy-oss-cors/metrics"
)

// A bucket whose first document is bad has no last good rules, and nothing says it has.
func TestBucketDocument_badFromTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir, l := t.TempDir(), newLogged()
		s := openDirectory(t, dir, refresh, l.Options)
		for _, c := range []struct {
			desc, content, want string
			logged              []string
			successful          string // the gauge
		}{
			{"bad", "<", "origin", []string{deniesAll}, "0"},
			{"bad in another way", "<CORSConfiguration/>", "origin", []string{deniesAll}, "0"},
			{"good", string(documentFor(app)), "", []string{inForce}, "1"},
			{"bad again", "<", "", []string{lastGood}, "0"},
			{"good again", string(documentFor(app)), "", []string{goodAgain}, "1"},
		} {
			write(t, filepath.Join(dir, "bad-first.xml"), []byte(c.content))
			time.Sleep(refresh)
			for range 3 {
				if got := reason(t, s, "bad-first"); got != c.want {
					t.Errorf("%s: %q, want %q", c.desc, got, c.want)
				}
				time.Sleep(refresh)
			}
			if got := l.messages(); !slices.Equal(got, c.logged) {
				t.Errorf("%s: logged %q, want %q", c.desc, got, c.logged)
			}
			shown := l.exposition(t)
			if line := `caddy_oss_cors_rules_last_load_successful{ruleset="bad-first"} ` + c.successful; !strings.Contains(shown, line+"\n") {
				t.Errorf("%s: metrics do not show %s", c.desc, line)
			}
			isLoaded := !s.Reports()[0].Status.Loaded.IsZero()
			isShown := strings.Contains(shown, `timestamp_seconds{ruleset="bad-first"}`)
			if want := c.want == ""; isLoaded != want || isShown != want {
				t.Errorf("%s: it is shown as loaded: %t by the status, %t by the metrics", c.desc, isLoaded, isShown)
			}
		}
	})
}

// manyFaults is a document with thousands of faults.
var manyFaults = []byte("<CORSConfiguration>" + strings.Repeat("<a/>", 4080) + "</CORSConfiguration>")

// maxShort is how many bytes are short.
const maxShort = 4000

// expectShort fails the test if a line of the log is long.
func (l logged) expectShort(t *testing.T) {
	t.Helper()
	for _, entry := range l.lines.All() {
		if text := fmt.Sprint(entry.ContextMap()); len(text) > maxShort {
			t.Errorf("a line of %d bytes", len(text))
		}
	}
}

// What is said of a document with thousands of faults is short.
func TestFaultsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // in which parsing takes no time
		if _, err := corsrules.Parse(manyFaults, corsrules.Options{}); len(err.(corsrules.Faults)) < 4000 {
			t.Fatalf("there are only %d faults", len(err.(corsrules.Faults)))
		}
		l := newLogged()
		d := NewDocument("d", "d.xml", 0, l.Options)
		if err := d.Load(documentFor(app)); err != nil {
			t.Fatal(err)
		}
		_ = d.Load(manyFaults)
		s, documents := openShelf(t, time.Hour, l.Options)
		documents.documents["b"] = manyFaults
		_ = reason(t, s, "b")
		for desc, report := range map[string]Report{"a document": d.Report(), "a bucket's": s.Reports()[0]} {
			if text := report.Status.Err.Error(); len(text) > maxShort || strings.Count(text, "\n") != 10 || !strings.HasSuffix(text, "\nand 4071 more") {
				t.Errorf("%s: the error of %d bytes ends in %q", desc, len(text), text[max(0, len(text)-100):])
			}
		}
		failed := l.lines.FilterField(zap.String("document", "d.xml")).FilterMessage(lastGood).Len() + l.lines.FilterMessage(deniesAll).Len()
		if failed != 2 {
			t.Errorf("%d lines say that rules could not be loaded", failed)
		}
		l.expectShort(t)
	})
}

// A file's source is closed while its last read may be under way.
func TestDocument_closeWhileLoading(t *testing.T) {
	l := newLogged()
	d := NewDocument("closed", "closed.xml", 0, &Options{Logger: zap.NewNop(), Store: l.store, Metrics: metrics.Options{}})
	load := func(n int) {
		if err := d.Load(documentFor(fmt.Sprintf("https://v%d.example.com", n))); err != nil {
			t.Error(err)
		}
	}
	load(0)
	var loading sync.WaitGroup
	loading.Go(func() {
		for n := range 100 {
			load(n)
			d.Failed(errors.New("fault " + fmt.Sprint(n)))
		}
	})
	d.Close()
	loading.Wait()
	if shown := l.exposition(t); shown != "" {
		t.Errorf("after it was closed, metrics show\n%s", shown)
	}
}
