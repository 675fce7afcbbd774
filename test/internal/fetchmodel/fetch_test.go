package fetchmodel

import (
	"fmt"
	"slices"
	"testing"
)

const (
	page  = "https://app.example.com"
	api   = "https://api.example.net"
	third = "https://third.example.org"
)

// get is a fetch() without options; change makes another request of it.
func get(change func(*Request)) Request {
	r := Request{URL: api + "/k", Origin: page, Method: "GET", Mode: "cors", Credentials: "same-origin", Redirect: "follow", ByScript: true}
	if change != nil {
		change(&r)
	}
	return r
}

// header is a response's header from pairs of name and value.
func header(pairs ...string) map[string]string {
	h := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		h[pairs[i]] = pairs[i+1]
	}
	return h
}

// network answers by method and URL, and records what is sent.
type network struct {
	answers map[string]WireResponse
	sent    []string
}

func (n *network) send(r WireRequest) WireResponse {
	line := r.Method + " " + r.URL
	n.sent = append(n.sent, line+" "+r.Origin)
	return n.answers[line]
}

func TestFetch(t *testing.T) {
	allow := func(more ...string) map[string]string {
		return header(append([]string{"access-control-allow-origin", page}, more...)...)
	}
	ok := func(h map[string]string) WireResponse { return WireResponse{Status: 200, Header: h, Body: "body"} }
	for _, c := range []struct {
		desc    string
		request Request
		answers map[string]WireResponse
		outcome string
		reason  string
		sent    []string // method, URL, Origin
	}{
		{desc: "same origin", request: get(func(r *Request) { r.URL = page + "/k" }),
			answers: map[string]WireResponse{"GET " + page + "/k": ok(nil)},
			outcome: readable, sent: []string{"GET " + page + "/k "}},
		{desc: "allowed", request: get(nil),
			answers: map[string]WireResponse{"GET " + api + "/k": ok(allow())},
			outcome: readable, sent: []string{"GET " + api + "/k " + page}},
		{desc: "not allowed", request: get(nil),
			answers: map[string]WireResponse{"GET " + api + "/k": ok(nil)},
			outcome: failed, reason: "MissingAllowOriginHeader", sent: []string{"GET " + api + "/k " + page}},
		{desc: "another origin allowed", request: get(nil),
			answers: map[string]WireResponse{"GET " + api + "/k": ok(header("access-control-allow-origin", third))},
			outcome: failed, reason: "AllowOriginMismatch", sent: []string{"GET " + api + "/k " + page}},
		{desc: "* with credentials", request: get(func(r *Request) { r.Credentials = "include" }),
			answers: map[string]WireResponse{"GET " + api + "/k": ok(header("access-control-allow-origin", "*"))},
			outcome: failed, reason: "WildcardOriginNotAllowed", sent: []string{"GET " + api + "/k " + page}},
		{desc: "credentials not allowed", request: get(func(r *Request) { r.Credentials = "include" }),
			answers: map[string]WireResponse{"GET " + api + "/k": ok(allow())},
			outcome: failed, reason: "InvalidAllowCredentials", sent: []string{"GET " + api + "/k " + page}},
		{desc: "no-cors", request: get(func(r *Request) { r.Mode = "no-cors" }),
			answers: map[string]WireResponse{"GET " + api + "/k": ok(nil)},
			outcome: opaque, sent: []string{"GET " + api + "/k "}},
		{desc: "mode same-origin", request: get(func(r *Request) { r.Mode = "same-origin" }), outcome: failed},
		{desc: "preflight", request: get(func(r *Request) { r.Method = "PUT" }),
			answers: map[string]WireResponse{
				"OPTIONS " + api + "/k": ok(allow("access-control-allow-methods", "GET, PUT")),
				"PUT " + api + "/k":     ok(allow())},
			outcome: readable, sent: []string{"OPTIONS " + api + "/k " + page, "PUT " + api + "/k " + page}},
		{desc: "method not allowed", request: get(func(r *Request) { r.Method = "DELETE" }),
			answers: map[string]WireResponse{"OPTIONS " + api + "/k": ok(allow("access-control-allow-methods", "GET, PUT"))},
			outcome: failed, reason: "MethodDisallowedByPreflightResponse", sent: []string{"OPTIONS " + api + "/k " + page}},
		{desc: "header not allowed", request: get(func(r *Request) { r.Header = [][2]string{{"X-A", "1"}} }),
			answers: map[string]WireResponse{"OPTIONS " + api + "/k": ok(allow("access-control-allow-headers", "x-b"))},
			outcome: failed, reason: "HeaderDisallowedByPreflightResponse", sent: []string{"OPTIONS " + api + "/k " + page}},
		{desc: "preflight denied", request: get(func(r *Request) { r.Method = "PUT" }),
			answers: map[string]WireResponse{"OPTIONS " + api + "/k": {Status: 403}},
			outcome: failed, reason: "PreflightMissingAllowOriginHeader", sent: []string{"OPTIONS " + api + "/k " + page}},
		{desc: "preflight redirected", request: get(func(r *Request) { r.Method = "PUT" }),
			answers: map[string]WireResponse{"OPTIONS " + api + "/k": {Status: 302, Header: allow("location", third+"/k")}},
			outcome: failed, reason: "PreflightInvalidStatus", sent: []string{"OPTIONS " + api + "/k " + page}},
		{desc: "redirect to a third origin: the origin becomes null", request: get(nil),
			answers: map[string]WireResponse{
				"GET " + api + "/k":   {Status: 302, Header: allow("location", third+"/k")},
				"GET " + third + "/k": ok(header("access-control-allow-origin", "null"))},
			outcome: readable, sent: []string{"GET " + api + "/k " + page, "GET " + third + "/k null"}},
		{desc: "redirect, manual", request: get(func(r *Request) { r.Redirect = "manual" }),
			answers: map[string]WireResponse{"GET " + api + "/k": {Status: 302, Header: allow("location", api+"/l")}},
			outcome: redirected, sent: []string{"GET " + api + "/k " + page}},
		{desc: "redirect, error", request: get(func(r *Request) { r.Redirect = "error" }),
			answers: map[string]WireResponse{"GET " + api + "/k": {Status: 302, Header: allow("location", api+"/l")}},
			outcome: failed, sent: []string{"GET " + api + "/k " + page}},
		{desc: "POST becomes GET after 303", request: get(func(r *Request) { r.Method = "POST" }),
			answers: map[string]WireResponse{
				"POST " + api + "/k": {Status: 303, Header: allow("location", api+"/l")},
				"GET " + api + "/l":  ok(allow())},
			outcome: readable, sent: []string{"POST " + api + "/k " + page, "GET " + api + "/l " + page}},
	} {
		t.Run(c.desc, func(t *testing.T) {
			n := &network{answers: c.answers}
			got := New(n.send).Fetch(c.request)
			if got.Outcome != c.outcome || got.Reason != c.reason || !slices.Equal(n.sent, c.sent) {
				t.Errorf("%s %q after %q; want %s %q after %q", got.Outcome, got.Reason, n.sent, c.outcome, c.reason, c.sent)
			}
		})
	}
}

// TestFetchExposedHeaders: of a response to another origin a page sees the safelisted headers
// and those that Access-Control-Expose-Headers names.
func TestFetchExposedHeaders(t *testing.T) {
	n := &network{answers: map[string]WireResponse{"GET " + api + "/k": {Status: 200, Header: header(
		"access-control-allow-origin", page, "access-control-expose-headers", "ETag",
		"etag", "1", "content-type", "text/plain", "x-secret", "2", "set-cookie", "a=b")}}}
	got := New(n.send).Fetch(get(nil))
	if want := "map[content-type:text/plain etag:1]"; fmt.Sprint(got.Header) != want {
		t.Errorf("the page sees %v; want %s", got.Header, want)
	}
}

func TestFetchPreflightCache(t *testing.T) {
	for _, c := range []struct {
		maxAge     string
		preflights int
	}{{"", 1}, {"600", 1}, {"0", 2}} {
		preflight := header("access-control-allow-origin", page, "access-control-allow-methods", "PUT")
		if c.maxAge != "" {
			preflight["access-control-max-age"] = c.maxAge
		}
		n := &network{answers: map[string]WireResponse{
			"OPTIONS " + api + "/k": {Status: 200, Header: preflight},
			"PUT " + api + "/k":     {Status: 200, Header: header("access-control-allow-origin", page)},
		}}
		model := New(n.send)
		for range 2 {
			model.Fetch(get(func(r *Request) { r.Method = "PUT" }))
		}
		if got := len(n.sent) - 2; got != c.preflights {
			t.Errorf("Max-Age %q: %d preflights for two requests; want %d", c.maxAge, got, c.preflights)
		}
	}
}

func TestUnsafeNames(t *testing.T) {
	for _, c := range []struct {
		desc   string
		header [][2]string
		want   []string
	}{
		{"none", nil, nil},
		{"sorted, in lower case, once", [][2]string{{"X-B", "1"}, {"x-a", "1"}, {"X-b", "2"}}, []string{"x-a", "x-b"}},
		{"safelisted", [][2]string{{"Accept", "text/html"}, {"Content-Type", "text/plain; charset=utf-8"}, {"Range", "bytes=0-9"}}, nil},
		{"content type of JSON", [][2]string{{"Content-Type", "application/json"}}, []string{"content-type"}},
		{"range from the end", [][2]string{{"Range", "bytes=-9"}}, []string{"range"}},
		{"unsafe byte", [][2]string{{"Accept", "a\"b"}}, []string{"accept"}},
		{"forbidden", [][2]string{{"Cookie", "a=b"}, {"Sec-Fetch-Mode", "cors"}, {"Origin", "x"}}, nil},
	} {
		if got := unsafeNames(c.header); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q; want %q", c.desc, got, c.want)
		}
	}
}
