package corsrules

import (
	"reflect"
	"testing"
)

// checkExplanation checks that e decides as decided, and that the verdicts lead there.
func checkExplanation(t *testing.T, rs *Ruleset, e Explanation, decided Decision) {
	t.Helper()
	if e.Decision != decided {
		t.Errorf("explained %+v\ndecided   %+v", summary(e.Decision), summary(decided))
	}
	asked := decided.Outcome == Allowed || decided.Reason >= OriginMismatch
	if !asked {
		if len(e.Verdicts) != 0 {
			t.Errorf("%v: got %d verdicts of rules that were not asked", decided.Reason, len(e.Verdicts))
		}
		return
	}
	if len(e.Verdicts) != rs.Len() {
		t.Fatalf("got %d verdicts of %d rules", len(e.Verdicts), rs.Len())
	}
	var first, longest *Verdict
	for i := range e.Verdicts {
		v := &e.Verdicts[i]
		if v.Rule.Number() != i+1 {
			t.Errorf("verdict %d is of rule %d", i+1, v.Rule.Number())
		}
		if first == nil && v.Reason == NoReason {
			first = v
		}
		if v.Reason > OriginMismatch && (longest == nil || v.Reason > longest.Reason) {
			longest = v
		}
		if (v.Reason == NoReason) != (v.Value == "") {
			t.Errorf("verdict %d: reason %v, value %q", i+1, v.Reason, v.Value)
		}
	}
	switch {
	case first != nil:
		if decided.Rule != first.Rule {
			t.Errorf("rule %d matches first, but the decision is %+v", first.Rule.Number(), summary(decided))
		}
	case longest != nil:
		if decided.Nearest != longest.Rule || decided.Reason != longest.Reason || decided.Value != longest.Value {
			t.Errorf("rule %d held longest, but the decision is %+v", longest.Rule.Number(), summary(decided))
		}
	case decided.Reason != OriginMismatch:
		t.Errorf("no rule's origin matches, but the decision is %+v", summary(decided))
	}
}

func TestExplainAgreesWithDecide(t *testing.T) {
	for _, c := range preflightCases {
		t.Run("preflight/"+caseName(c.desc, c.picked), func(t *testing.T) {
			rs := compile(c.cfg)
			e := rs.Explain(preflight(c.origin, c.method, c.headers))
			if got := summary(e.Decision); got != c.want {
				t.Errorf("got  %+v\nwant %+v", got, c.want)
			}
			checkExplanation(t, rs, e, rs.Decide(preflight(c.origin, c.method, c.headers)))
		})
	}
	for _, c := range actualCases {
		t.Run("actual/"+caseName(c.desc, c.picked), func(t *testing.T) {
			rs := compile(c.cfg)
			e := rs.Explain(actual(c.origin, c.method))
			if got := summary(e.Decision); got != c.want {
				t.Errorf("got  %+v\nwant %+v", got, c.want)
			}
			checkExplanation(t, rs, e, rs.Decide(actual(c.origin, c.method)))
		})
	}
	for _, c := range originCases {
		t.Run("origin/"+caseName(c.desc, c.picked), func(t *testing.T) {
			rs := Compile(configuration(ruleSpec{origins: c.allowed, methods: "GET"}))
			origin, get := lines(c.origin), lines("GET")
			checkExplanation(t, rs, rs.Explain(preflight(origin, get, nil)), rs.Decide(preflight(origin, get, nil)))
			checkExplanation(t, rs, rs.Explain(actual(origin, "GET")), rs.Decide(actual(origin, "GET")))
		})
	}
	for _, c := range methodCases {
		t.Run("method/"+c.desc, func(t *testing.T) {
			rs := Compile(configuration(ruleSpec{origins: "*", methods: c.allowed}))
			origin, method := lines("https://a"), lines(c.method)
			checkExplanation(t, rs, rs.Explain(preflight(origin, method, nil)), rs.Decide(preflight(origin, method, nil)))
			checkExplanation(t, rs, rs.Explain(actual(origin, c.method)), rs.Decide(actual(origin, c.method)))
		})
	}
}

// verdict is a Verdict that == compares.
type verdict struct {
	rule   int
	reason Reason
	value  string
}

func verdicts(e Explanation) (vs []verdict) {
	for _, v := range e.Verdicts {
		vs = append(vs, verdict{v.Rule.Number(), v.Reason, v.Value})
	}
	return vs
}

func TestVerdicts(t *testing.T) {
	rs := Compile(configuration(
		ruleSpec{origins: "https://b", methods: "GET", headers: "*"},
		ruleSpec{origins: "https://a", methods: "PUT", headers: "*"},
		ruleSpec{origins: "https://a", methods: "GET", headers: "x-b"},
		ruleSpec{origins: "https://*", methods: "GET", headers: "x-a"},
		ruleSpec{origins: "https://a", methods: "GET PUT", headers: "*"},
	))
	cases := []struct {
		desc string
		e    Explanation
		want []verdict
	}{
		{"a preflight, and the rules beyond the one that matched", rs.Explain(preflight(lines("https://a"), lines("GET"), lines("X-A"))), []verdict{
			{1, OriginMismatch, "https://a"},
			{2, MethodMismatch, "GET"},
			{3, HeaderMismatch, "x-a"},
			{4, NoReason, ""},
			{5, NoReason, ""},
		}},
		{"a denied preflight", rs.Explain(preflight(lines("HTTPS://C"), lines("POST"), lines("x-a"))), []verdict{
			{1, OriginMismatch, "HTTPS://C"},
			{2, OriginMismatch, "HTTPS://C"},
			{3, OriginMismatch, "HTTPS://C"},
			{4, MethodMismatch, "POST"},
			{5, OriginMismatch, "HTTPS://C"},
		}},
		{"an actual request", rs.Explain(actual(lines("https://a"), "PUT")), []verdict{
			{1, OriginMismatch, "https://a"},
			{2, NoReason, ""},
			{3, MethodMismatch, "PUT"},
			{4, MethodMismatch, "PUT"},
			{5, NoReason, ""},
		}},
		{"without an origin", rs.Explain(actual(nil, "PUT")), nil},
		{"malformed", rs.Explain(preflight(lines("https://a"), lines("GET,"), nil)), nil},
		{"not enabled", (*Ruleset)(nil).Explain(preflight(lines("https://a"), lines("GET"), nil)), nil},
	}
	for _, c := range cases {
		t.Run(c.desc, func(t *testing.T) {
			if got := verdicts(c.e); !reflect.DeepEqual(got, c.want) {
				t.Errorf("got  %+v\nwant %+v", got, c.want)
			}
		})
	}
}
