package corsrules

import (
	"strings"
	"testing"
)

func TestAdviceNamesTheOneDifference(t *testing.T) {
	cases := []struct{ desc, listed, origin, want string }{
		{"scheme", "http://app.localhost:*", "https://app.localhost:3000", "add <AllowedOrigin>https://app.localhost:3000</AllowedOrigin> to rule 1: its origin http://app.localhost:* differs only in the scheme"},
		{"scheme of a sub-domain", "https://*.example.com", "http://a.example.com", "its origin https://*.example.com differs only in the scheme"},
		{"port", "http://localhost:3000", "http://localhost:5173", "its origin http://localhost:3000 differs only in the port"},
		{"a port that is not listed", "https://app.example.com", "https://app.example.com:8443", "its origin https://app.example.com differs only in the port"},
		{"any port, and the scheme's own", "http://localhost:*", "http://localhost", "its origin http://localhost:* differs only in the port"},
		{"port after an IPv6 address", "http://[::1]:3000", "http://[::1]:5173", "its origin http://[::1]:3000 differs only in the port"},
		{"www in the request", "https://example.com", "https://www.example.com", "its origin https://example.com differs only in www."},
		{"www in the rule", "https://www.example.com", "https://example.com", "its origin https://www.example.com differs only in www."},
		{"the domain itself", "https://*.example.com", "https://example.com", "its origin https://*.example.com matches sub-domains only"},
		{"a sub-domain", "https://example.com", "https://a.b.example.com", "its origin https://example.com does not match sub-domains"},
		{"slash in the rule", "https://app.example.com/", "https://app.example.com", `write https://app.example.com in rule 1, where "https://app.example.com/" ends with a slash, which browsers do not send`},
		{"path in the rule", "https://app.example.com/100%", "https://app.example.com", `write https://app.example.com in rule 1, where "https://app.example.com/100%" has a path: browsers send scheme, host and port alone`},
		{"no scheme in the rule", "app.example.com", "https://app.example.com", `write https://app.example.com in rule 1, where "app.example.com" matches no browser's origin: an origin begins with its scheme`},
		{"the default port in the rule", "https://app.example.com:443", "https://app.example.com", `write https://app.example.com in rule 1, where "https://app.example.com:443" matches no browser's origin: the port 443 is left out of an origin`},
		{"case does not count", "https://APP.example.com", "http://app.example.com", "its origin https://APP.example.com differs only in the scheme"},
		{"two differences", "https://app.example.com", "http://app.example.org", "add <AllowedOrigin>http://app.example.org</AllowedOrigin> to the rule that is meant for it"},
		{"a name that ends alike", "https://example.com", "https://evilexample.com", "to the rule that is meant for it"},
		{"a slash in the request", "https://app.example.com", "https://app.example.com/", `correct what sends the request: "https://app.example.com/" ends with a slash, which browsers do not send`},
		{"null", "https://app.example.com", "null", "serve the page from an origin of its own, local files from http://localhost, and list that origin"},
		{"a wildcard in the request", "https://app.example.com", "https://*.*", "correct what sends the request: no rule can list this origin"},
	}
	for _, c := range cases {
		rules := Compile(&Configuration{Rules: []CORSRule{{AllowedOrigins: []string{c.listed}, AllowedMethods: []string{"GET"}}}})
		e := rules.Explain(actual([]string{c.origin}, "GET"))
		if got := e.Advice(); !strings.HasSuffix(got, c.want) {
			t.Errorf("%s: %s listed, %s sent: %s", c.desc, c.listed, c.origin, got)
		}
	}
}

// A rule for all origins does not hide a rule that was meant.
func TestAdviceWithARuleForAllOrigins(t *testing.T) {
	rules := Compile(&Configuration{Rules: []CORSRule{
		{AllowedOrigins: []string{"*"}, AllowedMethods: []string{"GET"}},
		{AllowedOrigins: []string{"https://app.example.com"}, AllowedMethods: []string{"PUT"}},
	}})
	e := rules.Explain(actual([]string{"http://app.example.com"}, "PUT"))
	const want = "add <AllowedOrigin>http://app.example.com</AllowedOrigin> to rule 2: its origin https://app.example.com differs only in the scheme"
	if got := e.Advice(); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// The advice is in the words of the form of the rules.
func TestAdviceOnADifferenceInEachForm(t *testing.T) {
	for form, want := range map[Form]string{
		FormXML:     `add <AllowedOrigin>http://app.example.com</AllowedOrigin> to rule app: its origin https://app.example.com differs only in the scheme`,
		FormBlocks:  `add "origin http://app.example.com" to rule app: its origin https://app.example.com differs only in the scheme`,
		FormS3JSON:  `add "http://app.example.com" to AllowedOrigins of rule app: its origin https://app.example.com differs only in the scheme`,
		FormOSSJSON: `add "http://app.example.com" to AllowedOrigin of rule app: its origin https://app.example.com differs only in the scheme`,
	} {
		cfg := inForm(form, ruleSpec{id: "app", origins: "https://app.example.com", methods: "GET"})
		e := Compile(cfg).Explain(actual([]string{"http://app.example.com"}, "GET"))
		if got := e.Advice(); got != want {
			t.Errorf("form %d:\n got %s\nwant %s", form, got, want)
		}
	}
}

// What the advice says to add is nothing that Lint would find.
func TestAdviceAgreesWithLint(t *testing.T) {
	origins := []string{"https://app.example.com", "http://localhost:3000", "capacitor://localhost", "app.example.com", "null", "https://*", "https://*.com",
		"https://a.example/", "https://a.example:443", "http://a.example:80", "HTTPS://A.example", "https://a.example/p?q", "https://*.*", "x", "file://"}
	headers := []string{"x-foo", "content-type", "cookie", "sec-fetch-mode", "proxy-foo", "host"}
	rules := Compile(&Configuration{Rules: []CORSRule{{AllowedOrigins: []string{"https://other.example"}, AllowedMethods: []string{"PUT"}}}})
	for _, origin := range origins {
		for _, header := range headers {
			for _, sent := range []string{origin, "https://other.example"} {
				e := rules.Explain(preflight([]string{sent}, []string{"PUT"}, []string{header}))
				cfg := &Configuration{ResponseVary: true, Rules: []CORSRule{{AllowedOrigins: []string{"https://other.example"}, AllowedMethods: []string{"PUT"}}}}
				if _, rest, ok := strings.Cut(e.Advice(), "<AllowedOrigin>"); ok {
					value, _, _ := strings.Cut(rest, "</AllowedOrigin>")
					cfg.Rules[0].AllowedOrigins = append(cfg.Rules[0].AllowedOrigins, value)
				}
				if _, rest, ok := strings.Cut(e.Advice(), "<AllowedHeader>"); ok {
					value, _, _ := strings.Cut(rest, "</AllowedHeader>")
					cfg.Rules[0].AllowedHeaders = append(cfg.Rules[0].AllowedHeaders, value)
				}
				findings, err := Lint(cfg.Marshal(), Options{})
				if err != nil || len(findings) > 0 {
					t.Errorf("%s, %s: the advice is %q, and lint says %v %v", sent, header, e.Advice(), findings, err)
				}
			}
		}
	}
}

func TestBrowserOrigin(t *testing.T) {
	cases := []struct{ typed, want, changes string }{
		{"https://app.example.com", "https://app.example.com", ""},
		{" https://app.example.com\n", "https://app.example.com", ""},
		{"https://app.example.com/", "https://app.example.com", "the slash at the end is left out"},
		{"https://app.example.com/a/b?c#d", "https://app.example.com", "the path is left out"},
		{"app.example.com", "https://app.example.com", "an origin begins with its scheme, and https is assumed"},
		{"//app.example.com/x", "https://app.example.com", "an origin begins with its scheme, and https is assumed; the path is left out"},
		{"localhost:3000", "https://localhost:3000", "an origin begins with its scheme, and https is assumed"},
		{"HTTPS://App.Example.com", "https://app.example.com", "upper-case letters become lower-case"},
		{"https://app.example.com:443/", "https://app.example.com", "the slash at the end is left out; the port 443 is left out"},
		{"http://app.example.com:80", "http://app.example.com", "the port 80 is left out"},
		{"http://app.example.com:443", "http://app.example.com:443", ""},
		{"https://me:secret@app.example.com", "https://app.example.com", "the user name is left out"},
		{"https://bücher.example", "https://xn--bcher-kva.example", "letters other than ASCII are sent in punycode"},
		{"http://[::1]:3000", "http://[::1]:3000", ""},
		{"capacitor://localhost", "capacitor://localhost", ""},
		{"null", "null", ""},
		{"*", "*", ""},
		{"https://a b", "https://a b", ""},
		{"", "", ""},
	}
	for _, c := range cases {
		origin, changes := BrowserOrigin(c.typed)
		if got := strings.Join(changes, "; "); origin != c.want || got != c.changes {
			t.Errorf("%q: %q (%s), want %q (%s)", c.typed, origin, got, c.want, c.changes)
		}
	}
}
