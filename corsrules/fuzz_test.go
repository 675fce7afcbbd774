package corsrules

import (
	"bytes"
	"flag"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// request is what a decision is made of: raw header lines.
type request struct {
	origin, method, headers []string
}

// checkAgreement holds the engine's decisions on one request, and their explanations,
// against the naive matcher's.
func checkAgreement(t *testing.T, cfg *Configuration, rs *Ruleset, r request) {
	t.Helper()
	// HTTP gives a field's value without the white space around it.
	origin, method := fieldValues(r.origin), fieldValues(r.method)

	pre := rs.Decide(preflight(r.origin, r.method, r.headers))
	if want := naivePreflight(cfg, origin, method, r.headers); summary(pre) != want {
		t.Errorf("Preflight(%q, %q, %q):\nengine %+v\nnaive  %+v", r.origin, r.method, r.headers, summary(pre), want)
	}
	checkExplanation(t, rs, rs.Explain(preflight(r.origin, r.method, r.headers)), pre)

	actualMethod := "GET"
	if len(method) > 0 && method[0] != "" {
		actualMethod = method[0]
	}
	if actualMethod == "OPTIONS" { // with Origin it is a preflight
		actualMethod = "options"
	}
	act := rs.Decide(actual(r.origin, actualMethod))
	if want := naiveActual(cfg, origin, actualMethod); summary(act) != want {
		t.Errorf("Actual(%q, %q):\nengine %+v\nnaive  %+v", r.origin, actualMethod, summary(act), want)
	}
	checkExplanation(t, rs, rs.Explain(actual(r.origin, actualMethod)), act)
	checkS3Agreement(t, cfg, rs, r)

	if t.Failed() {
		document := "none"
		if cfg != nil {
			document = string(cfg.Marshal())
		}
		t.Fatalf("the rules:\n%s", document)
	}
}

// fieldValues leaves out the white space around a field's values, which is not part of
// them (RFC 9110, section 5.5).
func fieldValues(lines []string) []string {
	trimmed := make([]string, len(lines))
	for i, line := range lines {
		trimmed[i] = strings.Trim(line, " \t")
	}
	return trimmed
}

// generator makes small documents and the requests that are likely to be wrongly
// decided by them. Every choice comes from one function, so that a seed or a fuzzer's
// bytes are the whole case.
type generator struct {
	choose func(n int) int // one of 0 to n-1
}

// with is true once in n.
func (g generator) with(n int) bool { return g.choose(n) == 0 }

func (g generator) pick(from ...string) string { return from[g.choose(len(from))] }

// join makes a string of up to most pieces.
func (g generator) join(most int, pieces ...string) string {
	var b strings.Builder
	for range g.choose(most + 1) {
		b.WriteString(g.pick(pieces...))
	}
	return b.String()
}

// star puts one "*" somewhere into s.
func (g generator) star(s string) string {
	at := g.choose(len(s) + 1)
	return s[:at] + "*" + s[at:]
}

// configuration returns a document that Parse takes.
func (g generator) configuration() *Configuration {
	cfg := &Configuration{ResponseVary: g.with(2)}
	for range 1 + g.choose(4) {
		var r CORSRule
		for range 1 + g.choose(3) {
			r.AllowedOrigins = append(r.AllowedOrigins, g.allowedOrigin())
		}
		for range 1 + g.choose(3) {
			r.AllowedMethods = append(r.AllowedMethods, g.pick("GET", "PUT", "DELETE", "POST", "HEAD"))
		}
		for range g.choose(4) {
			r.AllowedHeaders = append(r.AllowedHeaders, g.allowedHeader())
		}
		for range g.choose(3) {
			r.ExposeHeaders = append(r.ExposeHeaders, g.pick("ETag", "x-a", "X-A"))
		}
		if g.with(2) {
			r.MaxAgeSeconds = seconds(g.pickInt(0, 1, 600, maxMaxAgeSeconds))
		}
		r.ID = g.pick("", "", "web", "1", "a b", "<&>\"'", "x\ry")
		cfg.Rules = append(cfg.Rules, r)
	}
	return cfg
}

func (g generator) pickInt(from ...int) int { return from[g.choose(len(from))] }

func (g generator) allowedOrigin() string {
	switch g.choose(8) {
	case 0:
		return g.pick("*", "null", "NULL", "https://*", "https://ab*bc", "aa*aa", "HTTPS://A.B", "\u212a", "a\u017f*", "<&>")
	case 1, 2, 3:
		return g.star(g.join(4, "a", "b", "A", "aa", "ab", ".", "k", "s"))
	default:
		return g.pick("a", "b", "A", "k", ".") + g.join(3, "a", "b", "A", "ba", ".", "s")
	}
}

func (g generator) allowedHeader() string {
	switch g.choose(6) {
	case 0:
		return g.pick("*", "ab*bc", "aa*aa", "x-*", "content-type")
	case 1, 2:
		return g.star(g.join(3, "a", "b", "aa", "ab", "-"))
	default:
		return g.pick("a", "b", "-") + g.join(2, "a", "b", "ba", "-")
	}
}

// request returns one that mostly, but not quite, suits a rule of cfg, or is made up of
// what suits several.
func (g generator) request(cfg *Configuration) request {
	rule := g.rule(cfg)
	another := func() CORSRule {
		if g.with(8) {
			rule = g.rule(cfg)
		}
		return rule
	}
	return request{
		origin:  g.lines(16, func() string { return g.origin(another()) }),
		method:  g.lines(16, func() string { return g.method(another()) }),
		headers: g.headers(another),
	}
}

func (g generator) rule(cfg *Configuration) CORSRule { return cfg.Rules[g.choose(len(cfg.Rules))] }

// lines returns mostly one header line; once in rarely it is none, or more than one,
// or next to empty ones.
func (g generator) lines(rarely int, line func() string) []string {
	if !g.with(rarely) {
		return lines(line())
	}
	var ls []string
	for range g.choose(4) {
		ls = append(ls, g.pick(line(), line(), "", " \t"))
	}
	return ls
}

func (g generator) origin(rule CORSRule) string {
	switch g.choose(16) {
	case 0:
		return g.pick("null", "*", "https://abc", "https://abbc", "aaa", "aaaa", "k", "K", "s", "<&>", "!", "~")
	case 1:
		return g.join(4, "a", "b", "A", "aa", ".", "k", "s")
	case 2:
		return g.pick("a b", " a", "a\t", "a\x7f", "a\x00", "é", "\u212a", "a,b", "a\n", "a.",
			"a"+strings.Repeat("a", MaxOriginBytes-2+g.choose(3)))
	default:
		return g.like(g.pick(rule.AllowedOrigins...))
	}
}

func (g generator) method(rule CORSRule) string {
	switch g.choose(8) {
	case 0:
		return g.pick("GET", "PUT", "DELETE", "POST", "HEAD", "GET", "PUT", " GET", "PUT\t")
	case 1:
		return g.pick("get", "PATCH", "*", "GET,PUT", ",", "G ET")
	default:
		return g.pick(rule.AllowedMethods...)
	}
}

// like returns something that pattern matches, or nearly: in either case, with any run
// for its star, or with prefix and suffix laid over each other.
func (g generator) like(pattern string) string {
	prefix, suffix, wild := strings.Cut(pattern, "*")
	s := pattern
	switch {
	case wild && suffix != "" && strings.HasSuffix(prefix, suffix[:1]) && g.with(2):
		s = prefix + suffix[1:]
	case wild:
		s = prefix + g.join(2, "a", "b", ".", "-") + suffix
	}
	switch g.choose(16) {
	case 0, 1:
		s = asciiUpper(s)
	case 2, 3:
		s = asciiLower(s)
	case 4:
		s += g.pick("a", "b", ".")
	case 5:
		s = s[:max(0, len(s)-1)]
	}
	return s
}

func asciiUpper(s string) string {
	return strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' {
			return r - 'a' + 'A'
		}
		return r
	}, s)
}

func (g generator) headers(rule func() CORSRule) []string {
	if g.with(4) {
		return nil
	}
	var ls []string
	for range 1 + g.choose(2) {
		var line strings.Builder
		for i := range 1 + g.choose(3) {
			if i > 0 {
				line.WriteString(g.pick(",", ",", ",", ", ", " ,\t", ",,"))
			}
			line.WriteString(g.header(rule()))
		}
		ls = append(ls, line.String())
	}
	switch g.choose(400) {
	case 0:
		ls = append(ls, strings.Repeat("a,", MaxRequestHeaders-6+g.choose(8)))
	case 1:
		ls = append(ls, strings.Repeat("a", 500+g.choose(30)))
	case 2:
		size := 0
		for _, line := range ls {
			size += len(line)
		}
		ls = append(ls, strings.Repeat("\t", MaxRequestHeaderBytes-size-1+g.choose(3)))
	}
	return ls
}

func (g generator) header(rule CORSRule) string {
	switch g.choose(24) {
	case 0:
		return g.pick("", " ", "\t", "*", "a", "A", "-")
	case 1:
		return g.pick("a b", "a:b", "é", "(", "a\x00", "\"a\"", "\u212a")
	case 2, 3:
		return g.join(3, "a", "b", "A", "aa", "-")
	default:
		if len(rule.AllowedHeaders) > 0 {
			return g.like(g.pick(rule.AllowedHeaders...))
		}
		return ""
	}
}

var seed = flag.Uint64("seed", 0, "the seed of TestDifferential; 0: a new one each time")

// TestDifferential holds engine and naive matcher together over random documents and
// requests.
func TestDifferential(t *testing.T) {
	documents, requests := 10_000, 20
	if testing.Short() {
		documents = 500
	}
	seed := *seed
	if seed == 0 {
		seed = rand.Uint64()
	}
	defer func() {
		if t.Failed() {
			t.Logf("to see this again: go test -run TestDifferential -seed %d", seed)
		}
	}()
	g := generator{rand.New(rand.NewPCG(seed, 0)).IntN}
	reached := map[Reason]int{}
	for range documents {
		cfg := g.configuration()
		checkRoundTrip(t, cfg)
		rs := Compile(cfg)
		for range requests {
			r := g.request(cfg)
			cfg, rs := cfg, rs
			if g.with(50) {
				cfg, rs = nil, nil // not enabled
			}
			checkAgreement(t, cfg, rs, r)
			reached[rs.Decide(preflight(r.origin, r.method, r.headers)).Reason]++
		}
	}

	t.Log(reached)
	// A generator that hardly reaches an outcome any more would pass in silence.
	for _, reason := range append(slices.Clone(PreflightReasons), NoReason) {
		if reason == RulesUnavailable { // of no document
			continue
		}
		if n := reached[reason]; n < documents*requests/200 {
			t.Errorf("reason %q: reached %d times of %d", reason, n, documents*requests)
		}
	}
}

// FuzzDifferential is TestDifferential with a fuzzer's choices in place of chance.
func FuzzDifferential(f *testing.F) {
	for n := range 16 {
		seed := make([]byte, 64*(n+1))
		r := rand.New(rand.NewPCG(uint64(n), 0))
		for i := range seed {
			seed[i] = byte(r.Uint32())
		}
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, choices []byte) {
		g := generator{func(n int) int {
			if len(choices) == 0 {
				return 0
			}
			c := int(choices[0])
			choices = choices[1:]
			return c % n
		}}
		cfg := g.configuration()
		checkRoundTrip(t, cfg)
		rs := Compile(cfg)
		for range 4 {
			checkAgreement(t, cfg, rs, g.request(cfg))
		}
	})
}

// FuzzPreflight takes a document and the lines of the three headers, apart by line
// feeds, as they come. A document that Parse refuses stands for a bucket without one.
func FuzzPreflight(f *testing.F) {
	join := func(lines []string) string { return strings.Join(lines, "\n") }
	document := func(cfg *Configuration) []byte {
		if cfg == nil {
			return nil
		}
		return cfg.Marshal()
	}
	for _, c := range originCases {
		cfg := configuration(ruleSpec{origins: c.allowed, methods: "GET"})
		f.Add(document(cfg), c.origin, "GET", "")
	}
	for _, c := range methodCases {
		cfg := configuration(ruleSpec{origins: "*", methods: c.allowed})
		f.Add(document(cfg), "https://a", c.method, "")
	}
	for _, c := range preflightCases {
		f.Add(document(c.cfg), join(c.origin), join(c.method), join(c.headers))
	}
	for _, c := range actualCases {
		f.Add(document(c.cfg), join(c.origin), c.method, "")
	}
	f.Fuzz(func(t *testing.T, doc []byte, origin, method, headers string) {
		cfg, _ := Parse(doc, Options{})
		split := func(s string) []string { return strings.Split(s, "\n") }
		checkAgreement(t, cfg, compile(cfg), request{split(origin), split(method), split(headers)})
	})
}

// FuzzParse: no document makes Parse panic, what it refuses it explains, and what it
// accepts it accepts again from Marshal.
func FuzzParse(f *testing.F) {
	for _, c := range acceptedCases {
		f.Add([]byte(c.doc), c.opts.MaxRules, c.opts.Credentials)
	}
	for _, c := range faultCases {
		doc, _ := marked(c.doc)
		f.Add([]byte(doc), c.opts.MaxRules, c.opts.Credentials)
	}
	f.Add(manyFaults, 4, true)
	for _, c := range jsonCases {
		f.Add([]byte(c.doc), 0, false)
	}
	f.Fuzz(func(t *testing.T, doc []byte, maxRules int, credentials bool) {
		opts := Options{File: "fuzz.xml", MaxRules: maxRules, Credentials: credentials}
		cfg, err := Parse(doc, opts)
		if err != nil {
			checkFaults(t, doc, cfg, err)
			return
		}
		checkConfiguration(t, cfg, opts)
		checkRoundTrip(t, cfg)
	})
}

// checkFaults checks what holds for every error of Parse.
func checkFaults(t *testing.T, doc []byte, cfg *Configuration, err error) {
	t.Helper()
	faults, ok := err.(Faults)
	if !ok || len(faults) == 0 || cfg != nil {
		t.Fatalf("got %v and an error %T of %d faults; want nil and Faults, at least one", cfg, err, len(faults))
	}
	textLines := bytes.Split(bytes.TrimPrefix(doc, []byte("\uFEFF")), []byte("\n"))
	for i, f := range faults {
		if f.Line < 1 || f.Line > len(textLines) || f.Column < 1 || f.Column > len(textLines[f.Line-1])+1 {
			t.Errorf("%v: there is no such place", f)
		}
		if i > 0 && slices.Compare([]int{f.Line, f.Column}, []int{faults[i-1].Line, faults[i-1].Column}) < 0 {
			t.Errorf("%v comes after %v", f, faults[i-1])
		}
		if f.Message == "" {
			t.Errorf("%+v lacks a Message", f)
		}
		if f.Code == "" && !beginsJSON(bytes.TrimPrefix(doc, []byte(utf8BOM))) && (f.EC != "" || !strings.Contains(f.Message, "allow_credentials")) {
			t.Errorf("%+v lacks a Code, which OSS has for all but allow_credentials", f)
		}
		if (f.Code == CodeInvalidArgument) != (f.ArgumentName != "") {
			t.Errorf("%+v: ArgumentName and InvalidArgument go together", f)
		}
	}
}

// checkConfiguration checks what holds for every document that Parse accepts.
func checkConfiguration(t *testing.T, cfg *Configuration, opts Options) {
	t.Helper()
	most := DefaultMaxRules
	if opts.MaxRules > 0 {
		most = opts.MaxRules
	}
	if len(cfg.Rules) < 1 || len(cfg.Rules) > most {
		t.Errorf("%d rules, 1 to %d are allowed", len(cfg.Rules), most)
	}
	for i, r := range cfg.Rules {
		if len(r.AllowedOrigins) == 0 || len(r.AllowedMethods) == 0 {
			t.Errorf("rule %d lacks an origin or a method: %+v", i+1, r)
		}
		for _, origin := range r.AllowedOrigins {
			if origin == "" || strings.Count(origin, "*") > 1 || strings.ContainsAny(origin, " \t\r\n\u00a0\u0085") {
				t.Errorf("rule %d: AllowedOrigin %q", i+1, origin)
			}
		}
		for _, method := range r.AllowedMethods {
			if !listed([]string{"GET", "PUT", "DELETE", "POST", "HEAD"}, method) {
				t.Errorf("rule %d: AllowedMethod %q", i+1, method)
			}
		}
		for _, header := range r.AllowedHeaders {
			if header == "" || strings.Count(header, "*") > 1 || header != asciiLower(header) || strings.Trim(header, tokenBytes) != "" {
				t.Errorf("rule %d: AllowedHeader %q", i+1, header)
			}
		}
		for _, header := range r.ExposeHeaders {
			if header == "" || strings.ContainsAny(header, "*<>&'\"") || strings.Trim(header, tokenBytes) != "" {
				t.Errorf("rule %d: ExposeHeader %q", i+1, header)
			}
		}
		if r.MaxAgeSeconds != nil && (*r.MaxAgeSeconds < 0 || *r.MaxAgeSeconds > maxMaxAgeSeconds) {
			t.Errorf("rule %d: MaxAgeSeconds %d", i+1, *r.MaxAgeSeconds)
		}
	}
}

// checkRoundTrip checks that Parse gives cfg back from Marshal. Escapes and indents
// can grow a document past its bound, so this goes in behind the check of its size.
func checkRoundTrip(t *testing.T, cfg *Configuration) {
	t.Helper()
	doc := cfg.Marshal()
	p := &parser{doc: doc, opts: Options{File: "marshal.xml", MaxRules: len(cfg.Rules)}}
	again, err := p.parse()
	if err != nil {
		t.Fatalf("Parse refuses what Marshal wrote: %v\n%s", err, doc)
	}
	again.Form = cfg.Form // Marshal writes XML
	if !reflect.DeepEqual(again, cfg) {
		t.Fatalf("Parse(Marshal(cfg)) is not cfg:\ngot  %+v\nwant %+v\n%s", again, cfg, doc)
	}
}
