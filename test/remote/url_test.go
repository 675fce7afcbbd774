package remote

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/harness"
)

// versioned serves a document with an ETag, and 304 to whom has it.
func versioned(etag, origin string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", etag)
		http.ServeContent(w, r, "cors.xml", time.Time{}, strings.NewReader(documentFor(origin)))
	}
}

func TestRulesURL(t *testing.T) {
	good := versioned(`"1"`, app)
	f := newFront(t, good)
	p := newProxy(t, "rules url "+f.URL+"/cors.xml {\nrefresh 100ms\n}")
	p.start(t)
	p.waitFor(t, app, allowed)
	harness.WaitUntil(t, "the proxy asks for newer rules by their ETag", func() bool {
		for _, r := range f.requests() {
			if r.Get("If-None-Match") == `"1"` {
				return true
			}
		}
		return false
	})
	f.answers(versioned(`"2"`, other))
	p.waitFor(t, other, "200")
	f.answers(good)
	p.waitFor(t, app, allowed)

	p.inAllTrouble(t, f, good, map[string]http.HandlerFunc{
		"a fault":         says(500, ""),
		"not found":       says(404, ""),
		"no answer":       hang,
		"slow":            drip,
		"cut off":         truncate,
		"a gigabyte":      gigabyte,
		"a web page":      says(200, "<!DOCTYPE html><title>Log in</title>"),
		"a redirect loop": http.RedirectHandler("/cors.xml", http.StatusFound).ServeHTTP,
		"another scheme":  http.RedirectHandler("https://rules.example/", http.StatusFound).ServeHTTP,
	})
	p.restartsWithout(t, f, good)
}

func TestRulesURLRefused(t *testing.T) {
	f := newFront(t, says(404, ""))
	p := newProxy(t, "rules url "+f.URL+"/cors.xml")
	p.expectRefused(t, "404 Not Found")
	f.answers(says(200, documentFor("https://*.*.example")))
	p.expectRefused(t, "/cors.xml:1:")
}

func TestRulesURLNoneKnown(t *testing.T) {
	f := newFront(t, says(503, ""))
	p := newProxy(t, "rules url "+f.URL+"/cors.xml {\nrefresh 100ms\n}")
	p.start(t)
	p.waitFor(t, app, unavailable)
	if s := p.status(t); !s.Unavailable || s.Shadow.Unavailable {
		t.Errorf("preflights are answered 503, and the status is %+v", s)
	}
	f.answers(versioned(`"1"`, app))
	p.waitFor(t, app, allowed)
	if s := p.status(t); s.Unavailable {
		t.Errorf("preflights are answered 200, and the status is %+v", s)
	}
	f.answers(says(503, ""))
	harness.WaitUntil(t, "the trouble is told", func() bool { return p.status(t).LastError != "" })
	if s := p.status(t); s.Unavailable {
		t.Errorf("earlier rules are in force, and the status is %+v", s)
	}
}
