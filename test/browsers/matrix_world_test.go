package browsers

import (
	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/fetchmodel"
	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/harness"

	_ "embed"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/gobwas/ws"
)

const matrixDir = "testdata/matrix"

// matrixWorld is what the matrix runs in: the pages' servers, and Caddy in front of an origin
// server. Browsers resolve every name below localhost to this machine.
type matrixWorld struct {
	*harness.Process
	dir     string
	ports   *strings.Replacer // of words by ports
	metrics string            // their URL
	page    string            // what every page consists of
	buckets map[string]*fetchmodel.Bucket
	cases   map[string]*matrixCase // by their paths
}

// startMatrixWorld starts everything. A fault is a directive that spoils what
// oss_cors does, or withoutModule; empty: none.
func startMatrixWorld(t *testing.T, cases []matrixCase, fault string) *matrixWorld {
	t.Helper()
	w := &matrixWorld{dir: t.TempDir(), buckets: map[string]*fetchmodel.Bucket{}, cases: map[string]*matrixCase{}}
	for i := range cases {
		cases[i].setDefaults()
		path := pathOf(&cases[i])
		if w.cases[path] != nil {
			t.Fatalf("there are two cases %s", path)
		}
		w.cases[path] = &cases[i]
	}
	w.page = "<!doctype html><meta charset=utf-8><link rel=icon href='data:,'><body><script>" + w.read(t, "runner.js") + "</script>"
	w.write(t, "page.html", w.page)

	server := func(start func(*httptest.Server)) (port string) {
		s := httptest.NewUnstartedServer(http.HandlerFunc(w.answer))
		s.Config.ErrorLog = log.New(io.Discard, "", 0) // a browser does not trust us at first
		start(s)
		t.Cleanup(s.Close)
		_, port, _ = strings.Cut(s.Listener.Addr().String(), ":")
		return port
	}
	ports := harness.FreePorts(t, 3)
	w.ports = strings.NewReplacer(
		"SECURE_PAGE_PORT", server((*httptest.Server).StartTLS),
		"OTHER_PAGE_PORT", server((*httptest.Server).Start),
		"PAGE_PORT", server((*httptest.Server).Start),
		"ORIGIN_PORT", server((*httptest.Server).Start),
		"SECURE_BUCKET_PORT", ports[1],
		"BUCKET_PORT", ports[0],
		"METRICS_PORT", ports[2])
	w.metrics = w.ports.Replace("http://127.0.0.1:METRICS_PORT/metrics")

	for _, name := range []string{"cdn", "open", "bank", "vary"} {
		rules := w.ports.Replace(w.read(t, name+".xml"))
		w.write(t, name+".xml", rules)
		bucket, err := fetchmodel.ParseBucket([]byte(rules))
		if err != nil {
			t.Fatal(err)
		}
		w.buckets[name] = bucket
	}
	for _, name := range []string{"bank", "vary"} { // as in the Caddyfile
		w.buckets[name].AllowCredentials = true
	}
	w.write(t, "Caddyfile", withFault(t, w.ports.Replace(w.read(t, "Caddyfile")), fault))
	w.Process = harness.StartCaddy(t, w.dir, "Caddyfile", nil, ports)
	harness.WaitForCertificate(t, "127.0.0.1:"+ports[1], "cdn.example.localhost")
	return w
}

// withFault puts a fault at its place in a Caddyfile.
func withFault(t *testing.T, caddyfile, fault string) string {
	t.Helper()
	before, rest, ok := strings.Cut(caddyfile, "\t\t# FAULT\n")
	directive, after, ok2 := strings.Cut(rest, "\n\t\t}\n")
	if !ok || !ok2 {
		t.Fatal("the Caddyfile has no place for a fault")
	}
	if fault == withoutModule {
		return before + after
	}
	return before + "\t\t" + fault + "\n" + directive + "\n\t\t}\n" + after
}

// withoutModule is the fault of a Caddyfile without oss_cors.
const withoutModule = "without oss_cors"

func (w *matrixWorld) read(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(matrixDir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func (w *matrixWorld) write(t *testing.T, name, content string) {
	t.Helper()
	harness.WriteFile(t, filepath.Join(w.dir, name), content)
}

// pathOf is the path of all requests of a case; the number of the redirect follows.
func pathOf(c *matrixCase) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune(" ,'", r) {
			return '-'
		}
		return r
	}, c.name)
}

// pageURL is the URL of a page as the browser's address bar takes it.
func (w *matrixWorld) pageURL(page string) string {
	if page == "file" {
		return "file://" + filepath.Join(w.dir, "page.html")
	}
	return w.ports.Replace(matrixPages[page])
}

// pageOrigin is the origin of a page, as it is sent.
func (w *matrixWorld) pageOrigin(page string) string {
	if page == "file" || isFramed(page) {
		return "null"
	}
	return fetchmodel.OriginOf(w.pageURL(page))
}

// targets are the URLs of a step: that of the request, and those of the redirects.
func (w *matrixWorld) targets(c *matrixCase, step matrixStep) (urls []string) {
	page := w.pageURL(step.page)
	for i, target := range strings.Split(step.to, " > ") {
		bucket, place, _ := strings.Cut(target, "/")
		var url string
		switch {
		case w.buckets[bucket] == nil: // a page
			url = fetchmodel.OriginOf(w.pageURL(bucket))
		case strings.HasPrefix(page, "https:"):
			url = w.ports.Replace("https://" + bucket + ".example.localhost:SECURE_BUCKET_PORT")
		default:
			url = w.ports.Replace("http://" + bucket + ".example.localhost:BUCKET_PORT")
		}
		if place != "" {
			url += "/" + place
		}
		urls = append(urls, fmt.Sprintf("%s/%s/%d", url, pathOf(c), i))
	}
	return urls
}

// answer is the handler of the origin server and of the pages' servers.
func (w *matrixWorld) answer(rw http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/page" {
		rw.Header().Set("Content-Type", "text/html; charset=utf-8")
		// For all of example.localhost, in requests of pages there.
		rw.Header().Set("Set-Cookie", "visitor=1; Domain=example.localhost; Path=/; SameSite=Lax")
		fmt.Fprint(rw, w.page)
		return
	}
	path, hop := casePath(r.URL.Path)
	c := w.cases[path]
	if c == nil {
		http.NotFound(rw, r)
		return
	}
	if r.Header.Get("Upgrade") != "" {
		if conn, _, _, err := ws.UpgradeHTTP(r, rw); err == nil {
			_, _ = ws.ReadHeader(conn) // of the frame by which the page closes
			conn.Close()
		}
		return
	}
	answer := w.originAnswer(c, hop)
	for name, value := range answer.Header {
		rw.Header().Set(name, value)
	}
	rw.WriteHeader(answer.Status)
	if r.Method != http.MethodHead {
		fmt.Fprint(rw, answer.Body)
	}
}

// casePath splits a URL's path into the path of the case and the number of the redirect.
func casePath(path string) (string, int) {
	segments := strings.Split(path, "/")
	if len(segments) < 3 {
		return "", 0
	}
	hop, err := strconv.Atoi(segments[len(segments)-1])
	if err != nil {
		return "", 0
	}
	return segments[len(segments)-2], hop
}

// originAnswer is the origin server's response in a case.
func (w *matrixWorld) originAnswer(c *matrixCase, hop int) fetchmodel.WireResponse {
	targets := w.targets(c, c.steps[0])
	if hop+1 < len(targets) {
		return fetchmodel.WireResponse{Status: c.redirect, Header: map[string]string{
			"location": targets[hop+1], "cache-control": "no-store", "content-length": "0"}}
	}
	contentType, body := contentOf(c)
	header := map[string]string{
		"content-type":   contentType,
		"content-length": strconv.Itoa(len(body)),
		"cache-control":  "no-store",
		"last-modified":  "Mon, 06 Jul 2026 10:00:00 GMT",
		"etag":           `"1"`,
		"x-oss-test":     "shown",
		"x-secret":       "hidden",
	}
	for _, line := range c.header {
		name, value, _ := strings.Cut(line, ": ")
		header[strings.ToLower(name)] = value
	}
	return fetchmodel.WireResponse{Status: c.status, Header: header, Body: body}
}

//go:embed testdata/matrix/square.ttf
var matrixFont string // of one glyph

// contentOf returns content that the element of a case can use.
func contentOf(c *matrixCase) (contentType, body string) {
	switch c.steps[0].kind {
	case "module":
		return "text/javascript", "export default 1;"
	case "script":
		return "text/javascript", "throw new Error('told');"
	case "style":
		return "text/css", "i { top: 0 }"
	case "image":
		return "image/svg+xml", `<svg xmlns="http://www.w3.org/2000/svg" width="8" height="8"><rect width="8" height="8"/></svg>`
	case "font":
		return "font/ttf", matrixFont
	case "events":
		return "text/event-stream", "retry: 60000\ndata: x\n\n"
	}
	return "text/plain", c.name
}
