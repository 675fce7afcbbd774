package stores

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/harness"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

const privateBucketConfig = "examples/private-bucket/Caddyfile"

// TestPrivateBucket runs the example in front of a real private store. Three pages use it with
// the AWS SDK: one whose origin the rules allow, one whose origin they do not allow, and the
// first again without the proxy.
func TestPrivateBucket(t *testing.T) {
	harness.CheckCaddyfile(t, privateBucketConfig)
	ports := harness.FreePorts(t, 2)
	s := harness.StartVersitygw(t, ports[1], []string{"private"})
	harness.StartCaddy(t, "", privateBucketConfig, []string{"PROXY_PORT=" + ports[0], "STORE_PORT=" + ports[1]}, ports[:1])
	proxy, direct := "http://localhost:"+ports[0], "http://localhost:"+ports[1]
	pages := serveStorePage(t)

	t.Run("allowed", func(t *testing.T) {
		page := openStorePage(t, "http://app.localhost:"+pages)
		const text = "written across origins"
		put := page.call(t, "put", proxy, "note.txt", text)
		if put.Status != http.StatusOK || put.Headers["etag"] == "" {
			t.Errorf("presigned PUT: %+v; want 200 and an ETag", put)
		}
		if got := s.Files(t)["private/note.txt"]; got != text {
			t.Errorf("the store holds %q; want %q", got, text)
		}

		get := page.call(t, "get", proxy, "note.txt")
		if get.Status != http.StatusOK || get.Body != text {
			t.Errorf("presigned GET: %+v; want 200 and what was written", get)
		}
		if get.Headers["etag"] != put.Headers["etag"] {
			t.Errorf("ETag is %q when read; it was %q when written", get.Headers["etag"], put.Headers["etag"])
		}
		if _, readable := get.Headers["accept-ranges"]; readable {
			t.Error("the page can read Accept-Ranges, which the rules do not expose")
		}

		// The store's own refusals can be read, too.
		if got := page.call(t, "getTampered", proxy, "note.txt"); got.Status != http.StatusForbidden || !strings.Contains(got.Body, "<Code>SignatureDoesNotMatch</Code>") {
			t.Errorf("with a wrong signature: %+v; want the store's 403", got)
		}
		if got := page.call(t, "get", proxy, "none.txt"); got.Status != http.StatusNotFound || !strings.Contains(got.Body, "<Code>NoSuchKey</Code>") {
			t.Errorf("of no object: %+v; want the store's 404", got)
		}

		const size = 11 << 20 // three parts of 5 MiB at the most
		upload := page.call(t, "upload", proxy, "large.bin", size)
		if !strings.HasSuffix(upload.ETag, `-3"`) || upload.Parts != 3 {
			t.Errorf("upload in parts: %+v; want 3 parts and an ETag that says so", upload)
		}
		stored := s.Files(t)["private/large.bin"]
		if sum := sha256.Sum256([]byte(stored)); len(stored) != size || hex.EncodeToString(sum[:]) != upload.SHA256 {
			t.Errorf("the store holds %d bytes, SHA-256 %x; the page sent %d, %s", len(stored), sum, size, upload.SHA256)
		}
		if refusals := page.refusals(); len(refusals) > 0 {
			t.Errorf("the browser refused: %v", refusals)
		}
	})

	// The same calls, with the same keys, from elsewhere.
	blocked := func(page *storePage, endpoint string, preflight, actual network.CorsError) func(t *testing.T) {
		return func(t *testing.T) {
			before := s.Files(t)
			for _, call := range []struct {
				name string
				args []any
				want network.CorsError
			}{
				{"get", []any{"note.txt"}, actual},
				{"put", []any{"stranger.txt", "never written"}, preflight},
				{"upload", []any{"stranger.bin", 11 << 20}, preflight},
			} {
				got := page.call(t, call.name, append([]any{endpoint}, call.args...)...)
				if !got.Blocked {
					t.Errorf("%s was not blocked: %+v", call.name, got)
				}
				if refusals := page.refusals(); !slices.Equal(refusals, []network.CorsError{call.want}) {
					t.Errorf("%s: the browser refused because of %v; want %s, once", call.name, refusals, call.want)
				}
			}
			if after := s.Files(t); !maps.Equal(before, after) {
				t.Errorf("the store has changed: it held %v, and holds %v", slices.Sorted(maps.Keys(before)), slices.Sorted(maps.Keys(after)))
			}
		}
	}
	t.Run("stranger", func(t *testing.T) {
		page := openStorePage(t, "http://stranger.localhost:"+pages)
		blocked(page, proxy, network.CorsErrorPreflightMissingAllowOriginHeader, network.CorsErrorMissingAllowOriginHeader)(t)
	})
	t.Run("without the proxy", func(t *testing.T) {
		page := openStorePage(t, "http://app.localhost:"+pages)
		blocked(page, direct, network.CorsErrorPreflightMissingAllowOriginHeader, network.CorsErrorMissingAllowOriginHeader)(t)
	})
}

// storePage is a page with stores/aws/page.js in it.
type storePage struct {
	tab context.Context

	mu     sync.Mutex
	errors []network.CorsError
}

// storeResult is the result of a function of the page.
type storeResult struct {
	Status  int
	Body    string
	Headers map[string]string

	ETag   string
	Parts  int
	SHA256 string

	Blocked bool
	Error   string
}

func openStorePage(t *testing.T, origin string) *storePage {
	t.Helper()
	page := &storePage{tab: harness.NewTab(t)}
	chromedp.ListenTarget(page.tab, func(event any) {
		if e, ok := event.(*network.EventLoadingFailed); ok && e.CorsErrorStatus != nil {
			page.mu.Lock()
			page.errors = append(page.errors, e.CorsErrorStatus.CorsError)
			page.mu.Unlock()
		}
	})
	if err := chromedp.Run(page.tab, network.Enable(), chromedp.Navigate(origin+"/")); err != nil {
		t.Fatal(err)
	}
	return page
}

func (p *storePage) call(t *testing.T, function string, args ...any) (result storeResult) {
	t.Helper()
	argList, err := json.Marshal(args)
	if err != nil {
		t.Fatal(err)
	}
	err = chromedp.Run(p.tab, chromedp.Evaluate(fmt.Sprintf("store.%s(...%s)", function, argList), &result,
		func(call *runtime.EvaluateParams) *runtime.EvaluateParams { return call.WithAwaitPromise(true) }))
	if err != nil {
		t.Fatalf("%s: %v", function, err)
	}
	return result
}

// refusals returns why the browser refused, for each refusal since the last call.
func (p *storePage) refusals() []network.CorsError {
	p.mu.Lock()
	defer p.mu.Unlock()
	errors := p.errors
	p.errors = nil
	return errors
}

// serveStorePage bundles the page's script and serves the page at every name. It returns
// the port.
func serveStorePage(t *testing.T) (port string) {
	t.Helper()
	dir := harness.NodePackages(t, "test/stores/aws")
	bundle := filepath.Join(t.TempDir(), "bundle.js")
	build := exec.Command(harness.Tool(t, "esbuild"), "page.js", "--bundle", "--outfile="+bundle, "--log-level=warning")
	build.Dir = dir
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("bundling the page's script: %v\n%s", err, out)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/":
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			fmt.Fprint(w, `<!doctype html><link rel="icon" href="data:,"><script src="/bundle.js"></script>`)
		case "/bundle.js":
			http.ServeFile(w, r, bundle)
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(server.Close)
	_, port, _ = strings.Cut(server.Listener.Addr().String(), ":")
	return port
}
