package osscors

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"path"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
)

var (
	allowedBucket = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$`)
	storeHost     = regexp.MustCompile(`(?s)^\[?(?:(.*)\.)?store\.example\]?(?::[^:]*)?$`)
)

// FuzzBucket: whatever a request's Host, path and placeholders are, it has no bucket or one
// that OSS allows, and this is what a store that resolves ".." sees in the same request.
func FuzzBucket(f *testing.F) {
	for _, seed := range [][3]string{
		{"h", "/one/a%2Fb/c", "one"},
		{"h", "/one/..%5C%2e%2E/two//k?x", "ONE"},
		{"one.store.example:80", "/../two/k", "../one"},
		{"STORE.EXAMPLE", "//one/k", ""},
		{"store.example", "/on", "-one"},
		{".store.example.", "http://one.store.example/two", "one%2f"},
	} {
		f.Add(seed[0], seed[1], seed[2])
	}
	f.Fuzz(func(t *testing.T, host, target, name string) {
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader("GET " + target + " HTTP/1.1\r\nHost: " + host + "\r\n\r\n")))
		if err != nil {
			return
		}
		repl := caddy.NewEmptyReplacer()
		repl.Set("name", name)
		r = r.WithContext(context.WithValue(r.Context(), caddy.ReplacerCtxKey, repl))
		for by, want := range map[*Bucket]string{
			{Path: true}:                      firstSegment(r),
			{Host: []string{"Store.example"}}: bucketOfStore(r),
			{Name: "{name}"}:                  name,
		} {
			name, _ := by.of(r)
			if bucket := validBucket(name, r.URL.Path); bucket != "" && (bucket != want || !allowedBucket.MatchString(bucket)) {
				t.Errorf("%+v, %q %q: %q; want %q or none", by, r.Host, target, bucket, want)
			}
		}
	})
}

// firstSegment is the first of a path that is resolved, backslashes taken for slashes.
func firstSegment(r *http.Request) string {
	resolved := path.Clean("/" + strings.ReplaceAll(r.URL.Path, `\`, "/"))
	first, _, _ := strings.Cut(resolved[1:], "/")
	return first
}

// bucketOfStore is the bucket of a store at store.example.
func bucketOfStore(r *http.Request) string {
	switch match := storeHost.FindStringSubmatch(strings.ToLower(r.Host)); {
	case match == nil:
		return ""
	case match[1] != "":
		return match[1]
	}
	return firstSegment(r)
}

// FuzzDirective: no directive makes us panic, and the JSON of one that is accepted says
// all of it.
func FuzzDirective(f *testing.F) {
	for _, seed := range []string{
		"cors.xml", "/a cors.xml", "* {\nrules inline <<X\n<a/>\nX\n}",
		"{\nrules directory d {\nrefresh 1s\nmax_rules 3\n}\nbucket host a b\n}",
		"{\nrules storage\nbucket path\nbucket_api {\naccess_key id secret a* b\n}\n}",
		"cors.xml {\nresponse_vary\nallow_credentials\nname n\nshadow s\ndenied_origins 0\ndebug_header\ndebug_preflights\nbucket name {a}\n}",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		tokens, err := caddyfile.Tokenize([]byte("oss_cors "+text), "Caddyfile")
		if err != nil {
			return
		}
		_, _ = parseDirective(httpcaddyfile.Helper{Dispenser: caddyfile.NewDispenser(tokens)})
		handler, again := new(Handler), new(Handler)
		if handler.UnmarshalCaddyfile(caddyfile.NewDispenser(tokens)) != nil {
			return
		}
		config, err := json.Marshal(handler)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(config, again); err != nil || !reflect.DeepEqual(handler, again) {
			t.Errorf("%s: %v, and not the same again", config, err)
		}
	})
}
