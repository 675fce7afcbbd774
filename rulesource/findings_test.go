package rulesource

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// warnedBuckets returns the buckets whose documents were warned of, in the order of the log,
// and how many lines say that there are more.
func (l logged) warnedBuckets() (names []string, more int) {
	for _, entry := range l.lines.TakeAll() {
		switch {
		case strings.HasPrefix(entry.Message, "CORS rules are valid, and may have mistakes"):
			names = append(names, entry.ContextMap()["ruleset"].(string))
		case strings.HasPrefix(entry.Message, "many buckets' CORS rules may have mistakes"):
			more++
		}
	}
	return names, more
}

// slashed is a document with a finding: an origin that ends with a slash.
func slashed(n int) []byte { return documentFor(fmt.Sprintf("https://app%d.example.com/", n)) }

// A bucket's document is warned of once for a content, by a read or a write.
func TestBuckets_findings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLogged()
		s, documents := openShelf(t, refresh, l.Options)
		for _, c := range []struct {
			desc    string
			content []byte
			want    string
		}{
			{"a finding", slashed(1), "[b]"},
			{"the same again", slashed(1), "[]"},
			{"none", documentFor(app), "[]"},
			{"the one before", slashed(1), "[]"},
			{"another finding", slashed(2), "[b]"},
			{"no ResponseVary, which the metrics tell", []byte(strings.Replace(string(documentFor(app)), "true", "false", 1)), "[]"},
			{"a fault", []byte("<"), "[]"},
		} {
			documents.mu.Lock()
			documents.documents["b"] = c.content
			documents.mu.Unlock()
			for range 3 {
				time.Sleep(refresh)
				_ = reason(t, s, "b")
				synctest.Wait()
			}
			if names, _ := l.warnedBuckets(); fmt.Sprint(names) != c.want {
				t.Errorf("%s: warned of %v; want %s", c.desc, names, c.want)
			}
		}
		s.written("c", slashed(1), s.now())
		s.written("c", nil, s.now())
		s.written("c", slashed(1), s.now())
		if names, _ := l.warnedBuckets(); fmt.Sprint(names) != "[c]" {
			t.Errorf("writes: warned of %v", names)
		}
	})
}

// However many buckets have findings, and however often one is written, the lines are bounded.
func TestBuckets_findingsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLogged()
		s, documents := openShelf(t, refresh, l.Options)
		for i := range 3 * maxFindingContents {
			s.written("busy", slashed(i), s.now())
		}
		if names, _ := l.warnedBuckets(); len(names) != maxFindingContents {
			t.Errorf("one bucket: %d lines", len(names))
		}
		for i := range 2 * maxFindingBuckets {
			name := fmt.Sprintf("bucket-%d", i)
			documents.put(name, "https://app.example.com/")
			_ = reason(t, s, name)
		}
		synctest.Wait()
		if names, more := l.warnedBuckets(); len(names) != maxFindingBuckets-1 || more != 1 {
			t.Errorf("many buckets: %d lines, and %d say that there are more", len(names), more)
		}
	})
}

// A request does not wait until its bucket's document was looked through.
func TestBuckets_findingsAreLookedForAfterwards(t *testing.T) {
	l := newLogged()
	s, documents := openShelf(t, time.Hour, l.Options)
	documents.put("b", "https://app.example.com/")
	s.findings.mu.Lock() // whoever looks, waits
	got := reason(t, s, "b")
	if names, _ := l.warnedBuckets(); got != "origin" || len(names) > 0 {
		t.Errorf("%q, and warned of %v", got, names)
	}
	s.findings.mu.Unlock()
}
