package adminapi

import (
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/caddy-oss-cors/caddy-oss-cors/corsrules"
	"github.com/caddy-oss-cors/caddy-oss-cors/internal/explain"
	"github.com/caddy-oss-cors/caddy-oss-cors/internal/freeport"
	"github.com/caddy-oss-cors/caddy-oss-cors/internal/running"
	"github.com/caddy-oss-cors/caddy-oss-cors/metrics"
	"github.com/caddy-oss-cors/caddy-oss-cors/rulesource"
)

// serving makes a site with this source one of the running ones, until the test ends.
func serving(t *testing.T, source rulesource.Source, name string) *running.Site {
	t.Helper()
	ctx, cancel := caddy.NewContext(caddy.Context{Context: t.Context()})
	t.Cleanup(cancel)
	err := source.Open(ctx, &rulesource.Options{Name: name, Logger: zap.NewNop(), Store: metrics.NewStore()})
	if err != nil {
		t.Fatal(err)
	}
	site := &running.Site{Source: source}
	running.Add(site)
	t.Cleanup(func() {
		running.Remove(site)
		if cleaner, ok := source.(caddy.CleanerUpper); ok {
			_ = cleaner.Cleanup()
		}
	})
	return site
}

const oneRule = `<CORSConfiguration><CORSRule><ID>app</ID><AllowedOrigin>https://app.example.com</AllowedOrigin><AllowedMethod>GET</AllowedMethod><AllowedMethod>PUT</AllowedMethod><AllowedHeader>content-type</AllowedHeader></CORSRule></CORSConfiguration>`

// withContent adds what oneRule's rule has.
func withContent(rule ruleStatus) ruleStatus {
	rule.Name, rule.Number = "app", 1
	rule.AllowedOrigins = []string{"https://app.example.com"}
	rule.AllowedMethods = []string{"GET", "PUT"}
	rule.AllowedHeaders = []string{"content-type"}
	return rule
}

// callAdmin sends a request to the admin API's routes, and answers errors as Caddy does.
func callAdmin(t *testing.T, method, target, body string) (status int, answer string) {
	t.Helper()
	mux := http.NewServeMux()
	for _, route := range (API{}).Routes() {
		mux.HandleFunc(route.Pattern, func(w http.ResponseWriter, r *http.Request) {
			err := route.Handler.ServeHTTP(w, r)
			var apiErr caddy.APIError
			switch {
			case errors.As(err, &apiErr):
				w.WriteHeader(apiErr.HTTPStatus)
				_, _ = io.WriteString(w, apiErr.Err.Error())
			case err != nil:
				t.Errorf("%v is not an APIError", err)
			case w.Header().Get("Content-Type") != "application/json" && !strings.HasSuffix(target, "/document"):
				t.Errorf("Content-Type: %s", w.Header().Get("Content-Type"))
			}
		})
	}
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest(method, target, strings.NewReader(body)))
	return w.Code, w.Body.String()
}

func rulesets(t *testing.T) []rulesetStatus {
	t.Helper()
	status, answer := callAdmin(t, http.MethodGet, "/oss_cors/rulesets", "")
	var all []rulesetStatus
	if err := json.Unmarshal([]byte(answer), &all); err != nil || status != http.StatusOK {
		t.Fatalf("%d %s", status, answer)
	}
	return all
}

func TestAdminRulesets(t *testing.T) {
	if all := rulesets(t); len(all) != 0 {
		t.Fatalf("nothing is running, but there is %+v", all)
	}
	file := filepath.Join(t.TempDir(), "cors.xml")
	write(t, file, oneRule)
	before := time.Now()
	site := serving(t, &rulesource.File{Path: file, RefreshOptions: rulesource.RefreshOptions{Refresh: caddy.Duration(rulesource.MinRefresh)}}, "admin-file")
	site.Policy.ResponseVary = true
	serving(t, &rulesource.Inline{XML: oneRule}, "admin-inline")

	rules, err := site.Source.Rules(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	const origin = "https://app.example.com"
	count := func(kind metrics.Kind, r *http.Request) {
		r.Header.Set("Origin", origin)
		rules.Count(kind, rules.Decide(corsrules.ReadRequest(r)), origin)
	}
	for _, method := range []string{"PUT", "GET"} {
		r := httptest.NewRequest(http.MethodOptions, "/", nil)
		r.Header.Set("Access-Control-Request-Method", method)
		count(metrics.Preflight, r)
	}
	count(metrics.Actual, httptest.NewRequest("PUT", "/", nil))
	count(metrics.Actual, httptest.NewRequest("DELETE", "/", nil))

	all := rulesets(t)
	if len(all) != 2 {
		t.Fatalf("%+v", all)
	}
	got := all[0]
	if got.Loaded == nil || got.Loaded.Before(before) || got.Loaded.After(time.Now()) {
		t.Errorf("loaded at %v", got.Loaded)
	}
	got.Loaded = nil
	zero := map[string]map[string]uint64{"preflight": {}, "actual": {}}
	for _, reason := range corsrules.PreflightReasons {
		zero["preflight"][reason.String()] = 0
	}
	for _, reason := range corsrules.ActualReasons {
		zero["actual"][reason.String()] = 0
	}
	denied := map[string]map[string]uint64{"preflight": zero["preflight"], "actual": maps.Clone(zero["actual"])}
	denied["actual"]["method"] = 1
	want := rulesetStatus{
		Name: "admin-file", Source: "file", Document: file, NumberOfRules: 1, ResponseVary: true,
		Rules:  []ruleStatus{withContent(ruleStatus{Hits: map[string]uint64{"preflight": 2, "actual": 1}})},
		Denied: denied,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	if all[1].Name != "admin-inline" || all[1].Source != "inline" || all[1].Document != "inline" || all[1].ResponseVary {
		t.Errorf("%+v", all[1])
	}

	// A bad document leaves the last good rules in force, and says why it is bad.
	write(t, file, "<CORSConfiguration></CORSConfiguration>")
	eventually(t, func() bool {
		got := rulesets(t)[0]
		return strings.Contains(got.LastError, file+":1:1: CORSConfiguration has no CORSRule") && got.NumberOfRules == 1
	})
	write(t, file, oneRule)
	eventually(t, func() bool { return rulesets(t)[0].LastError == "" })
}

func TestAdminRulesetsOfBuckets(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "bucket-a.xml"), oneRule)
	write(t, filepath.Join(dir, "bucket-b.xml"), "bad")
	site := serving(t, &rulesource.Directory{Path: dir}, "")
	if all := rulesets(t); len(all) != 1 || all[0].Name != metrics.OtherBuckets {
		t.Errorf("nothing is loaded, but there is %+v", all)
	}
	for _, bucket := range []string{"bucket-b", "bucket-a", "unknown"} {
		if _, err := site.Source.Rules(t.Context(), bucket); err != nil {
			t.Fatal(err)
		}
	}
	all := rulesets(t)
	if len(all) != 3 || all[0].Name != "bucket-a" || all[0].LastError != "" || all[1].Name != "bucket-b" || all[1].LastError == "" || all[1].NumberOfRules != 0 {
		t.Errorf("%+v", all)
	}
	if all[0].Loaded == nil || all[1].Loaded != nil {
		t.Errorf("loaded at %v and %v; want a time of good rules only", all[0].Loaded, all[1].Loaded)
	}
	if all[0].Unavailable || all[1].Unavailable || all[2].Unavailable {
		t.Errorf("all can be read, and are unavailable: %+v", all)
	}
}

func TestAdminRulesetsOfUnreadableBuckets(t *testing.T) {
	site := serving(t, &rulesource.Directory{Path: filepath.Join(t.TempDir(), "missing")}, "")
	if _, err := site.Source.Rules(t.Context(), "bucket-a"); err == nil {
		t.Fatal("a bucket's rules in a directory that is missing can be read")
	}
	if all := rulesets(t); len(all) != 1 || all[0].Name != metrics.OtherBuckets || !all[0].Unavailable || all[0].LastError == "" {
		t.Errorf("%+v", all)
	}
}

func TestAdminRulesetsShadow(t *testing.T) {
	file := filepath.Join(t.TempDir(), "candidate.xml")
	write(t, file, oneRule)
	site := serving(t, &rulesource.Inline{XML: oneRule}, "admin-live")
	site.Shadow = &rulesource.File{Path: file, RefreshOptions: rulesource.RefreshOptions{Refresh: caddy.Duration(rulesource.MinRefresh)}}
	ctx, cancel := caddy.NewContext(caddy.Context{Context: t.Context()})
	defer cancel()
	if err := site.Shadow.Open(ctx, &rulesource.Options{Logger: zap.NewNop()}); err != nil {
		t.Fatal(err)
	}
	shadow := rulesets(t)[0].Shadow
	if shadow == nil || shadow.Source != "file" || shadow.Document != file || shadow.Loaded == nil || shadow.LastError != "" ||
		!reflect.DeepEqual(shadow.Rules, []ruleStatus{withContent(ruleStatus{})}) || shadow.Denied != nil {
		t.Errorf("%+v", shadow)
	}

	// Candidates that have gone bad show: no metric does.
	write(t, file, "<CORSConfiguration></CORSConfiguration>")
	eventually(t, func() bool {
		live := rulesets(t)[0]
		return strings.Contains(live.Shadow.LastError, file+":1:1: CORSConfiguration has no CORSRule") &&
			live.Shadow.Loaded.Equal(*shadow.Loaded) && live.LastError == ""
	})
	write(t, file, oneRule)
	eventually(t, func() bool { return rulesets(t)[0].Shadow.LastError == "" })
}

func TestAdminExplain(t *testing.T) {
	const asked = `{"origin": "https://app.example.com", "method": "PUT", "headers": ["content-type"]`
	if status, answer, _ := explainBy(t, asked+"}"); status != http.StatusNotFound || answer != "no oss_cors handler is running" {
		t.Errorf("%d %s", status, answer)
	}

	site := serving(t, &rulesource.Inline{XML: oneRule}, "one")
	site.Policy.AllowCredentials = true
	status, answer, e := explainBy(t, asked+"}")
	if status != http.StatusOK || !e.Allowed || e.Preflight.Rule != "app" || e.Ruleset != "one" ||
		e.Preflight.ResponseHeaders["Access-Control-Allow-Credentials"] != "true" {
		t.Errorf("%d %s", status, answer)
	}

	site.Policy.AllowCredentials = false

	dir := t.TempDir()
	write(t, filepath.Join(dir, "bucket-a.xml"), oneRule)
	serving(t, &rulesource.Directory{Path: dir}, "")
	serving(t, &rulesource.Inline{XML: strings.ReplaceAll(oneRule, "PUT", "HEAD")}, "two")
	cases := []struct {
		desc, body string
		status     int
		text       string // in the answer
	}{
		{"by name", asked + `, "ruleset": "one"}`, 200, `"allowed": true`},
		{"by another name", asked + `, "ruleset": "two"}`, 200, `"allowed": false`},
		{"of a bucket", asked + `, "ruleset": "bucket-a"}`, 200, `"ruleset": "bucket-a"`},
		{"of a bucket without rules", asked + `, "ruleset": "bucket-b"}`, 200, `"reason": "no_rules"`},
		{"without preflight", `{"origin": "https://app.example.com", "method": "PUT", "headers": ["x-foo"], "preflight": false, "ruleset": "one"}`, 200, `"allowed": true`},
		{"not said which", asked + "}", 400, "choose a rule set by ruleset: there are one, the buckets of rules directory, two"},
		{"unknown name", asked + `, "ruleset": "Three"}`, 404, `no rule set is named "Three": there are one`},
		{"no JSON", "origin=x", 400, "send JSON such as"},
		{"unknown field", asked + `, "header": "x"}`, 400, `unknown field "header"`},
		{"more after it", asked + "} {}", 400, "there is more after the JSON object"},
		{"empty", "", 400, "send JSON such as"},
		{"no method", `{"origin": "https://app.example.com"}`, 400, "origin and method are needed"},
		{"too long", `{"origin": "` + strings.Repeat("x", maxExplainBody), 413, "more than 409600 bytes"},
	}
	for _, c := range cases {
		if status, answer, _ := explainBy(t, c.body); status != c.status || !strings.Contains(answer, c.text) {
			t.Errorf("%s: %d %s", c.desc, status, answer)
		}
	}
}

// explainBy explains by the body of a request.
func explainBy(t *testing.T, body string) (status int, answer string, e explain.Explanation) {
	t.Helper()
	status, answer = callAdmin(t, http.MethodPost, "/oss_cors/explain", body)
	if status == http.StatusOK {
		if err := json.Unmarshal([]byte(answer), &e); err != nil {
			t.Fatal(err)
		}
	}
	return status, answer, e
}

// With dialect s3 the explanation, the candidates and what they may be are S3's.
func TestAdminDialect(t *testing.T) {
	site := serving(t, &rulesource.Inline{XML: strings.ReplaceAll(oneRule, "https://app", "https://App")}, "s3-rules")
	const asked = `{"ruleset": "s3-rules", "origin": "https://app.example.com", "method": "PUT"`
	if status, answer, e := explainBy(t, asked+"}"); status != http.StatusOK || !e.Allowed || strings.Contains(answer, "Access-Control-Request-Method") {
		t.Errorf("dialect oss: %d %s", status, answer)
	}
	if all := rulesets(t); len(all) != 1 || all[0].Dialect != "" {
		t.Errorf("%+v", all)
	}

	site.Policy.Dialect = corsrules.DialectS3
	if status, answer, e := explainBy(t, asked+"}"); status != http.StatusOK || e.Allowed || e.Preflight.Reason != "origin" {
		t.Errorf("dialect s3: %d %s", status, answer)
	}
	if all := rulesets(t); len(all) != 1 || all[0].Dialect != "s3" {
		t.Errorf("%+v", all)
	}
	candidate := oneRule + "<!--" + strings.Repeat("<", corsrules.MaxS3DocumentBytes-len(oneRule)-len("<!---->")) + "-->"
	quoted, err := json.Marshal(candidate) // which writes each < as six bytes
	if err != nil {
		t.Fatal(err)
	}
	status, answer, e := explainBy(t, asked+`, "document": `+string(quoted)+"}")
	if status != http.StatusOK || !e.Allowed || e.Preflight.ResponseHeaders["Vary"] != "Origin, Access-Control-Request-Headers, Access-Control-Request-Method" {
		t.Errorf("a candidate of %d bytes: %d %.300s", len(candidate), status, answer)
	}
	status, answer = callAdmin(t, http.MethodPost, "/oss_cors/check", `{"ruleset": "s3-rules", "document": `+string(quoted)+"}")
	if status != http.StatusOK || !strings.Contains(answer, `"valid": true`) || strings.Contains(answer, "echo-without-vary") || !strings.Contains(answer, `"change": "allowed"`) {
		t.Errorf("check of %d bytes: %d %.300s", len(candidate), status, answer)
	}
}

func TestAdminMethods(t *testing.T) {
	for path, method := range map[string]string{
		"/oss_cors/rulesets": http.MethodPost, "/oss_cors/rulesets/x/document": http.MethodDelete, "/oss_cors/denials": http.MethodPut,
		"/oss_cors/explain": http.MethodGet, "/oss_cors/check": http.MethodGet, "/oss_cors/paste": http.MethodGet,
	} {
		if status, answer := callAdmin(t, method, path, ""); status != http.StatusMethodNotAllowed || !strings.HasPrefix(answer, method+" "+path+": use ") {
			t.Errorf("%d %s", status, answer)
		}
	}
}

// As Caddy serves it: the module is found, and its errors are JSON.
func TestAdminThroughCaddy(t *testing.T) {
	port, err := freeport.Next()
	if err != nil {
		t.Fatal(err)
	}
	address := "127.0.0.1:" + port
	cfg := `{"admin": {"listen": "` + address + `", "config": {"persist": false}}}`
	if err := caddy.Load([]byte(cfg), true); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = caddy.Stop() }()
	for path, want := range map[string]string{"/oss_cors/rulesets": "[]", "/oss_cors/explain": "use POST"} {
		resp, err := http.Get("http://" + address + path)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if !strings.Contains(string(body), want) || !json.Valid(body) {
			t.Errorf("%s: %s", path, body)
		}
	}
}

// Every field of the admin API's JSON stands in its document.
func TestAdminDocument(t *testing.T) {
	document, err := os.ReadFile("../../docs/admin-api.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, object := range []any{
		rulesetStatus{}, ruleStatus{}, denials{}, metrics.DeniedOrigin{}, running.Denial{},
		explainRequest{}, explain.Explanation{}, explain.Decision{}, explain.Verdict{},
		checkRequest{}, checkResult{}, checkFault{}, checkFinding{}, pasteRequest{}, pasteResult{}, explain.Pasted{},
	} {
		for _, field := range reflect.VisibleFields(reflect.TypeOf(object)) {
			if field.Anonymous {
				continue // its own fields are visible, too
			}
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			if !strings.Contains(string(document), "`"+name+"`") {
				t.Errorf("%T: %s is not documented", object, name)
			}
		}
	}
}

func write(t *testing.T, file, content string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// eventually waits until ok.
func eventually(t *testing.T, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it does not happen")
		}
	}
}
