package corsrules

import (
	"net/http"
	"strings"
	"testing"
)

// naiveS3Preflight decides any OPTIONS request as S3 does: docs/compatibility.md read again,
// on top of the naive matcher of OSS.
func naiveS3Preflight(cfg *Configuration, origin, method, headers []string) naiveDecision {
	origins := withoutEmpty(origin)
	if len(origins) == 0 {
		return naiveDecision{outcome: Denied, reason: MissingOrigin}
	}
	return naivePreflight(naiveInCase(cfg, origins[0]), origin, method, headers)
}

// naiveS3Actual decides an actual request by all three headers.
func naiveS3Actual(cfg *Configuration, httpMethod string, origin, method, headers []string) naiveDecision {
	origins, methods := withoutEmpty(origin), withoutEmpty(method)
	if len(origins) == 0 {
		return naiveDecision{outcome: None}
	}
	if len(methods) == 0 {
		methods = []string{httpMethod}
	}
	d := naivePreflight(naiveInCase(cfg, origins[0]), origin, methods, headers)
	d.allowHeaders = ""
	return d
}

// naiveInCase returns cfg without the allowed origins that match in another case only.
func naiveInCase(cfg *Configuration, origin string) *Configuration {
	if cfg == nil {
		return nil
	}
	exact := &Configuration{}
	for _, rule := range cfg.Rules {
		var origins []string
		for _, pattern := range rule.AllowedOrigins {
			if naiveMatchInCase(pattern, origin) {
				origins = append(origins, pattern)
			}
		}
		rule.AllowedOrigins = origins
		exact.Rules = append(exact.Rules, rule)
	}
	return exact
}

func naiveMatchInCase(pattern, s string) bool {
	switch {
	case pattern == "":
		return s == ""
	case pattern[0] == '*':
		return naiveMatchInCase(pattern[1:], s) || s != "" && naiveMatchInCase(pattern, s[1:])
	default:
		return s != "" && pattern[0] == s[0] && naiveMatchInCase(pattern[1:], s[1:])
	}
}

// s3Request returns a request with the lines of three headers, read for S3.
func s3Request(httpMethod string, r request) Request {
	q := preflightRequest(r.origin, r.method, r.headers)
	q.Method = httpMethod
	return DialectS3.ReadRequest(q)
}

// checkS3Agreement is checkAgreement for S3's decisions.
func checkS3Agreement(t *testing.T, cfg *Configuration, rs *Ruleset, r request) {
	t.Helper()
	origin, method := fieldValues(r.origin), fieldValues(r.method)
	for httpMethod, want := range map[string]naiveDecision{
		http.MethodOptions: naiveS3Preflight(cfg, origin, method, r.headers),
		http.MethodPut:     naiveS3Actual(cfg, http.MethodPut, origin, method, r.headers),
	} {
		req := s3Request(httpMethod, r)
		got := rs.Decide(req)
		if summary(got) != want {
			t.Errorf("%s, %q, %q, %q, as S3:\nengine %+v\nnaive  %+v", httpMethod, r.origin, r.method, r.headers, summary(got), want)
		}
		if got.Outcome != None {
			checkExplanation(t, rs, rs.Explain(req), got)
		}
	}
}

// Each difference between the dialects, by the same rules and the same request.
func TestDialectsDecide(t *testing.T) {
	rules := &Configuration{Rules: []CORSRule{
		{AllowedOrigins: []string{"https://App.example", "https://*.Example.com"}, AllowedMethods: []string{"GET", "PUT"}, AllowedHeaders: []string{"x-a"}},
		{AllowedOrigins: []string{"https://app.example"}, AllowedMethods: []string{"GET"}},
	}}
	denied := func(reason Reason, nearest int, value string) naiveDecision {
		return naiveDecision{outcome: Denied, reason: reason, nearest: nearest, value: value}
	}
	allowed := func(rule int, origin, headers string) naiveDecision {
		return naiveDecision{outcome: Allowed, rule: rule, allowOrigin: origin, allowHeaders: headers}
	}
	for _, c := range []struct {
		desc, httpMethod string
		request          request
		oss, s3          naiveDecision
	}{
		{"the same", "OPTIONS", request{lines("https://App.example"), lines("PUT"), lines("X-A")},
			allowed(1, "https://App.example", "x-a"), allowed(1, "https://App.example", "x-a")},
		{"an origin in another case", "OPTIONS", request{lines("https://app.example"), lines("GET"), nil},
			allowed(1, "https://app.example", ""), allowed(2, "https://app.example", "")},
		{"an origin in another case, by a wildcard", "OPTIONS", request{lines("https://a.example.com"), lines("GET"), nil},
			allowed(1, "https://a.example.com", ""), denied(OriginMismatch, 0, "https://a.example.com")},
		{"an actual request with another's method", "GET", request{lines("https://App.example"), lines("DELETE"), nil},
			allowed(1, "https://App.example", ""), denied(MethodMismatch, 1, "DELETE")},
		{"an actual request that asks for a header", "PUT", request{lines("https://App.example"), nil, lines("x-b")},
			allowed(1, "https://App.example", ""), denied(HeaderMismatch, 1, "x-b")},
		{"an actual request that asks for a header that is allowed", "PUT", request{lines("https://App.example"), nil, lines("x-a")},
			allowed(1, "https://App.example", ""), allowed(1, "https://App.example", "")},
		{"OPTIONS without anything", "OPTIONS", request{}, naiveDecision{}, denied(MissingOrigin, 0, "")},
		{"OPTIONS from the same origin", "OPTIONS", request{origin: lines("https://bucket.example")}, naiveDecision{}, denied(MissingMethod, 0, "")},
		{"not a CORS request", "GET", request{method: lines("GET")}, naiveDecision{}, naiveDecision{}},
	} {
		rs := Compile(rules)
		for dialect, want := range map[Dialect]naiveDecision{DialectOSS: c.oss, DialectS3: c.s3} {
			r := preflightRequest(c.request.origin, c.request.method, c.request.headers)
			r.Method = c.httpMethod
			if got := summary(rs.Decide(dialect.ReadRequest(r))); got != want {
				t.Errorf("%s, dialect %d:\ngot  %+v\nwant %+v", c.desc, dialect, got, want)
			}
		}
	}
}

// S3's Vary is on what a rule allows, OSS's where the rules say so.
func TestDialectsVary(t *testing.T) {
	match, denial := Decision{Rule: new(Rule)}, Decision{Outcome: Denied}
	varying := Decision{Rule: new(Rule), ResponseVary: true}
	for _, c := range []struct {
		decision *Decision
		policy   Policy
		want     string
	}{
		{&match, Policy{}, ""},
		{&varying, Policy{}, "Origin"},
		{&denial, Policy{ResponseVary: true}, "Origin"},
		{&match, Policy{Dialect: DialectS3}, s3Vary},
		{&varying, Policy{Dialect: DialectS3, ResponseVary: true}, s3Vary},
		{&denial, Policy{Dialect: DialectS3}, ""},
		{&denial, Policy{Dialect: DialectS3, ResponseVary: true}, "Origin"},
	} {
		if got := c.decision.vary(c.policy); got != c.want {
			t.Errorf("%+v, %+v: %q; want %q", c.decision, c.policy, got, c.want)
		}
	}
}

func TestS3ActualReasons(t *testing.T) {
	reached := map[Reason]bool{RulesUnavailable: true} // see TestUnavailable
	cfg := &Configuration{Rules: []CORSRule{{AllowedOrigins: []string{"a"}, AllowedMethods: []string{"GET"}}}}
	for _, origin := range []string{"a", "b", "a b"} {
		for _, method := range []string{"GET", "PUT", "", "GET,PUT"} {
			for _, rs := range []*Ruleset{nil, Compile(cfg)} {
				d := rs.Decide(s3Request("GET", request{lines(origin), lines(method), lines("x-a")}))
				reached[d.Reason] = true
			}
		}
	}
	checkReasons(t, "S3's ActualReasons", DialectS3.ActualReasons(), reached)
	checkReasons(t, "OSS's ActualReasons", DialectOSS.ActualReasons(), asSet(ActualReasons))
}

func asSet(reasons []Reason) map[Reason]bool {
	set := map[Reason]bool{}
	for _, r := range reasons {
		set[r] = true
	}
	return set
}

// A rule with upper-case letters keeps browsers out; the advice says so.
func TestS3AdviceOnCase(t *testing.T) {
	rs := compile(&Configuration{Rules: []CORSRule{{AllowedOrigins: []string{"https://App.example.com"}, AllowedMethods: []string{"GET"}}}})
	e := rs.Explain(s3Request("OPTIONS", request{lines("https://app.example.com"), lines("GET"), nil}))
	if got := e.Advice(); !strings.HasPrefix(got, "write https://app.example.com in rule 1, where ") {
		t.Errorf("got %q", got)
	}
}

func TestDialectNamed(t *testing.T) {
	for name, want := range map[string]Dialect{"": DialectOSS, "oss": DialectOSS, "s3": DialectS3} {
		if got, err := DialectNamed(name); err != nil || got != want {
			t.Errorf("%q: %v, %v", name, got, err)
		}
	}
	if _, err := DialectNamed("S3"); err == nil {
		t.Error("S3 is a dialect")
	}
}
