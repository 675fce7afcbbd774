package adminapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/caddy-oss-cors/caddy-oss-cors/corsrules"
	"github.com/caddy-oss-cors/caddy-oss-cors/internal/explain"
	"github.com/caddy-oss-cors/caddy-oss-cors/internal/running"
	"github.com/caddy-oss-cors/caddy-oss-cors/metrics"
	"github.com/caddy-oss-cors/caddy-oss-cors/rulesource"
)

// call is callAdmin for an answer that is JSON of type T.
func call[T any](t *testing.T, method, target string, body any) T {
	t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	status, answer := callAdmin(t, method, target, string(text))
	var result T
	if err := json.Unmarshal([]byte(answer), &result); err != nil || status != http.StatusOK {
		t.Fatalf("%s %s: %d %s", method, target, status, answer)
	}
	return result
}

func TestRulesetsOfManyBuckets(t *testing.T) {
	dir := t.TempDir()
	site := serving(t, &rulesource.Directory{Path: dir}, "")
	for i := range 20 {
		bucket := fmt.Sprintf("bucket-%02d", i)
		write(t, filepath.Join(dir, bucket+".xml"), oneRule)
		if _, err := site.Source.Rules(t.Context(), bucket); err != nil {
			t.Fatal(err)
		}
	}
	cases := []struct {
		query string
		want  int
	}{{"", 21}, {"?limit=5", 5}, {"?search=bucket-1", 10}, {"?search=bucket-1&limit=3", 3}, {"?search=none", 0}}
	for _, c := range cases {
		if got := call[[]rulesetStatus](t, "GET", "/oss_cors/rulesets"+c.query, nil); len(got) != c.want {
			t.Errorf("%s: %d rule sets, want %d", c.query, len(got), c.want)
		}
	}
	for _, limit := range []string{"0", "-1", "many"} {
		if status, answer := callAdmin(t, "GET", "/oss_cors/rulesets?limit="+limit, ""); status != http.StatusBadRequest {
			t.Errorf("limit %s: %d %s", limit, status, answer)
		}
	}
}

func TestRuleContent(t *testing.T) {
	document := strings.ReplaceAll(oneRule, "</CORSRule>", "<ExposeHeader>ETag</ExposeHeader><MaxAgeSeconds>600</MaxAgeSeconds></CORSRule>")
	serving(t, &rulesource.Inline{XML: document}, "content")
	rule := rulesets(t)[0].Rules[0]
	if !slices.Equal(rule.ExposeHeaders, []string{"ETag"}) || rule.MaxAge == nil || *rule.MaxAge != 600 {
		t.Errorf("%+v", rule)
	}
}

func TestDocument(t *testing.T) {
	const name = "/etc/caddy/cors.xml"
	serving(t, &rulesource.Inline{XML: oneRule}, name)
	serving(t, &rulesource.Directory{Path: t.TempDir()}, "")
	cfg, err := corsrules.Parse([]byte(oneRule), corsrules.Options{})
	if err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		name   string
		status int
		text   string
	}{
		{name, 200, string(cfg.Marshal())},
		{"bucket-without", 404, "bucket bucket-without has no rules"},
		{"../../config", 404, `no rule set is named "../../config"`},
	}
	for _, c := range cases {
		status, answer := callAdmin(t, "GET", "/oss_cors/rulesets/"+url.PathEscape(c.name)+"/document", "")
		if status != c.status || !strings.HasPrefix(answer, c.text) {
			t.Errorf("%s: %d %s", c.name, status, answer)
		}
	}
}

// Rule blocks are shown as XML if that can say them, else as blocks that are read again.
func TestDocumentOfRuleBlocks(t *testing.T) {
	for _, c := range []struct{ name, method, begins string }{
		{"blocks-get", "GET", "<?xml "},
		{"blocks-patch", "PATCH", "oss_cors {"},
	} {
		site := serving(t, &rulesource.Config{Blocks: []rulesource.Block{{
			ID: "app", AllowedOrigins: []string{"https://app.example.com"}, AllowedMethods: []string{c.method}, AllowedHeaders: []string{"X-A"},
		}}}, c.name)
		site.Policy.ResponseVary = true
		status, text := callAdmin(t, "GET", "/oss_cors/rulesets/"+c.name+"/document", "")
		if status != 200 || !strings.HasPrefix(text, c.begins) {
			t.Errorf("%s: %d %s", c.name, status, text)
		}
		checked := call[checkResult](t, "POST", "/oss_cors/check", checkRequest{Document: text, Ruleset: c.name})
		if !checked.Valid || len(checked.Findings)+len(checked.Changes) != 0 || checked.XML+checked.Caddyfile != text {
			t.Errorf("%s: %+v", c.name, checked)
		}
		request := explainRequest{Request: explain.Request{Origin: "https://app.example.com", Method: c.method, Headers: []string{"x-a"}, Ruleset: c.name}}
		inForce := call[explain.Explanation](t, "POST", "/oss_cors/explain", request)
		request.Document = text
		if e := call[explain.Explanation](t, "POST", "/oss_cors/explain", request); !e.Allowed || !reflect.DeepEqual(e, inForce) {
			t.Errorf("%s: got %+v, want %+v", c.name, e, inForce)
		}
	}
}

// A candidate can be rule blocks. Nothing of the environment or of files is in the answer.
func TestCheckRuleBlocks(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	write(t, secret, "hunter2")
	t.Setenv("TEST_SECRET", "hunter2")
	for _, c := range []struct {
		desc, document string
		fault          string // with its line; empty: it is valid
		finding        string
	}{
		{"blocks alone", "rule app {\n\torigin https://a.example\n\tmethod PATCH\n}\nrule {\n\torigin *\n\tmethod GET\n}\nresponse_vary\n", "", ""},
		{"a directive with other options", "oss_cors @api {\n\tbucket_api {\n\t\taccess_key a b c\n\t}\n\trule {\n\t\torigin https://a.example\n\t\tmethod GET\n\t}\n\tresponse_vary\n}\n", "", ""},
		{"a finding", "rule {\n\torigin https://a.example/\n\tmethod GET\n}\nresponse_vary\n", "", "2 path-in-origin"},
		{"faults", "oss_cors {\nrule {\norigin https://*.*\nmethod get\n}\n}\n", `3 origin "https://*.*" has more than one *`, ""},
		{"too wide", "oss_cors {\nrule {\norigin *\nmethod GET\n}\nallow_credentials\n}\n", `3 origin "*" is not allowed with allow_credentials`, ""},
		{"cut off", "rule {\norigin *\nmethod GET\n", "3 the text ends inside of a block", ""},
		{"no blocks", "oss_cors cors.xml\n", "1 the directive does not have a rule block", ""},
		{"an import", "oss_cors {\nimport " + secret + "\nrule {\norigin *\nmethod GET\n}\n}\n", "2 import is for a whole Caddyfile", ""},
		{"a Caddyfile", "http://a.example {\noss_cors {\nrule {\norigin *\nmethod GET\n}\n}\n}\n", "1 this is a Caddyfile", ""},
		{"a placeholder of the environment", "rule {\norigin *\nmethod {env.TEST_SECRET}\n}\n", `3 method "{env.TEST_SECRET}" is not a method`, ""},
		{"a variable of the environment", "rule {\norigin *\nmethod {$TEST_SECRET}\n}\n", `3 method "{$TEST_SECRET}" is not a method`, ""},
		{"a file", "rule {\norigin {file." + secret + "}\nmethod GET\n}\nresponse_vary\n", "", "2 placeholder"},
		{"an open heredoc", "rule {\norigin <<END\nmethod GET\n}\n", "1 incomplete heredoc", ""},
	} {
		result := call[checkResult](t, "POST", "/oss_cors/check", checkRequest{Document: c.document})
		var fault, finding string
		for _, f := range result.Faults {
			fault += fmt.Sprintln(f.Line, f.Message)
		}
		for _, f := range result.Findings {
			finding += fmt.Sprintln(f.Line, f.Code)
		}
		if result.Valid != (c.fault == "") || !strings.HasPrefix(fault, c.fault) || strings.TrimSpace(finding) != c.finding {
			t.Errorf("%s: %+v", c.desc, result)
		}
		if strings.Contains(fmt.Sprintf("%+v", result), "hunter2") {
			t.Errorf("%s: the answer has the secret: %+v", c.desc, result)
		}
	}
}

func TestDenials(t *testing.T) {
	if got := call[denials](t, "GET", "/oss_cors/denials", nil); got.Origins == nil || got.Latest == nil {
		t.Errorf("there are no lists: %+v", got)
	}
	handle := metrics.Default.Open("denials", metrics.Options{PreflightReasons: []string{"origin", "method"}, DeniedOrigins: 10})
	defer handle.Close()
	const origin = "https://evil.example"
	for _, reason := range []string{"origin", "origin", "method"} {
		handle.Denied(metrics.Preflight, reason, origin)
	}
	denial := running.Denial{
		Ruleset: "denials", Kind: "preflight", Reason: "method", Value: "PUT", Nearest: "app", Origin: origin,
		Method: "PUT", Headers: "content-type, x-foo", Path: "/key", Client: "192.0.2.1", RequestID: "5DECB1F6",
	}
	running.AddDenial(denial)

	got := call[denials](t, "GET", "/oss_cors/denials", nil)
	want := []metrics.DeniedOrigin{{Ruleset: "denials", Origin: origin, Denied: 3, Reasons: map[string]uint64{"origin": 2, "method": 1}}}
	if !reflect.DeepEqual(got.Origins, want) {
		t.Errorf("got %+v, want %+v", got.Origins, want)
	}
	newest := got.Latest[0]
	denial.Number, denial.Time = newest.Number, newest.Time
	if newest != denial || newest.Number == 0 || newest.Time.IsZero() {
		t.Errorf("got %+v, want %+v", newest, denial)
	}
}

func TestExplainCandidate(t *testing.T) {
	site := serving(t, &rulesource.Inline{XML: oneRule}, "candidate")
	candidate := strings.ReplaceAll(oneRule, "https://app.example.com", "https://*.example.com")
	request := explainRequest{Request: explain.Request{Origin: "https://new.example.com", Method: "GET"}, Document: candidate}
	if e := call[explain.Explanation](t, "POST", "/oss_cors/explain", request); !e.Allowed || e.Ruleset != "candidate" {
		t.Errorf("%+v", e)
	}
	request.Document = ""
	if e := call[explain.Explanation](t, "POST", "/oss_cors/explain", request); e.Allowed {
		t.Errorf("the candidate is in force: %+v", e)
	}
	bad := `{"origin": "https://a.example", "method": "GET", "document": "<CORSConfiguration/>"}`
	if status, answer := callAdmin(t, "POST", "/oss_cors/explain", bad); status != http.StatusBadRequest || !strings.Contains(answer, "candidate:1:1: ") {
		t.Errorf("%d %s", status, answer)
	}

	// What the handler would refuse is refused here.
	site.Policy.AllowCredentials = true
	wide, err := json.Marshal(explainRequest{Request: request.Request, Document: strings.ReplaceAll(oneRule, "https://app.example.com", "*.example.com")})
	if err != nil {
		t.Fatal(err)
	}
	if status, answer := callAdmin(t, "POST", "/oss_cors/explain", string(wide)); status != http.StatusBadRequest {
		t.Errorf("%d %s", status, answer)
	}
}

func TestCheck(t *testing.T) {
	serving(t, &rulesource.Inline{XML: oneRule}, "check")
	good := call[checkResult](t, "POST", "/oss_cors/check", checkRequest{Document: oneRule, Ruleset: "check"})
	if !good.Valid || len(good.Faults) != 0 || !strings.Contains(good.XML, "<ID>app</ID>") {
		t.Errorf("%+v", good)
	}
	bad := call[checkResult](t, "POST", "/oss_cors/check", checkRequest{Document: "<CORSConfiguration>\n  <CORSRule>\n</CORSRule></CORSConfiguration>"})
	if bad.Valid || bad.XML != "" || len(bad.Faults) == 0 || bad.Faults[0].Line != 2 || bad.Faults[0].Column != 3 || bad.Faults[0].Message == "" || bad.Faults[0].OSSCode == "" {
		t.Errorf("%+v", bad)
	}
	unwise := call[checkResult](t, "POST", "/oss_cors/check", checkRequest{Document: strings.ReplaceAll(oneRule, "https://app.example.com", "https://APP.example.com/")})
	if !unwise.Valid || len(unwise.Findings) == 0 || unwise.Findings[0].Line != 1 || unwise.Findings[0].Code == "" || unwise.Findings[0].Advice == "" {
		t.Errorf("%+v", unwise)
	}
	many := call[checkResult](t, "POST", "/oss_cors/check", checkRequest{Document: "<CORSConfiguration>" + strings.Repeat("<x/>", 500) + "</CORSConfiguration>"})
	if len(many.Faults) != maxShown || many.More < 400 {
		t.Errorf("%d faults are shown, and %d are not", len(many.Faults), many.More)
	}
	other := call[checkResult](t, "POST", "/oss_cors/check", checkRequest{Document: strings.ReplaceAll(oneRule, "app.example", "other.example"), Ruleset: "check"})
	if len(good.Changes) != 0 || len(other.Changes) != 2 || other.Changes[0].Kind != corsrules.NowAllowed || other.Changes[0].Origins[0] != "https://other.example.com" || other.MoreChanges != 0 {
		t.Errorf("%+v", other.Changes)
	}
	if status, answer := callAdmin(t, "POST", "/oss_cors/check", `{"document": "", "ruleset": "None"}`); status != http.StatusNotFound {
		t.Errorf("%d %s", status, answer)
	}
}

// A document that max_rules allows is not refused as a candidate.
func TestCandidateOfManyRules(t *testing.T) {
	rule := strings.TrimSuffix(strings.TrimPrefix(oneRule, "<CORSConfiguration>"), "</CORSConfiguration>")
	document := "<CORSConfiguration>" + strings.Repeat(rule, 15) + "</CORSConfiguration>"
	source := &rulesource.Inline{XML: document, MaxRules: 15}
	ctx, cancel := caddy.NewContext(caddy.Context{Context: t.Context()})
	defer cancel()
	if err := source.Open(ctx, &rulesource.Options{Name: "many", Logger: zap.NewNop(), Store: metrics.NewStore()}); err != nil {
		t.Fatal(err)
	}
	site := &running.Site{Source: source}
	running.Add(site)
	defer running.Remove(site)
	if result := call[checkResult](t, "POST", "/oss_cors/check", checkRequest{Document: document, Ruleset: "many"}); !result.Valid {
		t.Errorf("%+v", result)
	}
}

func TestPaste(t *testing.T) {
	running.AddDenial(running.Denial{
		Ruleset: "pasted", Kind: "preflight", Origin: "https://evil.example", Method: "PUT", Headers: "content-type, x-foo",
		Path: "/photos/1.jpg", RequestID: "5DECB1F6F3150D373335D8D2",
	})
	yes := true
	denied := explain.Request{Ruleset: "pasted", Origin: "https://evil.example", Method: "PUT", Headers: []string{"content-type, x-foo"}, Preflight: &yes, Verbatim: true}
	cases := []struct{ desc, text, format, url string }{
		{"request ID", " 5DECB1F6F3150D373335D8D2\n", "request_id", "/photos/1.jpg"},
		{"line of Firefox's console", "Cross-Origin Request Blocked: The Same Origin Policy disallows reading the remote resource at https://cdn.example/photos/1.jpg. (Reason: CORS header ‘Access-Control-Allow-Origin’ missing). Status code: 403.", "console", "https://cdn.example/photos/1.jpg"},
	}
	for _, c := range cases {
		got := call[pasteResult](t, "POST", "/oss_cors/paste", pasteRequest{c.text})
		if want := (explain.Pasted{Request: denied, URL: c.url}); got.Format != c.format || len(got.Requests) != 1 || !reflect.DeepEqual(got.Requests[0], want) {
			t.Errorf("%s: %+v", c.desc, got)
		}
	}
	for text, want := range map[string]int{"no such thing": 400, "5DECB1F6F3150D37333500FF": 404, "curl": 404} {
		if status, answer := callAdmin(t, "POST", "/oss_cors/paste", `{"text": "`+text+`"}`); status != want {
			t.Errorf("%s: %d %s", text, status, answer)
		}
	}
	const har = `{"log": {"entries": [{"request": {"method": "PUT", "url": "https://cdn.example/a", "headers": [{"name": "Origin", "value": "https://app.example"}]}}], "comment": "`
	longest := har + strings.Repeat(`\"`, (explain.MaxPaste-len(har)-len(`"}}`))/2) + `"}}`
	if got := call[pasteResult](t, "POST", "/oss_cors/paste", pasteRequest{longest}); got.Format != "har" || len(got.Requests) != 1 {
		t.Errorf("the longest HAR: %+v", got)
	}
	if status, answer := callAdmin(t, "POST", "/oss_cors/paste", `{"text": "`+strings.Repeat("x", maxPasteBody)); status != http.StatusRequestEntityTooLarge {
		t.Errorf("%d %s", status, answer)
	}
}
