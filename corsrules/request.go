package corsrules

import (
	"net/http"
	"strings"
)

const (
	// MaxOriginBytes is the longest Origin that is evaluated. A host name has at most
	// 253 bytes; twice that leaves room for any scheme and port.
	MaxOriginBytes = 512

	// MaxRequestHeaderBytes bounds Access-Control-Request-Headers: the lengths of all
	// its lines added up. Common servers allow as much for one header line.
	MaxRequestHeaderBytes = 8 << 10

	// MaxRequestHeaders bounds how many names Access-Control-Request-Headers may have:
	// several times what any browser's application asks for.
	MaxRequestHeaders = 128
)

// Kind is what a request is to CORS.
type Kind uint8

const (
	// NotCORS: a request with neither Origin nor, if it is OPTIONS,
	// Access-Control-Request-Method. The rules do not apply to it.
	NotCORS Kind = iota
	// Preflight: an OPTIONS request with Access-Control-Request-Method, or with an Origin
	// that is not its own; for S3, every OPTIONS request. It is incomplete if it lacks one
	// of the two headers.
	Preflight
	// Actual: any other request with Origin.
	Actual
)

// String returns the kind as metrics, logs and explanations show it.
func (k Kind) String() string { return [...]string{"none", "preflight", "actual"}[k] }

// Request is what the rules need to know of an HTTP request. ReadRequest makes it; the zero
// Request is NotCORS.
type Request struct {
	Kind Kind

	dialect Dialect // that read it, and decides

	// Origin is the value of the Origin header, as sent; empty if there is none.
	Origin string

	// Method is the value of Access-Control-Request-Method for a preflight, and for S3
	// wherever that is sent; else the request's own method.
	Method string

	// Headers are the names in a preflight's Access-Control-Request-Headers, in lower
	// case, joined with ", ", which is how Access-Control-Allow-Headers repeats them.
	// Empty if there are none, and for other requests, unless S3's.
	Headers string

	malformed string // the name of the malformed header, in lower case; of several one
	http      *http.Request
}

// ReadRequest reads a request for OSS, as DialectOSS.ReadRequest does.
func ReadRequest(r *http.Request) Request { return DialectOSS.ReadRequest(r) }

// ReadRequest reads the request headers that CORS depends on: Origin,
// Access-Control-Request-Method and Access-Control-Request-Headers. A line without a value
// counts as absent, and white space around a value is not part of it (RFC 9110, section
// 5.5). Where several lines have a value, Origin and Method are the first of them, and the
// request is malformed (docs/oss-behaviour.md, section 2).
//
// ReadRequest allocates nothing for a request as browsers send it, except for the value of
// Headers where that differs from what was sent. It keeps r for NeedsCORS. The request is
// decided as d does.
func (d Dialect) ReadRequest(r *http.Request) Request {
	origin, oneOrigin := single(r.Header["Origin"])
	req := Request{Origin: origin, Method: r.Method, http: r, dialect: d}
	switch {
	case d == DialectS3:
		req.readS3()
	case r.Method == http.MethodOptions:
		req.readOptions()
	case origin != "":
		req.Kind = Actual
	}
	if !oneOrigin || !isOriginText(origin) {
		req.malformed = "origin"
	}
	return req
}

// readOptions reads an OPTIONS request. Without Access-Control-Request-Method it is not a
// preflight if it is same-origin: browsers send Origin with every method but GET and HEAD
// (https://fetch.spec.whatwg.org/#append-a-request-origin-header), and a preflight always has
// the method (https://fetch.spec.whatwg.org/#cors-preflight-fetch).
func (req *Request) readOptions() {
	h := req.http.Header
	method, oneMethod := single(h["Access-Control-Request-Method"])
	switch {
	case method != "", req.Origin != "" && !req.isSameOrigin():
		req.Kind, req.Method = Preflight, method
		req.readHeaders(h["Access-Control-Request-Headers"])
		if !oneMethod || strings.IndexByte(method, ',') >= 0 {
			req.malformed = "access-control-request-method"
		}
	case req.Origin != "":
		req.Kind = Actual
	}
}

// NeedsCORS reports whether a browser could need Access-Control headers on the response. It
// is true for a preflight. Browsers also send Origin on same-origin POST requests, form
// submissions and WebSocket handshakes; these need none, and are not denied where no rule
// matches (docs/oss-behaviour.md, section 4).
func (req *Request) NeedsCORS() bool {
	switch req.Kind {
	case NotCORS:
		return false
	case Preflight:
		return true
	}
	mode, _ := single(req.http.Header["Sec-Fetch-Mode"])
	return !req.isSameOrigin() && (mode == "" || mode == "cors") && !isUpgrade(req.http)
}

// isSameOrigin reports whether a request comes from its own origin. Sec-Fetch-Site shows
// that even behind a proxy that rewrites Host.
func (req *Request) isSameOrigin() bool {
	site, _ := single(req.http.Header["Sec-Fetch-Site"])
	return site == "same-origin" || isSameHost(req.Origin, req.http.Host)
}

// isSameHost reports whether host and port of an origin are those of a request's Host. The
// scheme is not compared: behind another proxy it is not known.
func isSameHost(origin, host string) bool {
	scheme, originHost, ok := strings.Cut(origin, "://")
	if !ok {
		return false
	}
	defaultPort := ":443"
	if strings.EqualFold(scheme, "http") {
		defaultPort = ":80"
	}
	return strings.EqualFold(strings.TrimSuffix(originHost, defaultPort), strings.TrimSuffix(host, defaultPort))
}

// isUpgrade reports whether r asks for another protocol, such as WebSocket, by HTTP/1.1's
// Upgrade or by HTTP/2's extended CONNECT (RFC 8441), which net/http shows as a header.
func isUpgrade(r *http.Request) bool {
	upgrade, _ := single(r.Header["Upgrade"])
	return upgrade != "" || r.Method == http.MethodConnect && r.Header.Get(":protocol") != ""
}

// single returns the first line that has a value. ok is false where another line has one
// too.
func single(lines []string) (value string, ok bool) {
	for _, line := range lines {
		line = trim(line)
		if line == "" {
			continue
		}
		if value != "" {
			return value, false
		}
		value = line
	}
	return value, true
}

// trim removes the white space that may surround a field value and a list element (RFC 9110,
// sections 5.5 and 5.6.1). It takes a quarter of the time of strings.Trim, on every request.
func trim(s string) string {
	for s != "" && (s[0] == ' ' || s[0] == '\t') {
		s = s[1:]
	}
	for s != "" && (s[len(s)-1] == ' ' || s[len(s)-1] == '\t') {
		s = s[:len(s)-1]
	}
	return s
}

// isOriginText reports whether origin has a length and bytes that an Origin header can
// have: visible ASCII (RFC 6454, section 6.2).
func isOriginText(origin string) bool {
	for i := range len(origin) {
		if origin[i] < '!' || '~' < origin[i] {
			return false
		}
	}
	return len(origin) <= MaxOriginBytes
}

const headerSeparator = ", "

// readHeaders sets req.Headers, unless a name is not a token or a bound is passed.
func (req *Request) readHeaders(lines []string) {
	var onStack [512]byte
	list, ok := appendHeaderNames(onStack[:0], lines)
	switch {
	case !ok:
		req.malformed = "access-control-request-headers"
	case len(lines) == 1 && lines[0] == string(list): // which spares an allocation
		req.Headers = lines[0]
	default:
		req.Headers = string(list)
	}
}

// appendHeaderNames appends the names in lines to dst, in lower case. Empty list elements
// do not count (RFC 9110, section 5.6.1).
func appendHeaderNames(dst []byte, lines []string) (list []byte, ok bool) {
	size, count := 0, 0
	for _, line := range lines {
		size += len(line)
	}
	if size > MaxRequestHeaderBytes {
		return nil, false
	}
	for _, line := range lines {
		for more := true; more; {
			var name string
			name, line, more = strings.Cut(line, ",")
			if name = trim(name); name == "" {
				continue
			}
			if count++; count > MaxRequestHeaders {
				return nil, false
			}
			if count > 1 {
				dst = append(dst, headerSeparator...)
			}
			for i := range len(name) {
				c := lowerTokenByte[name[i]]
				if c == 0 {
					return nil, false
				}
				dst = append(dst, c)
			}
		}
	}
	return dst, true
}

// IsToken reports whether s is a token (RFC 9110, section 5.6.2), which a header's name is.
func IsToken(s string) bool {
	for i := range len(s) {
		if lowerTokenByte[s[i]] == 0 {
			return false
		}
	}
	return s != ""
}

// lowerTokenByte has each byte of a token in lower case, and 0 for all others.
var lowerTokenByte = func() (table [256]byte) {
	for _, c := range []byte("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz") {
		table[c] = c
		if 'a' <= c && c <= 'z' {
			table[c-'a'+'A'] = c
		}
	}
	return table
}()
