package corsrules

import (
	"reflect"
	"strings"
	"testing"
)

// Advice uses the words of the form that the rules are in, and says what the form can allow.
func TestAdviceByForm(t *testing.T) {
	rules := func(form Form) *Ruleset {
		return Compile(&Configuration{Form: form, Rules: []CORSRule{{
			ID: "app", AllowedOrigins: lines("https://a"), AllowedMethods: lines("GET"),
		}}})
	}
	for _, test := range []struct {
		desc, origin, method, headers string
		xml, blocks                   string
	}{
		{"an origin", "https://b", "GET", "",
			"add <AllowedOrigin>https://b</AllowedOrigin> to the rule that is meant for it",
			`add "origin https://b" to the rule that is meant for it`},
		{"a method", "https://a", "PUT", "",
			"add <AllowedMethod>PUT</AllowedMethod> to rule app",
			`add "method PUT" to rule app`},
		{"a method that no document can allow", "https://a", "PATCH", "",
			"use another method, or write the rules as rule blocks in the Caddyfile, which can allow PATCH: a document can allow GET, PUT, DELETE, POST and HEAD only",
			`add "method PATCH" to rule app`},
		{"the same in lower case", "https://a", "patch", "",
			"use another method, or write the rules as rule blocks in the Caddyfile, which can allow PATCH: a document can allow GET, PUT, DELETE, POST and HEAD only",
			"send the method as PATCH: method names are case-sensitive"},
		{"a method in lower case", "https://a", "put", "",
			"send the method as PUT: method names are case-sensitive",
			"send the method as PUT: method names are case-sensitive"},
		{"a method that scripts cannot use", "https://a", "TRACE", "",
			"use another method: no rule can allow TRACE",
			"use another method: no rule can allow TRACE"},
		{"a header", "https://a", "GET", "x-a",
			"add <AllowedHeader>x-a</AllowedHeader> to rule app",
			`add "header x-a" to rule app`},
	} {
		for form, want := range map[Form]string{FormXML: test.xml, FormBlocks: test.blocks} {
			d := rules(form).Decide(preflight(lines(test.origin), lines(test.method), lines(test.headers)))
			if got := d.Advice(); got != want {
				t.Errorf("%s, form %d:\n got %s\nwant %s", test.desc, form, got, want)
			}
		}
	}
}

// What MarshalBlocks cannot quote is an error.
func TestTokensOfBlocks(t *testing.T) {
	for value, want := range map[string]string{
		"https://*.a.example": "https://*.a.example",
		"a name":              "`a name`",
		"no\u00a0break":       "`no\u00a0break`",
		`a "b"`:               "`a \"b\"`",
		"a `b` \"c\"":         "\"a `b` \\\"c\\\"\"",
		"{env.X}":             "",
		"` \\":                "",
	} {
		w := new(blockWriter)
		if got := w.token(value); got != want || (len(w.errs) == 0) != (want != "") {
			t.Errorf("%q: got %q, %v; want %q", value, got, w.errs, want)
		}
	}
	bad := &Configuration{Rules: []CORSRule{{ID: "a", AllowedOrigins: lines("*"), AllowedMethods: lines("TRACE")}}}
	if _, err := bad.MarshalBlocks(); err == nil || !strings.HasPrefix(err.Error(), `rule 1: method "TRACE"`) {
		t.Error(err)
	}
}

// Lint finds in rule blocks what it finds in a document, at their places and in their words.
func TestLintBlocks(t *testing.T) {
	cfg := &Configuration{Form: FormBlocks, Rules: []CORSRule{
		{ID: "app", AllowedOrigins: lines("https://a.example/", "https://*b.example", "https://c.example,https://d.example"), AllowedMethods: lines("GET", "GET"), AllowedHeaders: lines("x-*", "x-a", "cookie"), MaxAgeSeconds: seconds(100_000)},
		{AllowedOrigins: lines("https://a.example/", "https://xb.example"), AllowedMethods: lines("GET", "PATCH"), ExposeHeaders: lines("ETag")},
	}}
	findings := LintBlocks(cfg, func(i int, element string, k int) (string, int) { return "Caddyfile:" + element, 10*i + k + 1 })
	var got []string
	for _, f := range findings {
		got = append(got, f.String())
	}
	want := []string{
		`Caddyfile:AllowedOrigin:1: "https://a.example/" ends with a slash, which browsers do not send: write https://a.example (path-in-origin)`,
		`Caddyfile:AllowedOrigin:2: "https://*b.example" matches other sites whose names end like it, such as https://evilb.example: write https://*.b.example and https://b.example, each as an argument of its own (glued-wildcard)`,
		`Caddyfile:AllowedOrigin:3: "https://c.example,https://d.example" is a list, which is compared as one origin: write https://c.example and https://d.example, each as an argument of its own (unmatchable-origin)`,
		`Caddyfile:AllowedMethod:2: the rule has the method "GET" already: remove this one (duplicate-value)`,
		`Caddyfile:AllowedHeader:2: header "x-*" matches all that "x-a" does: remove "x-a", or "x-*" if that is too wide (covered-header)`,
		`Caddyfile:AllowedHeader:3: no browser asks for cookie: scripts cannot set it: remove it (forbidden-header)`,
		`Caddyfile:MaxAgeSeconds:1: no browser keeps a preflight's answer for 100000 seconds: Firefox stops at 86400, Chromium at 7200, Safari at 600: write 86400 or less (max-age-beyond-browsers)`,
		`Caddyfile:AllowedOrigin:11: "https://a.example/" ends with a slash, which browsers do not send: write https://a.example (path-in-origin)`,
		`Caddyfile:AllowedMethod:11: no request with method "GET" can reach rule 2: rule app matches them first: remove it from this rule, or put the rule above rule app (unreachable-method)`,
		`Caddyfile:AllowedOrigin:1: a request's origin is echoed in Access-Control-Allow-Origin, and without response_vary a cache may give one origin's response to another: add response_vary to the oss_cors directive (echo-without-vary)`,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%s", strings.Join(got, "\n"))
	}
	doc, err := Lint(cfg.Marshal(), Options{})
	if err == nil {
		t.Errorf("PATCH is in a document: %v", doc)
	}
	cfg.Rules[1].AllowedMethods = lines("GET", "PUT")
	doc, err = Lint(cfg.Marshal(), Options{})
	if err != nil || len(doc) != len(findings) {
		t.Errorf("%d findings in the document: %v %v", len(doc), doc, err)
	}
}
