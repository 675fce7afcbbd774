package corsrules

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func lintOf(t testing.TB, cfg *Configuration) []Finding {
	t.Helper()
	findings, err := Lint(cfg.Marshal(), Options{MaxRules: 100})
	if err != nil {
		t.Fatalf("%v in:\n%s", err, cfg.Marshal())
	}
	return findings
}

func codes(findings []Finding) []string {
	codes := []string{}
	for _, f := range findings {
		codes = append(codes, f.Code)
	}
	return codes
}

// Each origin stands alone in a document that is fine otherwise.
func TestLintOrigin(t *testing.T) {
	cases := []struct {
		origin string
		code   string // empty: nothing is found
		text   string // in the message or the advice
	}{
		{"*", "", ""},
		{"https://app.example.com", "", ""},
		{"https://app.example.com:8443", "", ""},
		{"http://app.example.com:443", "", ""},
		{"https://*.example.com", "", ""},
		{"https://*.example.com:8443", "", ""},
		{"https://*.example.co.uk", "", ""},
		{"https://*-preview.example.com", "", ""}, // whoever has example.com has these
		{"https://app*.example.com", "", ""},
		{"http://localhost:*", "", ""},
		{"http://[::1]:*", "", ""},
		{"http://*.localhost:3000", "", ""},
		{"http://*.internal", "", ""},
		{"http*://app.example.com", "", ""}, // http too, and says so
		{"*s://app.example.com", "", ""},
		{"capacitor://localhost", "", ""},
		{"chrome-extension://*", LintWideOrigin, "chrome-extension://evil.example"},
		{"file://", "", ""},
		{"https://xn--r8jz45g.jp", "", ""},

		{"https://*example.com", LintGluedWildcard, "https://evilexample.com"},
		{"https://*example.com", LintGluedWildcard, "write https://*.example.com and https://example.com, each in an AllowedOrigin of its own"},
		{"https://my*example.co.uk:8443", LintGluedWildcard, "https://myevilexample.co.uk:8443"},
		{"https://*-team.vercel.app", LintGluedWildcard, "https://evil-team.vercel.app"},
		{"http://*localhost", LintGluedWildcard, "http://evillocalhost"},
		{"https://*", LintWideOrigin, "https://evil.example"},
		{"https://*:8443", LintWideOrigin, "https://evil.example:8443"},
		{"http*", LintWideOrigin, "https://evil.example"},
		{"https://app*", LintWideOrigin, "https://app.evil.example"},
		{"https://app.*", LintWideOrigin, "https://app.evil.example"},
		{"https://app.example.com*", LintWideOrigin, "https://app.example.com.evil.example"},
		{"https://*.com", LintWideOrigin, "under com"},
		{"https://*com", LintWideOrigin, "under com"},
		{"https://*.co.uk", LintWideOrigin, "under co.uk"},
		{"https://*.github.io", LintWideOrigin, "under github.io"},
		{"https://app-*.vercel.app", LintWideOrigin, "under vercel.app"},
		{"https://*.kawasaki.jp", LintWideOrigin, "under kawasaki.jp"},
		{"https://*.myteam.vercel.app", "", ""},
		{"https://*", LintWideOrigin, "OSS may refuse it"},
		{"null", LintNullOrigin, "sandboxed"},
		{"n*", LintNullOrigin, "sandboxed"},
		{"app.example.com", LintNoScheme, "write https://app.example.com"},
		{"app.example.com/a", LintNoScheme, "write https://app.example.com"},
		{"localhost:*", LintNoScheme, "write https://localhost:*"},
		{"*.example.com", LintNoScheme, "plain http"},
		{"*://app.example.com", LintNoScheme, "plain http"},
		{"*://app.example.com", LintNoScheme, "write https://app.example.com"},
		{"h*://localhost:3000", LintNoScheme, "write https://localhost:3000"},
		{"https://App.example.com", LintUpperCase, "write https://app.example.com"},
		{"https://app.example.com/", LintPathInOrigin, "slash"},
		{"https://app.example.com/", LintPathInOrigin, "write https://app.example.com"},
		{"https://app.example.com/a/b", LintPathInOrigin, "write https://app.example.com"},
		{"https://app.example.com/*", LintPathInOrigin, "write https://app.example.com"},
		{"https://*/", LintPathInOrigin, "write what browsers send"}, // https://* would be a finding too
		{"https://app.example.com:443", LintDefaultPort, "write https://app.example.com"},
		{"http://app.example.com:80", LintDefaultPort, "write http://app.example.com"},
		{"https://*.example.com:443", LintDefaultPort, "write https://*.example.com"},
		{"https://*:443", LintDefaultPort, "write what browsers send"},
		{"https://例え.jp:8443", LintUnmatchableOrigin, "https://xn--r8jz45g.jp:8443"},
		{"https://*.bücher.example", LintUnmatchableOrigin, "https://*.xn--bcher-kva.example"},
		{"https://" + strings.Repeat("a", MaxOriginBytes), LintUnmatchableOrigin, "520 bytes"},

		// What browsers, their extensions and apps do send.
		{"http://127.0.0.1:3000", "", ""},
		{"http://192.168.*.1", "", ""},
		{"http://192.168.1.*:3000", LintWideOrigin, "http://192.168.1.evil.example:3000"},
		{"http://[2001:db8::1]:3000", "", ""},
		{"http://[::1]", "", ""},
		{"https://app.example.com.", "", ""},
		{"https://my_app.example.com", "", ""},
		{"https://app.example.com:0", "", ""},
		{"chrome-extension://abcdefghijklmnopabcdefghijklmnop", "", ""},
		{"moz-extension://*", LintWideOrigin, ""},
		{"ionic://localhost", "", ""},
		{"tauri://localhost", "", ""},
		{"app://.", "", ""},
		{"app://obsidian.md", "", ""},
		{"com.example.app://localhost", "", ""},
		{"capacitor://*", LintWideOrigin, ""},

		// What they do not send, and what they send instead.
		{`"https://app.example.com"`, LintUnmatchableOrigin, "write https://app.example.com"},
		{"'https://app.example.com',", LintUnmatchableOrigin, "write https://app.example.com"},
		{"“https://app.example.com”", LintUnmatchableOrigin, "write https://app.example.com"},
		{"<https://app.example.com>", LintUnmatchableOrigin, "write https://app.example.com"},
		{`"null"`, LintUnmatchableOrigin, "signs around it"},
		{"https://app\u200b.example.com", LintUnmatchableOrigin, "write https://app.example.com"},
		{`https://.*\.example\.com`, LintUnmatchableOrigin, "write https://*.example.com"},
		{`^https://app\.example\.com$`, LintUnmatchableOrigin, "write https://app.example.com"},
		{`https?://app.example.com`, LintUnmatchableOrigin, "regular expression"},
		{`https://(a|b).example.com`, LintUnmatchableOrigin, "regular expression"},
		{`^https://(app)\.example\.com$`, LintUnmatchableOrigin, "regular expression"},
		{"https://a.example.com,https://b.example.com", LintUnmatchableOrigin, "write https://a.example.com and https://b.example.com, each"},
		{"http://localhost:3000,http://localhost:5173", LintUnmatchableOrigin, "write http://localhost:3000 and http://localhost:5173, each"},
		{"http://localhost:3000;localhost:5173/;http://[::1]:3000", LintUnmatchableOrigin, "write http://localhost:3000, https://localhost:5173 and http://[::1]:3000, each"},
		{"https://a.example.comhttps://b.example.com", LintUnmatchableOrigin, "two schemes"},
		{"https:/app.example.com", LintNoScheme, "write https://app.example.com"},
		{"https//app.example.com", LintNoScheme, "write https://app.example.com"},
		{"https:app.example.com", LintNoScheme, "write https://app.example.com"},
		{"https:///app.example.com", LintNoScheme, "write https://app.example.com"},
		{`https:\\app.example.com`, LintNoScheme, "write https://app.example.com"},
		{"http://https://app.example.com", LintNoScheme, "write https://app.example.com"},
		{"//app.example.com", LintNoScheme, "write https://app.example.com"},
		{"https.example.com", LintNoScheme, "write https://https.example.com"},
		{"htps://app.example.com", LintUnmatchableOrigin, "write https://app.example.com"},
		{"wss://app.example.com", LintUnmatchableOrigin, "write https://app.example.com"},
		{"ws://localhost:8080", LintUnmatchableOrigin, "write http://localhost:8080"},
		{"ftp://app.example.com", LintUnmatchableOrigin, "the scheme ftp"},
		{"blob:https://app.example.com", LintUnmatchableOrigin, "does not begin with a scheme"},
		{"https://user@app.example.com", LintUnmatchableOrigin, "write https://app.example.com"},
		{"https://user:secret@app.example.com:8443", LintUnmatchableOrigin, "write https://app.example.com:8443"},
		{"https://app.example.com:", LintUnmatchableOrigin, "write https://app.example.com"},
		{"https://app.example.com:0443", LintDefaultPort, "write https://app.example.com"},
		{"https://app.example.com:08443", LintUnmatchableOrigin, "write https://app.example.com:8443"},
		{"http://localhost:99999", LintUnmatchableOrigin, "up to 65535"},
		{"http://localhost:port", LintUnmatchableOrigin, "up to 65535"},
		{"http://[0:0:0:0:0:0:0:1]:3000", LintUnmatchableOrigin, "write http://[::1]:3000"},
		{"http://[::ffff:127.0.0.1]", LintUnmatchableOrigin, "write http://[::ffff:7f00:1]"},
		{"http://::1:3000", LintUnmatchableOrigin, "as in http://[::1]:3000"},
		{"http://[fe80::1%25eth0]", LintUnmatchableOrigin, "as in http://[::1]:3000"},
		{"https://[app.example.com]", LintUnmatchableOrigin, "write https://app.example.com"},
		{"http://127.1:3000", LintUnmatchableOrigin, "http://127.0.0.1:3000"},
		{"http://192.168.1.300", LintUnmatchableOrigin, "as in http://127.0.0.1:3000"},
		{"http://0x7f000001", LintUnmatchableOrigin, "as in http://127.0.0.1:3000"},
		{"https://", LintUnmatchableOrigin, "has no host"},
		{"https://:8443", LintUnmatchableOrigin, "has no host"},
		{"https://app..example.com", LintUnmatchableOrigin, "a dot too many"},
		{"https://<your-domain>", LintUnmatchableOrigin, `has "<" in its host`},
		{"https://app%2eexample.com", LintUnmatchableOrigin, `has "%" in its host`},
		{"https://app.example.com/?next=https://b.example.com", LintUnmatchableOrigin, "two schemes"},
		{"file:///index.html", LintPathInOrigin, "write file://"},
		{"app://./index.html", LintPathInOrigin, "write app://."},
		{"https://{env.DOMAIN}", LintPlaceholder, "not expanded"},
		{"${DOMAIN}", LintPlaceholder, "not expanded"},
		{"https://app.{$DOMAIN}:8443", LintPlaceholder, "not expanded"},
		{"{{origin}}", LintPlaceholder, "not expanded"},
		{"https://app-*-team.vercel.app", LintGluedWildcard, "list each site"},
	}
	for _, c := range cases {
		cfg := &Configuration{Rules: []CORSRule{{AllowedOrigins: []string{c.origin}, AllowedMethods: []string{"GET"}}}, ResponseVary: true}
		findings := lintOf(t, cfg)
		want := []string{}
		if c.code != "" {
			want = []string{c.code}
		}
		if !slices.Equal(codes(findings), want) || c.code != "" && !strings.Contains(findings[0].String(), c.text) {
			t.Errorf("%s: want %q %s, got:\n%v", c.origin, want, c.text, findings)
		}
	}
	findings := lintOf(t, &Configuration{Rules: []CORSRule{{AllowedOrigins: []string{"*.COM", "NULL"}, AllowedMethods: []string{"GET"}}}, ResponseVary: true})
	if want := []string{LintNoScheme, LintUpperCase, LintWideOrigin, LintNullOrigin, LintUpperCase}; !slices.Equal(codes(findings), want) {
		t.Errorf("several at once: want %q, got %v", want, findings)
	}
}

// What a message says would match does match.
func TestLintOriginTellsTheTruth(t *testing.T) {
	for _, origin := range []string{"https://*example.com", "https://my*example.com:81", "*example.com", "http*", "http*example.com", "https:*", "https://*", "https://*:8443", "http://app*", "https://app.*", "https://app.example.com*"} {
		_, stranger, _ := strings.Cut(checkWildcard(origin).message, "such as ")
		stranger, _, _ = strings.Cut(stranger, ",")
		rules := Compile(&Configuration{Rules: []CORSRule{{AllowedOrigins: []string{origin}, AllowedMethods: []string{"GET"}}}})
		if d := rules.Decide(actual([]string{stranger}, "GET")); d.Outcome != Allowed || !isBrowserOrigin(stranger) {
			t.Errorf("%s: %q does not match, or is not an origin", origin, stranger)
		}
	}
}

func TestLint(t *testing.T) {
	const doc = "\ufeff" + `<CORSConfiguration>
  <CORSRule>
    <ID>all</ID>
    <AllowedOrigin>https://*.example.com</AllowedOrigin>
    <AllowedOrigin>https://a.example.com</AllowedOrigin>
    <AllowedMethod>GET</AllowedMethod><AllowedMethod>PUT</AllowedMethod>
    <AllowedMethod>GET</AllowedMethod>
    <AllowedHeader>x-oss-*</AllowedHeader>
    <AllowedHeader>
      X-Oss-Date
    </AllowedHeader>
    <AllowedHeader>Sec-Fetch-Mode</AllowedHeader>
    <ExposeHeader>ETag</ExposeHeader>
    <ExposeHeader>etag</ExposeHeader>
    <ExposeHeader>Set-Cookie</ExposeHeader>
    <MaxAgeSeconds>86401</MaxAgeSeconds>
  </CORSRule>
  <CORSRule>
    <AllowedOrigin>https://b.example.com</AllowedOrigin>
    <AllowedOrigin>https://other.example</AllowedOrigin>
    <AllowedMethod>GET</AllowedMethod>
    <MaxAgeSeconds>86400</MaxAgeSeconds>
  </CORSRule>
  <CORSRule>
    <AllowedOrigin>https://c.example.com</AllowedOrigin>
    <AllowedMethod>GET</AllowedMethod>
    <AllowedMethod>POST</AllowedMethod>
  </CORSRule>
  <CORSRule>
    <AllowedOrigin>https://c.example.com</AllowedOrigin>
    <AllowedMethod>PUT</AllowedMethod>
    <AllowedMethod>POST</AllowedMethod>
    <AllowedHeader>x-oss-meta-*</AllowedHeader>
    <ExposeHeader>x-oss-request-id</ExposeHeader>
  </CORSRule>
  <CORSRule>
    <AllowedOrigin>https://c.example.com</AllowedOrigin>
    <AllowedMethod>PUT</AllowedMethod>
    <AllowedMethod>POST</AllowedMethod>
  </CORSRule>
</CORSConfiguration>`
	findings, err := Lint([]byte(doc), Options{File: "rules/cors.xml"})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		`rules/cors.xml:4:20: a request's origin is echoed in Access-Control-Allow-Origin, and without ResponseVary a cache may give one origin's response to another: add <ResponseVary>true</ResponseVary> to CORSConfiguration, or response_vary to the oss_cors directive (echo-without-vary)`,
		`rules/cors.xml:5:20: AllowedOrigin "https://*.example.com" matches all that "https://a.example.com" does: remove "https://a.example.com", or "https://*.example.com" if that is too wide (covered-origin)`,
		`rules/cors.xml:7:20: the rule has the AllowedMethod "GET" already: remove this one (duplicate-value)`,
		`rules/cors.xml:10:7: AllowedHeader "x-oss-*" matches all that "x-oss-date" does: remove "x-oss-date", or "x-oss-*" if that is too wide (covered-header)`,
		`rules/cors.xml:12:20: no browser asks for sec-fetch-mode: scripts cannot set it: remove it (forbidden-header)`,
		`rules/cors.xml:14:19: the rule has the ExposeHeader "ETag" already: remove this one (duplicate-value)`,
		`rules/cors.xml:15:19: no browser shows Set-Cookie to scripts, exposed or not: remove it (hidden-header)`,
		`rules/cors.xml:16:20: no browser keeps a preflight's answer for 86401 seconds: Firefox stops at 86400, Chromium at 7200, Safari at 600: write 86400 or less (max-age-beyond-browsers)`,
		`rules/cors.xml:19:20: no request with AllowedOrigin "https://b.example.com" can reach rule 2: rule all matches them first: remove it from this rule, or put the rule above rule all (unreachable-origin)`,
		`rules/cors.xml:26:20: no request with AllowedMethod "GET" can reach rule 3: rule all matches them first: remove it from this rule, or put the rule above rule all (unreachable-method)`,
		`rules/cors.xml:31:20: no request with AllowedMethod "PUT" can reach rule 4: rule all matches them first: remove it from this rule, or put the rule above rule all (unreachable-method)`,
		`rules/cors.xml:34:19: rule 4 decides preflights only, so it does not expose x-oss-request-id to any script: rules all, 3 match the actual requests first, for they do not ask for headers: put the rule above rules all, 3, or expose x-oss-request-id there (unsent-expose-headers)`,
		`rules/cors.xml:36:3: no request can reach rule 5: rules all, 3 match all of its requests first: remove the rule, or put it above rules all, 3 (unreachable-rule)`,
	}
	for i := range max(len(want), len(findings)) {
		got, expected := "", ""
		if i < len(findings) {
			got = findings[i].String()
		}
		if i < len(want) {
			expected = want[i]
		}
		if got != expected {
			t.Errorf("finding %d:\n got %s\nwant %s", i, got, expected)
		}
	}
}

// An ID that is not the rule's name is found, in each form, where it stands.
func TestLintUnusedID(t *testing.T) {
	xml := func(ids ...string) string {
		doc := "<CORSConfiguration><ResponseVary>true</ResponseVary>"
		for i, id := range ids {
			doc += fmt.Sprintf("\n<CORSRule><ID>%s</ID><AllowedOrigin>https://%d.example</AllowedOrigin><AllowedMethod>GET</AllowedMethod></CORSRule>", id, i)
		}
		return doc + "</CORSConfiguration>"
	}
	const advice = "write at most 64 of A-Z, a-z, 0-9, ., _ and -, and not digits alone (unused-id)"
	for _, c := range []struct {
		desc, doc string
		want      []string
	}{
		{"names", xml("app", "a.b_C-1", "", strings.Repeat("a", 64)), nil},
		{"one ID on two rules", xml("app", "app"), []string{`3:15: ID "app" is on 2 rules, so their names in metrics and logs are 1 and 2: give each rule an ID of its own (unused-id)`}},
		{"one ID on three rules", xml("app", "b", "app", "app"), []string{`4:15: ID "app" is on 3 rules, so their names in metrics and logs are 1, 3 and 4: give each rule an ID of its own (unused-id)`}},
		{"digits", xml("app", "7"), []string{`3:15: ID "7" is not the rule's name in metrics and logs, which is 2: ` + advice}},
		{"spaces, twice", xml("for all", "for all"), []string{
			`2:15: ID "for all" is not the rule's name in metrics and logs, which is 1: ` + advice,
			`3:15: ID "for all" is not the rule's name in metrics and logs, which is 2: ` + advice,
		}},
		{"too long", xml(strings.Repeat("a", 65)), []string{`2:15: ID "` + strings.Repeat("a", 65) + `" is not the rule's name in metrics and logs, which is 1: ` + advice}},
		{"JSON", `{"CORSRule": [{"AllowedOrigin": "https://a.example", "AllowedMethod": "GET", "ID": "é"}], "ResponseVary": true}`,
			[]string{`1:84: ID "é" is not the rule's name in metrics and logs, which is 1: ` + advice}},
	} {
		findings, err := Lint([]byte(c.doc), Options{})
		if err != nil {
			t.Fatal(c.desc, err)
		}
		var got []string
		for _, f := range findings {
			got = append(got, strings.TrimPrefix(f.String(), "cors.xml:"))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s:\n got %q\nwant %q", c.desc, got, c.want)
		}
	}
}

func TestLintBadDocument(t *testing.T) {
	findings, err := Lint([]byte("<CORSConfiguration><CORSRule></CORSRule></CORSConfiguration>"), Options{})
	var faults Faults
	if !errors.As(err, &faults) || len(faults) != 2 || findings != nil {
		t.Errorf("want two faults and no finding, got %v and %v", err, findings)
	}
}

// What S3 takes and OSS does not.
func TestLintS3(t *testing.T) {
	doc := rulesDocument("<AllowedOrigin/><AllowedMethod>GET</AllowedMethod><AllowedHeader>{env.HEADER}</AllowedHeader><AllowedHeader>Cookie</AllowedHeader>", "")
	findings, err := Lint([]byte(doc), Options{Dialect: DialectS3})
	want := []string{LintEchoWithoutVary, LintForbiddenHeader, LintForbiddenHeader, LintUnmatchableOrigin}
	got := codes(findings)
	if slices.Sort(got); err != nil || !slices.Equal(got, want) {
		t.Errorf("want %q, got %v %v", want, findings, err)
	}
}

func TestLintCodes(t *testing.T) {
	seen := map[string]bool{}
	for _, code := range LintCodes {
		if seen[code] || strings.Trim(code, "abcdefghijklmnopqrstuvwxyz-") != "" {
			t.Errorf("code %q is given twice, or is not in kebab case", code)
		}
		seen[code] = true
	}
}

// The vocabulary of random documents. With the requests below, every set that one value
// matches and another does not has a request in it.
var (
	someOrigins = []string{"*", "https://*", "https://*.a.example", "https://x.*", "https://x.a.example", "https://X.a.example", "https://b.example", "*.a.example", "*a.example", "https://x.a.*", "null", "https://例.a.example"}
	someMethods = []string{"GET", "PUT", "HEAD"}
	someHeaders = []string{"*", "x-*", "*-a", "x-a", "X-A", "x-b", "x-a*"}

	requestOrigins = []string{"https://x.a.example", "https://y.a.example", "https://b.example", "http://x.a.example", "https://x.q.example", "https://x.a.q", "https://ya.example", "https://q", "q", "null", "https://x.y.a.example", "https://a.example", "wa.example", "w.a.example"}
	requestHeaders = []string{"x-a", "x-b", "x-q", "q-a", "q", "x-q-a", "x-aq"}
)

func someOf(values []string, atLeast int) []string {
	some := []string{}
	for range atLeast + rand.IntN(3) {
		some = append(some, values[rand.IntN(len(values))])
	}
	return some
}

func randomConfiguration() *Configuration {
	cfg := &Configuration{}
	for range 1 + rand.IntN(5) {
		cfg.Rules = append(cfg.Rules, CORSRule{
			AllowedOrigins: someOf(someOrigins, 1),
			AllowedMethods: someOf(someMethods, 1),
			AllowedHeaders: someOf(someHeaders, 0),
			ExposeHeaders:  someOf([]string{"a", "b"}, 0),
		})
	}
	return cfg
}

// eachRequest asks rules for every request of the vocabulary: preflights with every set
// of headers, and actual requests.
func eachRequest(rules *Ruleset, visit func(request string, preflight bool, d Decision)) {
	for _, origin := range requestOrigins {
		for _, method := range someMethods {
			visit(origin+" "+method, false, rules.Decide(actual([]string{origin}, method)))
			for set := range 1 << len(requestHeaders) {
				var headers []string
				for i, header := range requestHeaders {
					if set>>i&1 == 1 {
						headers = append(headers, header)
					}
				}
				d := rules.Decide(preflight([]string{origin}, []string{method}, headers))
				visit(origin+" "+method+" "+strings.Join(headers, ","), true, d)
			}
		}
	}
}

// A rule is found unreachable if and only if no request reaches it; one is found to match
// preflights only if no actual request reaches it; and a value is found redundant only if
// no decision changes without it.
func TestLintAgreesWithTheRules(t *testing.T) {
	rounds := 100
	if testing.Short() {
		rounds = 20
	}
	for range rounds {
		cfg := randomConfiguration()
		doc := cfg.Marshal()
		parsed, err := Parse(doc, Options{})
		if err != nil {
			t.Fatalf("%v in:\n%s", err, doc)
		}
		rules := Compile(parsed)
		reached := map[int]bool{}  // by any request
		answered := map[int]bool{} // by an actual one
		cells := map[string]bool{} // rule and its part
		decisions := []Decision{}
		eachRequest(rules, func(request string, preflight bool, d Decision) {
			decisions = append(decisions, d)
			if d.Rule == nil {
				return
			}
			n := d.Rule.Number()
			origin, rest, _ := strings.Cut(request, " ")
			method, _, _ := strings.Cut(rest, " ")
			reached[n] = true
			answered[n] = answered[n] || !preflight
			cells[fmt.Sprint(n, method)] = true
			for _, o := range parsed.Rules[n-1].AllowedOrigins {
				if covers(o, origin) {
					cells[fmt.Sprint(n, lower(o))] = true
				}
			}
		})
		unreachable := map[int]bool{}
		for _, f := range lintOf(t, cfg) {
			n, element, k := locate(t, doc, f)
			rule := &parsed.Rules[n-1]
			switch f.Code {
			case LintUnreachableRule:
				unreachable[n] = true
			case LintUnsentExposeHeaders:
				if answered[n] {
					t.Errorf("an actual request reaches rule %d: %s in:\n%s", n, f, doc)
				}
			case LintUnreachableOrigin:
				if cells[fmt.Sprint(n, lower(rule.AllowedOrigins[k]))] && !overlapped(rule.AllowedOrigins, k) {
					t.Errorf("a request reaches it: %s in:\n%s", f, doc)
				}
			case LintUnreachableMethod:
				if cells[fmt.Sprint(n, rule.AllowedMethods[k])] {
					t.Errorf("a request reaches it: %s in:\n%s", f, doc)
				}
			case LintDuplicate, LintCoveredOrigin, LintCoveredHeader:
				i := 0
				eachRequest(Compile(without(parsed, n, element, k)), func(request string, _ bool, d Decision) {
					if !same(decisions[i], d) {
						t.Errorf("%s decides %s: %+v, not %+v, in:\n%s", f, request, decisions[i], d, doc)
					}
					i++
				})
			}
		}
		for n, rule := range parsed.Rules {
			matchable := slices.ContainsFunc(rule.AllowedOrigins, isOriginText)
			if unreachable[n+1] != (matchable && !reached[n+1]) {
				t.Errorf("rule %d: reached %t, found unreachable %t, in:\n%s", n+1, reached[n+1], unreachable[n+1], doc)
			}
		}
		if t.Failed() {
			return
		}
	}
}

// overlapped reports whether other origins of the rule share requests with the k-th.
func overlapped(origins []string, k int) bool {
	for i, other := range origins {
		if i == k {
			continue
		}
		for _, request := range requestOrigins {
			if covers(origins[k], request) && covers(other, request) {
				return true
			}
		}
	}
	return false
}

// locate returns the rule, the element and which of the rule's such elements a finding is
// on. Marshal writes a value to a line.
func locate(t *testing.T, doc []byte, f Finding) (rule int, element string, k int) {
	t.Helper()
	lines := strings.Split(string(doc), "\n")
	for i, line := range lines[:f.Line] {
		name, _, _ := strings.Cut(strings.TrimLeft(line, " <"), ">")
		switch {
		case name == "CORSRule":
			rule, element, k = rule+1, name, 0
		case name == element:
			k++
		default:
			element, k = name, 0
		}
		if i == f.Line-1 && f.Column != len(line)-len(strings.TrimLeft(line, " "))+1 &&
			line[f.Column-1-len("<"+name+">"):f.Column-1] != "<"+name+">" {
			t.Fatalf("%s is no place of a value, in:\n%s", f, doc)
		}
	}
	return rule, element, k
}

// without returns cfg without the k-th element of a rule.
func without(cfg *Configuration, n int, element string, k int) *Configuration {
	changed := &Configuration{Rules: slices.Clone(cfg.Rules)}
	rule := &changed.Rules[n-1]
	for name, values := range map[string]*[]string{
		"AllowedOrigin": &rule.AllowedOrigins, "AllowedMethod": &rule.AllowedMethods,
		"AllowedHeader": &rule.AllowedHeaders, "ExposeHeader": &rule.ExposeHeaders,
	} {
		if name == element {
			*values = slices.Delete(slices.Clone(*values), k, k+1)
		}
	}
	return changed
}

func same(a, b Decision) bool {
	number := func(r *Rule) string {
		if r == nil {
			return ""
		}
		return strconv.Itoa(r.Number())
	}
	return a.Outcome == b.Outcome && a.Reason == b.Reason && a.Value == b.Value && a.AllowOrigin == b.AllowOrigin &&
		a.AllowHeaders == b.AllowHeaders && number(a.Rule) == number(b.Rule) && number(a.Nearest) == number(b.Nearest)
}
