package stores

import (
	"net/http"
	"slices"
	"strings"

	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/harness"
)

// requestClass is a difference between the engines that something in the request causes.
type requestClass struct {
	name    string
	has     func(engineRequest) bool             // whether the request has it
	without func(engineRequest) engineRequest    // the same request, but for that
	shows   func(ours, theirs engineAnswer) bool // whether the difference is the one that is listed
}

// answerClass is a difference that every answer of a kind has. It turns oss_cors's answer
// into versitygw's, as far as this difference goes.
type answerClass struct {
	name      string
	translate func(r engineRequest, rules engineDocument, ours, theirs engineAnswer) engineAnswer
}

// deniedHere and the others are the ways in which answers differ.
func deniedHere(ours, theirs engineAnswer) bool {
	return ours.allowOrigin == "" && theirs.allowOrigin != ""
}

func deniedThere(ours, theirs engineAnswer) bool {
	return ours.allowOrigin != "" && theirs.allowOrigin != ours.allowOrigin
}

func badRequestThere(ours, theirs engineAnswer) bool {
	return ours.status != http.StatusBadRequest && theirs.status == http.StatusBadRequest
}

func otherRuleThere(ours, theirs engineAnswer) bool {
	return ours.allowOrigin != theirs.allowOrigin || ours.allowMethods != theirs.allowMethods || theirs.allowHeaders != ""
}

// notInS3 are the classes that dialect s3 does away with.
var notInS3 = []string{"origin-case", "method-unknown", "actual-request-method", "vary"}

var requestClasses = []requestClass{
	{
		name:    "origin-case",
		has:     func(r engineRequest) bool { return !slices.Equal(r.origin, respelled(r.origin)) },
		without: func(r engineRequest) engineRequest { r.origin = respelled(r.origin); return r },
		shows:   deniedThere,
	},
	{
		name:    "origin-repeated",
		has:     func(r engineRequest) bool { return len(r.origin) > 1 },
		without: func(r engineRequest) engineRequest { r.origin = r.origin[:1]; return r },
		shows:   deniedHere,
	},
	{
		name:    "origin-not-ascii",
		has:     func(r engineRequest) bool { return strings.Contains(strings.Join(r.origin, ""), "\u00fc") },
		without: plainOrigin,
		shows:   deniedHere,
	},
	{
		name:    "origin-too-long",
		has:     func(r engineRequest) bool { return len(strings.Join(r.origin, "")) > 512 },
		without: plainOrigin,
		shows:   deniedHere,
	},
	{
		name: "method-unknown",
		has: func(r engineRequest) bool {
			return r.isPreflight() && len(r.requestMethod) == 1 && slices.Contains(engineUnknownMethods, r.requestMethod[0])
		},
		without: func(r engineRequest) engineRequest { r.requestMethod = headerLines{"GET"}; return r },
		shows:   badRequestThere,
	},
	{
		name:    "method-repeated",
		has:     func(r engineRequest) bool { return r.isPreflight() && len(r.requestMethod) > 1 },
		without: func(r engineRequest) engineRequest { r.requestMethod = r.requestMethod[:1]; return r },
		shows:   deniedHere,
	},
	{
		name:    "headers-empty-name",
		has:     func(r engineRequest) bool { return r.isPreflight() && slices.Contains(namesIn(r), "") },
		without: func(r engineRequest) engineRequest { return withoutNames(r, "") },
		shows:   badRequestThere,
	},
	{
		name:    "headers-no-token",
		has:     func(r engineRequest) bool { return r.isPreflight() && slices.Contains(namesIn(r), "x amz") },
		without: func(r engineRequest) engineRequest { return withoutNames(r, "x amz") },
		shows:   badRequestThere,
	},
	{
		name: "headers-repeated",
		has:  func(r engineRequest) bool { return r.isPreflight() && len(r.requestHeaders) > 1 },
		without: func(r engineRequest) engineRequest {
			r.requestHeaders = headerLines{strings.Join(r.requestHeaders, ",")}
			return r
		},
		shows: func(ours, theirs engineAnswer) bool { return ours.allowHeaders != theirs.allowHeaders },
	},
	{
		name:    "headers-too-many",
		has:     func(r engineRequest) bool { return r.isPreflight() && len(namesIn(r)) > 128 },
		without: func(r engineRequest) engineRequest { r.requestHeaders = headerLines{namesIn(r)[0]}; return r },
		shows:   deniedHere,
	},
	{
		name:    "actual-request-method",
		has:     func(r engineRequest) bool { return !r.isPreflight() && r.requestMethod != nil },
		without: func(r engineRequest) engineRequest { r.requestMethod = nil; return r },
		shows:   otherRuleThere,
	},
	{
		name:    "actual-request-headers",
		has:     func(r engineRequest) bool { return !r.isPreflight() && r.requestHeaders != nil },
		without: func(r engineRequest) engineRequest { r.requestHeaders = nil; return r },
		shows:   otherRuleThere,
	},
	{
		name:    "not-authenticated",
		has:     func(r engineRequest) bool { return r.unsigned },
		without: func(r engineRequest) engineRequest { r.unsigned = false; return r },
		shows:   deniedThere,
	},
}

var answerClasses = []answerClass{
	{
		name: "refusal-text",
		translate: func(_ engineRequest, _ engineDocument, ours, _ engineAnswer) engineAnswer {
			switch ours.message {
			case harness.OSSNotAllowed:
				ours.message = strings.Replace(ours.message, "Requet", "Request", 1)
			case harness.OSSMissingMethod, "Invalid Access-Control-Request-Method: null":
				ours.message = "Invalid Access-Control-Request-Method: "
			}
			return ours
		},
	},
	{
		name: "star-or-origin",
		translate: func(r engineRequest, rules engineDocument, ours, theirs engineAnswer) engineAnswer {
			if ours.allowOrigin == "*" && len(r.origin) == 1 && theirs.allowOrigin == r.origin[0] &&
				slices.ContainsFunc(rules, func(rule engineRule) bool { return slices.Index(rule.origins, "*") > 0 }) {
				ours.allowOrigin = theirs.allowOrigin
			}
			return ours
		},
	},
	{
		name: "credentials",
		translate: func(_ engineRequest, _ engineDocument, ours, _ engineAnswer) engineAnswer {
			switch ours.allowOrigin {
			case "":
			case "*":
				ours.credentials = "false"
			default:
				ours.credentials = "true"
			}
			return ours
		},
	},
	{
		name: "etag-exposed",
		translate: func(r engineRequest, _ engineDocument, ours, _ engineAnswer) engineAnswer {
			if ours.allowOrigin == "" {
				return ours
			}
			ours.exposeHeaders = withName(ours.exposeHeaders, "ETag")
			if !r.isPreflight() {
				ours.exposeHeaders = withName(ours.exposeHeaders, "x-amz-storage-class")
			}
			return ours
		},
	},
	{
		name: "vary",
		translate: func(r engineRequest, _ engineDocument, ours, _ engineAnswer) engineAnswer {
			if r.isPreflight() && ours.allowOrigin != "" {
				ours.vary = "Origin, Access-Control-Request-Headers, Access-Control-Request-Method"
			}
			return ours
		},
	},
}

func (r engineRequest) isPreflight() bool { return r.method == http.MethodOptions }

// respelled returns origins as the rules spell them.
func respelled(origins headerLines) headerLines {
	origins = slices.Clone(origins)
	for i, origin := range origins {
		for _, known := range engineOrigins {
			for _, spelling := range known {
				if strings.EqualFold(origin, spelling) {
					origins[i] = spelling
				}
			}
		}
	}
	return origins
}

func plainOrigin(r engineRequest) engineRequest {
	r.origin = headerLines{"https://app.example.com"}
	return r
}

// namesIn returns what Access-Control-Request-Headers lists, line by line.
func namesIn(r engineRequest) (names []string) {
	for _, line := range r.requestHeaders {
		for name := range strings.SplitSeq(line, ",") {
			names = append(names, strings.Trim(name, " \t"))
		}
	}
	return names
}

func withoutNames(r engineRequest, name string) engineRequest {
	names := slices.DeleteFunc(namesIn(r), func(n string) bool { return n == name })
	r.requestHeaders = nil
	if len(names) > 0 {
		r.requestHeaders = headerLines{strings.Join(names, ",")}
	}
	return r
}

// withName adds a name to a list of headers, unless it is there.
func withName(list, name string) string {
	names := strings.Split(list, ", ")
	switch {
	case list == "":
		return name
	case slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, name) }):
		return list
	}
	return list + ", " + name
}
