package stores

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// engineSeed makes every run the same, so that a difference can be looked into.
const engineSeed = 20261121

// What rules and requests are made of. An origin has one spelling in all rules, so that
// only requests vary its case.
var (
	// Each with origins that match it, and one that nearly does.
	engineOrigins = map[string][]string{
		"*":                             {"https://nobody.example", "null", "https://app.example.com"},
		"null":                          {"null", "https://null"},
		"https://app.example.com":       {"https://app.example.com", "https://app.example.com.evil.net"},
		"https://Shop.example.net":      {"https://Shop.example.net", "https://Shop.example.net:8443"},
		"https://*.example.com":         {"https://app.example.com", "https://a.b.example.com", "https://example.com"},
		"https://*.Preview.example.com": {"https://x.Preview.example.com", "http://x.Preview.example.com"},
		"http://localhost:*":            {"http://localhost:5173", "http://localhost:", "http://localhost"},
		"https://ab*bc":                 {"https://abbc", "https://abc"},
		"https://*":                     {"https://nobody.example", "http://nobody.example"},
		"http*://partner.example.org":   {"http://partner.example.org", "https://partner.example.org", "ftp://partner.example.org"},
	}
	engineMethods        = []string{"GET", "PUT", "DELETE", "POST", "HEAD"}
	engineUnknownMethods = []string{"PATCH", "get", "OPTIONS", "GET,PUT"}

	// Each with names that match it, and one that nearly does.
	engineHeaders = map[string][]string{
		"*":             {"x-amz-date", "range"},
		"content-type":  {"content-type", "Content-Type", "content-types"},
		"Content-MD5":   {"content-md5", "content-md"},
		"X-Amz-*":       {"x-amz-date", "X-Amz-Meta-A", "x-amz-", "x-amz"},
		"*-token":       {"csrf-token", "-token", "csrf-tokens"},
		"x-*-id":        {"x-request-id", "x-id"},
		"authorization": {"authorization", "proxy-authorization"},
	}
	engineExposeHeaders = []string{"ETag", "x-amz-request-id", "Content-Length", "x-amz-storage-class"}
)

// engineRule is a CORSRule.
type engineRule struct {
	origins, methods, headers, expose, maxAge []string
}

type engineDocument []engineRule

func (d engineDocument) String() string {
	document := new(strings.Builder)
	document.WriteString("<CORSConfiguration>")
	for _, rule := range d {
		document.WriteString("<CORSRule>")
		for _, element := range []struct {
			name   string
			values []string
		}{
			{"AllowedOrigin", rule.origins},
			{"AllowedMethod", rule.methods},
			{"AllowedHeader", rule.headers},
			{"ExposeHeader", rule.expose},
			{"MaxAgeSeconds", rule.maxAge},
		} {
			for _, value := range element.values {
				fmt.Fprintf(document, "<%s>%s</%[1]s>", element.name, value)
			}
		}
		document.WriteString("</CORSRule>")
	}
	document.WriteString("</CORSConfiguration>")
	return document.String()
}

func generateEngineDocuments(n int) (documents []engineDocument) {
	rng := rand.New(rand.NewPCG(engineSeed, 1))
	for range n {
		var document engineDocument
		for range 1 + rng.IntN(3) {
			document = append(document, engineRule{
				origins: someOf(rng, sortedKeys(engineOrigins), 1, 3),
				methods: someOf(rng, engineMethods, 1, 4),
				headers: someOf(rng, sortedKeys(engineHeaders), 0, 3),
				expose:  someOf(rng, engineExposeHeaders, 0, 3),
				maxAge:  someOf(rng, []string{"0", "5", "86400"}, 0, 1),
			})
		}
		documents = append(documents, document)
	}
	return documents
}

// generateEngineRequests returns requests most of which have something to do with the
// rules that they meet: of a third, everything is drawn from one rule.
func generateEngineRequests(n int, documents []engineDocument) (requests []engineRequest) {
	rng := rand.New(rand.NewPCG(engineSeed, 2))
	for i := range n {
		r := engineRequest{document: rng.IntN(len(documents))}
		rule := oneOf(rng, documents[r.document])
		other := oneOf(rng, documents[r.document])
		if rng.IntN(2) == 0 {
			other = rule
		}
		r.origin = headerLines{oneOf(rng, engineOrigins[oneOf(rng, rule.origins)])}
		method := oneOf(rng, other.methods)
		if rng.IntN(6) == 0 {
			method = oneOf(rng, engineMethods)
		}
		if i%3 == 0 {
			r.method, r.unsigned = method, rng.IntN(5) == 0
		} else {
			r.method, r.requestMethod = "OPTIONS", headerLines{method}
			if names := someNames(rng, other, 0, 3); len(names) > 0 {
				r.requestHeaders = headerLines{strings.Join(names, ",")}
			}
		}
		if rng.IntN(2) == 0 {
			oddities[rng.IntN(len(oddities))](rng, rule, &r)
		}
		requests = append(requests, r)
	}
	return requests
}

// oddities are what browsers do not send, and other clients may.
var oddities = []func(*rand.Rand, engineRule, *engineRequest){
	func(_ *rand.Rand, _ engineRule, r *engineRequest) { r.origin[0] = strings.ToUpper(r.origin[0]) },
	func(_ *rand.Rand, _ engineRule, r *engineRequest) { r.origin[0] = strings.ToLower(r.origin[0]) },
	func(rng *rand.Rand, rule engineRule, r *engineRequest) {
		r.origin = append(r.origin, oneOf(rng, engineOrigins[oneOf(rng, rule.origins)]))
	},
	func(_ *rand.Rand, _ engineRule, r *engineRequest) {
		r.origin[0] = "https://" + strings.Repeat("a", 600) + ".example.com"
	},
	func(_ *rand.Rand, _ engineRule, r *engineRequest) { r.origin[0] = "https://m\u00fcnchen.example.com" },
	func(_ *rand.Rand, _ engineRule, r *engineRequest) { r.origin = nil },

	func(rng *rand.Rand, _ engineRule, r *engineRequest) {
		r.requestMethod = headerLines{oneOf(rng, engineUnknownMethods)}
	},
	func(rng *rand.Rand, _ engineRule, r *engineRequest) {
		r.requestMethod = headerLines{oneOf(rng, engineMethods)}
	},
	func(rng *rand.Rand, _ engineRule, r *engineRequest) {
		r.requestMethod = someOf(rng, engineMethods, 2, 2)
	},
	func(_ *rand.Rand, _ engineRule, r *engineRequest) { r.requestMethod = nil },

	func(rng *rand.Rand, rule engineRule, r *engineRequest) {
		r.requestHeaders = headerLines{strings.Join(someNames(rng, rule, 1, 3), " ,\t")}
	},
	func(rng *rand.Rand, rule engineRule, r *engineRequest) {
		r.requestHeaders = headerLines{strings.Join(someNames(rng, rule, 1, 3), ",,") + ","}
	},
	func(rng *rand.Rand, rule engineRule, r *engineRequest) { r.requestHeaders = someNames(rng, rule, 2, 3) },
	func(rng *rand.Rand, rule engineRule, r *engineRequest) {
		r.requestHeaders = headerLines{strings.Join(append(someNames(rng, rule, 0, 1), "x amz"), ",")}
	},
	func(rng *rand.Rand, rule engineRule, r *engineRequest) {
		name := someNames(rng, rule, 1, 1)[0]
		r.requestHeaders = headerLines{strings.Repeat(name+",", 128) + name}
	},
}

// someNames returns names of request headers, most of which the rule allows.
func someNames(rng *rand.Rand, rule engineRule, least, most int) (names []string) {
	for range least + rng.IntN(most-least+1) {
		allowed := rule.headers
		if len(allowed) == 0 || rng.IntN(10) == 0 {
			allowed = sortedKeys(engineHeaders)
		}
		names = append(names, oneOf(rng, engineHeaders[oneOf(rng, allowed)]))
	}
	return names
}

// someOf returns from least to most of the values, in any order.
func someOf(rng *rand.Rand, values []string, least, most int) (chosen []string) {
	for _, i := range rng.Perm(len(values))[:least+rng.IntN(most-least+1)] {
		chosen = append(chosen, values[i])
	}
	return chosen
}

func oneOf[T any](rng *rand.Rand, values []T) T { return values[rng.IntN(len(values))] }

// sortedKeys returns the keys in order, so that runs are the same.
func sortedKeys(m map[string][]string) (keys []string) {
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
