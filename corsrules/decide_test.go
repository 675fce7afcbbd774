package corsrules

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// A case with picked set pins what nobody outside Alibaba knows: our decision, which
// a capture from a real bucket may overturn (docs/oss-behaviour.md says why). Its name
// says so where it fails.
func caseName(desc string, picked bool) string {
	if picked {
		return desc + " [picked]"
	}
	return desc
}

// ruleSpec is a CORSRule for a table: each field a list, its values apart by spaces.
type ruleSpec struct {
	id, origins, methods, headers, expose string
	maxAge                                *int
}

func configuration(specs ...ruleSpec) *Configuration {
	cfg := &Configuration{}
	for _, s := range specs {
		cfg.Rules = append(cfg.Rules, CORSRule{
			ID:             s.id,
			AllowedOrigins: values(s.origins),
			AllowedMethods: values(s.methods),
			AllowedHeaders: values(s.headers),
			ExposeHeaders:  values(s.expose),
			MaxAgeSeconds:  s.maxAge,
		})
	}
	return cfg
}

func values(list string) []string {
	if list == "" {
		return nil
	}
	return strings.Fields(list)
}

func seconds(n int) *int { return &n }

// lines are a header's lines; none is a request without that header.
func lines(each ...string) []string { return each }

// compile compiles cfg; nil, a bucket without configuration, compiles to nil.
func compile(cfg *Configuration) *Ruleset {
	if cfg == nil {
		return nil
	}
	return Compile(cfg)
}

func allowed(rule int, allowOrigin, allowHeaders string) naiveDecision {
	return naiveDecision{outcome: Allowed, rule: rule, allowOrigin: allowOrigin, allowHeaders: allowHeaders}
}

func refused(reason Reason, value string, nearest int) naiveDecision {
	return naiveDecision{outcome: Denied, reason: reason, value: value, nearest: nearest}
}

// summary turns a Decision into a value that == compares.
func summary(d Decision) naiveDecision {
	c := naiveDecision{outcome: d.Outcome, reason: d.Reason, value: d.Value, allowOrigin: d.AllowOrigin, allowHeaders: d.AllowHeaders}
	if d.Rule != nil {
		c.rule = d.Rule.Number()
	}
	if d.Nearest != nil {
		c.nearest = d.Nearest.Number()
	}
	return c
}

// originCases are how origins match. Preflights and actual requests share it.
var originCases = []struct {
	desc    string
	picked  bool
	allowed string
	origin  string
	want    string // Access-Control-Allow-Origin; "" if the origin does not match
}{
	{desc: "exact", allowed: "https://app.example.com", origin: "https://app.example.com", want: "https://app.example.com"},
	{desc: "second of three", allowed: "https://a.com https://b.com https://c.com", origin: "https://b.com", want: "https://b.com"},
	{desc: "another scheme", allowed: "https://app.example.com", origin: "http://app.example.com"},
	{desc: "another port", allowed: "https://app.example.com", origin: "https://app.example.com:8443"},
	{desc: "default port is not dropped", allowed: "https://app.example.com", origin: "https://app.example.com:443"},
	{desc: "longer than what is allowed", allowed: "https://app.example.com", origin: "https://app.example.com.evil.net"},
	{desc: "shorter than what is allowed", allowed: "https://app.example.com", origin: "https://app.example.co"},
	{desc: "a subdomain of what is allowed", allowed: "https://example.com", origin: "https://a.example.com"},
	{desc: "a dot is not a wildcard", allowed: "https://a.b", origin: "https://axb"},
	{desc: "nor is any other sign of regular expressions", allowed: "https://[a-z]+.b? .+", origin: "https://a.b"},
	{desc: "a question mark stands for itself", allowed: "https://a?", origin: "https://a?", want: "https://a?"},

	{desc: "no scheme check", allowed: "www.example.com", origin: "www.example.com", want: "www.example.com"},
	{desc: "without a scheme, the scheme is not ignored", allowed: "www.example.com", origin: "https://www.example.com"},
	{desc: "null is a plain string", allowed: "null", origin: "null", want: "null"},
	{desc: "null is not allowed unless listed", allowed: "https://app.example.com", origin: "null"},

	{desc: "lone star", allowed: "*", origin: "https://anything.example", want: "*"},
	{desc: "lone star matches null", allowed: "*", origin: "null", want: "*"},
	{desc: "lone star matches an origin without scheme", allowed: "*", origin: "www.example.com", want: "*"},
	{desc: "lone star next to the exact origin answers *", allowed: "https://app.example.com *", origin: "https://app.example.com", want: "*"},
	{desc: "lone star after a matching wildcard answers *", allowed: "https://*.example.com *", origin: "https://app.example.com", want: "*"},
	{desc: "an origin that is a star matches a lone star only", allowed: "https://* http://*", origin: "*"},

	{desc: "every https origin", picked: true, allowed: "https://*", origin: "https://a.b:8443", want: "https://a.b:8443"},
	{desc: "every https origin, not http", allowed: "https://*", origin: "http://a.b"},
	{desc: "star for one label", allowed: "https://*.example.com", origin: "https://a.example.com", want: "https://a.example.com"},
	{desc: "star for two labels", allowed: "https://*.example.com", origin: "https://a.b.example.com", want: "https://a.b.example.com"},
	{desc: "star needs the dot after it", allowed: "https://*.example.com", origin: "https://example.com"},
	{desc: "star for nothing between the slash and the dot", allowed: "https://*.example.com", origin: "https://.example.com", want: "https://.example.com"},
	{desc: "suffix must end the origin", allowed: "https://*.example.com", origin: "https://a.example.com.evil.net"},
	{desc: "suffix must end the origin, port included", allowed: "https://*.example.com", origin: "https://a.example.com:8443"},
	{desc: "prefix must begin the origin", allowed: "https://*.example.com", origin: "xhttps://a.example.com"},
	{desc: "star without a dot matches an evil twin", allowed: "https://*example.com", origin: "https://evilexample.com", want: "https://evilexample.com"},
	{desc: "star for a port", allowed: "http://localhost:*", origin: "http://localhost:5173", want: "http://localhost:5173"},
	{desc: "star for a port needs the colon", allowed: "http://localhost:*", origin: "http://localhost"},
	{desc: "star for an empty port", allowed: "http://localhost:*", origin: "http://localhost:", want: "http://localhost:"},
	{desc: "star at the beginning", allowed: "*.example.com", origin: "https://a.example.com", want: "https://a.example.com"},
	{desc: "prefix and suffix overlap in one byte", allowed: "https://ab*bc", origin: "https://abc"},
	{desc: "prefix and suffix touch", allowed: "https://ab*bc", origin: "https://abbc", want: "https://abbc"},
	{desc: "prefix and suffix with a byte between", allowed: "https://ab*bc", origin: "https://abxbc", want: "https://abxbc"},
	{desc: "the same bytes as prefix and suffix", allowed: "aa*aa", origin: "aaa"},
	{desc: "the same bytes as prefix and suffix, twice", allowed: "aa*aa", origin: "aaaa", want: "aaaa"},
	{desc: "second of two wildcards", allowed: "https://*.a.com https://*.b.com", origin: "https://x.b.com", want: "https://x.b.com"},
	{desc: "wildcard before the exact origin", allowed: "https://*.a.com https://b.com", origin: "https://b.com", want: "https://b.com"},

	{desc: "upper case in the request, echoed byte for byte", picked: true, allowed: "https://app.example.com", origin: "HTTPS://App.Example.COM", want: "HTTPS://App.Example.COM"},
	{desc: "upper case in the rule", picked: true, allowed: "HTTPS://App.Example.COM", origin: "https://app.example.com", want: "https://app.example.com"},
	{desc: "upper case in a wildcard's prefix and suffix", picked: true, allowed: "HTTPS://*.Example.COM", origin: "https://a.example.com", want: "https://a.example.com"},
	{desc: "upper case against a wildcard", picked: true, allowed: "https://*.example.com", origin: "https://A.EXAMPLE.com", want: "https://A.EXAMPLE.com"},
	{desc: "NULL", picked: true, allowed: "NULL", origin: "null", want: "null"},
	{desc: "case is ASCII only: the Kelvin sign is not a k", picked: true, allowed: "https://\u212a.com", origin: "https://k.com"},
	{desc: "case is ASCII only: the long s is not an s", picked: true, allowed: "http\u017f://a.com", origin: "https://a.com"},
	{desc: "case is letters only: @ is not a grave accent", picked: true, allowed: "https://A@", origin: "https://a`"},
	{desc: "case is letters only: a bracket is not a brace", picked: true, allowed: "https://A[", origin: "https://a{"},
	{desc: "case is letters only, in a wildcard too", picked: true, allowed: "https://A@*[", origin: "https://a`["},
	{desc: "case is A to Z, both included", picked: true, allowed: "https://AZ*AZ", origin: "https://azaz", want: "https://azaz"},
}

func TestOrigin(t *testing.T) {
	for _, c := range originCases {
		t.Run(caseName(c.desc, c.picked), func(t *testing.T) {
			rs := Compile(configuration(ruleSpec{origins: c.allowed, methods: "GET"}))
			want := refused(OriginMismatch, c.origin, 0)
			if c.want != "" {
				want = allowed(1, c.want, "")
			}
			if got := summary(rs.Decide(preflight(lines(c.origin), lines("GET"), nil))); got != want {
				t.Errorf("Preflight: got %+v, want %+v", got, want)
			}
			if got := summary(rs.Decide(actual(lines(c.origin), "GET"))); got != want {
				t.Errorf("Actual: got %+v, want %+v", got, want)
			}
		})
	}
}

// methodCases are how methods match: exact, case-sensitive.
var methodCases = []struct {
	desc    string
	allowed string
	method  string
	want    bool
}{
	{"GET", "GET", "GET", true},
	{"PUT", "PUT", "PUT", true},
	{"DELETE", "DELETE", "DELETE", true},
	{"POST", "POST", "POST", true},
	{"HEAD", "HEAD", "HEAD", true},
	{"last of five", "GET PUT DELETE POST HEAD", "HEAD", true},
	{"not listed", "PUT DELETE POST HEAD", "GET", false},
	{"GET does not allow HEAD", "GET", "HEAD", false},
	{"no method is simple", "PUT", "POST", false},
	{"lower case", "GET", "get", false},
	{"mixed case", "GET", "Get", false},
	{"unknown", "GET PUT DELETE POST HEAD", "PATCH", false},
	{"OPTIONS", "GET PUT DELETE POST HEAD", "OPTIONS", false},
	{"a star", "GET PUT DELETE POST HEAD", "*", false},
	{"a prefix", "DELETE", "DEL", false},
	{"two, without a comma", "GET PUT", "GET PUT", false},
}

func TestMethod(t *testing.T) {
	for _, c := range methodCases {
		t.Run(c.desc, func(t *testing.T) {
			rs := Compile(configuration(ruleSpec{origins: "*", methods: c.allowed}))
			want := refused(MethodMismatch, c.method, 1)
			if c.want {
				want = allowed(1, "*", "")
			}
			if got := summary(rs.Decide(preflight(lines("https://a"), lines(c.method), nil))); got != want {
				t.Errorf("Preflight: got %+v, want %+v", got, want)
			}
			if c.method == "OPTIONS" {
				return // with Origin it is a preflight
			}
			if got := summary(rs.Decide(actual(lines("https://a"), c.method))); got != want {
				t.Errorf("Actual: got %+v, want %+v", got, want)
			}
		})
	}
}

// manyNames returns n distinct header names as one line.
func manyNames(n int) string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("x-%d", i)
	}
	return strings.Join(names, ",")
}

// preflightCases are whole decisions: how header lists match, their
// bounds, the order of rules, and the order of checks.
var preflightCases = func() []preflightCase {
	var (
		one     = configuration(ruleSpec{origins: "https://a", methods: "GET PUT", headers: "content-type x-oss-*"})
		open    = configuration(ruleSpec{origins: "*", methods: "GET", headers: "*"})
		bare    = configuration(ruleSpec{origins: "https://a", methods: "GET"})
		headers = func(list string) *Configuration {
			return configuration(ruleSpec{origins: "https://a", methods: "GET", headers: list})
		}
		a, get = lines("https://a"), lines("GET")
		long   = "https://" + strings.Repeat("o", MaxOriginBytes-len("https://"))
	)
	const (
		acrm = "access-control-request-method"
		acrh = "access-control-request-headers"
	)
	return []preflightCase{
		// Headers.
		{desc: "no header asked for", cfg: bare, origin: a, method: get, want: allowed(1, "https://a", "")},
		{desc: "no header asked for, though the rule lists some", cfg: one, origin: a, method: get, want: allowed(1, "https://a", "")},
		{desc: "a header asked for, and the rule lists none", cfg: bare, origin: a, method: get, headers: lines("content-type"), want: refused(HeaderMismatch, "content-type", 1)},
		{desc: "exact header", cfg: one, origin: a, method: get, headers: lines("content-type"), want: allowed(1, "https://a", "content-type")},
		{desc: "no header is safelisted", cfg: headers("x-a"), origin: a, method: get, headers: lines("accept"), want: refused(HeaderMismatch, "accept", 1)},
		{desc: "header asked for in upper case", cfg: one, origin: a, method: get, headers: lines("Content-TYPE"), want: allowed(1, "https://a", "content-type")},
		{desc: "wildcard header", cfg: one, origin: a, method: get, headers: lines("x-oss-meta-a"), want: allowed(1, "https://a", "x-oss-meta-a")},
		{desc: "wildcard header in upper case", cfg: one, origin: a, method: get, headers: lines("X-OSS-Date"), want: allowed(1, "https://a", "x-oss-date")},
		{desc: "wildcard header, its star for nothing", cfg: one, origin: a, method: get, headers: lines("x-oss-"), want: allowed(1, "https://a", "x-oss-")},
		{desc: "wildcard header, its prefix not whole", cfg: one, origin: a, method: get, headers: lines("x-oss"), want: refused(HeaderMismatch, "x-oss", 1)},
		{desc: "wildcard header, its prefix in the middle", cfg: one, origin: a, method: get, headers: lines("a-x-oss-b"), want: refused(HeaderMismatch, "a-x-oss-b", 1)},
		{desc: "star in the middle", cfg: headers("x-*-id"), origin: a, method: get, headers: lines("x-request-id"), want: allowed(1, "https://a", "x-request-id")},
		{desc: "star in the middle, prefix and suffix overlap", cfg: headers("ab*bc"), origin: a, method: get, headers: lines("abc"), want: refused(HeaderMismatch, "abc", 1)},
		{desc: "star in the middle, prefix and suffix touch", cfg: headers("ab*bc"), origin: a, method: get, headers: lines("abbc"), want: allowed(1, "https://a", "abbc")},
		{desc: "star at the beginning", cfg: headers("*-id"), origin: a, method: get, headers: lines("x-id"), want: allowed(1, "https://a", "x-id")},
		{desc: "lone star", cfg: open, origin: a, method: get, headers: lines("anything"), want: allowed(1, "*", "anything")},
		{desc: "lone star covers authorization", cfg: open, origin: a, method: get, headers: lines("authorization"), want: allowed(1, "*", "authorization")},
		{desc: "lone star next to others", cfg: headers("x-a *"), origin: a, method: get, headers: lines("x-b"), want: allowed(1, "https://a", "x-b")},
		{desc: "a star asked for is a name like others", cfg: headers("x-*"), origin: a, method: get, headers: lines("*"), want: refused(HeaderMismatch, "*", 1)},
		{desc: "a star asked for where all are allowed", cfg: open, origin: a, method: get, headers: lines("*"), want: allowed(1, "*", "*")},
		{desc: "first of two is not allowed", cfg: one, origin: a, method: get, headers: lines("x-foo,content-type"), want: refused(HeaderMismatch, "x-foo", 1)},
		{desc: "last of two is not allowed", cfg: one, origin: a, method: get, headers: lines("content-type,x-foo"), want: refused(HeaderMismatch, "x-foo", 1)},
		{desc: "two are not allowed: the first is named, in lower case", cfg: one, origin: a, method: get, headers: lines("content-type,X-Foo,x-bar"), want: refused(HeaderMismatch, "x-foo", 1)},
		{desc: "a longer name that begins with an allowed one", cfg: one, origin: a, method: get, headers: lines("content-type-x"), want: refused(HeaderMismatch, "content-type-x", 1)},

		// The list. [picked], but for what a browser sends: one line, sorted, "a,b".
		{desc: "as a browser sends it", cfg: open, origin: a, method: get, headers: lines("content-type,x-a,x-b"), want: allowed(1, "*", "content-type, x-a, x-b")},
		{desc: "order is the request's", cfg: open, origin: a, method: get, headers: lines("x-b,x-a"), want: allowed(1, "*", "x-b, x-a")},
		{desc: "answered in lower case", cfg: open, origin: a, method: get, headers: lines("X-B, Content-Type"), want: allowed(1, "*", "x-b, content-type")},
		{desc: "already as the answer will be", cfg: open, origin: a, method: get, headers: lines("x-a, x-b"), want: allowed(1, "*", "x-a, x-b")},
		{desc: "several lines are one list", picked: true, cfg: open, origin: a, method: get, headers: lines("x-a", "x-b,x-c", "x-d"), want: allowed(1, "*", "x-a, x-b, x-c, x-d")},
		{desc: "the second line is evaluated too", picked: true, cfg: one, origin: a, method: get, headers: lines("content-type", "x-foo"), want: refused(HeaderMismatch, "x-foo", 1)},
		{desc: "spaces and tabs", picked: true, cfg: open, origin: a, method: get, headers: lines(" \tx-a\t ,\t x-b \t"), want: allowed(1, "*", "x-a, x-b")},
		{desc: "empty elements", picked: true, cfg: open, origin: a, method: get, headers: lines(",,x-a, ,\t,x-b,"), want: allowed(1, "*", "x-a, x-b")},
		{desc: "an empty line among others", picked: true, cfg: open, origin: a, method: get, headers: lines("x-a", "", "x-b"), want: allowed(1, "*", "x-a, x-b")},
		{desc: "a canonical line, then an empty one", picked: true, cfg: open, origin: a, method: get, headers: lines("x-a, x-b", ","), want: allowed(1, "*", "x-a, x-b")},
		{desc: "an empty line is absent", picked: true, cfg: bare, origin: a, method: get, headers: lines(""), want: allowed(1, "https://a", "")},
		{desc: "a list without any name is absent", picked: true, cfg: bare, origin: a, method: get, headers: lines(" , \t,", ","), want: allowed(1, "https://a", "")},
		{desc: "a name asked for twice is echoed twice", picked: true, cfg: open, origin: a, method: get, headers: lines("x-a,X-A"), want: allowed(1, "*", "x-a, x-a")},
		{desc: "a name asked for twice, on two lines", picked: true, cfg: open, origin: a, method: get, headers: lines("x-a", "x-a"), want: allowed(1, "*", "x-a, x-a")},
		{desc: "every byte of a token", cfg: open, origin: a, method: get, headers: lines(tokenBytes), want: allowed(1, "*", strings.ToLower(tokenBytes))},

		// A name that is not a token makes the preflight malformed. [picked]
		{desc: "a space within a name", picked: true, cfg: open, origin: a, method: get, headers: lines("x-a x-b"), want: refused(Malformed, acrh, 0)},
		{desc: "a tab within a name", picked: true, cfg: open, origin: a, method: get, headers: lines("x\ta"), want: refused(Malformed, acrh, 0)},
		{desc: "a colon", picked: true, cfg: open, origin: a, method: get, headers: lines("x-a:"), want: refused(Malformed, acrh, 0)},
		{desc: "a semicolon for a comma", picked: true, cfg: open, origin: a, method: get, headers: lines("x-a;x-b"), want: refused(Malformed, acrh, 0)},
		{desc: "quotes", picked: true, cfg: open, origin: a, method: get, headers: lines(`"x-a"`), want: refused(Malformed, acrh, 0)},
		{desc: "not ASCII", picked: true, cfg: open, origin: a, method: get, headers: lines("x-é"), want: refused(Malformed, acrh, 0)},
		{desc: "NUL", picked: true, cfg: open, origin: a, method: get, headers: lines("x\x00"), want: refused(Malformed, acrh, 0)},
		{desc: "DEL", picked: true, cfg: open, origin: a, method: get, headers: lines("x\x7f"), want: refused(Malformed, acrh, 0)},
		{desc: "trimmed of spaces and tabs, not of line feeds", picked: true, cfg: open, origin: a, method: get, headers: lines("x-a\n"), want: refused(Malformed, acrh, 0)},
		{desc: "the last name of the last line is not a token", picked: true, cfg: open, origin: a, method: get, headers: lines("x-a", "x-b,("), want: refused(Malformed, acrh, 0)},
		{desc: "malformed comes before the rules", picked: true, cfg: one, origin: lines("https://evil"), method: get, headers: lines("x-foo,("), want: refused(Malformed, acrh, 0)},

		// Bounds. [picked]
		{desc: "128 names", picked: true, cfg: open, origin: a, method: get, headers: lines(manyNames(128)), want: allowed(1, "*", strings.ReplaceAll(manyNames(128), ",", ", "))},
		{desc: "129 names", picked: true, cfg: open, origin: a, method: get, headers: lines(manyNames(129)), want: refused(Malformed, acrh, 0)},
		{desc: "129 names on two lines", picked: true, cfg: open, origin: a, method: get, headers: lines(manyNames(128), "x"), want: refused(Malformed, acrh, 0)},
		{desc: "129 times the same name", picked: true, cfg: open, origin: a, method: get, headers: lines(strings.Repeat("x,", 129)), want: refused(Malformed, acrh, 0)},
		{desc: "128 names among empty elements", picked: true, cfg: open, origin: a, method: get, headers: lines(",, ," + manyNames(128) + ", ,,"), want: allowed(1, "*", strings.ReplaceAll(manyNames(128), ",", ", "))},
		{desc: "8 KiB", picked: true, cfg: open, origin: a, method: get, headers: lines(strings.Repeat("x", 8192)), want: allowed(1, "*", strings.Repeat("x", 8192))},
		{desc: "8 KiB and a byte", picked: true, cfg: open, origin: a, method: get, headers: lines(strings.Repeat("x", 8193)), want: refused(Malformed, acrh, 0)},
		{desc: "8 KiB on two lines", picked: true, cfg: open, origin: a, method: get, headers: lines(strings.Repeat("x", 8191), "y"), want: allowed(1, "*", strings.Repeat("x", 8191)+", y")},
		{desc: "8 KiB and a byte on two lines", picked: true, cfg: open, origin: a, method: get, headers: lines(strings.Repeat("x", 8191), "yy"), want: refused(Malformed, acrh, 0)},
		{desc: "8 KiB and a byte of nothing", picked: true, cfg: open, origin: a, method: get, headers: lines(strings.Repeat(",", 8193)), want: refused(Malformed, acrh, 0)},
		{desc: "8 KiB and a byte, commas among them, for a rule without headers", picked: true, cfg: bare, origin: a, method: get, headers: lines(strings.Repeat(" ", 4097), strings.Repeat(",", 4096)), want: refused(Malformed, acrh, 0)},
		{desc: "past the stack's buffer", cfg: headers("x*"), origin: a, method: get, headers: lines(strings.Repeat("X", 600) + ",x-a"), want: allowed(1, "https://a", strings.Repeat("x", 600)+", x-a")},
		{desc: "past the stack's buffer, denied", cfg: headers("x*"), origin: a, method: get, headers: lines(strings.Repeat("X", 600) + ",A-B"), want: refused(HeaderMismatch, "a-b", 1)},
		{desc: "an origin of 512 bytes", picked: true, cfg: configuration(ruleSpec{origins: "https://*", methods: "GET"}), origin: lines(long), method: get, want: allowed(1, long, "")},
		{desc: "an origin of 513 bytes", picked: true, cfg: open, origin: lines(long + "o"), method: get, want: refused(Malformed, "origin", 0)},

		// Origin and Access-Control-Request-Method, broken. [picked]
		{desc: "two origins", picked: true, cfg: open, origin: lines("https://a", "https://b"), method: get, want: refused(Malformed, "origin", 0)},
		{desc: "the same origin twice", picked: true, cfg: open, origin: lines("https://a", "https://a"), method: get, want: refused(Malformed, "origin", 0)},
		{desc: "two origins, apart by a line without a value", picked: true, cfg: open, origin: lines("https://a", "", "https://a"), method: get, want: refused(Malformed, "origin", 0)},
		{desc: "an origin next to lines without a value", picked: true, cfg: open, origin: lines("", "https://a", ""), method: get, want: allowed(1, "*", "")},
		{desc: "a space within the origin", picked: true, cfg: open, origin: lines("https://a https://b"), method: get, want: refused(Malformed, "origin", 0)},
		{desc: "a comma in the origin is a byte like others", picked: true, cfg: configuration(ruleSpec{origins: "https://*", methods: "GET"}), origin: lines("https://a,https://b"), method: get, want: allowed(1, "https://a,https://b", "")},
		{desc: "the first visible byte in the origin", picked: true, cfg: open, origin: lines("!"), method: get, want: allowed(1, "*", "")},
		{desc: "the last visible byte in the origin", picked: true, cfg: open, origin: lines("~"), method: get, want: allowed(1, "*", "")},
		{desc: "DEL in the origin", picked: true, cfg: open, origin: lines("https://a\x7f"), method: get, want: refused(Malformed, "origin", 0)},
		{desc: "a control character in the origin", picked: true, cfg: open, origin: lines("https://\x1fa"), method: get, want: refused(Malformed, "origin", 0)},
		{desc: "a line end in the origin", picked: true, cfg: open, origin: lines("https://a\r\nx: y"), method: get, want: refused(Malformed, "origin", 0)},
		{desc: "not ASCII in the origin", picked: true, cfg: open, origin: lines("https://bücher.example"), method: get, want: refused(Malformed, "origin", 0)},
		{desc: "two methods", picked: true, cfg: open, origin: a, method: lines("GET", "PUT"), want: refused(Malformed, acrm, 0)},
		{desc: "the same method twice", picked: true, cfg: open, origin: a, method: lines("GET", "GET"), want: refused(Malformed, acrm, 0)},
		{desc: "a method next to lines without a value", picked: true, cfg: open, origin: a, method: lines("", "GET", ""), want: allowed(1, "*", "")},
		{desc: "a comma in the method", picked: true, cfg: open, origin: a, method: lines("GET,PUT"), want: refused(Malformed, acrm, 0)},
		{desc: "a trailing comma in the method", picked: true, cfg: open, origin: a, method: lines("GET,"), want: refused(Malformed, acrm, 0)},
		{desc: "a lone comma for a method", picked: true, cfg: open, origin: a, method: lines(","), want: refused(Malformed, acrm, 0)},
		{desc: "a method that no rule could allow is not malformed", picked: true, cfg: open, origin: a, method: lines("(/)"), want: refused(MethodMismatch, "(/)", 1)},
		{desc: "origin and method broken: the origin is named", picked: true, cfg: open, origin: lines("https://a", "b"), method: lines("GET,"), headers: lines("("), want: refused(Malformed, "origin", 0)},
		{desc: "method and headers broken: the method is named", picked: true, cfg: open, origin: a, method: lines("GET,"), headers: lines("("), want: refused(Malformed, acrm, 0)},

		// Space around a value is not part of it (RFC 9110, section 5.5); HTTP/2
		// hands it through.
		{desc: "space around the origin", picked: true, cfg: one, origin: lines(" https://a\t"), method: get, want: allowed(1, "https://a", "")},
		{desc: "space around the method", picked: true, cfg: one, origin: a, method: lines("\tGET "), want: allowed(1, "https://a", "")},

		// The order of checks (docs/oss-behaviour.md, section 3).
		{desc: "no origin", cfg: open, method: get, want: refused(MissingOrigin, "", 0)},
		{desc: "an empty origin", picked: true, cfg: open, origin: lines(""), method: get, want: refused(MissingOrigin, "", 0)},
		{desc: "two empty origins", picked: true, cfg: open, origin: lines("", ""), method: get, want: refused(MissingOrigin, "", 0)},
		{desc: "an origin of white space", picked: true, cfg: open, origin: lines(" \t"), method: get, want: refused(MissingOrigin, "", 0)},
		{desc: "no method", cfg: open, origin: a, want: refused(MissingMethod, "", 0)},
		{desc: "an empty method", picked: true, cfg: open, origin: a, method: lines(""), want: refused(MissingMethod, "", 0)},
		{desc: "no method, headers all the same", cfg: open, origin: a, headers: lines("x-a"), want: refused(MissingMethod, "", 0)},
		{desc: "not enabled", cfg: nil, origin: a, method: get, want: refused(NoRules, "", 0)},
		{desc: "no origin comes before not enabled", cfg: nil, method: get, want: refused(MissingOrigin, "", 0)},
		{desc: "not enabled comes before no method", picked: true, cfg: nil, origin: a, want: refused(NoRules, "", 0)},
		{desc: "no origin comes before a broken method", picked: true, cfg: open, method: lines("GET", "PUT"), want: refused(MissingOrigin, "", 0)},
		{desc: "no method comes before a broken origin", picked: true, cfg: open, origin: lines("https://a", "https://b"), want: refused(MissingMethod, "", 0)},
		{desc: "not enabled comes before a broken origin", picked: true, cfg: nil, origin: lines("https://a", "https://b"), method: get, want: refused(NoRules, "", 0)},
		{desc: "not enabled comes before a broken method", picked: true, cfg: nil, origin: a, method: lines("GET,PUT"), want: refused(NoRules, "", 0)},
		{desc: "not enabled comes before broken headers", picked: true, cfg: nil, origin: a, method: get, headers: lines("("), want: refused(NoRules, "", 0)},

		// The first rule for which origin, method and headers hold wins (docs/oss-behaviour.md, section 2).
		{desc: "two rules match: the first wins", cfg: configuration(
			ruleSpec{origins: "https://a", methods: "GET"},
			ruleSpec{origins: "*", methods: "GET"},
		), origin: a, method: get, want: allowed(1, "https://a", "")},
		{desc: "two rules match: the first wins, the star first", cfg: configuration(
			ruleSpec{origins: "*", methods: "GET"},
			ruleSpec{origins: "https://a", methods: "GET"},
		), origin: a, method: get, want: allowed(1, "*", "")},
		{desc: "a wildcard rule comes before an exact one", cfg: configuration(
			ruleSpec{origins: "https://*", methods: "GET", headers: "x-a"},
			ruleSpec{origins: "https://a", methods: "GET", headers: "*"},
		), origin: a, method: get, headers: lines("x-a"), want: allowed(1, "https://a", "x-a")},
		{desc: "the first rule's method does not match", cfg: configuration(
			ruleSpec{origins: "https://a", methods: "PUT"},
			ruleSpec{origins: "https://a", methods: "GET"},
		), origin: a, method: get, want: allowed(2, "https://a", "")},
		{desc: "the first rule's headers do not match", cfg: configuration(
			ruleSpec{origins: "https://a", methods: "GET", headers: "x-a"},
			ruleSpec{origins: "https://a", methods: "GET", headers: "x-b"},
		), origin: a, method: get, headers: lines("x-b"), want: allowed(2, "https://a", "x-b")},
		{desc: "the third rule matches", cfg: configuration(
			ruleSpec{origins: "https://b", methods: "GET"},
			ruleSpec{origins: "https://a", methods: "PUT"},
			ruleSpec{origins: "https://a", methods: "GET"},
		), origin: a, method: get, want: allowed(3, "https://a", "")},
		{desc: "an origin listed twice in one rule, then in another", cfg: configuration(
			ruleSpec{origins: "https://a HTTPS://A https://a", methods: "PUT"},
			ruleSpec{origins: "https://b", methods: "GET"},
			ruleSpec{origins: "https://a", methods: "GET"},
		), origin: a, method: get, want: allowed(3, "https://a", "")},
		{desc: "an origin exact in one rule and under a wildcard in the next", cfg: configuration(
			ruleSpec{origins: "https://a", methods: "PUT"},
			ruleSpec{origins: "https://*", methods: "GET"},
		), origin: a, method: get, want: allowed(2, "https://a", "")},
		{desc: "rules are not joined", cfg: configuration(
			ruleSpec{origins: "https://a", methods: "PUT", headers: "x-a"},
			ruleSpec{origins: "https://b", methods: "GET", headers: "x-a"},
		), origin: a, method: get, headers: lines("x-a"), want: refused(MethodMismatch, "GET", 1)},
		{desc: "headers of two rules are not joined", cfg: configuration(
			ruleSpec{origins: "https://a", methods: "GET", headers: "x-a"},
			ruleSpec{origins: "https://a", methods: "GET", headers: "x-b"},
		), origin: a, method: get, headers: lines("x-a,x-b"), want: refused(HeaderMismatch, "x-b", 1)},

		// A denial's reason is that of the rule that held longest, the first such.
		{desc: "no origin matches", cfg: one, origin: lines("https://b"), method: get, want: refused(OriginMismatch, "https://b", 0)},
		{desc: "the origin that does not match keeps its case", cfg: one, origin: lines("HTTPS://B"), method: get, want: refused(OriginMismatch, "HTTPS://B", 0)},
		{desc: "origin is compared before method", cfg: one, origin: lines("https://b"), method: lines("POST"), want: refused(OriginMismatch, "https://b", 0)},
		{desc: "method is compared before headers", cfg: one, origin: a, method: lines("POST"), headers: lines("x-foo"), want: refused(MethodMismatch, "POST", 1)},
		{desc: "of two rules the one that held longer is nearest", cfg: configuration(
			ruleSpec{origins: "https://a", methods: "PUT"},
			ruleSpec{origins: "https://a", methods: "GET"},
		), origin: a, method: get, headers: lines("x-a"), want: refused(HeaderMismatch, "x-a", 2)},
		{desc: "of three rules the one that held longer is nearest", cfg: configuration(
			ruleSpec{origins: "https://b", methods: "GET", headers: "*"},
			ruleSpec{origins: "https://a", methods: "GET", headers: "x-a"},
			ruleSpec{origins: "https://a", methods: "PUT", headers: "*"},
		), origin: a, method: get, headers: lines("x-a,x-b"), want: refused(HeaderMismatch, "x-b", 2)},
		{desc: "of two that failed at the method the first is nearest", cfg: configuration(
			ruleSpec{origins: "https://b", methods: "GET"},
			ruleSpec{origins: "https://a", methods: "PUT"},
			ruleSpec{origins: "*", methods: "HEAD"},
		), origin: a, method: get, want: refused(MethodMismatch, "GET", 2)},
		{desc: "of two that failed at the headers the first is nearest", cfg: configuration(
			ruleSpec{origins: "https://a", methods: "GET", headers: "x-b"},
			ruleSpec{origins: "https://a", methods: "GET", headers: "x-a"},
		), origin: a, method: get, headers: lines("x-a,x-b"), want: refused(HeaderMismatch, "x-a", 1)},

		// A configuration built by hand, which Parse would refuse.
		{desc: "a configuration without rules", cfg: &Configuration{}, origin: a, method: get, want: refused(OriginMismatch, "https://a", 0)},
	}
}()

type preflightCase struct {
	desc                    string
	picked                  bool
	cfg                     *Configuration // nil: the bucket has none
	origin, method, headers []string
	want                    naiveDecision
}

func TestPreflight(t *testing.T) {
	for _, c := range preflightCases {
		t.Run(caseName(c.desc, c.picked), func(t *testing.T) {
			if got := summary(compile(c.cfg).Decide(preflight(c.origin, c.method, c.headers))); got != c.want {
				t.Errorf("got  %+v\nwant %+v", got, c.want)
			}
		})
	}
}

// actualCases are the decisions on actual requests (docs/oss-behaviour.md, section 4).
var actualCases = func() []actualCase {
	var (
		one  = configuration(ruleSpec{origins: "https://a", methods: "GET PUT", headers: "content-type"})
		open = configuration(ruleSpec{origins: "*", methods: "GET"})
		a    = lines("https://a")
	)
	return []actualCase{
		{desc: "a rule matches", cfg: one, origin: a, method: "PUT", want: allowed(1, "https://a", "")},
		{desc: "a rule with a star matches", cfg: open, origin: a, method: "GET", want: allowed(1, "*", "")},
		{desc: "an upper-case origin is echoed byte for byte", picked: true, cfg: one, origin: lines("HTTPS://A"), method: "GET", want: allowed(1, "HTTPS://A", "")},
		{desc: "without origin", cfg: one, method: "GET", want: naiveDecision{}},
		{desc: "without origin and rules", cfg: nil, method: "GET", want: naiveDecision{}},
		{desc: "without a value", picked: true, cfg: open, origin: lines("", " "), method: "GET", want: naiveDecision{}},
		{desc: "without rules", cfg: nil, origin: a, method: "GET", want: refused(NoRules, "", 0)},
		{desc: "without rules comes before malformed", picked: true, cfg: nil, origin: lines("https://a", "https://b"), method: "GET", want: refused(NoRules, "", 0)},
		{desc: "two origins", picked: true, cfg: open, origin: lines("https://a", "https://a"), method: "GET", want: refused(Malformed, "origin", 0)},
		{desc: "an origin next to lines without a value", picked: true, cfg: open, origin: lines("", "https://a", ""), method: "GET", want: allowed(1, "*", "")},
		{desc: "an origin that is not visible ASCII", picked: true, cfg: open, origin: lines("https://é"), method: "GET", want: refused(Malformed, "origin", 0)},
		{desc: "an origin of 512 bytes", picked: true, cfg: open, origin: lines(strings.Repeat("o", 512)), method: "GET", want: allowed(1, "*", "")},
		{desc: "an origin of 513 bytes", picked: true, cfg: open, origin: lines(strings.Repeat("o", 513)), method: "GET", want: refused(Malformed, "origin", 0)},
		{desc: "no origin matches", cfg: one, origin: lines("https://b"), method: "GET", want: refused(OriginMismatch, "https://b", 0)},
		{desc: "no method matches", cfg: one, origin: a, method: "POST", want: refused(MethodMismatch, "POST", 1)},
		{desc: "a method with a comma is not a header", cfg: one, origin: a, method: "GET,PUT", want: refused(MethodMismatch, "GET,PUT", 1)},
		{desc: "headers of a rule are not asked", cfg: configuration(
			ruleSpec{origins: "https://a", methods: "GET", headers: "x-a"},
			ruleSpec{origins: "https://a", methods: "GET", headers: "*"},
		), origin: a, method: "GET", want: allowed(1, "https://a", "")},
		{desc: "the second rule matches", cfg: configuration(
			ruleSpec{origins: "https://a", methods: "PUT"},
			ruleSpec{origins: "https://*", methods: "GET"},
		), origin: a, method: "GET", want: allowed(2, "https://a", "")},
		{desc: "of two that failed at the method the first is nearest", cfg: configuration(
			ruleSpec{origins: "https://b", methods: "GET"},
			ruleSpec{origins: "https://a", methods: "PUT"},
			ruleSpec{origins: "https://*", methods: "HEAD"},
		), origin: a, method: "GET", want: refused(MethodMismatch, "GET", 2)},
	}
}()

type actualCase struct {
	desc   string
	picked bool
	cfg    *Configuration // nil: the bucket has none
	origin []string
	method string
	want   naiveDecision
}

func TestActual(t *testing.T) {
	for _, c := range actualCases {
		t.Run(caseName(c.desc, c.picked), func(t *testing.T) {
			if got := summary(compile(c.cfg).Decide(actual(c.origin, c.method))); got != c.want {
				t.Errorf("got  %+v\nwant %+v", got, c.want)
			}
		})
	}
}

// The naive matcher has to give the tables' answers too: a table that only the
// engine agrees with is a table written by looking at the engine.
func TestNaiveAgreesWithTables(t *testing.T) {
	for _, c := range preflightCases {
		if got := naivePreflight(c.cfg, fieldValues(c.origin), fieldValues(c.method), c.headers); got != c.want {
			t.Errorf("preflight, %s:\ngot  %+v\nwant %+v", c.desc, got, c.want)
		}
	}
	for _, c := range actualCases {
		if got := naiveActual(c.cfg, fieldValues(c.origin), c.method); got != c.want {
			t.Errorf("actual, %s:\ngot  %+v\nwant %+v", c.desc, got, c.want)
		}
	}
}

// The lists of reasons are what metrics show from the start: each has to be reached,
// and no other may be.
func TestReasons(t *testing.T) {
	reached := map[Reason]bool{RulesUnavailable: true} // see TestUnavailable
	for _, c := range preflightCases {
		if c.want.outcome == Denied {
			reached[c.want.reason] = true
		}
	}
	checkReasons(t, "PreflightReasons", PreflightReasons, reached)

	reached = map[Reason]bool{RulesUnavailable: true}
	for _, c := range actualCases {
		if c.want.outcome == Denied {
			reached[c.want.reason] = true
		}
	}
	checkReasons(t, "ActualReasons", ActualReasons, reached)
}

func checkReasons(t *testing.T, name string, reasons []Reason, reached map[Reason]bool) {
	t.Helper()
	for _, r := range reasons {
		if !reached[r] {
			t.Errorf("%s has %v, which no case reaches", name, r)
		}
		delete(reached, r)
	}
	for r := range reached {
		t.Errorf("%s lacks %v", name, r)
	}
}

// The words are labels of metrics and fields of logs: dashboards are built on them.
func TestStrings(t *testing.T) {
	var got []string
	for o := None; o <= Denied; o++ {
		got = append(got, o.String())
	}
	for r := NoReason; r <= HeaderMismatch; r++ {
		got = append(got, r.String())
	}
	want := []string{"none", "allowed", "denied",
		"", "no_rules", "rules_unavailable", "missing_origin", "missing_method", "malformed", "origin", "method", "header"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// What a client controls must not cost memory. The origins and names are in lower
// case, as browsers send them.
func TestAllocations(t *testing.T) {
	rs := Compile(configuration(
		ruleSpec{origins: "https://a https://*.example.com", methods: "GET PUT", headers: "content-type x-oss-*"},
		ruleSpec{origins: "https://b", methods: "GET PUT", headers: "*"},
	))
	var (
		longList   = strings.Repeat("x-oss-0,", 50) + "x-oss-0"
		preflights = []struct {
			desc                    string
			rs                      *Ruleset
			origin, method, headers []string
			outcome                 Outcome
			most                    float64
		}{
			{"allowed, no headers", rs, lines("https://a"), lines("GET"), nil, Allowed, 0},
			{"allowed, by a wildcard", rs, lines("https://x.example.com"), lines("GET"), lines("x-oss-date"), Allowed, 0},
			{"allowed, one header", rs, lines("https://a"), lines("PUT"), lines("content-type"), Allowed, 0},
			{"allowed, a list", rs, lines("https://b"), lines("PUT"), lines("content-type,x-oss-date"), Allowed, 1},
			{"allowed, a list in upper case", rs, lines("https://a"), lines("PUT"), lines("Content-Type,X-Oss-Date"), Allowed, 1},
			{"allowed, several lines", rs, lines("https://a"), lines("PUT"), lines("content-type", "x-oss-date"), Allowed, 1},
			{"allowed, a list that fills the buffer", rs, lines("https://a"), lines("PUT"), lines(longList), Allowed, 1},
			{"not enabled", nil, lines("https://a"), lines("GET"), lines("x-a,x-b"), Denied, 1},
			{"no origin", rs, nil, lines("GET"), nil, Denied, 0},
			{"no method", rs, lines("https://a"), nil, nil, Denied, 0},
			{"malformed origin", rs, lines("https://a", "https://b"), lines("GET"), nil, Denied, 0},
			{"malformed method", rs, lines("https://a"), lines("GET,PUT"), nil, Denied, 0},
			{"malformed headers", rs, lines("https://a"), lines("GET"), lines("x-a,x b"), Denied, 0},
			{"too many bytes", rs, lines("https://a"), lines("GET"), lines(strings.Repeat("x", MaxRequestHeaderBytes+1)), Denied, 0},
			{"origin", rs, lines("https://evil.example.net"), lines("GET"), lines("x-a,x-b"), Denied, 1},
			{"method", rs, lines("https://a"), lines("POST"), lines("x-a,x-b"), Denied, 1},
			{"header", rs, lines("https://a"), lines("GET"), lines("content-type,x-oss-date,x-foo"), Denied, 1},
		}
	)
	for _, c := range preflights {
		t.Run("preflight/"+c.desc, func(t *testing.T) {
			var d Decision
			r := preflightRequest(c.origin, c.method, c.headers)
			got := testing.AllocsPerRun(100, func() { d = c.rs.Decide(ReadRequest(r)) })
			if d.Outcome != c.outcome {
				t.Fatalf("got %v, want %v", d.Outcome, c.outcome)
			}
			if got > c.most {
				t.Errorf("%v allocations, at most %v wanted", got, c.most)
			}
		})
	}

	actuals := []struct {
		desc    string
		rs      *Ruleset
		origin  []string
		method  string
		outcome Outcome
	}{
		{"no origin", rs, nil, "GET", None},
		{"allowed", rs, lines("https://a"), "GET", Allowed},
		{"allowed, by a wildcard", rs, lines("https://x.example.com"), "GET", Allowed},
		{"not enabled", nil, lines("https://a"), "GET", Denied},
		{"malformed", rs, lines("https://a", "https://a"), "GET", Denied},
		{"origin", rs, lines("https://evil.example.net"), "GET", Denied},
		{"method", rs, lines("https://a"), "POST", Denied},
	}
	for _, c := range actuals {
		t.Run("actual/"+c.desc, func(t *testing.T) {
			var d Decision
			r := actualRequest(c.origin, c.method)
			got := testing.AllocsPerRun(100, func() { d = c.rs.Decide(ReadRequest(r)) })
			if d.Outcome != c.outcome {
				t.Fatalf("got %v, want %v", d.Outcome, c.outcome)
			}
			if got > 0 {
				t.Errorf("%v allocations, none wanted", got)
			}
		})
	}
}

// Rules that cannot be read deny what needs CORS, and nothing else.
func TestUnavailable(t *testing.T) {
	a, get := lines("https://a"), lines("GET")
	sameOrigin := actualRequest(a, "POST")
	sameOrigin.Header.Set("Sec-Fetch-Site", "same-origin")
	cases := []struct {
		desc string
		req  Request
		want naiveDecision
	}{
		{"a preflight", preflight(a, get, lines("x-a")), refused(RulesUnavailable, "", 0)},
		{"a malformed preflight", preflight(a, lines("GET,PUT"), nil), refused(RulesUnavailable, "", 0)},
		{"a preflight without Origin", preflight(nil, get, nil), refused(MissingOrigin, "", 0)},
		{"an actual request", actual(a, "GET"), refused(RulesUnavailable, "", 0)},
		{"a same-origin request", ReadRequest(sameOrigin), naiveDecision{}},
		{"a request without Origin", actual(nil, "GET"), naiveDecision{}},
	}
	for _, c := range cases {
		t.Run(c.desc, func(t *testing.T) {
			if got := summary(Unavailable.Decide(c.req)); got != c.want {
				t.Errorf("got  %+v\nwant %+v", got, c.want)
			}
			if e := Unavailable.Explain(c.req); summary(e.Decision) != c.want || e.Verdicts != nil {
				t.Errorf("explained as %+v", e)
			}
		})
	}
}
