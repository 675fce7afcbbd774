package corsrules

import (
	"fmt"
	"testing"
)

// benchRuleset has rules of the given number of exact origins each; the request's
// origin and method stand in one of them.
func benchRuleset(rules, origins int) *Ruleset {
	cfg := &Configuration{}
	for r := range rules {
		rule := CORSRule{
			AllowedMethods: []string{"GET", "PUT"},
			AllowedHeaders: []string{"content-type", "x-oss-*"},
			ExposeHeaders:  []string{"ETag", "x-oss-request-id"},
		}
		for o := range origins {
			rule.AllowedOrigins = append(rule.AllowedOrigins, fmt.Sprintf("https://app%d-%d.example.com", r, o))
		}
		cfg.Rules = append(cfg.Rules, rule)
	}
	return Compile(cfg)
}

func BenchmarkDecide(b *testing.B) {
	for _, rules := range []int{1, 10} {
		for _, origins := range []int{1, 10, 100} {
			rs := benchRuleset(rules, origins)
			cases := []struct{ desc, origin string }{
				{"first", "https://app0-0.example.com"},
				{"last", fmt.Sprintf("https://app%d-%d.example.com", rules-1, origins-1)},
				{"denied", "https://evil.example.net"},
			}
			for _, c := range cases {
				origin, method := []string{c.origin}, []string{"PUT"}
				headers := []string{"content-type,x-oss-date"}
				name := fmt.Sprintf("rules=%d/origins=%d/%s", rules, origins, c.desc)
				b.Run("preflight/"+name, func(b *testing.B) {
					b.ReportAllocs()
					r := preflightRequest(origin, method, headers)
					for b.Loop() {
						rs.Decide(ReadRequest(r))
					}
				})
				b.Run("actual/"+name, func(b *testing.B) {
					b.ReportAllocs()
					r := actualRequest(origin, "PUT")
					for b.Loop() {
						rs.Decide(ReadRequest(r))
					}
				})
			}
		}
	}
}

func BenchmarkDecideHeaderDenied(b *testing.B) {
	rs := benchRuleset(10, 10)
	origin, method := []string{"https://app9-9.example.com"}, []string{"PUT"}
	headers := []string{"content-type,x-foo"}
	b.ReportAllocs()
	r := preflightRequest(origin, method, headers)
	for b.Loop() {
		rs.Decide(ReadRequest(r))
	}
}
