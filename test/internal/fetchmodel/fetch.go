package fetchmodel

import (
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// Request is a request of a page as the Fetch standard describes it.
type Request struct {
	URL         string
	Origin      string // of the page; "null" for an opaque one
	SameSite    bool   // whether the page and all its requests are of one site
	Method      string
	Header      [][2]string // that the script sets
	Mode        string      // cors, no-cors, same-origin, navigate or websocket
	Credentials string      // omit, same-origin or include
	Redirect    string      // follow, manual or error
	NoStore     bool        // the cache mode
	ByScript    bool        // the unsafe-request flag: fetch and XHR, not elements
	Progress    bool        // the use-CORS-preflight flag: someone listens to the upload
	Body        string
}

// How a request ends for a page.
const (
	readable   = "readable"
	opaque     = "opaque" // there is a response, but the page cannot read it
	redirected = "redirected"
	failed     = "failed"
)

// Result is what a page learns of a response.
type Result struct {
	Outcome  string
	Status   int
	Header   map[string]string
	Body     string
	Uploaded int // bytes, as the upload's listener was told

	Reason string // of a failure, in the words of Chromium's protocol
}

// String shows what there is of a result.
func (r Result) String() string {
	text := r.Outcome
	if r.Status != 0 {
		text += fmt.Sprintf(" %d %v %q", r.Status, r.Header, r.Body)
	}
	if r.Uploaded != 0 {
		text += fmt.Sprintf(" uploaded %d", r.Uploaded)
	}
	return text
}

func failure(reason string) Result { return Result{Outcome: failed, Reason: reason} }

// Model is a browser as the Fetch standard (https://fetch.spec.whatwg.org/) describes it, as
// far as CORS goes. The comments name the standard's algorithms.
type Model struct {
	send func(WireRequest) WireResponse // the network

	permitted map[string]bool           // the CORS-preflight cache; see permission
	stored    map[string]storedResponse // the HTTP cache, by URL
}

// New returns a Model with empty caches. It calls send for each request that a browser would
// send over the network.
func New(send func(WireRequest) WireResponse) *Model {
	return &Model{send: send, permitted: map[string]bool{}, stored: map[string]storedResponse{}}
}

// storedResponse is a response in the HTTP cache.
type storedResponse struct {
	WireResponse
	origin string // that it was given to
}

// Fetch is "main fetch", "HTTP fetch" and "HTTP-redirect fetch" in one loop.
func (m *Model) Fetch(r Request) Result {
	tainting := "basic"
	urls := []string{r.URL}
	for {
		origin := serializeOrigin(r.Origin, urls)
		preflight := false
		switch {
		case r.Mode == "navigate" || r.Mode == "websocket":
		case OriginOf(r.URL) == r.Origin && tainting == "basic":
		case r.Mode == "same-origin":
			return failure("")
		case r.Mode == "no-cors":
			tainting = "opaque"
		default:
			tainting = "cors"
			preflight = r.Progress || r.ByScript && (!isSafelistedMethod(r.Method) || len(unsafeNames(r.Header)) > 0)
		}
		if preflight && !m.isPermitted(r, origin) {
			if reason := m.preflight(r, origin); reason != "" {
				return failure(reason)
			}
		}
		answer := m.networkOrCache(r, origin, tainting)
		if tainting == "cors" {
			if reason := corsCheck(r, origin, answer.Header); reason != "" {
				return failure(reason)
			}
		}
		location := answer.Header["location"]
		if location == "" || !slices.Contains([]int{301, 302, 303, 307, 308}, answer.Status) {
			return filtered(r, tainting, answer)
		}
		switch r.Redirect {
		case "error":
			return failure("")
		case "manual":
			return Result{Outcome: redirected}
		}
		r = redirectedRequest(r, answer.Status, location)
		urls = append(urls, r.URL)
	}
}

// redirectedRequest is "HTTP-redirect fetch": it returns the request after a redirect.
func redirectedRequest(r Request, status int, location string) Request {
	drop := []string{}
	if (status == 301 || status == 302) && r.Method == "POST" ||
		status == 303 && r.Method != "GET" && r.Method != "HEAD" {
		r.Method, r.Body = "GET", ""
		drop = append(drop, "content-encoding", "content-language", "content-location", "content-type")
	}
	if OriginOf(r.URL) != OriginOf(location) {
		drop = append(drop, "authorization")
	}
	r.Header = slices.DeleteFunc(slices.Clone(r.Header), func(h [2]string) bool {
		return slices.Contains(drop, strings.ToLower(h[0]))
	})
	r.URL = location
	return r
}

// serializeOrigin is "serializing a request origin": the origin becomes null once another
// origin redirects the request to a third.
func serializeOrigin(origin string, urls []string) string {
	for i, url := range urls[1:] {
		last := OriginOf(urls[i])
		if OriginOf(url) != last && origin != last {
			return "null"
		}
	}
	return origin
}

// preflight is "CORS-preflight fetch"; it returns why it failed, or "".
func (m *Model) preflight(r Request, origin string) string {
	names := unsafeNames(r.Header)
	answer := m.send(WireRequest{URL: r.URL, Method: http.MethodOptions, Origin: origin, Mode: "cors",
		RequestMethod: r.Method, RequestHeaders: strings.Join(names, ",")})
	if reason := corsCheck(r, origin, answer.Header); reason != "" {
		return "Preflight" + reason
	}
	if answer.Status < 200 || answer.Status > 299 {
		return "PreflightInvalidStatus"
	}
	methods := listOf(answer.Header["access-control-allow-methods"])
	headers := listOf(strings.ToLower(answer.Header["access-control-allow-headers"]))
	if len(methods) == 0 && r.Progress {
		methods = []string{r.Method}
	}
	withoutCredentials := r.Credentials != "include"
	if !slices.Contains(methods, r.Method) && !isSafelistedMethod(r.Method) && !(withoutCredentials && slices.Contains(methods, "*")) {
		return "MethodDisallowedByPreflightResponse"
	}
	for _, name := range names {
		byWildcard := withoutCredentials && name != "authorization" && slices.Contains(headers, "*")
		if !slices.Contains(headers, name) && !byWildcard {
			return "HeaderDisallowedByPreflightResponse"
		}
	}
	// Without a Max-Age it is five seconds: longer than a case takes.
	if answer.Header["access-control-max-age"] != "0" {
		for _, method := range methods {
			m.permitted[permission(r, origin, withoutCredentials, method)] = true
		}
		for _, name := range headers {
			m.permitted[permission(r, origin, withoutCredentials, name)] = true
		}
	}
	return ""
}

// permission is a key of the CORS-preflight cache. Methods are in upper case there, headers
// in lower case.
func permission(r Request, origin string, withoutCredentials bool, methodOrHeader string) string {
	return fmt.Sprint(origin, r.URL, withoutCredentials, methodOrHeader)
}

// isPermitted reports whether earlier preflights cover a request. Those for requests with
// credentials cover others, too.
func (m *Model) isPermitted(r Request, origin string) bool {
	var needed []string
	if !isSafelistedMethod(r.Method) || r.Progress {
		needed = append(needed, r.Method)
	}
	for _, methodOrHeader := range append(needed, unsafeNames(r.Header)...) {
		if !m.permitted[permission(r, origin, false, methodOrHeader)] &&
			(r.Credentials == "include" || !m.permitted[permission(r, origin, true, methodOrHeader)]) {
			return false
		}
	}
	return true
}

// networkOrCache is "HTTP-network-or-cache fetch".
func (m *Model) networkOrCache(r Request, origin, tainting string) WireResponse {
	// "Append a request Origin header"
	header := origin
	if tainting != "cors" && r.Mode != "websocket" && (r.Method == "GET" || r.Method == "HEAD") {
		header = ""
	}
	if cached, ok := m.stored[r.URL]; ok && r.Method == "GET" && !r.NoStore &&
		(cached.Header["vary"] != "Origin" || cached.origin == header) {
		return cached.WireResponse
	}
	withCredentials := r.Credentials == "include" || r.Credentials == "same-origin" && tainting == "basic"
	answer := m.send(WireRequest{URL: r.URL, Method: r.Method, Origin: header, Mode: r.Mode, Cookie: withCredentials && r.SameSite})
	if r.Method == "GET" && !r.NoStore && strings.HasPrefix(answer.Header["cache-control"], "max-age=") {
		m.stored[r.URL] = storedResponse{answer, header}
	}
	return answer
}

// corsCheck is "CORS check"; it returns why a response failed, or "".
func corsCheck(r Request, origin string, header map[string]string) string {
	allowed := header["access-control-allow-origin"]
	switch include := r.Credentials == "include"; {
	case allowed == "":
		return "MissingAllowOriginHeader"
	case allowed == "*" && include:
		return "WildcardOriginNotAllowed"
	case allowed == "*":
		return ""
	case allowed != origin:
		return "AllowOriginMismatch"
	case include && header["access-control-allow-credentials"] != "true":
		return "InvalidAllowCredentials"
	}
	return ""
}

// filtered is a "filtered response": basic, CORS or opaque.
func filtered(r Request, tainting string, answer WireResponse) Result {
	switch {
	case tainting == "opaque" || r.Mode == "navigate":
		return Result{Outcome: opaque}
	case r.Mode == "websocket":
		return Result{Outcome: readable}
	}
	header := maps.Clone(answer.Header)
	exposed := listOf(strings.ToLower(header["access-control-expose-headers"]))
	maps.DeleteFunc(header, func(name, _ string) bool {
		return name == "set-cookie" || tainting == "cors" && !slices.Contains(exposed, name) && !isSafelistedResponseHeader(name)
	})
	result := Result{Outcome: readable, Status: answer.Status, Header: header, Body: answer.Body}
	if r.Method == "HEAD" {
		result.Body = ""
	}
	if r.Progress {
		result.Uploaded = len(r.Body)
	}
	return result
}

func isSafelistedMethod(method string) bool {
	return method == "GET" || method == "HEAD" || method == "POST"
}

func isSafelistedResponseHeader(name string) bool {
	return slices.Contains([]string{"cache-control", "content-language", "content-length", "content-type",
		"expires", "last-modified", "pragma"}, name)
}

// unsafeNames are the "CORS-unsafe request-header names", which make up
// Access-Control-Request-Headers.
func unsafeNames(header [][2]string) (names []string) {
	var safe []string
	size := 0
	for _, h := range header {
		name := strings.ToLower(h[0])
		switch {
		case isForbiddenRequestHeader(name):
		case !isSafelistedRequestHeader(name, h[1]):
			names = append(names, name)
		default:
			safe = append(safe, name)
			size += len(h[1])
		}
	}
	if size > 1024 {
		names = append(names, safe...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// isForbiddenRequestHeader has the forbidden headers that a case tries to set. Browsers drop
// them.
func isForbiddenRequestHeader(name string) bool {
	return name == "cookie" || name == "origin" || strings.HasPrefix(name, "sec-") || strings.HasPrefix(name, "access-control-")
}

var (
	languageValue  = regexp.MustCompile(`^[0-9A-Za-z *,\-.;=]*$`)
	unsafeByte     = regexp.MustCompile("[\x00-\x08\x0a-\x1f\"():<>?@\\[\\\\\\]{}\x7f]")
	simpleRange    = regexp.MustCompile(`^bytes=[0-9]+-[0-9]*$`)
	safeMediaTypes = []string{"application/x-www-form-urlencoded", "multipart/form-data", "text/plain"}
)

// isSafelistedRequestHeader is "CORS-safelisted request-header".
func isSafelistedRequestHeader(name, value string) bool {
	if len(value) > 128 {
		return false
	}
	switch name {
	case "accept":
		return !unsafeByte.MatchString(value)
	case "accept-language", "content-language":
		return languageValue.MatchString(value)
	case "content-type":
		essence, _, _ := strings.Cut(value, ";")
		return !unsafeByte.MatchString(value) && slices.Contains(safeMediaTypes, strings.ToLower(strings.TrimSpace(essence)))
	case "range":
		return simpleRange.MatchString(value)
	}
	return false
}

func listOf(value string) (list []string) {
	for element := range strings.SplitSeq(value, ",") {
		if element = strings.TrimSpace(element); element != "" {
			list = append(list, element)
		}
	}
	return list
}
