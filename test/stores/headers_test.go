package stores

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/harness"
)

const storeHeadersCaddyfile = `{
	admin off
	persist_config off
	default_bind 127.0.0.1
}

http://:%s {
	oss_cors cors.xml
	reverse_proxy 127.0.0.1:%s
}
`

const storeHeadersRules = `<CORSConfiguration>
  <CORSRule>
    <AllowedOrigin>https://app.example.com</AllowedOrigin>
    <AllowedMethod>GET</AllowedMethod>
    <AllowedMethod>PUT</AllowedMethod>
    <AllowedHeader>content-type</AllowedHeader>
    <ExposeHeader>x-amz-meta-author</ExposeHeader>
    <MaxAgeSeconds>600</MaxAgeSeconds>
  </CORSRule>
</CORSConfiguration>
`

// TestStoreHeaders runs the proxy in front of a store that allows every origin everything, and
// compares the headers of both line by line: none of the store's Access-Control lines may
// remain, and all others must.
func TestStoreHeaders(t *testing.T) {
	ports := harness.FreePorts(t, 2)
	s := harness.StartRclone(t, ports[1], []string{"bucket"})
	dir := t.TempDir()
	for name, content := range map[string]string{
		"Caddyfile": fmt.Sprintf(storeHeadersCaddyfile, ports[0], ports[1]),
		"cors.xml":  storeHeadersRules,
	} {
		harness.WriteFile(t, filepath.Join(dir, name), content)
	}
	harness.StartCaddy(t, dir, "Caddyfile", nil, ports[:1])

	const (
		app      = "Origin: https://app.example.com\r\n"
		stranger = "Origin: https://stranger.example\r\n"
		nobody   = ""
	)
	actual := []string{
		"Access-Control-Allow-Methods: GET, PUT",
		"Access-Control-Allow-Origin: https://app.example.com",
		"Access-Control-Expose-Headers: x-amz-meta-author",
		"Access-Control-Max-Age: 600",
	}
	preflight := slices.Sorted(slices.Values(append([]string{"Access-Control-Allow-Headers: content-type"}, actual...)))
	for _, c := range []struct {
		desc           string
		method, object string
		headers        string
		want           []string // the Access-Control lines
		answeredHere   bool     // by the proxy, not the store
	}{
		{desc: "allowed", method: "GET", object: "hello.txt", headers: app, want: actual},
		{desc: "allowed, no such object", method: "GET", object: "none.txt", headers: app, want: actual},
		{desc: "allowed", method: "PUT", object: "new.txt", headers: app, want: actual},
		{desc: "denied by method", method: "HEAD", object: "hello.txt", headers: app},
		{desc: "denied by method", method: "DELETE", object: "new.txt", headers: app},
		{desc: "denied by origin", method: "GET", object: "hello.txt", headers: stranger},
		{desc: "denied by origin, no such object", method: "GET", object: "none.txt", headers: stranger},
		{desc: "denied by origin", method: "PUT", object: "new.txt", headers: stranger},
		{desc: "not CORS", method: "GET", object: "hello.txt", headers: nobody},
		{desc: "not CORS", method: "HEAD", object: "hello.txt", headers: nobody},
		{desc: "not CORS, no such object", method: "GET", object: "none.txt", headers: nobody},
		{desc: "not CORS", method: "PUT", object: "new.txt", headers: nobody},
		{desc: "not CORS", method: "OPTIONS", object: "hello.txt", headers: nobody},
		{desc: "allowed preflight", method: "OPTIONS", object: "hello.txt", answeredHere: true, want: preflight,
			headers: app + "Access-Control-Request-Method: PUT\r\nAccess-Control-Request-Headers: content-type\r\n"},
		{desc: "denied preflight", method: "OPTIONS", object: "hello.txt", answeredHere: true,
			headers: stranger + "Access-Control-Request-Method: PUT\r\n"},
	} {
		t.Run(c.method+" "+c.desc, func(t *testing.T) {
			s.Put(t, "bucket/hello.txt", "hello")
			target := "/bucket/" + c.object
			direct := rawResponse(t, ports[1], c.method, target, c.headers)
			proxied := rawResponse(t, ports[0], c.method, target, c.headers)
			if !slices.Contains(direct.accessControl, "Access-Control-Allow-Origin: *") {
				t.Fatalf("the store itself sends no CORS headers, but %q: this shows nothing", direct)
			}
			if !slices.Equal(proxied.accessControl, c.want) {
				t.Errorf("through the proxy: %q; want %q", proxied.accessControl, c.want)
			}
			if !c.answeredHere && (proxied.status != direct.status || !slices.Equal(proxied.others, direct.others)) {
				t.Errorf("through the proxy:\n%s %q\nby the store:\n%s %q", proxied.status, proxied.others, direct.status, direct.others)
			}
		})
	}
}

// rawHeader is the header of a response, its lines as they were sent, in alphabetical order.
type rawHeader struct {
	status        string
	accessControl []string
	others        []string // without those that no two responses share
}

func rawResponse(t *testing.T, port, method, target, headers string) (h rawHeader) {
	t.Helper()
	conn, err := net.Dial("tcp4", "127.0.0.1:"+port)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	body := ""
	if method == "PUT" {
		body = "written"
		headers += fmt.Sprintf("Content-Length: %d\r\n", len(body))
	}
	fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: store.example\r\nConnection: close\r\n%s\r\n%s", method, target, headers, body)
	response := bufio.NewReader(conn)
	for first := true; ; first = false {
		line, err := response.ReadString('\n')
		if err != nil {
			t.Fatalf("%s %s: %v after %q", method, target, err, h)
		}
		line = strings.TrimRight(line, "\r\n")
		name, _, _ := strings.Cut(strings.ToLower(line), ":")
		switch {
		case line == "":
			_, _ = io.Copy(io.Discard, response)
			slices.Sort(h.accessControl)
			slices.Sort(h.others)
			return h
		case first:
			h.status = line
		case strings.HasPrefix(name, "access-control-"):
			h.accessControl = append(h.accessControl, line)
		case !slices.Contains([]string{"connection", "date", "server", "via", "x-amz-request-id", "x-amz-id-2", "last-modified"}, name):
			h.others = append(h.others, line)
		}
	}
}
