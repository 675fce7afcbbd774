package corsrules

import (
	"fmt"
	"slices"
	"strings"
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
	}
	for _, test := range tests {
		rules := make([]CORSRule, len(test.rules))
		for i, origins := range test.rules {
			rules[i].AllowedOrigins = origins
		}
		o := newOrigins(rules)
		var s search
		s.begin(&o, test.origin)
		var got []int
		for rule := s.next(); rule != noMore; rule = s.next() {
			got = append(got, rule)
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%q, %s: rules %d; want %d", test.rules, test.origin, got, test.want)
		}
	}
}

// However full the table, each origin is found, and no other one.
func TestSearch_manyOrigins(t *testing.T) {
	name := func(i int) string { return fmt.Sprintf("https://app%d.example.com", i) }
	for n := range 100 {
		rules := make([]CORSRule, n)
		for i := range rules {
			rules[i].AllowedOrigins = []string{name(i)}
		}
		o := newOrigins(rules)
		for i := range n + 10 {
			var s search
			s.begin(&o, name(i))
			want := i
			if i >= n {
				want = noMore
			}
			if got := s.next(); got != want || got != noMore && s.next() != noMore {
				t.Fatalf("%d origins, %s: rule %d; want %d and no more", n, name(i), got, want)
			}
		}
	}
}

// Some origins have room in the table, and others do not.
func TestSearch_longOrigins(t *testing.T) {
	room := len(listedOrigin{}.text)
	for n := room - 1; n <= room+2; n++ {
		listed := "https://" + strings.Repeat("a", n-len("https://"))
		o := newOrigins([]CORSRule{{AllowedOrigins: []string{listed}}})
		for _, origin := range []string{listed, listed[:n-1], listed + "a", listed[:n-1] + "b", "https://b" + listed[len("https://a"):]} {
			want := noMore
			if origin == listed {
				want = 0
			}
			var s search
			s.begin(&o, origin)
			if got := s.next(); got != want {
				t.Errorf("%d bytes, %s: rule %d; want %d", n, origin, got, want)
			}
		}
	}
}
