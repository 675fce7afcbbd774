package corsrules

import (
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
)

// TestRuleValues pins the headers that a rule has ready: all its methods in its
// order, its exposed headers, and a Max-Age only where it says one.
func TestRuleValues(t *testing.T) {
	cases := []struct {
		desc                    string
		picked                  bool
		rule                    ruleSpec
		methods, expose, maxAge string
	}{
		{desc: "bare", rule: ruleSpec{methods: "GET"}, methods: "GET"},
		{desc: "all methods, in the rule's order", rule: ruleSpec{methods: "PUT GET HEAD POST DELETE"}, methods: "PUT, GET, HEAD, POST, DELETE"},
		{desc: "a method twice", rule: ruleSpec{methods: "GET PUT GET"}, methods: "GET, PUT, GET"},
		{desc: "exposed headers in order and case", rule: ruleSpec{methods: "GET", expose: "x-oss-test ETag x-oss-test"}, methods: "GET", expose: "x-oss-test, ETag, x-oss-test"},
		{desc: "max age", rule: ruleSpec{methods: "GET", maxAge: seconds(300)}, methods: "GET", maxAge: "300"},
		{desc: "max age 0", picked: true, rule: ruleSpec{methods: "GET", maxAge: seconds(0)}, methods: "GET", maxAge: "0"},
		{desc: "the largest max age", rule: ruleSpec{methods: "GET", maxAge: seconds(maxMaxAgeSeconds)}, methods: "GET", maxAge: "999999999"},
	}
	for _, c := range cases {
		t.Run(caseName(c.desc, c.picked), func(t *testing.T) {
			c.rule.origins = "*"
			method := values(c.rule.methods)[0]
			r := Compile(configuration(c.rule)).Decide(actual(lines("https://a"), method)).Rule
			if got := r.AllowMethods(); got != c.methods {
				t.Errorf("AllowMethods: got %q, want %q", got, c.methods)
			}
			if got := r.ExposeHeaders(); got != c.expose {
				t.Errorf("ExposeHeaders: got %q, want %q", got, c.expose)
			}
			if got := r.MaxAge(); got != c.maxAge {
				t.Errorf("MaxAge: got %q, want %q", got, c.maxAge)
			}
		})
	}
}

// An ID names its rule if it is unique and reads well in a label; else the rule's
// number does. [picked]
func TestRuleNames(t *testing.T) {
	cases := []struct {
		desc string
		ids  []string
		want []string
	}{
		{"none", []string{"", ""}, []string{"1", "2"}},
		{"one", []string{"web"}, []string{"web"}},
		{"every byte", []string{"azAZ09._-"}, []string{"azAZ09._-"}},
		{"next to one without", []string{"", "web"}, []string{"1", "web"}},
		{"not unique", []string{"web", "cdn", "web"}, []string{"1", "cdn", "3"}},
		{"unique but for case", []string{"web", "Web"}, []string{"web", "Web"}},
		{"64 bytes", []string{strings.Repeat("a", 64)}, []string{strings.Repeat("a", 64)}},
		{"65 bytes", []string{strings.Repeat("a", 65)}, []string{"1"}},
		{"all digits would pass for a number", []string{"2", "10"}, []string{"1", "2"}},
		{"digits and more", []string{"2.", "1a"}, []string{"2.", "1a"}},
		{"a space", []string{"a b"}, []string{"1"}},
		{"a slash", []string{"a/b"}, []string{"1"}},
		{"not ASCII", []string{"ä"}, []string{"1"}},
		{"next to the letters", []string{"@", "[", "`", "{"}, []string{"1", "2", "3", "4"}},
		{"next to the digits", []string{"/", ":"}, []string{"1", "2"}},
	}
	for _, c := range cases {
		t.Run(caseName(c.desc, true), func(t *testing.T) {
			cfg := &Configuration{}
			for _, id := range c.ids {
				cfg.Rules = append(cfg.Rules, CORSRule{ID: id, AllowedOrigins: lines("*"), AllowedMethods: lines("GET")})
			}
			rs := Compile(cfg)
			if got := rs.RuleNames(); !slices.Equal(got, c.want) {
				t.Errorf("RuleNames: got %q, want %q", got, c.want)
			}
			for i, v := range rs.Explain(actual(lines("https://a"), "GET")).Verdicts {
				if v.Rule.Name() != c.want[i] || v.Rule.Number() != i+1 {
					t.Errorf("rule %d: Name %q, Number %d", i+1, v.Rule.Name(), v.Rule.Number())
				}
			}
		})
	}
}

func TestRuleset(t *testing.T) {
	cfg := configuration(ruleSpec{origins: "*", methods: "GET"}, ruleSpec{origins: "*", methods: "PUT"})
	rs := Compile(cfg)
	if rs.Len() != 2 || rs.ResponseVary() || !reflect.DeepEqual(rs.Configuration(), cfg) {
		t.Errorf("Len %d, ResponseVary %v, Configuration %+v; want 2, false, %+v", rs.Len(), rs.ResponseVary(), rs.Configuration(), cfg)
	}
	if !Compile(&Configuration{ResponseVary: true}).ResponseVary() {
		t.Error("ResponseVary: got false, want true")
	}

	if d := new(Ruleset).Decide(actual([]string{"https://a"}, "GET")); d.Reason != OriginMismatch {
		t.Errorf("without rules: %+v; want no origin allowed", d)
	}

	var none *Ruleset
	if none.Len() != 0 || none.ResponseVary() || len(none.RuleNames()) != 0 {
		t.Errorf("nil: Len %d, ResponseVary %v, RuleNames %q; want nothing", none.Len(), none.ResponseVary(), none.RuleNames())
	}
}

// Run with -race: a Ruleset is read by every request at once.
func TestConcurrentUse(t *testing.T) {
	rs := Compile(configuration(
		ruleSpec{origins: "https://a", methods: "PUT", headers: "x-a"},
		ruleSpec{origins: "https://a https://*.b", methods: "GET", headers: "x-*"},
	))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 200 {
				d := rs.Decide(preflight(lines("https://A"), lines("GET"), lines("X-A,x-b")))
				if got, want := summary(d), allowed(2, "https://A", "x-a, x-b"); got != want {
					t.Errorf("Preflight: got %+v, want %+v", got, want)
				}
				if got, want := summary(rs.Decide(actual(lines("https://c.b"), "PUT"))), refused(MethodMismatch, "PUT", 2); got != want {
					t.Errorf("Actual: got %+v, want %+v", got, want)
				}
				if e := rs.Explain(actual(lines("https://a"), "GET")); len(e.Verdicts) != rs.Len() {
					t.Errorf("Explain: %d verdicts, want %d", len(e.Verdicts), rs.Len())
				}
			}
		})
	}
	wg.Wait()
}
