package bucketapi

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// FuzzIsRequest: a query is for this API exactly if one of its parameters, decoded, is cors
// without a value.
func FuzzIsRequest(f *testing.F) {
	for _, seed := range []string{"cors", "a=1&cors=&b", "%63%6F%72%73", "cors=1", "cors;x", "=cors", "%63%6F%72%7", "c+ors&&%"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, query string) {
		want := false
		for _, parameter := range strings.Split(query, "&") {
			name, value, _ := strings.Cut(parameter, "=")
			name, err := url.QueryUnescape(name)
			want = want || err == nil && name == "cors" && value == ""
		}
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.URL.RawQuery = query
		if got := IsRequest(r, ""); got != want {
			t.Errorf("%q: %v; want %v", query, got, want)
		}
	})
}

// FuzzPut: of a signed PutBucketCors, a body is stored as it came, and can be read back, or
// is refused with a document that says why, and nothing is stored.
func FuzzPut(f *testing.F) {
	f.Add(goodRules, "")
	f.Add(goodRules, "1B2M2Y8AsgTpgAmY7PhCfg==")
	f.Add("<CORSConfiguration><CORSRule><AllowedOrigin>a\x00</AllowedOrigin>", "x\ty")
	f.Add(strings.Replace(goodRules, "X-A", "&lt;]]&gt;", 1), "")
	f.Fuzz(func(t *testing.T, body, digest string) {
		if len(digest) > 1<<10 {
			return // what is signed is bounded
		}
		store := &memory{docs: map[string]string{}}
		w, _, _ := serve(t, store, put(body, "Content-Md5", digest), testBucket)
		stored, ok := store.docs[testBucket]
		if ok != (w.Code == http.StatusOK) || ok && stored != body {
			t.Fatalf("%d, and %q is stored", w.Code, stored)
		}
		if !ok {
			return
		}
		r := signed(true, http.MethodGet, "/examplebucket/?cors", testTime, nil)
		if w, _, _ := serve(t, store, r, testBucket); w.Code != http.StatusOK {
			t.Errorf("accepted, and damaged when it is read back: %s", w.Body)
		}
	})
}
