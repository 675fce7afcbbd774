package test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
)

// The accounts of every bucket API that the tests start: what they may change is their own.
const (
	apiKey      = "ExampleKeyOfAlice"
	apiSecret   = "exampleSecretOfAlice"
	otherKey    = "ExampleKeyOfBob"
	otherSecret = "exampleSecretOfBob"

	apiBucket   = "alice-bucket" // of apiKey, as every alice-*
	otherBucket = "bob-bucket"   // of otherKey, as every bob-*

	apiDomain = "oss.test" // whose subdomains are buckets; no name server knows it
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
			access_key ` + apiKey + ` {env.ALICE_SECRET} alice-*
			access_key ` + otherKey + ` {env.BOB_SECRET} bob-*
		}
	}
	reverse_proxy {$ORIGIN}
}

http://:{$PATH_PORT} {
	import proxy path
}

http://:{$HOST_PORT} {
	import proxy host ` + apiDomain + `
}

http://:{$CNAME_PORT} {
	import proxy name ` + apiBucket + `
}
`

// apiProxy is a Caddy that serves the bucket API, on a port for each way to name a bucket.
type apiProxy struct {
	*caddy
	path, host, cname string // ports
	storage           string // the directory of Caddy's storage
	env               []string
	dir               string
}

// apiOptions are what differs between the proxies that tests start.
type apiOptions struct {
	storage string       // empty: a new directory
	origin  http.Handler // nil: answers 200 to everything
	env     []string     // more of it
}

func startAPIProxy(t *testing.T, o apiOptions) *apiProxy {
	t.Helper()
	p := newAPIProxy(t, o)
	p.start(t)
	return p
}

// newAPIProxy prepares one that is not running yet.
func newAPIProxy(t *testing.T, o apiOptions) *apiProxy {
	t.Helper()
	if o.storage == "" {
		o.storage = t.TempDir()
	}
	if o.origin == nil {
		o.origin = http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	}
	origin := httptest.NewServer(o.origin)
	t.Cleanup(origin.Close)
	ports := freePorts(t, 3)
	p := &apiProxy{path: ports[0], host: ports[1], cname: ports[2], storage: o.storage, dir: t.TempDir()}
	p.env = append([]string{
		"ALICE_SECRET=" + apiSecret, "BOB_SECRET=" + otherSecret,
		"STORAGE=" + p.storage, "ORIGIN=" + origin.Listener.Addr().String(),
		"PATH_PORT=" + p.path, "HOST_PORT=" + p.host, "CNAME_PORT=" + p.cname,
	}, o.env...)
	writeFile(t, filepath.Join(p.dir, "Caddyfile"), bucketAPICaddyfile)
	return p
}

func (p *apiProxy) start(t *testing.T) {
	t.Helper()
	p.caddy = startCaddy(t, p.dir, "Caddyfile", p.env, []string{p.path, p.host, p.cname})
}

// document returns the file that holds a bucket's rules.
func (p *apiProxy) document(bucket string) string {
	return filepath.Join(p.storage, "oss_cors", bucket+".xml")
}

// documents returns every file below the storage's prefix, each with its content.
func documents(t *testing.T, storage string) map[string]string {
	t.Helper()
	found := map[string]string{}
	entries, err := os.ReadDir(filepath.Join(storage, "oss_cors"))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	for _, entry := range entries {
		content, err := os.ReadFile(filepath.Join(storage, "oss_cors", entry.Name()))
		if err != nil {
			t.Fatal(err)
		}
		found[entry.Name()] = string(content)
	}
	return found
}

// apiError is what a client makes of an error answer.
type apiError struct {
	status    int
	code, ec  string
	requestID string
}

func (e *apiError) Error() string { return fmt.Sprintf("%d %s %s", e.status, e.code, e.ec) }
