package corsrules

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func TestDiff(t *testing.T) {
	rule := func(origins, methods, headers string) CORSRule {
		return CORSRule{AllowedOrigins: strings.Fields(origins), AllowedMethods: strings.Fields(methods), AllowedHeaders: strings.Fields(headers)}
	}
	aged := func(r CORSRule, seconds int) CORSRule {
		r.MaxAgeSeconds = &seconds
		return r
	}
	cases := []struct {
		desc          string
		before, after []CORSRule
		want          []Change
	}{
		{"nothing", []CORSRule{rule("https://a.example", "GET PUT", "x-a")}, []CORSRule{rule("https://A.example", "GET PUT", "x-a x-a")}, nil},
		{"an origin more", []CORSRule{rule("https://a.example", "GET", "")}, []CORSRule{rule("https://a.example https://b.example", "GET", "")},
			[]Change{{Kind: NowAllowed, Origins: []string{"https://b.example"}, Methods: []string{"GET"}}}},
		{"an exact origin becomes a pattern", []CORSRule{rule("https://a.example.com", "GET", "x-a")}, []CORSRule{rule("https://*.example.com", "GET", "x-a")},
			[]Change{{Kind: NowAllowed, Origins: []string{"https://*.example.com"}, Except: []string{"https://a.example.com"}, Methods: []string{"GET"}, With: []string{"x-a"}}}},
		{"a header less", []CORSRule{rule("*", "GET PUT", "x-a x-b")}, []CORSRule{rule("*", "GET PUT", "x-b")},
			[]Change{{Kind: NowDenied, Origins: []string{"*"}, Methods: []string{"GET", "PUT"}, Headers: [][]string{{"x-a"}}}}},
		{"a rule is split", []CORSRule{rule("*", "PUT", "x-a x-b")}, []CORSRule{rule("*", "PUT", "x-a"), rule("*", "PUT", "x-b")},
			[]Change{{Kind: NowDenied, Origins: []string{"*"}, Methods: []string{"PUT"}, Headers: [][]string{{"x-a", "x-b"}}}}},
		{"a method that only a Caddyfile has", []CORSRule{rule("*", "GET PATCH", "")}, []CORSRule{rule("*", "GET", "")},
			[]Change{{Kind: NowDenied, Origins: []string{"*"}, Methods: []string{"PATCH"}}, {Kind: NowDifferent, Origins: []string{"*"}, Methods: []string{"GET"}, Response: []HeaderChange{{"Access-Control-Allow-Methods", "GET, PATCH", "GET"}}}}},
		{"max age", []CORSRule{aged(rule("*", "GET", ""), 60)}, []CORSRule{aged(rule("*", "GET", ""), 600)},
			[]Change{{Kind: NowDifferent, Origins: []string{"*"}, Methods: []string{"GET"}, Response: []HeaderChange{{"Access-Control-Max-Age", "60", "600"}}}}},
		{"names that overlap", []CORSRule{rule("https://a* *a.com", "GET", "")}, []CORSRule{rule("https://a*a.com", "GET", ""), rule("https://a* *a.com", "GET", "")}, nil},
	}
	for _, c := range cases {
		got, err := Diff(Compile(&Configuration{Rules: c.before}), Compile(&Configuration{Rules: c.after}))
		if err != nil {
			t.Error(c.desc, err)
		}
		if fmt.Sprint(got) != fmt.Sprint(c.want) {
			t.Errorf("%s:\n got %+v\nwant %+v", c.desc, got, c.want)
		}
	}
}

// For S3, a rule with upper-case letters in its origin does not match what browsers send, and
// what is allowed has Vary in any case.
func TestDiffForS3(t *testing.T) {
	rules := func(vary bool, origins ...string) *Ruleset {
		return Compile(&Configuration{ResponseVary: vary, Rules: []CORSRule{{AllowedOrigins: origins, AllowedMethods: []string{"GET"}}}})
	}
	about := func(kind, origin string) []Change {
		return []Change{{Kind: kind, Origins: []string{origin}, Methods: []string{"GET"}}}
	}
	cases := []struct {
		desc          string
		before, after *Ruleset
		want          []Change
	}{
		{"nothing", rules(false, "https://a.example"), rules(false, "https://a.example"), nil},
		{"the case of a letter", rules(false, "https://A.example"), rules(false, "https://a.example"), about(NowAllowed, "https://a.example")},
		{"the same in a pattern", rules(false, "https://*.example.com"), rules(false, "https://*.Example.com"), about(NowDenied, "https://*.example.com")},
		{"what no browser sends", rules(false, "https://a.example"), rules(false, "https://a.example", "https://B.example"), nil},
		{"vary", rules(false, "https://a.example"), rules(true, "https://a.example"), nil},
	}
	for _, c := range cases {
		got, err := DialectS3.Diff(c.before, c.after)
		if err != nil || fmt.Sprint(got) != fmt.Sprint(c.want) {
			t.Errorf("%s: %v\n got %+v\nwant %+v", c.desc, err, got, c.want)
		}
	}
}

// Diff agrees with the decisions on requests of random documents: each one that is decided
// otherwise is in a change, and each change is about such requests.
func TestDiffAgreesWithDecisions(t *testing.T) {
	for name, dialect := range map[string]Dialect{"oss": DialectOSS, "s3": DialectS3} {
		t.Run(name, func(t *testing.T) { testDiffAgreesWithDecisions(t, dialect) })
	}
}

func testDiffAgreesWithDecisions(t *testing.T, dialect Dialect) {
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	for range 1000 {
		before, after := Compile(randomRules(random)), Compile(randomRules(random))
		changes, err := dialect.Diff(before, after)
		if err != nil {
			t.Fatal(seed, err)
		}
		for range 60 {
			r := randomRequest(random)
			r.dialect = dialect
			kind := compareDecisions(before.Decide(r), after.Decide(r))
			if kinds := kindsAbout(changes, r); kind != "" && !slices.Contains(kinds, kind) {
				t.Fatalf("seed %d: %+v is now %s, and the changes are %+v\n%s%s", seed, r, kind, changes, before.Configuration().Marshal(), after.Configuration().Marshal())
			}
		}
		for _, c := range changes {
			for _, r := range examples(c) {
				r.dialect = dialect
				if kind := compareDecisions(before.Decide(r), after.Decide(r)); kind != c.Kind {
					t.Fatalf("seed %d: %+v of %+v is now %q\n%s%s", seed, r, c, kind, before.Configuration().Marshal(), after.Configuration().Marshal())
				}
			}
		}
	}
}

// Diff agrees with all requests there are with short origins and names.
func TestDiffAgreesWithBruteForce(t *testing.T) {
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	origins, names := words(4), words(2)
	headers := []string{""}
	for i, name := range names {
		headers = append(headers, name)
		for _, other := range names[:i] {
			headers = append(headers, name+","+other)
		}
	}
	var requests []Request
	for _, origin := range origins {
		for _, method := range []string{"GET", "PUT"} {
			for _, asked := range headers {
				requests = append(requests, preflight([]string{origin}, []string{method}, []string{asked}))
			}
		}
	}
	for range 40 {
		before, after := Compile(randomRules(random)), Compile(randomRules(random))
		changes, err := Diff(before, after)
		if err != nil {
			t.Fatal(seed, err)
		}
		for _, r := range requests {
			kind := compareDecisions(before.Decide(r), after.Decide(r))
			if kind != "" && !slices.Contains(kindsAbout(changes, r), kind) {
				t.Fatalf("seed %d: %+v is now %s, and the changes are %+v\n%s%s", seed, r, kind, changes, before.Configuration().Marshal(), after.Configuration().Marshal())
			}
		}
	}
}

// words returns all words of a, b and c up to a length.
func words(length int) []string {
	all := []string{""}
	for from := 0; length > 0; length-- {
		longer := all[from:]
		from = len(all)
		for _, word := range longer {
			all = append(all, word+"a", word+"b", word+"c")
		}
	}
	return all[1:]
}

func compareDecisions(before, after Decision) string {
	headers := func(d Decision) (all string) {
		for name, value := range d.Headers(Policy{}) {
			all += name + value
		}
		return all
	}
	switch {
	case before.Outcome == Denied && after.Outcome == Allowed:
		return NowAllowed
	case before.Outcome == Allowed && after.Outcome == Denied:
		return NowDenied
	case before.Outcome == Allowed && headers(before) != headers(after):
		return NowDifferent
	}
	return ""
}

// kindsAbout returns the kinds of the changes that are about a request.
func kindsAbout(changes []Change, r Request) (kinds []string) {
	for _, c := range changes {
		origin := narrowest(slices.Concat(c.Origins, c.Except), r.Origin)
		asked := strings.Split(r.Headers, headerSeparator)
		for k, name := range asked {
			asked[k] = narrowest(slices.Concat(c.HeadersExcept, slices.Concat(c.Headers...)), name)
		}
		hasAll := func(combination []string) bool {
			return !slices.ContainsFunc(combination, func(name string) bool { return !slices.Contains(asked, name) })
		}
		if slices.Contains(c.Origins, origin) && slices.Contains(c.Methods, r.Method) &&
			(c.Headers == nil || slices.ContainsFunc(c.Headers, hasAll)) {
			kinds = append(kinds, c.Kind)
		}
	}
	return kinds
}

// narrowest returns the narrowest label that matches a value; "" if none does.
func narrowest(labels []string, value string) (narrowest string) {
	for _, label := range labels {
		if covers(label, value) && (narrowest == "" || covers(narrowest, label)) {
			narrowest = label
		}
	}
	return narrowest
}

// examples are requests that a change is about.
func examples(c Change) (requests []Request) {
	combinations := c.Headers
	if combinations == nil {
		combinations = [][]string{nil}
	}
	for _, origin := range c.Origins {
		for _, method := range c.Methods {
			for _, names := range combinations {
				names := strings.ReplaceAll(strings.Join(names, ","), "*", "9")
				requests = append(requests, preflight([]string{strings.Replace(origin, "*", "9", 1)}, []string{method}, []string{names}))
			}
		}
	}
	return requests
}

var diffAlphabet = []string{"a", "b", "ab", "a*", "*a", "a*b", "b*a", "ab*", "*ab", "a*a", "aba", "aa*", "*aa", "*", "ab*ab", "aba*", "*aba", "A", "aB", "a*B", "*A"}

func randomRules(random *rand.Rand) *Configuration {
	some := func(from []string, least int) (values []string) {
		for range least + random.IntN(3) {
			values = append(values, from[random.IntN(len(from))])
		}
		return values
	}
	cfg := &Configuration{}
	for range 1 + random.IntN(3) {
		r := CORSRule{AllowedOrigins: some(diffAlphabet, 1), AllowedMethods: some([]string{"GET", "PUT"}, 1), AllowedHeaders: some(diffAlphabet, 0)}
		if random.IntN(3) == 0 {
			r.MaxAgeSeconds = new(random.IntN(2))
		}
		cfg.Rules = append(cfg.Rules, r)
	}
	return cfg
}

func randomRequest(random *rand.Rand) Request {
	word := func() string {
		text := ""
		for range 1 + random.IntN(6) {
			text += []string{"a", "b", "c"}[random.IntN(3)]
		}
		return text
	}
	var names []string
	for range random.IntN(4) {
		names = append(names, word())
	}
	return preflight([]string{word()}, []string{[]string{"GET", "PUT"}[random.IntN(2)]}, []string{strings.Join(names, ",")})
}

// The worst that two documents of full length can have is still found in a moment.
func TestDiffOfManyPatterns(t *testing.T) {
	many := func(format string) *Ruleset {
		cfg := &Configuration{}
		for i := range 10 {
			r := CORSRule{AllowedMethods: Methods}
			for k := range 40 {
				r.AllowedOrigins = append(r.AllowedOrigins, fmt.Sprintf(format, strings.Repeat("a", k), i))
				r.AllowedHeaders = append(r.AllowedHeaders, fmt.Sprintf("x-%d-%d-*", i, k))
			}
			cfg.Rules = append(cfg.Rules, r)
		}
		return Compile(cfg)
	}
	if changes, err := Diff(many("https://%s*%d"), many("https://%s*a%d")); len(changes) == 0 || err != nil {
		t.Error(err, len(changes))
	}
}

// More combinations than anybody reads are an error, and take neither time nor memory.
func TestDiffOfTooManyCombinations(t *testing.T) {
	// group returns the k-th of groups of header names.
	group := func(k, size int) (names []string) {
		for i := range size {
			names = append(names, fmt.Sprintf("x-%d-%d", k, i))
		}
		return names
	}
	rule := func(groups ...[]string) CORSRule {
		return CORSRule{AllowedOrigins: []string{"https://*.example.com"}, AllowedMethods: []string{"PUT"}, AllowedHeaders: slices.Concat(groups...)}
	}
	// split compares one rule with rules that lack one group each: what asks for a name of
	// each group is denied.
	split := func(groups, size int) ([]Change, error) {
		var all [][]string
		for k := range groups {
			all = append(all, group(k, size))
		}
		var after []CORSRule
		for k := range groups {
			after = append(after, rule(slices.Delete(slices.Clone(all), k, k+1)...))
		}
		return Diff(Compile(&Configuration{Rules: []CORSRule{rule(all...)}}), Compile(&Configuration{Rules: after}))
	}
	if changes, err := split(2, 17); err != nil || len(changes) != 1 || len(changes[0].Headers) != 17*17 {
		t.Errorf("%v %+v", err, changes)
	}
	const want = "from https://*.example.com: PUT: what changes depends on more than 300 combinations of header names: compare rules that differ less"
	for _, c := range []struct{ groups, size int }{{2, 18}, {10, 30}} {
		if _, err := split(c.groups, c.size); err == nil || err.Error() != want {
			t.Errorf("%d groups of %d names: %v", c.groups, c.size, err)
		}
	}

	// Each request for one of two names of each pair is denied, but for the first of all
	// pairs: 511 combinations, of names that are all told apart.
	var all, firsts []string
	var after []CORSRule
	for k := range 9 {
		all = append(all, group(k, 2)...)
		firsts = append(firsts, group(k, 1)...)
	}
	for k := range 9 {
		after = append(after, rule(slices.Delete(slices.Clone(all), 2*k, 2*k+2)))
	}
	after = append(after, rule(firsts))
	if _, err := Diff(Compile(&Configuration{Rules: []CORSRule{rule(all)}}), Compile(&Configuration{Rules: after})); err == nil || err.Error() != want {
		t.Error(err)
	}
}
