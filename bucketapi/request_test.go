package bucketapi

import (
	"net/http/httptest"
	"strings"
	"testing"
)

func TestIsRequest(t *testing.T) {
	for _, c := range []struct {
		method, query, key string
		want               bool
	}{
		{"GET", "cors", "", true},
		{"PUT", "cors", "", true},
		{"DELETE", "cors", "", true},
		{"GET", "cors=", "", true},
		{"GET", "a=1&cors&b", "", true},
		{"GET", "&&cors=&", "", true},
		{"GET", "cors=1&cors", "", true},
		{"GET", "%63%6F%72%73", "", true},
		{"GET", "%63ors=", "", true},
		{"HEAD", "cors", "", false},
		{"POST", "cors", "", false},
		{"OPTIONS", "cors", "", false},
		{"get", "cors", "", false},
		{"GET", "", "", false},
		{"GET", "cors=1", "", false},
		{"GET", "CORS", "", false},
		{"GET", "corsx&xcors", "", false},
		{"GET", "x=cors", "", false},
		{"GET", "cors;x", "", false},
		{"GET", "%63%6F%72%7", "", false},
		{"GET", strings.Repeat("%63", 1000), "", false},
		{"GET", "cors", "object", false},
		{"GET", "cors", "/", false},
	} {
		r := httptest.NewRequest(c.method, "/", nil)
		r.URL.RawQuery = c.query
		if got := IsRequest(r, c.key); got != c.want {
			t.Errorf("%s ?%s on %q: got %v", c.method, c.query, c.key, got)
		}
	}
}
