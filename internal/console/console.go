// Package console serves a page that shows the running rule sets, explains denials and checks
// candidate rules, and that talks to Caddy's admin endpoint. The page cannot lie on the admin
// endpoint itself: that refuses what browsers send for a page, and a page there could
// configure Caddy.
package console

import (
	"embed"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
)

//go:embed page
var page embed.FS

// files are the files of the page by path, with their types.
var files = map[string]struct{ name, contentType string }{
	"/":            {"page/index.html", "text/html; charset=utf-8"},
	"/console.css": {"page/console.css", "text/css; charset=utf-8"},
	"/icon.svg":    {"page/icon.svg", "image/svg+xml"},

	"/console.js":   {"page/console.js", script},
	"/api.js":       {"page/api.js", script},
	"/candidate.js": {"page/candidate.js", script},
	"/denials.js":   {"page/denials.js", script},
	"/dom.js":       {"page/dom.js", script},
	"/explain.js":   {"page/explain.js", script},
	"/rulesets.js":  {"page/rulesets.js", script},
}

const script = "text/javascript; charset=utf-8"

// policy lets the page run its own script and speak to its own server, and nothing else.
// Trusted Types make the browser itself refuse text that would become markup.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// maxBody bounds what is passed on of a request: somewhat more than the admin API takes.
const maxBody = 20 << 20

// Listen listens at an address, host:port. The host is localhost or a loopback address: what
// the page shows is for those who may use this machine's admin endpoint.
func Listen(address string) (net.Listener, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("the address %q is not host:port, such as localhost:2020", address)
	}
	if ip, err := netip.ParseAddr(host); host != "localhost" && (err != nil || !ip.IsLoopback()) {
		return nil, fmt.Errorf("the console listens on loopback only, and %q is not: use localhost, 127.0.0.1 or [::1]; from elsewhere, use an SSH tunnel", host)
	}
	return net.Listen("tcp", address)
}

// New returns the console's server, for a listener that Listen returned.
func New(admin *Admin, listener net.Listener) *http.Server {
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	c := &console{admin: admin}
	for _, name := range []string{"localhost", "127.0.0.1", "[::1]", listener.Addr().(*net.TCPAddr).IP.String()} {
		c.hosts = append(c.hosts, name+":"+port)
	}
	return &http.Server{Handler: c, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute, MaxHeaderBytes: 64 << 10}
}

type console struct {
	admin *Admin
	hosts []string
}

// ServeHTTP implements http.Handler. Another site could point its own name at this machine
// (DNS rebinding), or have the browser send requests here: both are refused.
func (c *console) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Content-Security-Policy", policy)
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("X-Frame-Options", "DENY")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Cross-Origin-Opener-Policy", "same-origin")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	file, isFile := files[r.URL.EscapedPath()]
	target, isAdmin := adminRequest(r)
	switch {
	case !slices.Contains(c.hosts, r.Host):
		refuse(w, http.StatusForbidden, fmt.Sprintf("the host %q is not the console's: open http://%s/", r.Host, c.hosts[0]))
	case !c.fromItself(r):
		refuse(w, http.StatusForbidden, "the request comes from another site")
	case isFile && (r.Method == http.MethodGet || r.Method == http.MethodHead):
		content, _ := page.ReadFile(file.name)
		header.Set("Content-Type", file.contentType)
		_, _ = w.Write(content)
	case isAdmin:
		c.pass(w, r, target)
	default:
		refuse(w, http.StatusNotFound, "the console has nothing here")
	}
}

// fromItself reports whether a request comes from the console's own page, from the address
// bar, or from a program that is not a browser. The page may also be opened by a link.
func (c *console) fromItself(r *http.Request) bool {
	for _, origin := range r.Header["Origin"] {
		if host, ok := strings.CutPrefix(origin, "http://"); !ok || host != r.Host {
			return false
		}
	}
	site := r.Header.Get("Sec-Fetch-Site")
	opened := r.URL.Path == "/" && r.Header.Get("Sec-Fetch-Mode") == "navigate"
	return site == "" || site == "same-origin" || site == "none" || opened
}

// adminRequest returns what a request becomes at the admin endpoint: one of those that change
// nothing. No other ever gets there.
func adminRequest(r *http.Request) (target string, ok bool) {
	path := r.URL.EscapedPath()
	switch r.Method + " " + path {
	case "GET /oss_cors/rulesets":
		query := url.Values{}
		for _, name := range []string{"search", "limit"} {
			if r.URL.Query().Has(name) {
				query.Set(name, r.URL.Query().Get(name))
			}
		}
		return path + "?" + query.Encode(), true
	case "GET /oss_cors/denials", "POST /oss_cors/explain", "POST /oss_cors/check", "POST /oss_cors/paste":
		return path, true
	}
	segment, ok := strings.CutPrefix(path, "/oss_cors/rulesets/")
	if ok {
		segment, ok = strings.CutSuffix(segment, "/document")
	}
	name, err := url.PathUnescape(segment)
	if r.Method != http.MethodGet || !ok || err != nil || name == "" || name == "." || name == ".." || strings.Contains(segment, "/") {
		return "", false
	}
	return "/oss_cors/rulesets/" + url.PathEscape(name) + "/document", true
}

// pass passes a request on to the admin endpoint, and its answer back: status, type and body.
func (c *console) pass(w http.ResponseWriter, r *http.Request, target string) {
	var body io.Reader
	if r.Method == http.MethodPost {
		body = http.MaxBytesReader(w, r.Body, maxBody)
	}
	answer, err := c.admin.Do(r.Context(), r.Method, target, body)
	if err != nil {
		refuse(w, http.StatusBadGateway, err.Error())
		return
	}
	defer answer.Body.Close()
	w.Header().Set("Content-Type", answer.Header.Get("Content-Type"))
	w.WriteHeader(answer.StatusCode)
	_, _ = io.Copy(w, answer.Body)
}

// refuse answers with an error in the admin API's form.
func refuse(w http.ResponseWriter, status int, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": message})
}
