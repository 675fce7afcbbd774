package browsers

import (
	"cmp"
	"strings"
)

// matrixCase is one row of the matrix: steps that request one URL, one after the other.
// What they should end with is not written here: package fetchmodel predicts it.
type matrixCase struct {
	name  string
	steps []matrixStep

	// The origin server's answer.
	status   int      // empty: 200
	header   []string // "Name: value", in addition to the usual ones or in their place
	redirect int      // the status that leads from one target to the next; empty: 302
}

// matrixStep is one request of one page.
type matrixStep struct {
	page string // of matrixPages; empty: app
	to   string // a bucket or page, with redirects "cdn > open > …"; empty: cdn

	kind        string // of runner.js; empty: fetch
	method      string // empty: GET
	headers     []string
	mode        string // of fetch
	credentials string // of fetch; include for an XHR and an EventSource that have them
	redirect    string // of fetch
	crossorigin string // of an element
	body        string
	progress    bool // listen to the upload
}

type steps = []matrixStep

func (c *matrixCase) setDefaults() {
	c.status = cmp.Or(c.status, 200)
	c.redirect = cmp.Or(c.redirect, 302)
	for i := range c.steps {
		s := &c.steps[i]
		s.page = cmp.Or(s.page, "app")
		s.to = cmp.Or(s.to, "cdn")
		s.kind = cmp.Or(s.kind, "fetch")
		s.method = cmp.Or(s.method, "GET")
	}
}

// matrixPages are the pages' URLs, with words in place of ports.
var matrixPages = map[string]string{
	"app":             "http://app.example.localhost:PAGE_PORT/page",
	"admin":           "http://admin.example.localhost:PAGE_PORT/page",
	"app, port":       "http://app.example.localhost:OTHER_PAGE_PORT/page",
	"app, https":      "https://app.example.localhost:SECURE_PAGE_PORT/page",
	"longer":          "http://app.example.localhost.evil.localhost:PAGE_PORT/page",
	"prefixed":        "http://myapp.example.localhost:PAGE_PORT/page",
	"stranger":        "http://stranger.localhost:PAGE_PORT/page",
	"team":            "http://team.localhost:PAGE_PORT/page",
	"a.team":          "http://a.team.localhost:PAGE_PORT/page",
	"a.b.team":        "http://a.b.team.localhost:PAGE_PORT/page",
	"a.team, port":    "http://a.team.localhost:OTHER_PAGE_PORT/page",
	"tools":           "http://tools.localhost:PAGE_PORT/page",
	"tools, port":     "http://tools.localhost:OTHER_PAGE_PORT/page",
	"tools, https":    "https://tools.localhost:SECURE_PAGE_PORT/page",
	"a.secure":        "http://a.secure.localhost:PAGE_PORT/page",
	"a.secure, https": "https://a.secure.localhost:SECURE_PAGE_PORT/page",
	"bucket":          "http://cdn.example.localhost:BUCKET_PORT/page",
	"sandbox":         "http://app.example.localhost:PAGE_PORT/page", // in a frame: see runner.js
	"data":            "http://app.example.localhost:PAGE_PORT/page", // likewise
	"file":            "file:",                                       // its path follows
}

// isFramed reports whether a frame in the page makes the requests.
func isFramed(page string) bool { return page == "sandbox" || page == "data" }

func matrixCases() (cases []matrixCase) {
	for _, group := range [][]matrixCase{
		originCases, nullCases, methodCases, headerCases, credentialsCases(), exposureCases, preflightCacheCases,
		statusCases, redirectCases, uploadCases, elementCases(), noCORSCases, httpCacheCases,
	} {
		cases = append(cases, group...)
	}
	return cases
}

var originCases = []matrixCase{
	{name: "listed", steps: steps{{}}},
	{name: "listed second", steps: steps{{page: "admin"}}},
	{name: "other port", steps: steps{{page: "app, port"}}},
	{name: "other scheme", steps: steps{{page: "app, https"}}},
	{name: "listed and more", steps: steps{{page: "longer"}}},
	{name: "more and listed", steps: steps{{page: "prefixed"}}},
	{name: "not listed", steps: steps{{page: "stranger"}}},
	{name: "not listed, preflight", steps: steps{{page: "stranger", method: "PUT"}}},
	{name: "wildcard, one label", steps: steps{{page: "a.team"}}},
	{name: "wildcard, two labels", steps: steps{{page: "a.b.team"}}},
	{name: "wildcard, no label", steps: steps{{page: "team"}}},
	{name: "wildcard, other port", steps: steps{{page: "a.team, port"}}},
	{name: "wildcard port", steps: steps{{page: "tools"}}},
	{name: "wildcard port, other", steps: steps{{page: "tools, port"}}},
	{name: "wildcard port, other scheme", steps: steps{{page: "tools, https"}}},
	{name: "https wildcard", steps: steps{{page: "a.secure, https"}}},
	{name: "https wildcard, preflight", steps: steps{{page: "a.secure, https", method: "PUT", headers: []string{"X-A: 1"}}}},
	{name: "https wildcard, http page", steps: steps{{page: "a.secure"}}},
	{name: "any origin", steps: steps{{page: "stranger", to: "open"}}},
	{name: "any origin, preflight", steps: steps{{page: "stranger", to: "open", method: "PUT", headers: []string{"X-A: 1"}}}},
	{name: "own origin", steps: steps{{page: "bucket"}}},
	{name: "own origin, POST", steps: steps{{page: "bucket", method: "POST", body: "x"}}},
	{name: "own origin, unsafe", steps: steps{{page: "bucket", method: "PUT", headers: []string{"X-Other: 1"}}}},
}

// A page's origin is null to others in a sandboxed frame, a data: page, a file, and when
// another origin redirects its request.
var nullCases = []matrixCase{
	{name: "sandbox", steps: steps{{page: "sandbox", method: "POST"}}},
	{name: "sandbox, other method", steps: steps{{page: "sandbox"}}},
	{name: "sandbox, any origin", steps: steps{{page: "sandbox", to: "open"}}},
	{name: "sandbox, any origin, preflight", steps: steps{{page: "sandbox", to: "open", method: "PUT", headers: []string{"X-A: 1"}}}},
	{name: "sandbox, preflight", steps: steps{{page: "sandbox", method: "PUT"}}},
	{name: "sandbox, credentials", steps: steps{{page: "sandbox", to: "bank", credentials: "include"}}},
	{name: "data page", steps: steps{{page: "data", method: "POST"}}},
	{name: "data page, other method", steps: steps{{page: "data"}}},
	{name: "data page, any origin", steps: steps{{page: "data", to: "open"}}},
	{name: "file", steps: steps{{page: "file", method: "POST"}}},
	{name: "file, other method", steps: steps{{page: "file"}}},
	{name: "file, any origin", steps: steps{{page: "file", to: "open"}}},
	{name: "redirect to null allowed", steps: steps{{to: "cdn > open"}}},
	{name: "redirect to null denied", steps: steps{{to: "cdn > bank"}}},
	{name: "redirect to null by method", redirect: 307, steps: steps{{to: "bank > cdn", method: "POST"}}},
	{name: "redirect to null by method, allowed", redirect: 307, steps: steps{{to: "cdn > vary > cdn", method: "POST", body: "x"}}},
}

var methodCases = []matrixCase{
	{name: "GET", steps: steps{{method: "GET"}}},
	{name: "HEAD", steps: steps{{method: "HEAD"}}},
	{name: "POST", steps: steps{{method: "POST", body: "x"}}},
	{name: "PUT", steps: steps{{method: "PUT", body: "x"}}},
	{name: "put", steps: steps{{method: "put", body: "x"}}},
	{name: "DELETE by the second rule", steps: steps{{method: "DELETE"}}},
	{name: "DELETE with a header of the first rule", steps: steps{{method: "DELETE", headers: []string{"X-Oss-A: 1"}}}},
	{name: "PATCH", steps: steps{{method: "PATCH", body: "x"}}},
	{name: "patch", steps: steps{{method: "patch", body: "x"}}},
	{name: "OPTIONS", steps: steps{{method: "OPTIONS"}}},
	{name: "HEAD not listed", steps: steps{{to: "open", method: "HEAD"}}},
	{name: "POST not listed", steps: steps{{to: "open", method: "POST", body: "x"}}},
	{name: "PUT not listed", steps: steps{{page: "tools", method: "PUT"}}},
	{name: "GET by XHR", steps: steps{{kind: "xhr"}}},
	{name: "PUT by XHR", steps: steps{{kind: "xhr", method: "PUT", body: "x"}}},
	{name: "PATCH by XHR", steps: steps{{kind: "xhr", method: "PATCH", body: "x"}}},
	{name: "HEAD by XHR", steps: steps{{kind: "xhr", method: "HEAD"}}},
}

var headerCases = []matrixCase{
	{name: "listed by a wildcard", steps: steps{{headers: []string{"x-oss-meta-a: 1"}}}},
	{name: "in upper case", steps: steps{{headers: []string{"X-OSS-META-A: 1"}}}},
	{name: "header not listed", steps: steps{{headers: []string{"x-other: 1"}}}},
	{name: "one of two listed", steps: steps{{headers: []string{"x-oss-a: 1", "x-other: 1"}}}},
	{name: "many, to be sorted", steps: steps{{method: "PUT", headers: []string{"X-Oss-Z: 1", "x-oss-a: 1", "Content-Type: application/xml", "X-Oss-M: 1", "Authorization: OSS a:b"}}}},
	{name: "Authorization", steps: steps{{headers: []string{"Authorization: OSS a:b"}}}},
	{name: "Authorization, any header", steps: steps{{to: "open", headers: []string{"Authorization: OSS a:b"}}}},
	{name: "any header", steps: steps{{page: "a.team", headers: []string{"X-One: 1", "X-Two: 2", "X-Three: 3"}}}},
	{name: "no header listed", steps: steps{{page: "tools", headers: []string{"X-A: 1"}}}},
	{name: "no header listed, none asked", steps: steps{{page: "tools", headers: []string{"Accept: text/plain"}}}},
	{name: "by XHR", steps: steps{{kind: "xhr", headers: []string{"X-Oss-A: 1"}}}},
	{name: "by XHR, not listed", steps: steps{{kind: "xhr", headers: []string{"X-Requested-With: XMLHttpRequest"}}}},
	{name: "Content-Type JSON", steps: steps{{method: "POST", headers: []string{"Content-Type: application/json"}, body: "{}"}}},
	{name: "Content-Type JSON, not listed", steps: steps{{page: "sandbox", method: "POST", headers: []string{"Content-Type: application/json"}, body: "{}"}}},
	{name: "Content-Type text", steps: steps{{page: "sandbox", method: "POST", headers: []string{"Content-Type: Text/Plain; charset=utf-8"}, body: "x"}}},
	{name: "Content-Type form", steps: steps{{page: "sandbox", method: "POST", headers: []string{"Content-Type: application/x-www-form-urlencoded"}, body: "a=b"}}},
	{name: "Content-Type multipart", steps: steps{{page: "sandbox", method: "POST", headers: []string{"Content-Type: multipart/form-data; boundary=x"}, body: "--x--"}}},
	{name: "Content-Type with an unsafe byte", steps: steps{{page: "sandbox", method: "POST", headers: []string{`Content-Type: text/plain; charset="utf-8"`}, body: "x"}}},
	{name: "Content-Type too long", steps: steps{{page: "sandbox", method: "POST", headers: []string{"Content-Type: text/plain; a=" + strings.Repeat("x", 110)}, body: "x"}}},
	{name: "Accept", steps: steps{{page: "tools", headers: []string{"Accept: image/avif,*/*;q=0.8"}}}},
	{name: "Accept of 128 bytes", steps: steps{{page: "tools", headers: []string{"Accept: a/" + strings.Repeat("x", 126)}}}},
	{name: "Accept of 129 bytes", steps: steps{{page: "tools", headers: []string{"Accept: a/" + strings.Repeat("x", 127)}}}},
	{name: "Accept with an unsafe byte", steps: steps{{page: "tools", headers: []string{"Accept: text/plain; a={b}"}}}},
	{name: "Accept-Language", steps: steps{{page: "tools", headers: []string{"Accept-Language: zh-CN, en;q=0.5"}}}},
	{name: "Accept-Language with an unsafe byte", steps: steps{{page: "tools", headers: []string{"Accept-Language: zh_CN"}}}},
	{name: "Content-Language", steps: steps{{page: "tools", headers: []string{"Content-Language: en"}}}},
	{name: "Range", status: 206, header: []string{"Content-Range: bytes 0-9/100"}, steps: steps{{page: "tools", headers: []string{"Range: bytes=0-9"}}}},
	{name: "Range without an end", status: 206, header: []string{"Content-Range: bytes 5-99/100"}, steps: steps{{page: "tools", headers: []string{"Range: bytes=5-"}}}},
	{name: "Range from the end", steps: steps{{page: "tools", headers: []string{"Range: bytes=-5"}}}},
	{name: "Range of two", steps: steps{{page: "tools", headers: []string{"Range: bytes=0-1,3-4"}}}},
	{name: "Range from the end, any header", status: 206, steps: steps{{page: "a.team", headers: []string{"Range: bytes=-5"}}}},
	{name: "forbidden headers", steps: steps{{page: "tools", headers: []string{"Cookie: a=b", "Sec-Other: 1", "Access-Control-Request-Method: PUT"}}}},
}

// credentialsCases combines each credentials mode with each kind of rule, without and with a
// preflight.
func credentialsCases() (cases []matrixCase) {
	for _, bucket := range []string{"open", "cdn", "bank"} {
		for _, credentials := range []string{"omit", "same-origin", "include"} {
			cases = append(cases,
				matrixCase{name: credentials + ", " + bucket, steps: steps{{to: bucket, credentials: credentials}}},
				matrixCase{name: credentials + ", " + bucket + ", preflight", steps: steps{{to: bucket, credentials: credentials, method: "PUT", headers: []string{"Content-Type: application/json"}, body: "{}"}}})
		}
		cases = append(cases, matrixCase{name: "XHR withCredentials, " + bucket, steps: steps{{kind: "xhr", to: bucket, credentials: "include"}}})
	}
	return append(cases,
		matrixCase{name: "include, bank, wildcard", steps: steps{{page: "admin", to: "bank", credentials: "include"}}},
		matrixCase{name: "include, bank, wildcard, other method", steps: steps{{page: "admin", to: "bank", credentials: "include", method: "PUT"}}},
		matrixCase{name: "include, bank, not listed", steps: steps{{page: "stranger", to: "bank", credentials: "include"}}},
		matrixCase{name: "include, own origin", steps: steps{{page: "bucket", credentials: "include"}}},
		matrixCase{name: "same-origin, own origin", steps: steps{{page: "bucket"}}},
		matrixCase{name: "omit, own origin", steps: steps{{page: "bucket", credentials: "omit"}}})
}

// Every case compares which headers a page can read. These cases have other lists, and an
// origin server that sends CORS headers itself.
var exposureCases = []matrixCase{
	{name: "another list", steps: steps{{page: "tools"}}},
	{name: "nothing exposed", steps: steps{{page: "a.team"}}},
	{name: "exposed, with credentials", steps: steps{{to: "bank", credentials: "include"}}},
	{name: "exposed to XHR", steps: steps{{kind: "xhr", page: "tools"}}},
	{name: "safelisted", header: []string{"Content-Language: en", "Expires: 0", "Pragma: no-cache"}, steps: steps{{}}},
	{name: "Set-Cookie is never exposed", header: []string{"Set-Cookie: a=b"}, steps: steps{{}}},
	{name: "the origin server exposes", header: []string{"Access-Control-Expose-Headers: X-Secret, *"}, steps: steps{{}}},
	{name: "the origin server allows any", header: []string{"Access-Control-Allow-Origin: *"}, steps: steps{{page: "stranger"}}},
	{name: "the origin server allows another", header: []string{"Access-Control-Allow-Origin: https://other.example"}, steps: steps{{}}},
	{name: "the origin server allows credentials", header: []string{"Access-Control-Allow-Credentials: true"}, steps: steps{{credentials: "include"}}},
}

// Every case compares the requests that reach the proxy. These cases count preflights.
var preflightCacheCases = []matrixCase{
	{name: "Max-Age 600", steps: steps{{method: "PUT"}, {method: "PUT"}}},
	{name: "Max-Age 0", steps: steps{{page: "a.team", method: "PUT"}, {page: "a.team", method: "PUT"}}},
	{name: "no Max-Age", steps: steps{{page: "a.secure, https", method: "PUT"}, {page: "a.secure, https", method: "PUT"}}},
	{name: "a header the more", steps: steps{{headers: []string{"X-Oss-A: 1"}}, {headers: []string{"X-Oss-A: 1", "X-Oss-B: 1"}}}},
	{name: "a header the less", steps: steps{{headers: []string{"X-Oss-A: 1", "X-Oss-B: 1"}}, {headers: []string{"X-Oss-B: 1"}}}},
	{name: "another method of the rule", steps: steps{{method: "PUT", headers: []string{"X-Oss-A: 1"}}, {method: "POST", headers: []string{"X-Oss-A: 1"}}}},
	{name: "another rule's method", steps: steps{{method: "PUT"}, {method: "DELETE"}}},
	{name: "another origin", steps: steps{{method: "PUT"}, {page: "admin", method: "PUT"}}},
	{name: "without credentials and with", steps: steps{{to: "bank", method: "PUT", credentials: "omit"}, {to: "bank", method: "PUT", credentials: "include"}}},
	{name: "a denial is not kept", steps: steps{{method: "PATCH"}, {method: "PATCH"}}},
}

// Caddy requires a password for paths below locked/; the origin server of down/ does not
// answer.
var statusCases = []matrixCase{
	{name: "401", steps: steps{{to: "cdn/locked"}}},
	{name: "401, not listed", steps: steps{{page: "stranger", to: "cdn/locked"}}},
	{name: "401 after a preflight", steps: steps{{to: "cdn/locked", method: "PUT"}}},
	{name: "the right password", steps: steps{{to: "cdn/locked", headers: []string{"Authorization: Basic cmVhZGVyOmxldG1laW4="}}}},
	{name: "404", status: 404, steps: steps{{}}},
	{name: "404 after a preflight", status: 404, steps: steps{{method: "PUT"}}},
	{name: "404, not listed", status: 404, steps: steps{{page: "stranger"}}},
	{name: "404 by XHR", status: 404, steps: steps{{kind: "xhr"}}},
	{name: "500", status: 500, steps: steps{{}}},
	{name: "502", steps: steps{{to: "cdn/down"}}},
	{name: "502, any origin", steps: steps{{page: "stranger", to: "open/down"}}},
	{name: "502, not listed", steps: steps{{page: "stranger", to: "cdn/down"}}},
	{name: "502 after a preflight", steps: steps{{to: "cdn/down", method: "PUT"}}},
}

var redirectCases = []matrixCase{
	{name: "within the bucket", steps: steps{{to: "cdn > cdn"}}},
	{name: "within the bucket, not listed", steps: steps{{page: "stranger", to: "cdn > cdn"}}},
	{name: "from the page's own server", steps: steps{{to: "app > cdn"}}},
	{name: "from the page's own server, denied", steps: steps{{page: "stranger", to: "stranger > cdn"}}},
	{name: "back to the page's own server", steps: steps{{to: "cdn > app"}}},
	{name: "there and back", steps: steps{{to: "cdn > open > cdn"}}},
	{name: "302 of a POST", redirect: 302, steps: steps{{to: "cdn > cdn", method: "POST", body: "x"}}},
	{name: "302 of a preflighted POST", redirect: 302, steps: steps{{to: "cdn > cdn", method: "POST", headers: []string{"Content-Type: application/json", "X-Oss-A: 1"}, body: "{}"}}},
	{name: "303 of a PUT", redirect: 303, steps: steps{{to: "cdn > cdn", method: "PUT", body: "x"}}},
	{name: "307 of a PUT", redirect: 307, steps: steps{{to: "cdn > cdn", method: "PUT", body: "x"}}},
	{name: "307 of a PUT to another bucket", redirect: 307, steps: steps{{to: "cdn > open", method: "PUT", headers: []string{"X-Oss-A: 1"}, body: "x"}}},
	{name: "307 of a PUT to another bucket, denied", redirect: 307, steps: steps{{to: "cdn > bank", method: "PUT", body: "x"}}},
	{name: "308 of a PUT from the page's own server", redirect: 308, steps: steps{{to: "app > cdn", method: "PUT", headers: []string{"X-Oss-A: 1"}, body: "x"}}},
	{name: "Authorization stays behind", steps: steps{{to: "cdn > open", headers: []string{"Authorization: OSS a:b"}}}},
	{name: "with credentials", steps: steps{{to: "bank > bank", credentials: "include"}}},
	{name: "with credentials, to any", steps: steps{{to: "bank > open", credentials: "include"}}},
	{name: "manual", steps: steps{{to: "cdn > cdn", redirect: "manual"}}},
	{name: "manual, not listed", steps: steps{{page: "stranger", to: "cdn > cdn", redirect: "manual"}}},
	{name: "error", steps: steps{{to: "cdn > cdn", redirect: "error"}}},
	{name: "of an XHR", steps: steps{{kind: "xhr", to: "cdn > open"}}},
	{name: "of an image", steps: steps{{kind: "image", crossorigin: "anonymous", to: "cdn > open"}}},
	{name: "of an image, denied", steps: steps{{kind: "image", crossorigin: "anonymous", to: "cdn > bank"}}},
}

var uploadCases = []matrixCase{
	{name: "PUT with progress", steps: steps{{kind: "xhr", method: "PUT", body: "some bytes", progress: true}}},
	{name: "POST without progress", steps: steps{{kind: "xhr", method: "POST", body: "some bytes"}}},
	{name: "POST with progress", steps: steps{{kind: "xhr", method: "POST", body: "some bytes", progress: true}}},
	{name: "POST with progress, twice", steps: steps{{kind: "xhr", method: "POST", body: "one", progress: true}, {kind: "xhr", method: "POST", body: "two", progress: true}}},
	{name: "POST with progress, not listed", steps: steps{{page: "stranger", kind: "xhr", method: "POST", body: "some bytes", progress: true}}},
	{name: "POST with progress, no credentials", steps: steps{{page: "app", kind: "xhr", method: "POST", body: "some bytes", progress: true, credentials: "include"}}},
	{name: "PUT with progress and credentials", steps: steps{{to: "bank", kind: "xhr", method: "PUT", body: "some bytes", progress: true, credentials: "include"}}},
}

// elementCases combines each element that has crossorigin with each kind of rule.
func elementCases() (cases []matrixCase) {
	for _, kind := range []string{"script", "style", "image"} {
		for _, step := range []matrixStep{
			{},
			{crossorigin: "anonymous"},
			{page: "stranger"},
			{page: "stranger", crossorigin: "anonymous"},
			{page: "stranger", to: "open", crossorigin: "anonymous"},
			{to: "open", crossorigin: "use-credentials"},
			{to: "bank", crossorigin: "use-credentials"},
		} {
			step.kind = kind
			cases = append(cases, elementCase(step))
		}
	}
	for _, kind := range []string{"module", "font", "events"} {
		for _, step := range []matrixStep{{}, {page: "stranger"}, {page: "stranger", to: "open"}, {page: "sandbox"}, {page: "sandbox", to: "open"}} {
			step.kind = kind
			cases = append(cases, elementCase(step))
		}
	}
	return append(cases,
		elementCase(matrixStep{kind: "module", to: "bank", crossorigin: "use-credentials"}),
		elementCase(matrixStep{kind: "module", to: "open", crossorigin: "use-credentials"}),
		elementCase(matrixStep{kind: "events", to: "bank", credentials: "include"}),
		elementCase(matrixStep{kind: "events", to: "open", credentials: "include"}))
}

func elementCase(step matrixStep) matrixCase {
	name := step.kind
	for _, word := range []string{step.page, step.to, step.crossorigin, step.credentials} {
		if word != "" {
			name += ", " + word
		}
	}
	return matrixCase{name: name, steps: steps{step}}
}

// None of these needs Access-Control headers, and headers would not help: a page cannot read
// the responses. They are not denials.
var noCORSCases = []matrixCase{
	{name: "no-cors", steps: steps{{mode: "no-cors"}}},
	{name: "no-cors, not listed", steps: steps{{page: "stranger", mode: "no-cors"}}},
	{name: "no-cors POST, not listed", steps: steps{{page: "stranger", mode: "no-cors", method: "POST", body: "x"}}},
	{name: "no-cors POST", steps: steps{{mode: "no-cors", method: "POST", body: "x"}}},
	{name: "no-cors, null", steps: steps{{page: "sandbox", mode: "no-cors", method: "POST", body: "x"}}},
	{name: "no-cors, redirect", steps: steps{{page: "stranger", mode: "no-cors", to: "cdn > open"}}},
	{name: "mode same-origin", steps: steps{{mode: "same-origin"}}},
	{name: "mode same-origin, own origin", steps: steps{{page: "bucket", mode: "same-origin"}}},
	{name: "navigation", steps: steps{{kind: "frame"}}},
	{name: "navigation, not listed", steps: steps{{page: "stranger", kind: "frame"}}},
	{name: "form post", steps: steps{{kind: "form"}}},
	{name: "form post, not listed", steps: steps{{page: "stranger", kind: "form"}}},
	{name: "form post, null", steps: steps{{page: "data", kind: "form"}}},
	{name: "WebSocket", steps: steps{{kind: "websocket"}}},
	{name: "WebSocket, not listed", steps: steps{{page: "stranger", kind: "websocket"}}},
	{name: "WebSocket, null", steps: steps{{page: "sandbox", kind: "websocket"}}},
}

// Without Vary: Origin, a cache gives one origin's response to another, and the response to an
// image, whose request has no Origin, to a script. Browsers may have separate caches for
// requests with credentials: all requests of a case are alike in that.
var httpCacheCases = []matrixCase{
	{name: "two origins without Vary", header: cacheable, steps: steps{{}, {page: "admin"}}},
	{name: "two origins with Vary", header: cacheable, steps: steps{{to: "vary"}, {page: "admin", to: "vary"}}},
	{name: "two origins, any origin", header: cacheable, steps: steps{{to: "open"}, {page: "admin", to: "open"}}},
	{name: "one origin twice, with Vary", header: cacheable, steps: steps{{to: "vary"}, {to: "vary"}}},
	{name: "image first, without Vary", header: cacheable, steps: steps{{kind: "image", to: "bank"}, {to: "bank", credentials: "include"}}},
	{name: "image first, with Vary", header: cacheable, steps: steps{{kind: "image", to: "vary"}, {to: "vary", credentials: "include"}}},
	{name: "image with crossorigin first, without Vary", header: cacheable, steps: steps{{kind: "image", crossorigin: "use-credentials", to: "bank"}, {to: "bank", credentials: "include"}}},
	{name: "no-cors first, any origin", header: cacheable, steps: steps{{mode: "no-cors", to: "open", credentials: "omit"}, {to: "open", credentials: "omit"}}},
	{name: "no-cors first, without Vary", header: cacheable, steps: steps{{mode: "no-cors", credentials: "omit"}, {credentials: "omit"}}},
	{name: "no-cors first, with Vary", header: cacheable, steps: steps{{mode: "no-cors", to: "vary", credentials: "omit"}, {to: "vary", credentials: "omit"}}},
}

var cacheable = []string{"Cache-Control: max-age=600"}
