package osscors

import (
	"net/textproto"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-oss-cors/caddy-oss-cors/corsrules"
	"github.com/caddy-oss-cors/caddy-oss-cors/internal/explain"
	"github.com/caddy-oss-cors/caddy-oss-cors/internal/running"
	"github.com/caddy-oss-cors/caddy-oss-cors/rulesource"
)

// expectAgreement fails the test if the explanation of a request disagrees with how it was
// answered. It checks every request that the integration tests send through a single handler
// with a single document.
func expectAgreement(t testing.TB, rules *rulesource.Rules, requestLine string, lines []string, answer reply) {
	t.Helper()
	if !answeredByHandler(answer) {
		return
	}
	method, _, _ := strings.Cut(requestLine, " ")
	q := explain.Request{Verbatim: true, Method: method, Headers: valuesOf(lines, "Access-Control-Request-Headers")}
	origins, methods := valuesOf(lines, "Origin"), valuesOf(lines, "Access-Control-Request-Method")
	preflight := method == "OPTIONS"
	if preflight && len(methods) == 1 {
		q.Method = methods[0]
	}
	if len(origins) != 1 || preflight && len(methods) != 1 {
		return // explain takes one of each
	}
	policy := running.Sites()[0].Policy
	if policy.Dialect == corsrules.DialectS3 && !preflight && len(methods)+len(q.Headers) > 0 {
		return // explain is for what browsers send
	}
	q.Origin = origins[0]
	e := explain.New(rules.Ruleset, policy, q)
	j := e.Actual
	if preflight {
		j = e.Preflight
	}
	want := []string{}
	for name, value := range j.ResponseHeaders {
		if name, ok := strings.CutPrefix(name, "Access-Control-"); ok {
			want = append(want, name+": "+value)
		} else if !hasAll(answer.Header[name], value) { // Vary
			t.Errorf("%s %q was answered with %s %q, and is explained with %q", requestLine, lines, name, answer.Header[name], value)
		}
	}
	slices.Sort(want)
	if got := cors(answer.Header); !slices.Equal(got, want) {
		t.Errorf("%s %q was answered %q, and is explained as %q", requestLine, lines, got, want)
	}
	if preflight && (answer.StatusCode == 200) != (j.Outcome == corsrules.Allowed.String()) {
		t.Errorf("%s %q was answered %d, and is explained as %s", requestLine, lines, answer.StatusCode, j.Outcome)
	}
}

func hasAll(lines []string, list string) bool {
	for element := range strings.SplitSeq(list, ", ") {
		if !listHas(lines, element) {
			return false
		}
	}
	return true
}

// onlyRules returns the rules in force of the only handler; nil if there are several, or it has
// rules of many buckets.
func onlyRules(t testing.TB) *rulesource.Rules {
	t.Helper()
	sites := running.Sites()
	if len(sites) != 1 || sites[0].PerBucket() {
		return nil
	}
	rules, err := sites[0].Source.Rules(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	return rules
}

// answeredByHandler reports whether an answer is the handler's, and not Go's server's own
// to a request that no handler saw.
func answeredByHandler(answer reply) bool {
	return answer.Header.Get("Server") == "Caddy" || answer.Header.Get("Via") == "1.1 Caddy"
}

// valuesOf returns the values of a header's lines, those without one left out.
func valuesOf(lines []string, name string) (values []string) {
	for _, line := range lines {
		key, value, _ := strings.Cut(line, ":")
		if value = strings.Trim(value, " \t"); value != "" && textproto.CanonicalMIMEHeaderKey(key) == name {
			values = append(values, value)
		}
	}
	return values
}
