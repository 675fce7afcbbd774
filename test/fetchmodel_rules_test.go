package test

import (
	"encoding/xml"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// modelBucket is what a bucket answers by OSS's rules, read anew: the expectations of the
// browser matrix must not come from the code that they judge.
type modelBucket struct {
	Rules            []modelRule `xml:"CORSRule"`
	Vary             bool        `xml:"ResponseVary"`
	allowCredentials bool
}

type modelRule struct {
	ID      string   `xml:"ID"`
	Origins []string `xml:"AllowedOrigin"`
	Methods []string `xml:"AllowedMethod"`
	Headers []string `xml:"AllowedHeader"`
	Expose  []string `xml:"ExposeHeader"`
	MaxAge  *int     `xml:"MaxAgeSeconds"`
}

func parseModelBucket(document []byte) (*modelBucket, error) {
	b := new(modelBucket)
	return b, xml.Unmarshal(document, b)
}

// modelRequest is a request on its way to a server.
type modelRequest struct {
	url    string
	method string
	origin string // the header; empty: none
	mode   string // Sec-Fetch-Mode
	asked  string // Access-Control-Request-Method of a preflight
	names  string // and its Access-Control-Request-Headers
	cookie bool
}

// modelAnswer is what comes back, and how the bucket decided.
type modelAnswer struct {
	status  int
	header  map[string]string // names in lower case
	body    string
	verdict string // "allowed <rule>", "denied <reason>" or "none"
}

// serve answers a request; answer is what the origin server says if it is asked.
func (b *modelBucket) serve(r modelRequest, answer modelAnswer) modelAnswer {
	if r.method == http.MethodOptions && (r.origin != "" || r.asked != "") {
		return b.preflight(r)
	}
	answer.header = maps.Clone(answer.header)
	maps.DeleteFunc(answer.header, func(name, _ string) bool { return strings.HasPrefix(name, "access-control-") })
	answer.verdict = "none"
	if r.origin != "" {
		rule, reason := b.judge(r.origin, r.method, nil)
		switch {
		case rule != nil:
			answer.verdict = "allowed " + rule.ID
			b.allow(answer.header, rule, r.origin)
		case r.mode == "cors" && hostOf(r.origin) != hostOf(r.url):
			answer.verdict = "denied " + reason
		}
	}
	b.vary(answer.header)
	return answer
}

func (b *modelBucket) preflight(r modelRequest) modelAnswer {
	header := map[string]string{}
	b.vary(header)
	switch {
	case r.origin == "":
		return modelAnswer{status: 400, header: header, verdict: "denied missing_origin"}
	case r.asked == "":
		return modelAnswer{status: 400, header: header, verdict: "denied missing_method"}
	}
	var names []string
	if r.names != "" {
		names = strings.Split(r.names, ",")
	}
	rule, reason := b.judge(r.origin, r.asked, names)
	if rule == nil {
		return modelAnswer{status: 403, header: header, verdict: "denied " + reason}
	}
	b.allow(header, rule, r.origin)
	if names != nil {
		header["access-control-allow-headers"] = strings.Join(names, ", ")
	}
	return modelAnswer{status: 200, header: header, verdict: "allowed " + rule.ID}
}

func (b *modelBucket) allow(header map[string]string, rule *modelRule, origin string) {
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
	if b.allowCredentials && origin != "*" {
		header["access-control-allow-credentials"] = "true"
	}
}

func (b *modelBucket) vary(header map[string]string) {
	if b.Vary {
		header["vary"] = "Origin"
	}
}

// judge returns the first rule that holds, or the reason of the one that held longest.
func (b *modelBucket) judge(origin, method string, names []string) (*modelRule, string) {
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

// originOf is the origin of a URL, hostOf its host and port.
func originOf(url string) string {
	scheme, rest, _ := strings.Cut(url, "://")
	host, _, _ := strings.Cut(rest, "/")
	return scheme + "://" + host
}

func hostOf(url string) string {
	_, host, _ := strings.Cut(originOf(url), "://")
	return host
}
