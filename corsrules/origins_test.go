package corsrules

import (
	"slices"
	"testing"
)

// The rules that allow an origin come in their order, each once, whether they list it or have
// a pattern for it.
func TestSearch(t *testing.T) {
	const app, other = "https://app.example.com", "https://other.example.com"
	tests := []struct {
		rules  [][]string // their origins
		origin string
		want   []int
	}{
		{[][]string{{app}}, app, []int{0}},
		{[][]string{{app}}, other, nil},
		{[][]string{{"HTTPS://App.example.com"}}, app, []int{0}},
		{[][]string{{other}, {app}, {other}, {app}}, app, []int{1, 3}},
		{[][]string{{"*"}, {app}, {"https://*.example.com"}, {app}}, app, []int{0, 1, 2, 3}},
		{[][]string{{"*"}, {app}, {"https://*.example.com"}, {app}}, other, []int{0, 2}},
		{[][]string{{app, "https://*.example.com", app, "*"}, {"*", app}}, app, []int{0, 1}},
		{[][]string{{"https://*.example.com", "https://app.*", "*"}}, app, []int{0}},
		{[][]string{{"https://*.example.com"}, {app}}, app, []int{0, 1}},
		{[][]string{{"https://app.exa*"}, {"https://*.exam"}, {"h*m"}}, app, []int{0, 2}},
		{[][]string{{app, app}, {"*", "*"}, {app, "*", app}, {"*"}}, app, []int{0, 1, 2, 3}},
		{[][]string{{"https://*.*", "**", app}}, app, []int{0}}, // which Parse refuses, and Compile does not check
		{nil, app, nil},
	}
	for _, test := range tests {
		rules := make([]Rule, len(test.rules))
		for i, origins := range test.rules {
			rules[i].origins = origins
		}
		got := allowing(rules, test.origin)
		if !slices.Equal(got, test.want) {
			t.Errorf("%q, %s: rules %d; want %d", test.rules, test.origin, got, test.want)
		}
	}
}

// allowing returns the indexes of the rules that allow an origin.
func allowing(rules []Rule, origin string) (indexes []int) {
	o := newOrigins(rules)
	s := o.search(origin)
	for rule, ok := s.next(); ok; rule, ok = s.next() {
		indexes = append(indexes, rule)
	}
	return indexes
}
