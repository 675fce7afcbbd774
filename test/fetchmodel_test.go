package test

import (
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// fetchRequest is a request of a page as the Fetch standard describes it.
type fetchRequest struct {
	url         string
	origin      string // of the page; "null" for an opaque one
	sameSite    bool   // whether the page and all that it asks are of one site
	method      string
	header      [][2]string // that the script sets
	mode        string      // cors, no-cors, same-origin, navigate or websocket
	credentials string      // omit, same-origin or include
	redirect    string      // follow, manual or error
	noStore     bool        // the cache mode
	byScript    bool        // the unsafe-request flag: fetch and XHR, not elements
	progress    bool        // the use-CORS-preflight flag: someone listens to the upload
	body        string
}

// How a request ends, as a page can tell.
const (
	readable   = "readable"
	opaque     = "opaque" // it is there, and the page cannot look into it
	redirected = "redirected"
	failed     = "failed"
)

// fetchResult is what a page learns of a response.
type fetchResult struct {
	Outcome  string
	Status   int
	Header   map[string]string
	Body     string
	Uploaded int // bytes, as the upload's listener was told

	reason string // of a failure, in the words of Chromium's protocol
}

// String shows what there is of a result.
func (r fetchResult) String() string {
	text := r.Outcome
	if r.Status != 0 {
		text += fmt.Sprintf(" %d %v %q", r.Status, r.Header, r.Body)
	}
	if r.Uploaded != 0 {
		text += fmt.Sprintf(" uploaded %d", r.Uploaded)
	}
	return text
}

func failure(reason string) fetchResult { return fetchResult{Outcome: failed, reason: reason} }

// fetchModel is a browser by the Fetch standard, as far as CORS goes. The comments name
// the standard's sections.
type fetchModel struct {
	send func(modelRequest) modelAnswer // the network

	permitted map[string]bool         // the CORS-preflight cache; see permission
	stored    map[string]storedAnswer // the HTTP cache, by URL
}

type storedAnswer struct {
	modelAnswer
	origin string // that it was given to
}

// fetch is "main fetch", "HTTP fetch" and "HTTP-redirect fetch" in one loop.
func (m *fetchModel) fetch(r fetchRequest) fetchResult {
	tainting := "basic"
	urls := []string{r.url}
	for {
		origin := serializeOrigin(r.origin, urls)
		preflight := false
		switch {
		case r.mode == "navigate" || r.mode == "websocket":
		case originOf(r.url) == r.origin && tainting == "basic":
		case r.mode == "same-origin":
			return failure("")
		case r.mode == "no-cors":
			tainting = "opaque"
		default:
			tainting = "cors"
			preflight = r.progress || r.byScript && (!isSafelistedMethod(r.method) || len(unsafeNames(r.header)) > 0)
		}
		if preflight && !m.isPermitted(r, origin) {
			if reason := m.preflight(r, origin); reason != "" {
				return failure(reason)
			}
		}
		answer := m.networkOrCache(r, origin, tainting)
		if tainting == "cors" {
			if reason := corsCheck(r, origin, answer.header); reason != "" {
				return failure(reason)
			}
		}
		location := answer.header["location"]
		if location == "" || !slices.Contains([]int{301, 302, 303, 307, 308}, answer.status) {
			return filtered(r, tainting, answer)
		}
		switch r.redirect {
		case "error":
			return failure("")
		case "manual":
			return fetchResult{Outcome: redirected}
		}
		r = redirectedRequest(r, answer.status, location)
		urls = append(urls, r.url)
	}
}

// redirectedRequest is "HTTP-redirect fetch": what becomes of a request.
func redirectedRequest(r fetchRequest, status int, location string) fetchRequest {
	drop := []string{}
	if (status == 301 || status == 302) && r.method == "POST" ||
		status == 303 && r.method != "GET" && r.method != "HEAD" {
		r.method, r.body = "GET", ""
		drop = append(drop, "content-encoding", "content-language", "content-location", "content-type")
	}
	if originOf(r.url) != originOf(location) {
		drop = append(drop, "authorization")
	}
	r.header = slices.DeleteFunc(slices.Clone(r.header), func(h [2]string) bool {
		return slices.Contains(drop, strings.ToLower(h[0]))
	})
	r.url = location
	return r
}

// serializeOrigin is "serializing a request origin": a request that another origin sent on
// to a third loses its own.
func serializeOrigin(origin string, urls []string) string {
	for i, url := range urls[1:] {
		last := originOf(urls[i])
		if originOf(url) != last && origin != last {
			return "null"
		}
	}
	return origin
}

// preflight is "CORS-preflight fetch"; it returns why it failed, or "".
func (m *fetchModel) preflight(r fetchRequest, origin string) string {
	names := unsafeNames(r.header)
	answer := m.send(modelRequest{url: r.url, method: http.MethodOptions, origin: origin, mode: "cors",
		asked: r.method, names: strings.Join(names, ",")})
	if reason := corsCheck(r, origin, answer.header); reason != "" {
		return "Preflight" + reason
	}
	if answer.status < 200 || answer.status > 299 {
		return "PreflightInvalidStatus"
	}
	methods := listOf(answer.header["access-control-allow-methods"])
	headers := listOf(strings.ToLower(answer.header["access-control-allow-headers"]))
	if len(methods) == 0 && r.progress {
		methods = []string{r.method}
	}
	withoutCredentials := r.credentials != "include"
	if !slices.Contains(methods, r.method) && !isSafelistedMethod(r.method) && !(withoutCredentials && slices.Contains(methods, "*")) {
		return "MethodDisallowedByPreflightResponse"
	}
	for _, name := range names {
		byWildcard := withoutCredentials && name != "authorization" && slices.Contains(headers, "*")
		if !slices.Contains(headers, name) && !byWildcard {
			return "HeaderDisallowedByPreflightResponse"
		}
	}
	// Without a Max-Age it is five seconds: longer than a case takes.
	if answer.header["access-control-max-age"] != "0" {
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
func permission(r fetchRequest, origin string, withoutCredentials bool, methodOrHeader string) string {
	return fmt.Sprint(origin, r.url, withoutCredentials, methodOrHeader)
}

// isPermitted reports whether earlier preflights cover a request. Those for requests with
// credentials cover others, too.
func (m *fetchModel) isPermitted(r fetchRequest, origin string) bool {
	var needed []string
	if !isSafelistedMethod(r.method) || r.progress {
		needed = append(needed, r.method)
	}
	for _, methodOrHeader := range append(needed, unsafeNames(r.header)...) {
		if !m.permitted[permission(r, origin, false, methodOrHeader)] &&
			(r.credentials == "include" || !m.permitted[permission(r, origin, true, methodOrHeader)]) {
			return false
		}
	}
	return true
}

// networkOrCache is "HTTP-network-or-cache fetch".
func (m *fetchModel) networkOrCache(r fetchRequest, origin, tainting string) modelAnswer {
	// "Append a request Origin header"
	header := origin
	if tainting != "cors" && r.mode != "websocket" && (r.method == "GET" || r.method == "HEAD") {
		header = ""
	}
	if cached, ok := m.stored[r.url]; ok && r.method == "GET" && !r.noStore &&
		(cached.header["vary"] != "Origin" || cached.origin == header) {
		return cached.modelAnswer
	}
	withCredentials := r.credentials == "include" || r.credentials == "same-origin" && tainting == "basic"
	answer := m.send(modelRequest{url: r.url, method: r.method, origin: header, mode: r.mode, cookie: withCredentials && r.sameSite})
	if r.method == "GET" && !r.noStore && strings.HasPrefix(answer.header["cache-control"], "max-age=") {
		m.stored[r.url] = storedAnswer{answer, header}
	}
	return answer
}

// corsCheck is "CORS check"; it returns why a response failed, or "".
func corsCheck(r fetchRequest, origin string, header map[string]string) string {
	allowed := header["access-control-allow-origin"]
	switch include := r.credentials == "include"; {
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
func filtered(r fetchRequest, tainting string, answer modelAnswer) fetchResult {
	switch {
	case tainting == "opaque" || r.mode == "navigate":
		return fetchResult{Outcome: opaque}
	case r.mode == "websocket":
		return fetchResult{Outcome: readable}
	}
	header := maps.Clone(answer.header)
	exposed := listOf(strings.ToLower(header["access-control-expose-headers"]))
	maps.DeleteFunc(header, func(name, _ string) bool {
		return name == "set-cookie" || tainting == "cors" && !slices.Contains(exposed, name) && !isSafelistedResponseHeader(name)
	})
	result := fetchResult{Outcome: readable, Status: answer.status, Header: header, Body: answer.body}
	if r.method == "HEAD" {
		result.Body = ""
	}
	if r.progress {
		result.Uploaded = len(r.body)
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

// isForbiddenRequestHeader knows those that a case tries to set: they are dropped.
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
