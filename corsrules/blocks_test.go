package corsrules

import "testing"

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
