package hostile

import (
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/harness"
)

// sharedCache keeps responses as a cache must: by the URL and the request headers that Vary
// names, and by nothing else.
type sharedCache []cached

type cached struct{ uri, vary, key, allowOrigin string }

// get returns the Access-Control-Allow-Origin that a page of an origin gets.
func (c *sharedCache) get(t *testing.T, tb *harness.Testbed, uri, origin string) string {
	t.Helper()
	key := func(vary string) string {
		if strings.Contains(strings.ToLower(vary), "origin") {
			return origin
		}
		return ""
	}
	for _, entry := range *c {
		if entry.uri == uri && entry.key == key(entry.vary) {
			return entry.allowOrigin
		}
	}
	var lines []string
	if origin != "" {
		lines = []string{"Origin: " + origin}
	}
	a := tb.Exchange(t, "GET", uri, lines...)
	vary := strings.Join(a.Header.Values("Vary"), ", ")
	*c = append(*c, cached{uri, vary, key(vary), a.Header.Get("Access-Control-Allow-Origin")})
	return (*c)[len(*c)-1].allowOrigin
}

// Without Vary: Origin, a cache gives one origin's response to another: an attacker whose
// request comes first locks the page out, or gets the page's response. With ResponseVary
// every response has it, for every origin and decision. Without ResponseVary, which is OSS's
// default, it is never added, and the danger is counted.
func TestCachePoisoning(t *testing.T) {
	origin := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "public, max-age=600")
		w.Header().Set("Vary", "Accept-Encoding")
		if strings.HasPrefix(r.URL.Path, "/missing") {
			http.Error(w, "missing", http.StatusNotFound)
		}
	})
	asked := []string{"", "https://evil.example", "https://a.example.com", "null", "https://b.example.com"}

	t.Run("ResponseVary", func(t *testing.T) {
		tb := harness.StartTestbed(t, harness.TestbedConfig{Rules: rulesFor(true, "https://*.example.com"), Origin: origin})
		before := tb.Counts(t)
		cache := sharedCache{}
		for range 2 {
			for _, uri := range []string{"/k.txt", "/missing"} {
				for _, origin := range asked {
					want := ""
					if strings.HasSuffix(origin, ".example.com") {
						want = origin
					}
					if got := cache.get(t, tb, uri, origin); got != want {
						t.Errorf("%s from %q through a cache: %q; want %q", uri, origin, got, want)
					}
				}
			}
		}
		if grown := tb.Counts(t)["cache_unsafe_responses"] - before["cache_unsafe_responses"]; grown != 0 {
			t.Errorf("%d responses are counted as unsafe", grown)
		}
		for _, lines := range [][]string{{forGet}, {"Origin: https://evil.example", forGet}, {"Origin: https://a.example.com", forGet}} {
			if a := tb.Exchange(t, "OPTIONS", "/k.txt", lines...); a.Header.Get("Vary") != "Origin" {
				t.Errorf("a preflight with %q has Vary %q", lines, a.Header.Values("Vary"))
			}
		}
	})

	t.Run("without", func(t *testing.T) {
		tb := harness.StartTestbed(t, harness.TestbedConfig{Rules: rulesFor(false, "https://*.example.com"), Origin: origin})
		before := tb.Counts(t)
		cache := sharedCache{}
		for _, origin := range []string{"https://a.example.com", "https://b.example.com"} {
			if got := cache.get(t, tb, "/k.txt", origin); got != "https://a.example.com" {
				t.Errorf("from %s through a cache: %q", origin, got)
			}
		}
		if grown := tb.Counts(t)["cache_unsafe_responses"] - before["cache_unsafe_responses"]; grown != 1 {
			t.Errorf("%d responses are counted as unsafe; want 1", grown)
		}
	})
}
