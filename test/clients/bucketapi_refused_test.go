package clients

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/harness"
)

// meddler is a proxy between a client and Caddy that changes what was signed.
type meddler struct {
	port   string
	change func(*http.Request) // on the way to the proxy; nil: nothing
}

func startMeddler(t *testing.T, port string) *meddler {
	t.Helper()
	m := new(meddler)
	forward := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(&url.URL{Scheme: "http", Host: "127.0.0.1:" + port})
		r.Out.Host = r.In.Host
		if m.change != nil {
			m.change(r.Out)
		}
	}}
	server := httptest.NewServer(forward)
	t.Cleanup(server.Close)
	_, m.port, _ = strings.Cut(server.Listener.Addr().String(), ":")
	return m
}

func setBody(r *http.Request, body []byte) {
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
}

var someRules = []ruleFields{{Origins: []string{"https://app.example.com"}, Methods: []string{"PUT"}, MaxAge: new(300)}}

// TestBucketAPIRefusals lets every client, with both signature versions, do what is not
// allowed. Each refusal must reach the client with OSS's Code and EC, and change nothing.
func TestBucketAPIRefusals(t *testing.T) {
	p := harness.StartAPIProxy(t, harness.APIOptions{})
	m := startMeddler(t, p.Path)
	good := newSDKv2(t, apiClientConfig{style: "path", port: p.Path, v4: true, id: harness.APIKey, secret: harness.APISecret, bucket: harness.APIBucket})
	if err := good.put(someRules, false); err != nil {
		t.Fatal(err)
	}
	before := harness.Documents(t, p.Storage)

	get := func(c apiClient) error { return second(c.get()) }
	put := func(c apiClient) error { return c.put(someRules, false) }
	remove := func(c apiClient) error { return c.delete() }
	mismatch := map[bool]apiError{
		false: {status: 403, code: "SignatureDoesNotMatch", ec: "0002-00000040"},
		true:  {status: 403, code: "SignatureDoesNotMatch", ec: "0002-00000201"},
	}
	both := func(e apiError) map[bool]apiError { return map[bool]apiError{false: e, true: e} }
	sendMD5, sendNone := []string{"Go SDK v2", "ali-oss"}, []string{"Go SDK v1", "ossutil"}

	for _, c := range []struct {
		desc       string
		id, secret string // empty: alice's
		bucket     string // empty: alice's
		change     func(*http.Request)
		do         func(apiClient) error
		clients    []string          // empty: all
		want       map[bool]apiError // by whether it is V4
	}{
		{desc: "unknown key", id: "NobodysKey", do: put, want: both(apiError{status: 403, code: "InvalidAccessKeyId", ec: "0002-00000902"})},
		{desc: "wrong secret", secret: "guessed", do: put, want: mismatch},
		{desc: "another's secret", secret: harness.OtherSecret, do: remove, want: mismatch},
		{desc: "unsigned", change: func(r *http.Request) { r.Header.Del("Authorization") }, do: get,
			want: both(apiError{status: 403, code: "AccessDenied", ec: "0003-00001201"})},
		{desc: "write of a bucket outside the key's", bucket: harness.OtherBucket, do: put, want: both(apiError{status: 403, code: "AccessDenied", ec: "0003-00000905"})},
		{desc: "read of a bucket outside the key's", bucket: harness.OtherBucket, do: get, want: both(apiError{status: 403, code: "AccessDenied", ec: "0003-00000905"})},
		{desc: "deletion in a bucket outside the key's", bucket: harness.OtherBucket, do: remove, want: both(apiError{status: 403, code: "AccessDenied", ec: "0003-00000905"})},

		{desc: "a body that differs from its signed Content-MD5", do: put, clients: sendMD5,
			change: func(r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				setBody(r, bytes.Replace(body, []byte("300"), []byte("301"), 1))
			},
			want: both(apiError{status: 400, code: "InvalidDigest"})},
		{desc: "another Content-MD5 than was signed", do: put, clients: sendMD5,
			change: func(r *http.Request) { r.Header.Set("Content-MD5", "1B2M2Y8AsgTpgAmY7PhCfg=="); setBody(r, nil) },
			want:   mismatch},
		{desc: "a signature replayed on another bucket of the key's", do: remove,
			bucket: "alice-first", change: func(r *http.Request) { r.URL.Path = "/" + harness.APIBucket + "/" }, want: mismatch},
		{desc: "a signature replayed on another's bucket", do: remove,
			change: func(r *http.Request) { r.URL.Path = "/" + harness.OtherBucket + "/" }, want: mismatch},
		{desc: "the signature of PutBucket used for ?cors", do: func(c apiClient) error { return c.createBucket() },
			change: func(r *http.Request) {
				r.URL.RawQuery = "cors"
				r.Header.Del("Content-MD5")
				setBody(r, []byte(`<CORSConfiguration><CORSRule><AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod></CORSRule></CORSConfiguration>`))
			},
			want: mismatch},
		{desc: "a signature for reading used for deletion", do: get, change: func(r *http.Request) { r.Method = "DELETE" }, want: mismatch},

		{desc: "no rules yet", bucket: "alice-none", do: get, want: both(apiError{status: 404, code: "NoSuchCORSConfiguration", ec: "0034-00000001"})},
		{desc: "too many rules", do: func(c apiClient) error {
			return c.put(slices.Repeat(someRules, 11), false)
		}, want: both(apiError{status: 400, code: "CORSRuleBeyondLimit", ec: "0034-00000006"})},
		{desc: "a method that is none", do: func(c apiClient) error {
			return c.put([]ruleFields{{Origins: []string{"*"}, Methods: []string{"PATCH"}, MaxAge: new(1)}}, false)
		}, want: both(apiError{status: 400, code: "InvalidArgument", ec: "0034-00000011"})},
		{desc: "an origin with two *", do: func(c apiClient) error {
			return c.put([]ruleFields{{Origins: []string{"https://*.*"}, Methods: []string{"GET"}, MaxAge: new(1)}}, false)
		}, want: both(apiError{status: 400, code: "InvalidArgument", ec: "0034-00000009"})},
		{desc: "a negative age", do: func(c apiClient) error {
			return c.put([]ruleFields{{Origins: []string{"*"}, Methods: []string{"GET"}, MaxAge: new(-1)}}, false)
		}, want: both(apiError{status: 400, code: "InvalidArgument", ec: "0034-00000014"})},
		{desc: "half a document", do: put, clients: sendNone,
			change: func(r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				setBody(r, body[:len(body)/2])
			},
			want: both(apiError{status: 400, code: "MalformedXML", ec: "0031-00000001"})},
	} {
		for name, newClient := range apiClients {
			for _, v4 := range []bool{false, true} {
				if c.clients != nil && !slices.Contains(c.clients, name) {
					continue
				}
				config := apiClientConfig{style: "path", port: m.port, v4: v4,
					id: cmp.Or(c.id, harness.APIKey), secret: cmp.Or(c.secret, harness.APISecret), bucket: cmp.Or(c.bucket, harness.APIBucket)}
				m.change = c.change
				desc := fmt.Sprintf("%s, %s, V4 %t", c.desc, name, v4)
				expectAPIError(t, desc, c.do(newClient(t, config)), c.want[v4])
				if after := harness.Documents(t, p.Storage); !maps.Equal(before, after) {
					t.Fatalf("%s: the storage holds %v; it held %v", desc, after, before)
				}
			}
		}
	}
	m.change = nil
	if err := second(newSDKv1(t, apiClientConfig{style: "path", port: m.port, id: harness.APIKey, secret: harness.APISecret, bucket: harness.APIBucket}).get()); err != nil {
		t.Errorf("unchanged by the meddler: %v", err)
	}
}

// TestBucketAPISkewedClock runs every client against a proxy whose clock is 16 minutes
// ahead. The proxy is built with another clock for the bucket API.
func TestBucketAPISkewedClock(t *testing.T) {
	p := harness.StartAPIProxy(t, harness.APIOptions{Binary: buildWithClock(t, "16*time.Minute")})
	for name, newClient := range apiClients {
		for _, v4 := range []bool{false, true} {
			desc := fmt.Sprintf("%s, V4 %t", name, v4)
			config := apiClientConfig{style: "path", port: p.Path, v4: v4, id: harness.APIKey, secret: harness.APISecret, bucket: harness.APIBucket}
			expectAPIError(t, desc, newClient(t, config).put(someRules, false), apiError{status: 403, code: "RequestTimeTooSkewed", ec: "0002-00000504"})
			if after := harness.Documents(t, p.Storage); len(after) > 0 {
				t.Fatalf("%s: the storage holds %v", desc, after)
			}
		}
	}
}

// buildWithClock builds a Caddy in which the clock of the bucket API is ahead.
func buildWithClock(t *testing.T, ahead string) (program string) {
	t.Helper()
	const file, clock = "bucketapi/api.go", "now: time.Now}"
	source, err := os.ReadFile(filepath.Join(harness.RepoRoot, file))
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.Replace(string(source), clock, "now: func() time.Time { return time.Now().Add("+ahead+") }}", 1)
	if changed == string(source) {
		t.Fatalf("%s has no %q to replace", file, clock)
	}
	dir := t.TempDir()
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{filepath.Join(harness.RepoRoot, file): filepath.Join(dir, "api.go")}})
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"api.go": []byte(changed), "overlay.json": overlay} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	program = filepath.Join(dir, "caddy")
	build := exec.Command("go", "build", "-overlay", filepath.Join(dir, "overlay.json"), "-o", program, "./cmd/caddy")
	build.Dir = harness.RepoRoot
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building Caddy: %v\n%s", err, out)
	}
	return program
}
