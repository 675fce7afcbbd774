package corsrules

import (
	"fmt"
	"strings"
	"testing"
)

// hostilePreflights are requests at and past the bounds of what is evaluated, with an
// ordinary one.
var hostilePreflights = []struct {
	desc    string
	headers []string
	outcome Outcome
	allocs  float64 // at most
}{
	{"ordinary", []string{"content-type,x-oss-date"}, Denied, 1},
	{"worst accepted", []string{worstNames}, Allowed, 10},
	{"worst accepted, each name on a line", strings.Split(worstNames, ","), Allowed, 10},
	{"worst accepted, in upper case", []string{strings.ToUpper(worstNames)}, Allowed, 10 + DefaultMaxRules},
	{"commas only", []string{strings.Repeat(",", MaxRequestHeaderBytes)}, Allowed, 0},
	{"a name too many", []string{hostileNames(MaxRequestHeaders+1, 8)}, Denied, 2},
	{"ten thousand commas", []string{strings.Repeat(",", 10_000)}, Denied, 0},
	{"ten thousand lines", strings.Split(strings.Repeat("x-a,", 10_000), ","), Denied, 0},
	{"64 KB", []string{strings.Repeat("x", 64<<10)}, Denied, 0},
	{"1 MB", []string{strings.Repeat("x,", 1<<19)}, Denied, 0},
}

// worstNames are as many names as are looked at, and as long.
var worstNames = hostileNames(MaxRequestHeaders, MaxRequestHeaderBytes/MaxRequestHeaders-1)

// hostileNames joins n names of size bytes. The last of them ends differently.
func hostileNames(n, size int) string {
	list := make([]string, n)
	for i := range list {
		list[i] = strings.Repeat("x", size-1) + "y"
	}
	list[n-1] = strings.Repeat("x", size-1) + "z"
	return strings.Join(list, ",")
}

// hostileRuleset is what a document of the greatest size can do at worst: every rule
// tries all of its patterns on every name, and only the last rule allows the last name.
func hostileRuleset(tb testing.TB) *Ruleset {
	const rules = DefaultMaxRules
	cfg := &Configuration{}
	for i := range rules {
		rule := CORSRule{AllowedOrigins: []string{"https://*"}, AllowedMethods: []string{"GET"}}
		for j := range 37 {
			rule.AllowedHeaders = append(rule.AllowedHeaders, fmt.Sprintf("x*%d", j))
		}
		rule.AllowedHeaders = append(rule.AllowedHeaders, "x*y")
		if i == rules-1 {
			rule.AllowedHeaders = append(rule.AllowedHeaders, "x*z")
		}
		cfg.Rules = append(cfg.Rules, rule)
	}
	doc := cfg.Marshal()
	if len(doc) > MaxDocumentBytes || len(doc) < MaxDocumentBytes*9/10 {
		tb.Fatalf("the document has %d bytes: it should be just as long as is allowed", len(doc))
	}
	cfg, err := Parse(doc, Options{})
	if err != nil {
		tb.Fatal(err)
	}
	return Compile(cfg)
}

// TestHostilePreflightsAllocateLittle: whatever a client sends, what is allocated is in
// proportion to the names that are looked at; past the bounds, nothing.
func TestHostilePreflightsAllocateLittle(t *testing.T) {
	rs := hostileRuleset(t)
	origin, method := []string{"https://app.example.com"}, []string{"GET"}
	for _, c := range hostilePreflights {
		t.Run(c.desc, func(t *testing.T) {
			r := preflightRequest(origin, method, c.headers)
			if d := rs.Decide(ReadRequest(r)); d.Outcome != c.outcome {
				t.Errorf("%s, %s %.80q", d.Outcome, d.Reason, d.Value)
			}
			if n := testing.AllocsPerRun(20, func() { rs.Decide(ReadRequest(r)) }); n > c.allocs {
				t.Errorf("%v allocations; want at most %v", n, c.allocs)
			}
		})
	}
}

func BenchmarkHostilePreflight(b *testing.B) {
	rs := hostileRuleset(b)
	origin, method := []string{"https://app.example.com"}, []string{"GET"}
	ordinary := Compile(&Configuration{Rules: []CORSRule{{
		AllowedOrigins: origin, AllowedMethods: method, AllowedHeaders: []string{"content-type", "x*"},
	}}})
	for desc, headers := range map[string]string{"ordinary": "content-type,x-oss-date", "worst accepted": worstNames} {
		b.Run("ordinary rules/"+desc, func(b *testing.B) {
			b.ReportAllocs()
			r := preflightRequest(origin, method, []string{headers})
			for b.Loop() {
				ordinary.Decide(ReadRequest(r))
			}
		})
	}
	for _, c := range hostilePreflights {
		b.Run("worst rules/"+c.desc, func(b *testing.B) {
			b.ReportAllocs()
			r := preflightRequest(origin, method, c.headers)
			for b.Loop() {
				rs.Decide(ReadRequest(r))
			}
		})
	}
}
