package harness

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// The accounts of every bucket API that the tests start: what they may change is their own.
const (
	APIKey      = "ExampleKeyOfAlice"
	APISecret   = "exampleSecretOfAlice"
	otherKey    = "ExampleKeyOfBob"
	OtherSecret = "exampleSecretOfBob"

	APIBucket   = "alice-bucket" // of APIKey, as every alice-*
	OtherBucket = "bob-bucket"   // of otherKey, as every bob-*

	APIDomain = "oss.test" // whose subdomains are buckets; no name server knows it
)

const bucketAPICaddyfile = `{
	admin {$ADMIN:off}
	auto_https off
	persist_config off
	default_bind 127.0.0.1
	storage file_system {$STORAGE}
	storage_clean_interval off
}

(proxy) {
	oss_cors {
		rules storage {
			refresh {$REFRESH:100ms}
		}
		bucket {args[:]}
		bucket_api {
			access_key ` + APIKey + ` {env.ALICE_SECRET} alice-*
			access_key ` + otherKey + ` {env.BOB_SECRET} bob-*
		}
	}
	reverse_proxy {$ORIGIN}
}

http://:{$PATH_PORT} {
	import proxy path
}

http://:{$HOST_PORT} {
	import proxy host ` + APIDomain + `
}

http://:{$CNAME_PORT} {
	import proxy name ` + APIBucket + `
}
`

// APIProxy is a Caddy that serves the bucket API, on a port for each way to name a bucket.
type APIProxy struct {
	*Process
	Path, Host, CNAME string // ports
	Storage           string // the directory of Caddy's storage
	env               []string
	dir               string
	Binary            string
}

// APIOptions are the parts of an APIProxy that tests choose.
type APIOptions struct {
	Storage string       // empty: a new directory
	Origin  http.Handler // nil: answers 200 to everything
	Env     []string     // more of it
	Binary  string       // empty: the Caddy that is tested
}

// StartAPIProxy starts a Caddy with the bucket API. It is stopped when the test ends.
func StartAPIProxy(t *testing.T, o APIOptions) *APIProxy {
	t.Helper()
	p := NewAPIProxy(t, o)
	p.Start(t)
	return p
}

// NewAPIProxy prepares an APIProxy that Start starts.
func NewAPIProxy(t *testing.T, o APIOptions) *APIProxy {
	t.Helper()
	if o.Storage == "" {
		o.Storage = t.TempDir()
	}
	if o.Origin == nil {
		o.Origin = http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	}
	origin := httptest.NewServer(o.Origin)
	t.Cleanup(origin.Close)
	ports := FreePorts(t, 3)
	p := &APIProxy{Path: ports[0], Host: ports[1], CNAME: ports[2], Storage: o.Storage, dir: t.TempDir(), Binary: o.Binary}
	p.env = append([]string{
		"ALICE_SECRET=" + APISecret, "BOB_SECRET=" + OtherSecret,
		"STORAGE=" + p.Storage, "ORIGIN=" + origin.Listener.Addr().String(),
		"PATH_PORT=" + p.Path, "HOST_PORT=" + p.Host, "CNAME_PORT=" + p.CNAME,
	}, o.Env...)
	WriteFile(t, filepath.Join(p.dir, "Caddyfile"), bucketAPICaddyfile)
	return p
}

// Start starts the proxy, also after Kill or Stop, with the same ports and storage.
func (p *APIProxy) Start(t *testing.T) {
	t.Helper()
	binary := p.Binary
	if binary == "" {
		binary = CaddyBinary(t)
	}
	p.Process = StartBinary(t, binary, p.dir, "Caddyfile", p.env, []string{p.Path, p.Host, p.CNAME})
}

// Document returns the file that holds a bucket's rules.
func (p *APIProxy) Document(bucket string) string {
	return filepath.Join(p.Storage, "oss_cors", bucket+".xml")
}

// Documents returns every document below the storage's prefix, each with its content.
func Documents(t *testing.T, storage string) map[string]string {
	t.Helper()
	found := map[string]string{}
	entries, err := os.ReadDir(filepath.Join(storage, "oss_cors"))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if entry.Name() == ".oss_cors" { // the marker
			continue
		}
		content, err := os.ReadFile(filepath.Join(storage, "oss_cors", entry.Name()))
		if err != nil {
			t.Fatal(err)
		}
		found[entry.Name()] = string(content)
	}
	return found
}

// BucketURL returns the URL of a bucket in path style.
func BucketURL(port, bucket string) string { return "http://127.0.0.1:" + port + "/" + bucket + "/" }

// SignV1 returns the header lines of a request on a bucket's rules, signed with Alice's
// key by version 1.
func SignV1(method, bucket string) []string {
	date := time.Now().UTC().Format(http.TimeFormat)
	mac := hmac.New(sha1.New, []byte(APISecret))
	fmt.Fprintf(mac, "%s\n\n\n%s\n/%s/?cors", method, date, bucket)
	return []string{"Date: " + date, "Authorization: OSS " + APIKey + ":" + base64.StdEncoding.EncodeToString(mac.Sum(nil))}
}

// APIRegion is the region that clients sign for with version 4.
const APIRegion = "cn-hangzhou"
