package osscors

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// What Caddy runs beyond oss_cors, or before it, oss_cors cannot mend. These are the
// wirings that are safe, and the wrong ones, with what they leak to an origin that no rule
// allows: whoever changes a line here changes what the documentation must warn of.
func TestWiring(t *testing.T) {
	p := newProxy(t)
	p.miswired = true
	write(t, "cors.xml", appRules)
	pages := upstream(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
	})
	withStub(t, "sets after writing", func(w http.ResponseWriter, _ *http.Request) error {
		w.WriteHeader(http.StatusOK)
		w.Header().Set("Access-Control-Allow-Origin", "*") // too late
		return nil
	})
	withStub(t, "fails after writing", func(w http.ResponseWriter, _ *http.Request) error {
		_, _ = io.WriteString(w, "begun")
		return caddyhttp.Error(http.StatusInternalServerError, io.ErrUnexpectedEOF)
	})
	const (
		star  = "Access-Control-Allow-Origin *"
		fails = "error oops 503\n"
	)
	for _, test := range []struct {
		desc, site string
		leaks      []string
	}{
		{desc: "header next to oss_cors", site: "oss_cors cors.xml\nheader " + star},
		{desc: "a late header next to oss_cors", site: "oss_cors cors.xml\nheader >" + star},
		{desc: "a header default next to oss_cors", site: "oss_cors cors.xml\nheader ?" + star},
		{desc: "header in the same handle", site: "handle {\nheader >" + star + "\noss_cors cors.xml\n}"},
		{desc: "header after oss_cors in a route", site: "route {\noss_cors cors.xml\nheader >" + star + "\n}"},
		{desc: "header before oss_cors in a route", site: "route {\nheader " + star + "\noss_cors cors.xml\n}"},
		{desc: "header next to a handle that holds oss_cors", site: "header " + star + "\nhandle {\noss_cors cors.xml\nrespond a\n}"},
		{desc: "header_down of reverse_proxy", site: "oss_cors cors.xml\nreverse_proxy " + pages + " {\nheader_down " + star + "\n}"},
		{desc: "a handler that sets headers too late", site: `oss_cors cors.xml` + "\n" + `stub "sets after writing"`},
		{desc: "a handler that fails after it wrote", site: "oss_cors cors.xml\n" + `stub "fails after writing"` + "\nhandle_errors {\nheader " + star + "\nrespond page\n}"},
		{desc: "oss_cors in handle_errors too", site: "oss_cors cors.xml\n" + fails + "handle_errors {\noss_cors cors.xml\nheader >" + star + "\nreverse_proxy " + pages + "\n}"},

		{desc: "a late header before oss_cors in a route", site: "route {\nheader >" + star + "\noss_cors cors.xml\nrespond a\n}", leaks: []string{"Allow-Origin: *"}},
		{desc: "a late header next to a handle that holds oss_cors", site: "header >" + star + "\nhandle {\noss_cors cors.xml\nrespond a\n}", leaks: []string{"Allow-Origin: *"}},
		{desc: "a header default next to a handle that holds oss_cors", site: "header ?" + star + "\nhandle {\noss_cors cors.xml\nrespond a\n}", leaks: []string{"Allow-Origin: *"}},
		{desc: "a deferred header block next to a handle that holds oss_cors", site: "header {\n" + star + "\ndefer\n}\nhandle {\noss_cors cors.xml\nrespond a\n}", leaks: []string{"Allow-Origin: *"}},
		{desc: "header within handle_errors", site: "oss_cors cors.xml\n" + fails + "handle_errors {\nheader " + star + "\nrespond page\n}", leaks: []string{"Allow-Origin: *"}},
		{desc: "an error page from elsewhere", site: "oss_cors cors.xml\n" + fails + "handle_errors {\nreverse_proxy " + pages + "\n}", leaks: []string{"Allow-Origin: *"}},
		{desc: "oss_cors for other paths", site: "oss_cors /other/* cors.xml\nreverse_proxy " + pages, leaks: []string{"Allow-Origin: *"}},
	} {
		t.Run(test.desc, func(t *testing.T) {
			p.load(t, test.site)
			got := p.get(t, fromStranger)
			if leaks := cors(got.Header); !slices.Equal(leaks, append([]string{}, test.leaks...)) {
				t.Errorf("an origin that no rule allows gets %q; want %q", leaks, test.leaks)
			}
			if test.leaks == nil {
				granted := cors(p.get(t, fromApp).Header)
				if !slices.Equal(granted, appGranted) {
					t.Errorf("an origin that a rule allows gets %q; want %q", granted, appGranted)
				}
			}
		})
	}
}

// A wrong order: browsers fail a preflight that meets authentication or a redirect. Only a
// route lets one write it.
func TestPreflightBehindOtherHandlers(t *testing.T) {
	p := newProxy(t)
	p.miswired = true
	write(t, "cors.xml", appRules)
	for _, test := range []struct {
		desc, site string
		status     int
	}{
		{"authentication", "basic_auth {\nbob $2a$04$zKPjXFmG7zLQcnaMF9A0y.LuYkCDRZ5b7ICDhwR7xSiVPBtsRcCG2\n}", 401},
		{"a redirect", "redir https://elsewhere.example", 302},
	} {
		t.Run(test.desc, func(t *testing.T) {
			p.load(t, "route {\n"+test.site+"\noss_cors cors.xml\n}")
			p.preflight(t, fromApp, acrm+"PUT").expect(t, test.status)
		})
	}
}

// The cost of standing ahead of header: preflight answers do without what it sets.
func TestPreflightSkipsHeader(t *testing.T) {
	p := newProxy(t)
	write(t, "cors.xml", appRules)
	p.load(t, "header Strict-Transport-Security max-age=1\noss_cors cors.xml")
	if got := p.preflight(t, fromApp, acrm+"PUT"); got.Header.Get("Strict-Transport-Security") != "" {
		t.Error("the header is there: the documentation says that it is not")
	}
	if got := p.get(t, fromApp); got.Header.Get("Strict-Transport-Security") == "" {
		t.Error("an actual request lacks the header")
	}
}

// Matchers choose among instances; what none matches is left alone.
func TestMatchersChooseInstances(t *testing.T) {
	p := newProxy(t)
	write(t, "app.xml", document(appRule))
	write(t, "plain.xml", document(plainRule))
	p.load(t, "@media path *.mp4\noss_cors @media app.xml\noss_cors /plain/* plain.xml\nheader Access-Control-Allow-Origin untouched\nrespond served")
	for _, test := range []struct {
		target, line string
		want         []string
	}{
		{"/a.mp4", fromApp, appGranted},
		{"/a.mp4", "Origin: https://plain.example.com", nil},
		{"/plain/a", fromApp, nil},
		{"/plain/a", "Origin: https://plain.example.com", []string{"Allow-Methods: GET", "Allow-Origin: https://plain.example.com"}},
		{"/other", fromApp, []string{"Allow-Origin: untouched"}},
	} {
		t.Run(test.target+" "+test.line, func(t *testing.T) {
			p.ask(t, "GET "+test.target+" HTTP/1.1", test.line).expect(t, 200, test.want...)
		})
	}
	if got := p.ask(t, "OPTIONS /other HTTP/1.1", fromApp, acrm+"PUT"); !strings.Contains(got.body, "served") {
		t.Errorf("a preflight beyond the matchers: %s %q", got.Status, got.body)
	}
}
