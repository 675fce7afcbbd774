package osscors

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// Whoever makes the final response, and whatever its status, it is decorated.
func TestEveryFinalResponseIsDecorated(t *testing.T) {
	p := newProxy(t)
	write(t, "cors.xml", withVary(appRules))
	write(t, "served.txt", "served")
	if err := os.Chtimes("served.txt", time.Time{}, time.Unix(1e9, 0)); err != nil {
		t.Fatal(err)
	}
	answering := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		var status int
		_, _ = fmt.Sscanf(r.URL.Path, "/%d", &status)
		w.Header().Set("Access-Control-Allow-Origin", "https://wrong.example")
		w.Header().Set("Access-Control-Allow-Credentials", "true")
		w.WriteHeader(status)
	})
	withStub(t, "copies", func(w http.ResponseWriter, _ *http.Request) error {
		_, err := io.Copy(w, struct{ io.Reader }{strings.NewReader("copied")}) // by ReadFrom, without WriteHeader
		return err
	})
	withStub(t, "writes", func(w http.ResponseWriter, _ *http.Request) error {
		_, err := io.WriteString(w, "written")
		return err
	})
	withStub(t, "flushes", func(w http.ResponseWriter, _ *http.Request) error {
		return http.NewResponseController(w).Flush()
	})
	withStub(t, "nothing", func(http.ResponseWriter, *http.Request) error { return nil })
	withStub(t, "sets and fails", func(w http.ResponseWriter, _ *http.Request) error {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		return caddyhttp.Error(http.StatusTeapot, io.ErrUnexpectedEOF)
	})
	withStub(t, "fails", func(http.ResponseWriter, *http.Request) error { return io.ErrUnexpectedEOF })
	dead := freePorts(t, 1)[0]

	for _, test := range []struct {
		desc, site, request string
		lines               []string
		status              int
		body                string
	}{
		{desc: "proxied 200", site: "reverse_proxy " + answering, request: "GET /200", status: 200},
		{desc: "proxied 204", site: "reverse_proxy " + answering, request: "GET /204", status: 204},
		{desc: "proxied 301", site: "reverse_proxy " + answering, request: "GET /301", status: 301},
		{desc: "proxied 304", site: "reverse_proxy " + answering, request: "GET /304", status: 304},
		{desc: "proxied 404", site: "reverse_proxy " + answering, request: "GET /404", status: 404},
		{desc: "proxied 500", site: "reverse_proxy " + answering, request: "PUT /500", status: 500},
		{desc: "a proxied response that a status handler replaces", site: "reverse_proxy " + answering + " {\n@bad status 500\nhandle_response @bad {\nrespond replaced 503\n}\n}", request: "GET /500", status: 503, body: "replaced"},
		{desc: "a proxied response that is copied", site: "reverse_proxy " + answering + " {\n@bad status 500\nhandle_response @bad {\ncopy_response 502\n}\n}", request: "GET /500", status: 502},
		{desc: "an intercepted response", site: "intercept {\n@bad status 500\nreplace_status @bad 503\n}\nreverse_proxy " + answering, request: "GET /500", status: 503},
		{desc: "a dead origin server", site: "reverse_proxy " + dead, request: "GET /", status: 502},
		{desc: "file_server 200", site: "file_server", request: "GET /served.txt", status: 200, body: "served"},
		{desc: "file_server 206", site: "file_server", request: "GET /served.txt", lines: []string{"Range: bytes=1-2"}, status: 206, body: "er"},
		{desc: "file_server 416", site: "file_server", request: "GET /served.txt", lines: []string{"Range: bytes=100-"}, status: 416},
		{desc: "file_server 304", site: "file_server", request: "GET /served.txt", lines: []string{"If-Modified-Since: Sun, 09 Sep 2001 01:46:40 GMT"}, status: 304},
		{desc: "file_server 404", site: "file_server", request: "GET /missing", status: 404},
		{desc: "file_server 405", site: "file_server", request: "PUT /served.txt", status: 405},
		{desc: "encode", site: "encode {\ngzip\nminimum_length 1\n}\nfile_server", request: "GET /served.txt", status: 200, body: "served"},
		{desc: "templates", site: "templates {\nmime text/plain\n}\nfile_server", request: "GET /served.txt", status: 200, body: "served"},
		{desc: "basic_auth", site: "basic_auth {\nbob $2a$04$zKPjXFmG7zLQcnaMF9A0y.LuYkCDRZ5b7ICDhwR7xSiVPBtsRcCG2\n}", request: "GET /", status: 401},
		{desc: "forward_auth", site: "forward_auth " + answering + " {\nuri /401\n}", request: "GET /", status: 401},
		{desc: "request_body", site: "request_body {\nmax_size 1\n}\nreverse_proxy " + answering, request: "PUT /200", lines: []string{"Content-Length: 4"}, status: 413},
		{desc: "redir", site: "redir https://elsewhere.example 307", request: "GET /", status: 307},
		{desc: "respond", site: "respond here 418", request: "GET /", status: 418, body: "here"},
		{desc: "error", site: "error oops 503", request: "GET /", status: 503},
		{desc: "no other handler", request: "GET /", status: 200},
		{desc: "header sets its own, late", site: "header >Access-Control-Allow-Origin *\nrespond here", request: "GET /", status: 200, body: "here"},
		{desc: "io.Copy without WriteHeader", site: "stub copies", request: "GET /", status: 200, body: "copied"},
		{desc: "Write without WriteHeader", site: "stub writes", request: "GET /", status: 200, body: "written"},
		{desc: "Flush without WriteHeader", site: "stub flushes", request: "GET /", status: 200},
		{desc: "a handler that writes nothing", site: "stub nothing", request: "GET /", status: 200},
		{desc: "a handler that fails", site: "stub fails", request: "GET /", status: 500},
		{desc: "a handler that sets headers and fails", site: `stub "sets and fails"`, request: "GET /", status: 418},
		{desc: "handle_errors", site: "error oops 503\nhandle_errors {\nrespond page\n}", request: "GET /", status: 503, body: "page"},
		{desc: "handle_errors that fails itself", site: "error oops 503\nhandle_errors {\nerror again 504\n}", request: "GET /", status: 503},
		{desc: "handle_errors with oss_cors and header", site: "error oops 503\nhandle_errors {\noss_cors cors.xml\nheader Access-Control-Allow-Origin *\nheader >Access-Control-Allow-Methods *\nrespond page\n}", request: "GET /", status: 503, body: "page"},
	} {
		t.Run(test.desc, func(t *testing.T) {
			p.load(t, "oss_cors cors.xml\n"+test.site)
			for _, client := range []struct {
				origin string
				want   []string
			}{
				{fromApp, appGranted},
				{fromStranger, nil},
				{"X-No-Origin: none", nil},
			} {
				got := p.ask(t, test.request+" HTTP/1.1", append(test.lines, client.origin)...)
				got.expect(t, test.status, client.want...)
				if !strings.HasPrefix(got.body, test.body) {
					t.Errorf("body %q; want %q", got.body, test.body)
				}
				if vary := strings.Join(got.Header["Vary"], ", "); strings.Count(vary, "Origin") != 1 {
					t.Errorf("Vary is %q; want Origin in it, once", vary)
				}
			}
		})
	}
}

func TestActualRequests(t *testing.T) {
	p := newProxy(t)
	write(t, "cors.xml", appRules)
	write(t, "open.xml", openRules)
	p.load(t, "oss_cors cors.xml\nrespond served", "oss_cors open.xml\nrespond served")
	for _, test := range []struct {
		desc, method string
		site         int
		lines        []string
		want         []string
	}{
		{desc: "origin and method match", method: "PUT", lines: []string{fromApp}, want: appGranted},
		{desc: "the method does not", method: "DELETE", lines: []string{fromApp}},
		{desc: "HEAD is not GET", method: "HEAD", lines: []string{"Origin: https://plain.example.com"}},
		{desc: "a method that no rule can have", method: "PATCH", lines: []string{fromApp}},
		{desc: "the origin does not match", method: "GET", lines: []string{fromStranger}},
		{desc: "no origin", method: "GET"},
		{desc: "an empty origin", method: "GET", lines: []string{"Origin:"}},
		{desc: "two origins", method: "GET", lines: []string{fromApp, fromApp}}, // [picked]
		{desc: "the origin is echoed byte for byte", method: "PUT", lines: []string{"Origin: https://A.preview.example.com"}, // [picked]: case
			want: slices.Concat(appGranted[:1], []string{"Allow-Origin: https://A.preview.example.com"}, appGranted[2:])},
		{desc: "what a preflight asks for is ignored", method: "PUT", lines: []string{fromApp, acrm + "DELETE", acrh + "x-foo"}, want: appGranted},
		{desc: "a rule with neither ExposeHeader nor MaxAgeSeconds", method: "GET", lines: []string{"Origin: https://plain.example.com"},
			want: []string{"Allow-Methods: GET", "Allow-Origin: https://plain.example.com"}},
		{desc: "a lone wildcard", method: "GET", site: 1, lines: []string{"Origin: null"},
			want: []string{"Allow-Methods: GET, HEAD", "Allow-Origin: *", "Max-Age: 0"}}, // [picked]: the 0
		{desc: "a lone wildcard without an origin", method: "GET", site: 1},
		{desc: "HEAD", method: "HEAD", site: 1, lines: []string{fromApp},
			want: []string{"Allow-Methods: GET, HEAD", "Allow-Origin: *", "Max-Age: 0"}},
	} {
		t.Run(test.desc, func(t *testing.T) {
			got := askAt(t, p.addrs[test.site], test.method+" /key HTTP/1.1", test.lines...)
			got.expect(t, 200, test.want...)
			if test.method != "HEAD" && got.body != "served" {
				t.Errorf("body %q; want that of the handler behind", got.body)
			}
			if vary, ok := got.Header["Vary"]; ok {
				t.Errorf("Vary is %q without ResponseVary", vary)
			}
		})
	}
}

// What the origin server says of CORS is removed from allowed, denied and other responses.
func TestUpstreamHeadersAreRemoved(t *testing.T) {
	p := newProxy(t)
	write(t, "cors.xml", appRules)
	withStub(t, "odd", func(w http.ResponseWriter, _ *http.Request) error {
		h := w.Header()
		h["access-control-allow-origin"] = []string{"*", "https://evil.example"}
		h["ACCESS-CONTROL-ALLOW-METHODS"] = []string{"DELETE"}
		h["Access-control-Foo"] = []string{"bar"}
		h.Set("Access-Control-", "nothing")
		h.Set("Access-Control-Allow-Private-Network", "true")
		h.Set("Access-Control-Allow-Credentials", "true")
		h.Set("X-Access-Control-Allow-Origin", "stays")
		h.Set("Access-Controls", "stays")
		w.WriteHeader(http.StatusOK)
		return nil
	})
	p.load(t, "oss_cors cors.xml\nstub odd")
	for _, test := range []struct {
		desc string
		line string
		want []string
	}{
		{"allowed", fromApp, appGranted},
		{"denied", fromStranger, nil},
		{"not CORS", "X-Other: 1", nil},
	} {
		t.Run(test.desc, func(t *testing.T) {
			got := p.get(t, test.line) // which has canonical names, whatever was sent
			got.expect(t, 200, test.want...)
			if got.Header.Get("X-Access-Control-Allow-Origin") == "" || got.Header.Get("Access-Controls") == "" {
				t.Errorf("a header is gone that only looks like CORS: %v", got.Header)
			}
		})
	}
	if got := p.series(t)[of("upstream_headers_removed_total", "cors.xml")]; got != 3 {
		t.Errorf("upstream_headers_removed_total is %v; want 3", got)
	}
}

func TestVaryIsMerged(t *testing.T) {
	p := newProxy(t)
	write(t, "cors.xml", appRules)
	write(t, "vary.xml", withVary(appRules))
	var vary []string
	withStub(t, "varies", func(w http.ResponseWriter, _ *http.Request) error {
		w.Header()["Vary"] = slices.Clone(vary)
		_, err := io.WriteString(w, strings.Repeat("compress me ", 100))
		return err
	})
	p.load(t, "oss_cors vary.xml\nstub varies", "oss_cors cors.xml {\nresponse_vary\n}\nencode gzip\nstub varies", "oss_cors cors.xml\nstub varies")
	for _, test := range []struct {
		desc       string
		vary, want []string
	}{
		{desc: "none", want: []string{"Origin"}},
		{desc: "another field", vary: []string{"Accept"}, want: []string{"Accept", "Origin"}},
		{desc: "Origin", vary: []string{"Origin"}, want: []string{"Origin"}},
		{desc: "in lower case", vary: []string{"origin"}, want: []string{"origin"}},
		{desc: "in a list", vary: []string{"Accept,ORIGIN , Cookie"}, want: []string{"Accept,ORIGIN , Cookie"}},
		{desc: "in the second line", vary: []string{"Accept", "Origin"}, want: []string{"Accept", "Origin"}},
		{desc: "longer names", vary: []string{"X-Origin, Origin-Agent-Cluster"}, want: []string{"X-Origin, Origin-Agent-Cluster", "Origin"}},
		{desc: "a star", vary: []string{"*"}, want: []string{"*", "Origin"}},
	} {
		for _, from := range []string{fromApp, fromStranger, "X-No-Origin: 1"} {
			t.Run(test.desc+" "+from, func(t *testing.T) {
				vary = test.vary
				if got := p.get(t, from).Header["Vary"]; !slices.Equal(got, test.want) {
					t.Errorf("Vary is %q; want %q", got, test.want)
				}
				got := askAt(t, p.addrs[1], "GET / HTTP/1.1", "Accept-Encoding: gzip", from)
				others := slices.DeleteFunc(slices.Clone(got.Header["Vary"]), func(line string) bool { return line == "Accept-Encoding" })
				if !slices.Equal(others, test.want) || len(others)+1 != len(got.Header["Vary"]) {
					t.Errorf("compressed, Vary is %q; want %q and Accept-Encoding", got.Header["Vary"], test.want)
				}
				if got := askAt(t, p.addrs[2], "GET / HTTP/1.1", from).Header["Vary"]; !slices.Equal(got, test.vary) {
					t.Errorf("without ResponseVary, Vary is %q; want %q", got, test.vary)
				}
			})
		}
	}
}

func TestAllowCredentials(t *testing.T) {
	p := newProxy(t)
	write(t, "cors.xml", appRules)
	p.load(t, "oss_cors cors.xml {\nallow_credentials\n}\nrespond served", "oss_cors cors.xml\nrespond served")
	granted := slices.Insert(slices.Clone(appGranted), 0, "Allow-Credentials: true")
	for _, test := range []struct {
		desc, request string
		site          int
		lines         []string
		status        int
		want          []string
	}{
		{"a preflight", "OPTIONS", 0, []string{fromApp, acrm + "PUT"}, 200, granted},
		{"an actual request", "GET", 0, []string{fromApp}, 200, granted},
		{"a wildcard's host", "GET", 0, []string{"Origin: https://a.preview.example.com"}, 200,
			slices.Concat(granted[:2], []string{"Allow-Origin: https://a.preview.example.com"}, granted[3:])},
		{"a denied preflight", "OPTIONS", 0, []string{fromStranger, acrm + "PUT"}, 403, nil},
		{"a denied actual request", "GET", 0, []string{fromStranger}, 200, nil},
		{"no origin", "GET", 0, nil, 200, nil},
		{"without the option", "GET", 1, []string{fromApp}, 200, appGranted},
		{"a preflight without the option", "OPTIONS", 1, []string{fromApp, acrm + "PUT"}, 200, appGranted},
	} {
		t.Run(test.desc, func(t *testing.T) {
			askAt(t, p.addrs[test.site], test.request+" / HTTP/1.1", test.lines...).expect(t, test.status, test.want...)
		})
	}
}

// What a handler does to a value that it finds in a header shows on no other response.
func TestHeaderValuesAreNotShared(t *testing.T) {
	p := newProxy(t)
	write(t, "cors.xml", appRules)
	withStub(t, "overwrites", func(w http.ResponseWriter, _ *http.Request) error {
		w.WriteHeader(http.StatusOK)
		for key, values := range w.Header() {
			if key == "Server" { // Caddy's own, which all responses of the process share
				continue
			}
			values[0] = "overwritten"
			w.Header()[key] = append(values, "appended")
		}
		return nil
	})
	p.load(t, "oss_cors cors.xml\nstub overwrites")
	for range 3 {
		p.get(t, fromApp).expect(t, 200, appGranted...)
		p.preflight(t, fromApp, acrm+"PUT").expect(t, 200, appGranted...)
	}
}

func TestLargeFileArrivesWhole(t *testing.T) {
	p := newProxy(t)
	write(t, "cors.xml", appRules)
	content := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	write(t, "large.bin", string(content))
	p.load(t, "oss_cors cors.xml\nfile_server")
	got := p.ask(t, "GET /large.bin HTTP/1.1", fromApp)
	got.expect(t, 200, appGranted...)
	if got.body != string(content) {
		t.Errorf("%d bytes; want %d", len(got.body), len(content))
	}
}
