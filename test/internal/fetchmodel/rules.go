package fetchmodel

import (
	"encoding/xml"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// Bucket answers as OSS documents it. It shares no code with the module: the expectations of
// the browser matrix must not come from the code that they test.
type Bucket struct {
	Rules            []Rule `xml:"CORSRule"`
	Vary             bool   `xml:"ResponseVary"`
	AllowCredentials bool
}

// Rule is a CORSRule of a document.
type Rule struct {
	ID      string   `xml:"ID"`
	Origins []string `xml:"AllowedOrigin"`
	Methods []string `xml:"AllowedMethod"`
	Headers []string `xml:"AllowedHeader"`
	Expose  []string `xml:"ExposeHeader"`
	MaxAge  *int     `xml:"MaxAgeSeconds"`
}

// ParseBucket reads a document without checking it.
func ParseBucket(document []byte) (*Bucket, error) {
	b := new(Bucket)
	return b, xml.Unmarshal(document, b)
}

// WireRequest is a request on its way to a server.
type WireRequest struct {
	URL            string
	Method         string
	Origin         string // the header; empty: none
	Mode           string // Sec-Fetch-Mode
	RequestMethod  string // Access-Control-Request-Method of a preflight
	RequestHeaders string // and its Access-Control-Request-Headers
	Cookie         bool
}

// WireResponse is what comes back, and how the bucket decided.
type WireResponse struct {
	Status   int
	Header   map[string]string // names in lower case
	Body     string
	Decision string // "allowed <rule>", "denied <reason>" or "none"
}

// Serve answers a request. answer is the origin server's response.
func (b *Bucket) Serve(r WireRequest, answer WireResponse) WireResponse {
	sameOrigin := r.Origin != "" && HostOf(r.Origin) == HostOf(r.URL)
	if r.Method == http.MethodOptions && (r.RequestMethod != "" || r.Origin != "" && !sameOrigin) {
		return b.preflight(r)
	}
	answer.Header = maps.Clone(answer.Header)
	maps.DeleteFunc(answer.Header, func(name, _ string) bool { return strings.HasPrefix(name, "access-control-") })
	answer.Decision = "none"
	if r.Origin != "" {
		rule, reason := b.decide(r.Origin, r.Method, nil)
		switch {
		case rule != nil:
			answer.Decision = "allowed " + rule.ID
			b.allow(answer.Header, rule, r.Origin)
		case r.Mode == "cors" && !sameOrigin:
			answer.Decision = "denied " + reason
		}
	}
	b.vary(answer.Header)
	return answer
}

func (b *Bucket) preflight(r WireRequest) WireResponse {
	header := map[string]string{}
	b.vary(header)
	switch {
	case r.Origin == "":
		return WireResponse{Status: 400, Header: header, Decision: "denied missing_origin"}
	case r.RequestMethod == "":
		return WireResponse{Status: 400, Header: header, Decision: "denied missing_method"}
	}
	var names []string
	if r.RequestHeaders != "" {
		names = strings.Split(r.RequestHeaders, ",")
	}
	rule, reason := b.decide(r.Origin, r.RequestMethod, names)
	if rule == nil {
		return WireResponse{Status: 403, Header: header, Decision: "denied " + reason}
	}
	b.allow(header, rule, r.Origin)
	if names != nil {
		header["access-control-allow-headers"] = strings.Join(names, ", ")
	}
	return WireResponse{Status: 200, Header: header, Decision: "allowed " + rule.ID}
}

func (b *Bucket) allow(header map[string]string, rule *Rule, origin string) {
	if slices.Contains(rule.Origins, "*") {
		origin = "*"
	}
	header["access-control-allow-origin"] = origin
	header["access-control-allow-methods"] = strings.Join(rule.Methods, ", ")
	if rule.Expose != nil {
		header["access-control-expose-headers"] = strings.Join(rule.Expose, ", ")
	}
	if rule.MaxAge != nil {
		header["access-control-max-age"] = strconv.Itoa(*rule.MaxAge)
	}
	if b.AllowCredentials && origin != "*" {
		header["access-control-allow-credentials"] = "true"
	}
}

func (b *Bucket) vary(header map[string]string) {
	if b.Vary {
		header["vary"] = "Origin"
	}
}

// decide returns the first rule that matches, or the reason of the nearest rule.
func (b *Bucket) decide(origin, method string, names []string) (*Rule, string) {
	reason := "origin"
	for i := range b.Rules {
		rule := &b.Rules[i]
		switch {
		case !matchesOne(rule.Origins, origin):
		case !slices.Contains(rule.Methods, method):
			if reason == "origin" {
				reason = "method"
			}
		case slices.ContainsFunc(names, func(name string) bool { return !matchesOne(rule.Headers, name) }):
			reason = "header"
		default:
			return rule, ""
		}
	}
	return nil, reason
}

func matchesOne(patterns []string, value string) bool {
	value = strings.ToLower(value)
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		prefix, suffix, wild := strings.Cut(strings.ToLower(pattern), "*")
		if !wild {
			return value == prefix
		}
		return len(value) >= len(prefix)+len(suffix) && strings.HasPrefix(value, prefix) && strings.HasSuffix(value, suffix)
	})
}

// OriginOf returns the origin of a URL.
func OriginOf(url string) string {
	scheme, rest, _ := strings.Cut(url, "://")
	host, _, _ := strings.Cut(rest, "/")
	return scheme + "://" + host
}

// HostOf returns the host of a URL, with its port.
func HostOf(url string) string {
	_, host, _ := strings.Cut(OriginOf(url), "://")
	return host
}
