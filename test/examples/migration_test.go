package examples

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/captncraig/cors"
	"go.yaml.in/yaml/v3"

	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/harness"
)

const migrationPage = "docs/migration.md"

// section returns a section of docs/migration.md.
func section(t *testing.T, title string) string {
	t.Helper()
	_, text, ok := strings.Cut(harness.ReadRepo(t, migrationPage), "\n## "+title+"\n")
	if !ok {
		t.Fatalf("%s has no section %s", migrationPage, title)
	}
	text, _, _ = strings.Cut(text, "\n## ")
	return text
}

// block returns the n-th block of a language in a section.
func block(t *testing.T, section, language string, n int) string {
	t.Helper()
	for range n + 1 {
		_, rest, ok := strings.Cut(section, "```"+language+"\n")
		if !ok {
			t.Fatalf("the section has no %d blocks of %s", n+1, language)
		}
		section = rest
	}
	text, _, _ := strings.Cut(section, "```")
	return text
}

// startShown starts Caddy with a Caddyfile of the page, in which the site and the server behind
// it are replaced, and returns its URL.
func startShown(t *testing.T, caddyfile, upstream string, files map[string]string) string {
	t.Helper()
	dir, port := t.TempDir(), harness.FreePorts(t, 1)[0]
	for name, content := range files {
		harness.WriteFile(t, filepath.Join(dir, name), content)
	}
	address, rest, _ := strings.Cut(caddyfile, " {\n")
	if !strings.HasSuffix(address, ".example.com") {
		t.Fatalf("the Caddyfile begins with %s", address)
	}
	for _, shown := range []string{"127.0.0.1:3000", "127.0.0.1:9000"} {
		rest = strings.ReplaceAll(rest, shown, upstream)
	}
	harness.WriteFile(t, filepath.Join(dir, "Caddyfile"), "{\n\tadmin off\n\tauto_https off\n}\n\nhttp://:"+port+" {\n\tbind 127.0.0.1\n"+rest)
	harness.StartCaddy(t, dir, "Caddyfile", nil, []string{port})
	return "http://127.0.0.1:" + port
}

// crossOrigin is what a script on a page does.
type crossOrigin struct {
	origin, method, headers string
	credentials             bool
}

// allowed reports whether a browser lets a script read the response, as the Fetch standard
// says (https://fetch.spec.whatwg.org/#cors-preflight-fetch).
func (c crossOrigin) allowed(t *testing.T, url string) bool {
	t.Helper()
	safelisted := slices.Contains([]string{"GET", "HEAD", "POST"}, c.method)
	if !safelisted || c.headers != "" {
		h := c.send(t, url, http.MethodOptions, "Access-Control-Request-Method", c.method, "Access-Control-Request-Headers", c.headers)
		if h == nil || !c.checked(h) || !safelisted && !c.lists(h, "Access-Control-Allow-Methods", c.method) {
			return false
		}
		for name := range strings.SplitSeq(c.headers, ",") {
			if name != "" && !c.lists(h, "Access-Control-Allow-Headers", name) {
				return false
			}
		}
	}
	h := c.send(t, url, c.method)
	return h != nil && c.checked(h)
}

// send returns the headers of a response; nil if it is one that fails a preflight.
func (c crossOrigin) send(t *testing.T, url, method string, headers ...string) http.Header {
	t.Helper()
	request, err := http.NewRequest(method, url+"/key", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Origin", c.origin)
	for i := 0; i < len(headers); i += 2 {
		if headers[i+1] != "" {
			request.Header.Set(headers[i], headers[i+1])
		}
	}
	response, err := harness.FreshClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if method == http.MethodOptions && (response.StatusCode < 200 || response.StatusCode > 299) {
		return nil
	}
	return response.Header
}

// checked is the standard's CORS check.
func (c crossOrigin) checked(h http.Header) bool {
	origins := h["Access-Control-Allow-Origin"]
	if len(origins) != 1 {
		return false
	}
	if !c.credentials && origins[0] == "*" {
		return true
	}
	return origins[0] == c.origin && (!c.credentials || h.Get("Access-Control-Allow-Credentials") == "true")
}

func (c crossOrigin) lists(h http.Header, header, want string) bool {
	for value := range strings.SplitSeq(strings.Join(h[header], ","), ",") {
		if value = strings.TrimSpace(value); strings.EqualFold(value, want) || value == "*" && !c.credentials {
			return true
		}
	}
	return false
}

// expectSame fails the test unless browsers allow the same by two servers, but for requests
// that differ.
func expectSame(t *testing.T, before, after string, differs func(crossOrigin) bool) {
	t.Helper()
	count := map[bool]int{}
	for _, origin := range []string{"https://app.example.com", "https://admin.example.com", "https://pr-1.preview.example.com", "https://evilpreview.example.com", "https://app.example.com.evil.example", "http://app.example.com", "null"} {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"} {
			for _, headers := range []string{"", "content-type", "authorization", "authorization,content-type", "x-a", "x-foo"} {
				for _, credentials := range []bool{false, true} {
					c := crossOrigin{origin, method, headers, credentials}
					was, is := c.allowed(t, before), c.allowed(t, after)
					if count[is]++; (was != is) != differs(c) {
						t.Errorf("%+v was allowed: %t, and is now: %t", c, was, is)
					}
				}
			}
		}
	}
	if count[true] < 4 || count[false] < 4 {
		t.Errorf("%d are allowed and %d denied, which compares too little", count[true], count[false])
	}
}

func nothing(crossOrigin) bool { return false }

// ownCORS is a path at which the server behind has CORS headers of its own.
const ownCORS = "/own-cors"

// startUpstream starts the server behind, which knows nothing of CORS but at that path.
func startUpstream(t *testing.T) (address string) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"1"`)
		if strings.HasPrefix(r.URL.Path, ownCORS) {
			w.Header().Set("Access-Control-Allow-Origin", "*")
		}
	}))
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

func TestMigrationFromHeaderDirective(t *testing.T) {
	upstream, text := startUpstream(t), section(t, "From Caddy's `header` directive")
	before := startShown(t, block(t, text, "caddyfile", 0), upstream, nil)
	after := startShown(t, block(t, text, "caddyfile", 1), upstream, map[string]string{"cors.xml": block(t, text, "xml", 0)})
	expectSame(t, before, after, func(c crossOrigin) bool {
		return c.origin == "https://app.example.com" && !c.credentials && // the page says so
			(c.method == "HEAD" || c.method == "POST") && (c.headers == "" || c.headers == "content-type")
	})
}

// nginxConf runs as any user, in a directory of its own.
const nginxConf = `daemon off;
pid nginx.pid;
error_log stderr;
events {}
http {
	access_log off;
	client_body_temp_path tmp;
	proxy_temp_path tmp;
	fastcgi_temp_path tmp;
	uwsgi_temp_path tmp;
	scgi_temp_path tmp;
	%s
}
`

func TestMigrationFromNginx(t *testing.T) {
	upstream, text := startUpstream(t), section(t, "From nginx")
	dir, port := t.TempDir(), harness.FreePorts(t, 1)[0]
	shown := strings.NewReplacer("listen 80;", "listen 127.0.0.1:"+port+";", "127.0.0.1:3000", upstream).Replace(block(t, text, "nginx", 0))
	harness.WriteFile(t, filepath.Join(dir, "nginx.conf"), fmt.Sprintf(nginxConf, shown))
	harness.StartProgram(t, port, harness.Installed(t, "nginx"), "-e", "stderr", "-p", dir, "-c", "nginx.conf")
	before, after := "http://127.0.0.1:"+port, startShown(t, block(t, text, "caddyfile", 0), upstream, nil)
	expectSame(t, before, after, nothing)

	// What the page says changes.
	if c := (crossOrigin{origin: "https://a.b.preview.example.com", method: "PUT"}); c.allowed(t, before) || !c.allowed(t, after) {
		t.Errorf("a * does not stand for dots, or the expression does")
	}
	if c := (crossOrigin{origin: "https://app.example.com", method: "GET"}); c.allowed(t, before+ownCORS) || !c.allowed(t, after+ownCORS) {
		t.Errorf("headers of the server behind are not removed, or nginx removes them")
	}
}

// TestMigrationFromCaddy1 runs the library of Caddy 1's plugin, configured as the plugin does.
func TestMigrationFromCaddy1(t *testing.T) {
	upstream, text := startUpstream(t), section(t, "From Caddy 1's `cors`")
	config := cors.Default()
	for line := range strings.Lines(block(t, text, "text", 0)) {
		option := strings.Fields(line)
		if len(option) != 2 {
			continue
		}
		switch value := option[1]; option[0] {
		case "origin":
			config.AllowedOrigins = strings.Split(value, ",")
		case "methods":
			config.AllowedMethods = value
		case "allow_credentials":
			allow := value == "true"
			config.AllowCredentials = &allow
		case "max_age":
			config.MaxAge, _ = strconv.Atoi(value)
		case "allowed_headers":
			config.AllowedHeaders = value
		case "exposed_headers":
			config.ExposedHeaders = value
		}
	}
	if config.AllowCredentials == nil || config.MaxAge == 0 || config.AllowedHeaders == "" || config.ExposedHeaders == "" {
		t.Fatalf("the page shows only %+v", config)
	}
	before := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { config.HandleRequest(w, r) }))
	defer before.Close()
	expectSame(t, before.URL, startShown(t, block(t, text, "caddyfile", 0), upstream, nil), nothing)
}

// TestMigrationFromTraefik compares the options with what the converted site answers: Traefik
// itself cannot be built within a test's time.
func TestMigrationFromTraefik(t *testing.T) {
	text := section(t, "From Traefik")
	var shown struct {
		HTTP struct {
			Middlewares struct {
				CORS struct {
					Headers struct {
						Origins       []string `yaml:"accessControlAllowOriginList"`
						Methods       []string `yaml:"accessControlAllowMethods"`
						Headers       []string `yaml:"accessControlAllowHeaders"`
						ExposeHeaders []string `yaml:"accessControlExposeHeaders"`
						Credentials   bool     `yaml:"accessControlAllowCredentials"`
						MaxAge        int      `yaml:"accessControlMaxAge"`
						AddVary       bool     `yaml:"addVaryHeader"`
					} `yaml:"headers"`
				} `yaml:"cors"`
			} `yaml:"middlewares"`
		} `yaml:"http"`
	}
	decoder := yaml.NewDecoder(strings.NewReader(block(t, text, "yaml", 0)))
	decoder.KnownFields(true)
	if err := decoder.Decode(&shown); err != nil {
		t.Fatal(err)
	}
	o := shown.HTTP.Middlewares.CORS.Headers
	site := startShown(t, block(t, text, "caddyfile", 0), startUpstream(t), nil)
	for _, origin := range append(o.Origins, "https://evil.example") {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"} {
			c := crossOrigin{origin, method, strings.ToLower(strings.Join(o.Headers, ",")), o.Credentials}
			safelisted := slices.Contains([]string{"GET", "HEAD", "POST"}, method)
			if want := origin != "https://evil.example" && (safelisted || slices.Contains(o.Methods, method)); c.allowed(t, site) != want {
				t.Errorf("%+v is allowed: %t", c, !want)
			}
			if c.headers += ",x-foo"; c.allowed(t, site) {
				t.Errorf("%+v is allowed", c)
			}
		}
	}
	h := crossOrigin{origin: o.Origins[0]}.send(t, site, http.MethodOptions, "Access-Control-Request-Method", "GET")
	for name, want := range map[string]string{
		"Access-Control-Expose-Headers":    strings.Join(o.ExposeHeaders, ", "),
		"Access-Control-Allow-Credentials": strconv.FormatBool(o.Credentials),
		"Access-Control-Max-Age":           strconv.Itoa(o.MaxAge),
		"Vary":                             map[bool]string{true: "Origin"}[o.AddVary],
	} {
		if h.Get(name) != want {
			t.Errorf("%s: %s, want %s", name, h.Get(name), want)
		}
	}
}
