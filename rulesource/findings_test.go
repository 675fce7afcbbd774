package rulesource

import (
	"crypto/sha256"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/caddy-oss-cors/caddy-oss-cors/corsrules"
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

// However many buckets have findings, and however often one is written, the lines of an hour are
// bounded.
func TestBuckets_findingsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLogged()
		s, _ := openShelf(t, refresh, l.Options)
		for hour := range 2 {
			for i := range 3 * maxLintedContents {
				s.written("busy", slashed(i), s.now())
			}
			if names, _ := l.warnedBuckets(); len(names) != maxLintedContents {
				t.Errorf("hour %d: one bucket: %d lines", hour, len(names))
			}
			for i := range 2 * maxFindingBuckets {
				s.written(fmt.Sprintf("bucket-%d", i), slashed(hour), s.now())
			}
			if names, more := l.warnedBuckets(); len(names) != maxFindingBuckets-1 || more != 1 {
				t.Errorf("hour %d: many buckets: %d lines, and %d say that there are more", hour, len(names), more)
			}
			time.Sleep(findingsPeriod)
		}
	})
}

// Linting takes longer than parsing. However often a bucket's document is written, and however
// many buckets there are, no more than so many contents are linted in an hour, with findings or
// without.
func TestBuckets_lintIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLogged()
		s, _ := openShelf(t, refresh, l.Options)
		linted := 0
		write := func(bucket string, i int) {
			content := &parsedContent{sum: sha256.Sum256([]byte{byte(i)})}
			s.logFindings(bucket, content, func(*corsrules.Ruleset) []corsrules.Finding { linted++; return nil })
		}
		for i := range 3 * maxLintedContents {
			write("busy", i)
		}
		if linted != maxLintedContents {
			t.Errorf("%d contents of one bucket were linted", linted)
		}
		for i := range maxLintedBuckets + 10 {
			write(strconv.Itoa(i), i)
		}
		if linted != maxLintedContents+maxLintedBuckets-1 {
			t.Errorf("%d contents were linted", linted)
		}
		time.Sleep(findingsPeriod)
		write("busy", 0)
		if linted != maxLintedContents+maxLintedBuckets {
			t.Error("not linted in the next hour")
		}
	})
}

// What is remembered of a bucket does not keep the request in memory that named it.
func TestBuckets_findingsKeepNoRequest(t *testing.T) {
	s, _ := openShelf(t, time.Hour, newLogged().Options)
	request := strings.Repeat("bucket/key", 2)
	name := request[:len("bucket")]
	s.written(name, slashed(1), s.now())
	for kept := range s.findings.linted {
		if kept != name || unsafe.StringData(kept) == unsafe.StringData(request) {
			t.Errorf("kept is %q, which is a part of the request", kept)
		}
	}
	if len(s.findings.linted) != 1 {
		t.Error("nothing was linted")
	}
}

// A request does not wait until its bucket's document was linted.
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

// FuzzBucketContent: whatever a tenant has written, loading it and looking for findings does not
// panic. That happens in a goroutine of its own, in which a panic ends Caddy.
func FuzzBucketContent(f *testing.F) {
	const rule = `<CORSRule><AllowedOrigin>%s</AllowedOrigin><AllowedMethod>GET</AllowedMethod><AllowedHeader>%s</AllowedHeader></CORSRule>`
	for _, origins := range [][2]string{{"*", "https://a*.example.com"}, {"http://[::1]:*", "null"}, {"https://App.example.com/", "https://bücher.example:443"}, {"https://*.github.io", "*://*.co.uk:99999"}} {
		f.Add(fmt.Appendf(nil, "<CORSConfiguration>"+rule+rule+"</CORSConfiguration>", origins[0], "*", origins[1], "x-*"))
	}
	f.Add([]byte(`[{"AllowedOrigins":["https://a.example.com,https://b.example.com",""],"AllowedMethods":["GET","PUT"],"MaxAgeSeconds":5}]`))
	bs := &buckets{file: func(bucket string) string { return bucket + ".xml" }, dialect: corsrules.DialectAny, nameRulesByNumber: true}
	f.Fuzz(func(t *testing.T, content []byte) {
		parsed, lint := bs.parse("bucket", content)
		if parsed.err != nil {
			_ = brief(parsed.err).Error()
			return
		}
		for _, finding := range lint(parsed.rules) {
			if text := finding.String(); !strings.HasPrefix(text, "bucket.xml:") {
				t.Errorf("no place: %s", text)
			}
		}
	})
}
