package corsrules

import (
	"slices"
	"strings"
	"testing"
)

// linted returns what lint finds in a document of one rule with these origins.
func linted(t *testing.T, origins []string) []Finding {
	t.Helper()
	cfg := &Configuration{Rules: []CORSRule{{AllowedOrigins: origins, AllowedMethods: []string{"GET"}}}, ResponseVary: true}
	findings, err := Lint(cfg.Marshal(), Options{})
	if err != nil {
		t.Fatalf("%q: %v", origins, err)
	}
	return findings
}

// checkCures applies each cure of an origin's findings: what it says to write are origins,
// of which lint finds nothing, and the finding is gone. Where lint does not know what to
// write, the advice names no origin but examples.
func checkCures(t *testing.T, origin string) {
	t.Helper()
	for _, f := range linted(t, []string{origin}) {
		if !f.cured {
			if _, named, ok := strings.Cut(f.Advice, "write "); ok && strings.Contains(named, "://") && !strings.Contains(named, "such as ") {
				t.Errorf("%q: the advice names an origin that is not a cure: %s", origin, f)
			}
			continue
		}
		for _, o := range f.cure {
			if !sendable(o) || lower(o) != o {
				t.Errorf("%q: no browser sends what is advised: %s", origin, f)
			}
			if !strings.Contains(f.Advice, o) {
				t.Errorf("%q: the advice does not say %s: %s", origin, o, f)
			}
		}
		if after := linted(t, f.cure); len(after) > 0 {
			t.Errorf("%q: the advice %q has findings of its own: %v", origin, f.Advice, after)
		}
	}
}

// What people have written, and what it is made of.
var curedOrigins = []string{
	"*", "null", "https://*", "http*", "n*", "*.example.com", "*://app.example.com", "h*p://[::1]:3000", "*tp://app.example.com/", "*://", "*example.com", "https://*example.com", "https://my*example.com:8443",
	"https://app-*-team.vercel.app", "https://*.vercel.app", "app.example.com", "localhost:3000", "localhost:*", "//app.example.com",
	"https:/app.example.com", "https//app.example.com", "http://https://app.example.com", "htps://app.example.com", "wss://app.example.com",
	"HTTPS://App.Example.com/", "https://app.example.com/a?b#c", "https://app.example.com:443", "http://app.example.com:80/", "https://app.example.com:",
	"https://user@app.example.com", "http://localhost:99999", "http://[0:0:0:0:0:0:0:1]:3000", "http://[::1]:*", "http://::1", "https://[app.example.com]",
	"https://a.example.com,https://b.example.com", "https://a.example.com;b.example.com/|http://localhost:3000", `"https://app.example.com"`, "“https://app.example.com”,",
	`https://.*\.example\.com`, `^https?://app\.example\.com$`, `^https://a\.example\.com|https://b\.example\.com$`, "https://{env.DOMAIN}", "https://例え.jp", "https://*bücher.example",
	"capacitor://localhost", "chrome-extension://*", "file:///index.html", "app://./", "http://127.1", "A0000:*A0", "*,A0", "https://*.example.com.", "https://*.Example.com:443/x",
}

func TestCures(t *testing.T) {
	for _, origin := range curedOrigins {
		checkCures(t, origin)
	}
}

// Next to another origin of the rule, a cure says only what the rule does not have.
func TestCuresInARule(t *testing.T) {
	for _, c := range []struct {
		origins []string
		want    string // the advice on the first
	}{
		{[]string{"https://app.example.com/", "https://app.example.com"}, "remove it: the rule allows https://app.example.com already"},
		{[]string{"https://app.example.com/", "https://*.example.com"}, "remove it: the rule allows https://app.example.com already"},
		{[]string{"https://*example.com/", "https://example.com"}, "write https://*.example.com"},
		{[]string{"https://app.example.com/", "https://b.example.com"}, "write https://app.example.com"},
	} {
		findings := linted(t, c.origins)
		if len(findings) == 0 || findings[0].Advice != c.want {
			t.Fatalf("%q: want %q, got %v", c.origins, c.want, findings)
		}
		if after := linted(t, slices.Concat(findings[0].cure, c.origins[1:])); len(after) > 0 {
			t.Errorf("%q: after the cure: %v", c.origins, after)
		}
	}
}

// Of origins that differ in case alone, one is left where all advice is followed.
func TestCuresOfOneOriginInTwoCases(t *testing.T) {
	const lowerCase, mixedCase, upperCase = "https://app.example.com", "https://App.example.com", "https://APP.example.com"
	for _, c := range []struct{ origins, want []string }{
		{[]string{mixedCase, lowerCase}, []string{"remove it: the rule allows " + lowerCase + " already"}},
		{[]string{lowerCase, mixedCase}, []string{"remove it: the rule allows " + lowerCase + " already", "remove this one"}},
		{[]string{mixedCase, upperCase}, []string{"write " + lowerCase, "write " + lowerCase, "remove this one"}},
	} {
		var advice []string
		for _, f := range linted(t, c.origins) {
			advice = append(advice, f.Advice)
		}
		if !slices.Equal(advice, c.want) {
			t.Errorf("%q: got %q, want %q", c.origins, advice, c.want)
		}
	}
}

// FuzzCures looks for an origin whose cure lint would find.
func FuzzCures(f *testing.F) {
	for _, origin := range curedOrigins {
		f.Add(origin)
	}
	f.Fuzz(func(t *testing.T, origin string) {
		doc := (&Configuration{Rules: []CORSRule{{AllowedOrigins: []string{origin}, AllowedMethods: []string{"GET"}}}}).Marshal()
		cfg, err := Parse(doc, Options{})
		if err != nil {
			return // lint is for documents that Parse takes
		}
		checkCures(t, cfg.Rules[0].AllowedOrigins[0])
	})
}
