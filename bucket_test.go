package osscors

import (
	"bufio"
	"net/http"
	"strings"
	"testing"
)

func TestBucket(t *testing.T) {
	path := &Bucket{Path: true}
	host := &Bucket{Host: []string{"Store.example", "other.example"}}
	address := &Bucket{Host: []string{"127.0.0.1", "::1"}}
	long := strings.Repeat("a", 63)
	for _, c := range []struct {
		by           *Bucket
		host, target string
		bucket, key  string
	}{
		{path, "h", "/one", "one", ""},
		{path, "h", "/one/", "one", ""},
		{path, "h", "/one/a%2Fb/c", "one", "a%2Fb/c"},
		{path, "h", "/one?two/three", "one", ""},
		{path, "h", "/" + long, long, ""},
		{path, "h", "/" + long + "a", "", ""},
		{path, "h", "/", "", ""},
		{path, "h", "/on", "", ""},
		{path, "h", "//one/k", "", "one/k"},
		{path, "h", "/One/k", "", "k"},
		{path, "h", "/-one/k", "", "k"},
		{path, "h", "/one-/k", "", "k"},
		{path, "h", "/on_e/k", "", "k"},
		{path, "h", "/one.two/k", "", "k"},
		{path, "h", "/one%2fk", "", ""},
		{path, "h", "/%6fne/k", "", "k"},
		{path, "h", "/one%00/k", "", "k"},
		{path, "h", "/one/../two/k", "", "../two/k"},
		{path, "h", "/one/..%2ftwo/k", "", "..%2ftwo/k"},
		{path, "h", "/one/%2e%2E/two/k", "", "%2e%2E/two/k"},
		{path, "h", "/one/..%5Ctwo/k", "", "..%5Ctwo/k"},
		{path, "h", "/one/x%5c..%5c..%5ctwo", "", "x%5c..%5c..%5ctwo"},
		{path, "h", "/one/./k", "", "./k"},
		{path, "h", "/one/k..", "one", "k.."},
		{path, "h", "/one/...", "one", "..."},

		{host, "one.store.example", "/two/k", "one", "two/k"},
		{host, "ONE.STORE.EXAMPLE:8080", "/k", "one", "k"},
		{host, "one.other.example", "/", "one", ""},
		{host, "store.example", "/two/k", "two", "k"},
		{host, "store.example:80", "/two", "two", ""},
		{host, "one.two.store.example", "/k", "", "k"},
		{host, ".store.example", "/k", "", "k"},
		{host, "one-store.example", "/two/k", "", "two/k"},
		{host, "store.example.", "/two/k", "", "two/k"},
		{host, "one.store.example", "/../two/k", "", "../two/k"},
		{host, "store.example", "/../two/k", "", "two/k"},
		{host, "", "/two/k", "", "two/k"},
		{address, "127.0.0.1:8080", "/two/k", "two", "k"},
		{address, "[::1]:8080", "/two/k", "two", "k"},
		{address, "[::1]", "/two/k", "two", "k"},
		{address, "[127.0.0.1]", "/two/k", "", "two/k"},
		{address, "[127.0.0.1]:8080", "/two/k", "", "two/k"},
	} {
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader("GET " + c.target + " HTTP/1.1\r\nHost: " + c.host + "\r\n\r\n")))
		if err != nil {
			t.Errorf("%s %s: %v", c.host, c.target, err)
			continue
		}
		name, key := c.by.of(r)
		if bucket := validBucket(name, r.URL.Path); bucket != c.bucket || key != c.key {
			t.Errorf("%s %s: %q, %q; want %q, %q", c.host, c.target, bucket, key, c.bucket, c.key)
		}
	}
}
