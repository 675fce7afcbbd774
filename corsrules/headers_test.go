package corsrules

import (
	"slices"
	"testing"
)

func TestDecisionHeaders(t *testing.T) {
	ten := 10
	rs := Compile(configuration(
		ruleSpec{origins: "https://a", methods: "GET PUT", headers: "x-*", expose: "ETag x-b", maxAge: &ten},
		ruleSpec{origins: "*", methods: "GET"},
	))
	vary := Compile(&Configuration{Rules: rs.Configuration().Rules, ResponseVary: true})
	full := []string{
		"Access-Control-Allow-Origin: https://a",
		"Access-Control-Allow-Methods: GET, PUT",
		"Access-Control-Allow-Headers: x-b, x-a",
		"Access-Control-Expose-Headers: ETag, x-b",
		"Access-Control-Max-Age: 10",
	}
	cases := []struct {
		desc   string
		d      Decision
		policy Policy
		want   []string
	}{
		{"in OSS's order", rs.Decide(preflight(lines("https://a"), lines("PUT"), lines("X-B,x-a"))), Policy{}, full},
		{"with everything", vary.Decide(preflight(lines("https://a"), lines("PUT"), lines("X-B,x-a"))), Policy{AllowCredentials: true},
			append(slices.Clone(full), "Access-Control-Allow-Credentials: true", "Vary: Origin")},
		{"an actual request", rs.Decide(actual(lines("https://a"), "PUT")), Policy{}, slices.Delete(slices.Clone(full), 2, 3)},
		{"no credentials next to *", rs.Decide(actual(lines("https://b"), "GET")), Policy{ResponseVary: true, AllowCredentials: true},
			[]string{"Access-Control-Allow-Origin: *", "Access-Control-Allow-Methods: GET", "Vary: Origin"}},
		{"denied", rs.Decide(actual(lines("https://b"), "PUT")), Policy{AllowCredentials: true}, nil},
		{"denied, ResponseVary in the rules", vary.Decide(actual(lines("https://b"), "PUT")), Policy{}, []string{"Vary: Origin"}},
		{"not CORS, ResponseVary in the rules", vary.Decide(actual(nil, "PUT")), Policy{}, []string{"Vary: Origin"}},
		{"no rules", (*Ruleset)(nil).Decide(actual(lines("https://b"), "PUT")), Policy{}, nil},
	}
	for _, c := range cases {
		t.Run(c.desc, func(t *testing.T) {
			var got []string
			for name, value := range c.d.Headers(c.policy) {
				got = append(got, name+": "+value)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
			for n := range c.want { // a loop may end early
				for range c.d.Headers(c.policy) {
					if n--; n < 0 {
						break
					}
				}
			}
		})
	}
	d := vary.Decide(actual(lines("https://a"), "PUT"))
	if n := testing.AllocsPerRun(100, func() {
		for range d.Headers(Policy{}) {
			continue
		}
	}); n > 0 {
		t.Errorf("%v allocations, none wanted", n)
	}
}
