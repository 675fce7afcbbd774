package clients

import (
	"bytes"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/harness"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// ossOrigin implements as much of OSS as an upload by ali-oss needs: no store that these
// tests can run speaks OSS's API. It does not check signatures: the proxy is what is tested.
type ossOrigin struct {
	mu      sync.Mutex
	parts   map[int][]byte
	objects map[string][]byte
	asked   []string // "METHOD path"
}

func (o *ossOrigin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.asked = append(o.asked, r.Method+" "+r.URL.Path)
	bucket, key, _ := strings.Cut(r.URL.Path[1:], "/")
	query := r.URL.Query()
	body, err := io.ReadAll(r.Body)
	switch {
	case err != nil || r.Header.Get("Authorization") == "":
		w.WriteHeader(http.StatusForbidden)
	case r.Method == "POST" && query.Has("uploads"):
		o.parts = map[int][]byte{}
		fmt.Fprintf(w, "<InitiateMultipartUploadResult><Bucket>%s</Bucket><Key>%s</Key><UploadId>one</UploadId></InitiateMultipartUploadResult>", bucket, key)
	case r.Method == "PUT" && query.Get("uploadId") == "one":
		number, _ := strconv.Atoi(query.Get("partNumber"))
		o.parts[number] = body
		w.Header().Set("ETag", etag(body))
	case r.Method == "POST" && query.Get("uploadId") == "one":
		var complete struct {
			Parts []struct {
				PartNumber int
				ETag       string
			} `xml:"Part"`
		}
		var object bytes.Buffer
		if err := xml.Unmarshal(body, &complete); err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		for _, part := range complete.Parts {
			if part.ETag != etag(o.parts[part.PartNumber]) {
				w.WriteHeader(http.StatusBadRequest)
				return
			}
			object.Write(o.parts[part.PartNumber])
		}
		o.objects[key] = object.Bytes()
		fmt.Fprintf(w, "<CompleteMultipartUploadResult><Bucket>%s</Bucket><Key>%s</Key><ETag>%s</ETag></CompleteMultipartUploadResult>", bucket, key, etag(object.Bytes()))
	default:
		w.WriteHeader(http.StatusNotImplemented)
	}
}

func etag(content []byte) string { return fmt.Sprintf(`"%X"`, md5.Sum(content)) }

// TestAliOSSInBrowser lets a page upload in parts with the bundle of ali-oss, through the
// proxy, under rules that the SDK for Go has put. Rules that lack what the upload needs stop
// it, and nothing reaches the store that should not.
func TestAliOSSInBrowser(t *testing.T) {
	origin := &ossOrigin{objects: map[string][]byte{}}
	p := harness.StartAPIProxy(t, harness.APIOptions{Origin: origin})
	sdk := newSDKv2(t, apiClientConfig{style: "path", port: p.Path, v4: true, id: harness.APIKey, secret: harness.APISecret, bucket: harness.APIBucket})
	pages := serveAliOSSPage(t)

	const size = 350_000 // 4 parts of 100 KB at the most
	needed := ruleFields{
		Origins: []string{"http://app.localhost:*"},
		Methods: []string{"GET", "POST", "PUT"},
		Headers: []string{"authorization", "content-md5", "content-type", "x-oss-*"},
		Expose:  []string{"ETag", "x-oss-request-id"},
		MaxAge:  new(600),
	}
	for _, c := range []struct {
		desc   string
		change func(*ruleFields)
		ok     bool
		asked  int // how many requests may reach the store
	}{
		{"what an upload needs", func(*ruleFields) {}, true, 100},
		{"ETag is not exposed", func(r *ruleFields) { r.Expose = nil }, false, 100},
		{"authorization may not be sent", func(r *ruleFields) { r.Headers = r.Headers[1:] }, false, 0},
		{"another origin", func(r *ruleFields) { r.Origins = []string{"http://other.localhost:*"} }, false, 0},
		{"no POST", func(r *ruleFields) { r.Methods = []string{"GET", "PUT"} }, false, 0},
	} {
		for _, v4 := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, V4 %t", c.desc, v4), func(t *testing.T) {
				rules := needed
				c.change(&rules)
				if err := sdk.put([]ruleFields{rules}, true); err != nil {
					t.Fatal(err)
				}
				origin.mu.Lock()
				origin.objects, origin.asked = map[string][]byte{}, nil
				origin.mu.Unlock()

				options, err := json.Marshal(map[string]any{
					"endpoint": "http://localhost:" + p.Path, "bucket": harness.APIBucket, "region": "oss-" + harness.APIRegion, "sldEnable": true,
					"accessKeyId": harness.APIKey, "accessKeySecret": harness.APISecret, "authorizationV4": v4, "secure": false, "retryMax": 0,
				})
				if err != nil {
					t.Fatal(err)
				}
				tab := harness.NewTab(t)
				var result struct{ OK, SHA256, Error string }
				err = chromedp.Run(tab, chromedp.Navigate("http://app.localhost:"+pages),
					chromedp.Evaluate(fmt.Sprintf("upload(%s, %d)", options, size), &result,
						func(call *runtime.EvaluateParams) *runtime.EvaluateParams { return call.WithAwaitPromise(true) }))
				if err != nil {
					t.Fatal(err)
				}
				origin.mu.Lock()
				defer origin.mu.Unlock()
				if (result.OK != "") != c.ok {
					t.Errorf("the page says %+v; want success: %t", result, c.ok)
				}
				if len(origin.asked) > c.asked {
					t.Errorf("the store was asked for %q", origin.asked)
				}
				for _, asked := range origin.asked {
					if strings.HasPrefix(asked, "OPTIONS") {
						t.Error("a preflight reached the store")
					}
				}
				stored := origin.objects["dir/big.bin"]
				if sum := sha256.Sum256(stored); c.ok && (len(stored) != size || hex.EncodeToString(sum[:]) != result.SHA256) {
					t.Errorf("the store has %d bytes, SHA-256 %x; the page sent %d, %s", len(stored), sum, size, result.SHA256)
				} else if !c.ok && len(stored) > 0 {
					t.Errorf("the store has %d bytes", len(stored))
				}
				if c.ok && len(origin.parts) != 4 {
					t.Errorf("%d parts; want 4", len(origin.parts))
				}
			})
		}
	}
}

const aliOSSPage = `<!doctype html>
<link rel="icon" href="data:,">
<script src="/sdk.js"></script>
<script>
async function upload(options, size) {
	const bytes = new Uint8Array(size).map((_, i) => (i * 31) ^ (i >> 8));
	const sum = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
	const sha256 = [...sum].map((b) => b.toString(16).padStart(2, '0')).join('');
	try {
		const { res } = await new OSS(options).multipartUpload('dir/big.bin', new Blob([bytes]), { partSize: 100 * 1024, parallel: 2 });
		return { ok: String(res.status), sha256 };
	} catch (e) {
		return { error: e.code + ': ' + e.message };
	}
}
</script>`

// serveAliOSSPage serves the page with the SDK's own bundle at every name. It returns the
// port.
func serveAliOSSPage(t *testing.T) (port string) {
	t.Helper()
	bundle := filepath.Join(aliOSSDir(t), "node_modules/ali-oss/dist/aliyun-oss-sdk.min.js")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/sdk.js" {
			http.ServeFile(w, r, bundle)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprint(w, aliOSSPage)
	}))
	t.Cleanup(server.Close)
	_, port, _ = strings.Cut(server.Listener.Addr().String(), ":")
	return port
}
