package buckets

import (
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/harness"
)

// oneOrigin is a document that lets one origin read.
func oneOrigin(origin string) string {
	return "<CORSConfiguration><CORSRule><AllowedOrigin>" + origin + "</AllowedOrigin><AllowedMethod>GET</AllowedMethod></CORSRule></CORSConfiguration>"
}

// TestBucketPaths sends what no client would, to make the rules of one bucket apply to
// another, or to read or change them with another account's key.
func TestBucketPaths(t *testing.T) {
	root := t.TempDir() // of the storage and of what is next to it
	origin := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X-From", "origin") })
	p := harness.NewAPIProxy(t, harness.APIOptions{Storage: filepath.Join(root, "storage"), Origin: origin, Env: []string{"REFRESH=10ms"}})
	owners := map[string]string{harness.APIBucket: "https://alice.example", harness.OtherBucket: "https://bob.example"}
	for bucket, origin := range owners {
		harness.WriteFile(t, p.Document(bucket), oneOrigin(origin))
	}
	p.Start(t)
	before := tree(t, root)

	long := strings.Repeat("a", 64)
	type trick struct {
		host, target string
		bucket       string // whose rules apply; empty: no bucket's
		api          bool   // it addresses the bucket itself, not an object
	}
	const alice, bob, nobody = harness.APIBucket, harness.OtherBucket, ""
	tricks := map[string][]trick{
		p.Path: {
			{"h", "/alice-bucket", alice, true}, // not a trick
			{"h", "/alice-bucket/", alice, true},
			{"h", "/alice-bucket/k", alice, false},
			{"h", "/bob-bucket/k", bob, false},

			{"h", "/", nobody, false},
			{"h", "//bob-bucket", nobody, false},
			{"h", "//bob-bucket/", nobody, false},
			{"h", "///bob-bucket/k", nobody, false},
			{"h", "/./bob-bucket/", nobody, false},
			{"h", "/../bob-bucket/", nobody, false},
			{"h", "/alice-bucket/../bob-bucket/", nobody, false},
			{"h", "/alice-bucket/..", nobody, false},
			{"h", "/alice-bucket/.", nobody, false},
			{"h", "/alice-bucket/%2e%2e/bob-bucket/", nobody, false},
			{"h", "/alice-bucket/..%2fbob-bucket/", nobody, false},
			{"h", "/..%2fbob-bucket/", nobody, false},
			{"h", "/..%2Fbob-bucket%2F", nobody, false},
			{"h", "/%2e%2e%2fbob-bucket", nobody, false},
			{"h", "/..%5cbob-bucket/", nobody, false},
			{"h", `/..\bob-bucket/`, nobody, false},
			{"h", `/alice-bucket\..\bob-bucket/`, nobody, false},
			{"h", `/alice-bucket/..\bob-bucket/`, nobody, false},
			{"h", "/alice-bucket/..%5cbob-bucket/", nobody, false},
			{"h", `\bob-bucket/`, nobody, false},
			{"h", "/%2fbob-bucket/", nobody, false},
			{"h", "/%2Fbob-bucket/", nobody, false},
			{"h", "/alice-bucket%2f..%2fbob-bucket", nobody, false},
			{"h", "/bob-bucket%2f", nobody, false},
			{"h", "/bob-bucket%2Fk", nobody, false},
			{"h", "/bob-bucke%74/", nobody, false},
			{"h", "/bob-bucket%00/", nobody, false},
			{"h", "/bob-bucket%00.xml/", nobody, false},
			{"h", "/alice-bucket%00/../bob-bucket/", nobody, false},
			{"h", "/bob-bucket\x00/", nobody, false},
			{"h", "/bob-bucket%0d%0a/", nobody, false},
			{"h", "/bob-bucket%20/", nobody, false},
			{"h", "/bob-bucket.xml/", nobody, false},
			{"h", "/bob-bucket;v=1/", nobody, false},
			{"h", "/BOB-BUCKET/", nobody, false},
			{"h", "/Bob-bucket/", nobody, false},
			{"h", "/bób-bucket/", nobody, false},
			{"h", "/b%C3%B3b-bucket/", nobody, false},
			{"h", "/ｂob-bucket/", nobody, false},
			{"h", "/bob\u2010bucket/", nobody, false},
			{"h", "/bob-bucket\xff/", nobody, false},
			{"h", "/" + long + "/", nobody, false},
			{"h", "/" + strings.Repeat("bob-bucket", 1000) + "/", nobody, false},
			{"h", "/" + strings.Repeat("../", 1000) + "bob-bucket/", nobody, false},
			{"h", "/*-bucket/", nobody, false},
			{"h", "/bob-*/", nobody, false},
			{"h", "/storage/oss_cors/bob-bucket", nobody, false},
			{"h", "/?/bob-bucket/", nobody, false},
			{"h", "/#/bob-bucket/", nobody, false},
			{"h", "http://h/bob-bucket/../alice-bucket/", nobody, false},
			{"h", "http://bob-bucket/alice-bucket/", alice, true},
			{"bob-bucket", "/alice-bucket/", alice, true},
			{"bob-bucket." + harness.APIDomain, "/alice-bucket/k", alice, false},
		},
		p.Host: {
			{"alice-bucket.oss.test", "/", alice, true},
			{"alice-bucket.oss.test", "", nobody, false},
			{"ALICE-BUCKET.OSS.TEST:80", "/", alice, true},
			{"oss.test", "/alice-bucket/", alice, true},
			{"bob-bucket.oss.test", "/evil/x", bob, false},
			{"bob-bucket.oss.test", "/alice-bucket/", bob, false},
			{"alice-bucket.oss.test", "/bob-bucket/", alice, false},
			{"alice-bucket.oss.test", "//bob-bucket/", alice, false},
			{"alice-bucket.oss.test", "/../bob-bucket/", nobody, false},
			{"alice-bucket.oss.test", "/..%2fbob-bucket/", nobody, false},
			{"alice-bucket.oss.test", `/..\bob-bucket/`, nobody, false},
			{"oss.test", "//bob-bucket/", nobody, false},
			{"oss.test", "/..%2fbob-bucket/", nobody, false},
			{"oss.test", "/alice-bucket%2f..%2fbob-bucket/", nobody, false},
			{"oss.test", "/BOB-BUCKET/", nobody, false},
			{"bob-bucket.oss.test.", "/", nobody, false},
			{"bob-bucket.oss.test..", "/", nobody, false},
			{"bob-bucket..oss.test", "/", nobody, false},
			{"alice-bucket.bob-bucket.oss.test", "/", nobody, false},
			{"..bob-bucket.oss.test", "/", nobody, false},
			{"../bob-bucket.oss.test", "/", nobody, false},
			{"bob-bucket%2f.oss.test", "/", nobody, false},
			{"bób-bucket.oss.test", "/", nobody, false},
			{"xn--bb-bucket-q0a.oss.test", "/", nobody, false},
			{"bob-bucket.oss.test.evil.example", "/", nobody, false},
			{"bob-bucketoss.test", "/", nobody, false},
			{"evil.example", "/bob-bucket/", nobody, false},
			{"", "/bob-bucket/", nobody, false},
			{"[bob-bucket.oss.test]", "/", nobody, false},
			{long + ".oss.test", "/", nobody, false},
			{"alice-bucket.oss.test\r\nHost: bob-bucket.oss.test", "/", nobody, false},
			{"alice-bucket.oss.test\r\nX-Forwarded-Host: bob-bucket.oss.test", "/", alice, true},
			{"alice-bucket.oss.test", "http://bob-bucket.oss.test/", bob, false}, // RFC 9112, section 3.2.2
			{"bob-bucket.oss.test", "http://alice-bucket.oss.test/", alice, true},
		},
		p.CNAME: {
			{"cdn.test", "/", alice, true},
			{"bob-bucket", "/", alice, true},
			{"bob-bucket.oss.test", "/k", alice, false},
			{"cdn.test", "/bob-bucket/", alice, false},
			{"cdn.test", "//", alice, false},
			{"cdn.test", "/../bob-bucket/", nobody, false},
			{"cdn.test", "/..%2fbob-bucket/", nobody, false},
			{"cdn.test", `/..\bob-bucket/`, nobody, false},
		},
	}
	for port, tricks := range tricks {
		for _, c := range tricks {
			desc := fmt.Sprintf("Host %.100q, %.100q", c.host, c.target)
			ask := func(method, query, body string, header ...string) (harness.RawResponse, bool) {
				target := c.target
				if query != "" {
					target += "?" + query
				}
				lines := append([]string{"Host: " + c.host, "Connection: close", fmt.Sprintf("Content-Length: %d", len(body))}, header...)
				return askRaw(t, port, method, harness.RequestText(method+" "+target+" HTTP/1.1", lines...)+body)
			}

			// Whose rules apply.
			for bucket, origin := range owners {
				for _, preflight := range []bool{false, true} {
					method, header := "GET", []string{"Origin: " + origin}
					if preflight {
						method, header = "OPTIONS", append(header, "Access-Control-Request-Method: GET")
					}
					a, ok := ask(method, "", "", header...)
					allowed := ok && a.Header.Get("Access-Control-Allow-Origin") != ""
					if want := c.bucket == bucket; allowed != want {
						t.Errorf("%s, %s: the rules of %s apply: %t; want %t", desc, method, bucket, allowed, want)
					}
				}
			}

			// Alice's key, for her own bucket and for Bob's.
			for _, signed := range []string{alice, bob} {
				for _, method := range []string{"GET", "PUT", "DELETE"} {
					body := ""
					if method == "PUT" {
						body = oneOrigin("https://evil.example")
					}
					a, ok := ask(method, "cors", body, harness.SignV1(method, signed)...)
					done := ok && a.StatusCode < 300 && a.Header.Get("X-From") == ""
					if want := c.api && signed == alice && c.bucket == alice; done != want {
						t.Errorf("%s, %s?cors signed for %s: done %t; want %t: %d %.200q", desc, method, signed, done, want, status(a), a.Text)
					}
					if strings.Contains(a.Text, owners[bob]) {
						t.Errorf("%s, %s?cors signed for %s: Bob's rules are told", desc, method, signed)
					}
					after := tree(t, root)
					if c.api { // that she may
						after["storage/oss_cors/alice-bucket.xml"] = before["storage/oss_cors/alice-bucket.xml"]
					}
					if !maps.Equal(before, after) {
						t.Fatalf("%s, %s?cors signed for %s: there is %v; there was %v", desc, method, signed, after, before)
					}
				}
			}
			if c.api {
				harness.WriteFile(t, p.Document(alice), oneOrigin(owners[alice]))
				time.Sleep(20 * time.Millisecond) // twice refresh
			}
		}
	}
}

func status(a harness.RawResponse) int {
	if a.Response == nil {
		return 0
	}
	return a.StatusCode
}

// askRaw sends text on a connection of its own. ok is false if the server closes the
// connection without a response.
func askRaw(t *testing.T, port, method, text string) (a harness.RawResponse, ok bool) {
	t.Helper()
	tb := &harness.Testbed{Addr: "127.0.0.1:" + port}
	c := tb.Dial(t)
	defer c.Close()
	c.Send(text)
	a, err := c.TryReceive(method)
	return a, err == nil
}

// tree returns every file below a directory, each with its content.
func tree(t *testing.T, root string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := fs.WalkDir(os.DirFS(root), ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || entry.Name() == ".oss_cors" { // the marker of a storage
			return err
		}
		content, err := os.ReadFile(filepath.Join(root, path))
		files[path] = string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}
