package explain

import (
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/caddy-oss-cors/caddy-oss-cors/corsrules"
)

// What explain says is what the rules decide, of both requests.
func TestExplainAgreesWithTheRules(t *testing.T) {
	doc, err := os.ReadFile("../command/testdata/commands/cors.xml")
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := corsrules.Parse(doc, corsrules.Options{})
	if err != nil {
		t.Fatal(err)
	}
	rulesets := map[string]*corsrules.Ruleset{"": nil, "cors.xml": corsrules.Compile(cfg)}
	origins := []string{"https://app.example.com", "https://APP.example.com", "https://x.preview.example.com", "https://preview.example.com", "https://c.example.com", "null", "https://evil.example", strings.Repeat("x", 600), "https://a b"}
	methods := []string{"GET", "PUT", "DELETE", "PATCH", "put", "GET,PUT"}
	headers := [][]string{nil, {"", " , "}, {"content-type"}, {"X-OSS-Date", "content-type"}, {"x-foo"}, {"content type"}, {strings.Repeat("a,", 200)}}
	for name, rules := range rulesets {
		for _, origin := range origins {
			for _, method := range methods {
				for _, lines := range headers {
					q := Request{Ruleset: name, Origin: origin, Method: method, Headers: lines}
					e := New(rules, corsrules.Policy{}, q)
					preflight := rules.Decide(corsrules.ReadRequest(&http.Request{Method: "OPTIONS", Header: http.Header{
						"Origin": {origin}, "Access-Control-Request-Method": {method}, "Access-Control-Request-Headers": lines,
					}}))
					actual := rules.Decide(corsrules.ReadRequest(&http.Request{Method: method, Header: http.Header{"Origin": {origin}}}))
					checkDecision(t, q, e.Preflight, preflight)
					checkDecision(t, q, e.Actual, actual)
					decisive := actual
					if e.PreflightNeeded {
						decisive = preflight
					}
					if e.Allowed != (decisive.Outcome == corsrules.Allowed) {
						t.Errorf("%+v: allowed is %t", q, e.Allowed)
					}
				}
			}
		}
	}
}

// checkDecision compares an explained decision with the rules'.
func checkDecision(t *testing.T, q Request, got Decision, d corsrules.Decision) {
	t.Helper()
	rule, nearest := "", ""
	if d.Rule != nil {
		rule = d.Rule.Name()
	}
	if d.Nearest != nil {
		nearest = d.Nearest.Name()
	}
	if got.Outcome != d.Outcome.String() || got.Reason != d.Reason.String() || got.Value != d.Value || got.Rule != rule || got.Nearest != nearest ||
		got.ResponseHeaders["Access-Control-Allow-Origin"] != d.AllowOrigin || got.ResponseHeaders["Access-Control-Allow-Headers"] != d.AllowHeaders {
		t.Errorf("%+v: %+v, but the decision is %+v", q, got, d)
	}
}

func TestNeedsPreflight(t *testing.T) {
	yes, no := true, false
	cases := []struct {
		q    Request
		want bool
	}{
		{Request{Method: "GET"}, false},
		{Request{Method: "POST", Headers: []string{" , "}}, false},
		{Request{Method: "POST", Headers: []string{"content-type"}}, true},
		{Request{Method: "PUT"}, true},
		{Request{Method: "get"}, true},
		{Request{Method: "GET", Preflight: &yes}, true},
		{Request{Method: "PUT", Preflight: &no}, false},
	}
	for _, c := range cases {
		if got := needsPreflight(c.q); got != c.want {
			t.Errorf("%+v: %t", c.q, got)
		}
	}
}
