package explain

import (
	"net/http"
	"os"
	"slices"
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
					q := Request{Ruleset: name, Origin: origin, Method: method, Headers: lines, Verbatim: true}
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

// What a person types is evaluated as a browser sends it, and the notes say so.
func TestAsBrowsersSend(t *testing.T) {
	long := strings.Repeat("a", 128)
	cases := []struct {
		desc      string
		q         Request
		headers   string
		preflight bool
		notes     string
	}{
		{"as it is", Request{Origin: "https://a.example", Method: "PUT", Headers: []string{"Content-Type, X-Foo"}}, "Content-Type,X-Foo", true, ""},
		{"an address", Request{Origin: "https://a.example/page", Method: "GET"}, "", false, "the origin is https://a.example: the path is left out"},
		{"method", Request{Origin: "https://a.example", Method: " put"}, "", true, "the method is PUT: browsers send it in upper case"},
		{"patch is sent as written", Request{Origin: "https://a.example", Method: "patch"}, "", true, ""},
		{"safelisted by name", Request{Origin: "https://a.example", Method: "GET", Headers: []string{"accept,Accept-Language,content-language"}}, "", false, "no preflight is needed for accept, Accept-Language, content-language: CORS-safelisted"},
		{"not safelisted without a value", Request{Origin: "https://a.example", Method: "GET", Headers: []string{"content-type,range"}}, "content-type,range", true, ""},
		{"Name: value", Request{Origin: "https://a.example", Method: "POST", Headers: []string{"Content-Type: application/json"}}, "Content-Type", true, ""},
		{"a form", Request{Origin: "https://a.example", Method: "POST", Headers: []string{"content-type: multipart/form-data; boundary=x"}}, "", false, "no preflight is needed for content-type: CORS-safelisted"},
		{"text", Request{Origin: "https://a.example", Method: "POST", Headers: []string{"content-type: Text/Plain;charset=UTF-8"}}, "", false, "no preflight is needed for content-type: CORS-safelisted"},
		{"unsafe byte", Request{Origin: "https://a.example", Method: "POST", Headers: []string{"accept: a@b"}}, "accept", true, ""},
		{"language", Request{Origin: "https://a.example", Method: "GET", Headers: []string{"accept-language: de,en;q=0.5"}}, "", false, "no preflight is needed for accept-language: CORS-safelisted"},
		{"not a language", Request{Origin: "https://a.example", Method: "GET", Headers: []string{"accept-language: de_DE"}}, "accept-language", true, ""},
		{"range", Request{Origin: "https://a.example", Method: "GET", Headers: []string{"Range: bytes=0-99"}}, "", false, "no preflight is needed for Range: CORS-safelisted"},
		{"range without a beginning", Request{Origin: "https://a.example", Method: "GET", Headers: []string{"Range: bytes=-99"}}, "Range", true, ""},
		{"too long", Request{Origin: "https://a.example", Method: "GET", Headers: []string{"accept: " + long + "a"}}, "accept", true, ""},
		{"too long together", Request{Origin: "https://a.example", Method: "GET", Headers: slices.Repeat([]string{"accept: " + long}, 9)}, strings.Repeat("accept,", 8) + "accept", true, ""},
		{"copied from developer tools", Request{Origin: "https://a.example", Method: "GET", Headers: []string{
			":authority: cdn.example.com\n:method: GET\naccept: */*\naccept-encoding: gzip, br\ncache-control: no-cache\ncookie: a=b\norigin: https://a.example\n" +
				"pragma: no-cache\npriority: u=1, i\nsec-fetch-mode: cors\nuser-agent: Mozilla/5.0 (X11)\nx-oss-date: 20260101\n"}}, "x-oss-date", true,
			"no preflight is needed for accept: CORS-safelisted; left out, because the browser sets them and not a script: :authority, :method, accept-encoding, cache-control, cookie, origin, pragma, priority, sec-fetch-mode, user-agent"},
		{"cache-control that a script sets", Request{Origin: "https://a.example", Method: "GET", Headers: []string{"cache-control: no-cache"}}, "cache-control", true, ""},
		{"malformed", Request{Origin: "https://a.example", Method: "GET", Headers: []string{"content type"}}, "content type", true, ""},
	}
	for _, c := range cases {
		sent, notes := asBrowsersSend(c.q)
		if got := strings.Join(sent.Headers, ","); got != c.headers || needsPreflight(sent) != c.preflight || strings.Join(notes, "; ") != c.notes {
			t.Errorf("%s: headers %q, preflight %t, notes %q", c.desc, got, needsPreflight(sent), notes)
		}
	}
}
