package corsrules

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// The codes of findings. They are stable: a script may name them.
const (
	// LintUnreachableRule: earlier rules match every request that this one would.
	LintUnreachableRule = "unreachable-rule"

	// LintUnreachableOrigin and LintUnreachableMethod: the same of one origin or one
	// method of a rule, while others of the rule can be reached.
	LintUnreachableOrigin = "unreachable-origin"
	LintUnreachableMethod = "unreachable-method"

	// LintUnsentExposeHeaders: earlier rules match every actual request that this
	// one would, so that it answers preflights only, where nobody reads its
	// ExposeHeaders.
	LintUnsentExposeHeaders = "unsent-expose-headers"

	// LintDuplicate: the rule has the same value already.
	LintDuplicate = "duplicate-value"

	// LintCoveredOrigin and LintCoveredHeader: another value of the rule matches
	// all that this one does.
	LintCoveredOrigin = "covered-origin"
	LintCoveredHeader = "covered-header"

	// LintGluedWildcard: a * that touches the name of a site, so that other sites,
	// whose names end like it, match too.
	LintGluedWildcard = "glued-wildcard"

	// LintWideOrigin: a * that lets anybody's site match, though it is not alone.
	LintWideOrigin = "wide-origin"

	// LintNullOrigin: the origin null, which any page can send.
	LintNullOrigin = "null-origin"

	// LintNoScheme: an origin that does not say its scheme, or has a * for it. Browsers always
	// say it.
	LintNoScheme = "no-scheme"

	// LintUpperCase: an origin with upper-case letters, which browsers never send.
	LintUpperCase = "upper-case-origin"

	// LintPathInOrigin: an origin with a path, if only a slash. Browsers send none.
	LintPathInOrigin = "path-in-origin"

	// LintDefaultPort: an origin with its scheme's own port, which browsers leave
	// out.
	LintDefaultPort = "default-port"

	// LintUnmatchableOrigin: an origin that no browser sends, for another reason than
	// those above.
	LintUnmatchableOrigin = "unmatchable-origin"

	// LintPlaceholder: a placeholder such as {env.ORIGIN}, which is not expanded in a
	// rules document.
	LintPlaceholder = "placeholder"

	// LintForbiddenHeader: an AllowedHeader that browsers never ask for, because
	// scripts cannot set it.
	LintForbiddenHeader = "forbidden-header"

	// LintHiddenHeader: an ExposeHeader that browsers never show to scripts.
	LintHiddenHeader = "hidden-header"

	// LintMaxAge: a MaxAgeSeconds that is longer than any browser keeps an answer.
	LintMaxAge = "max-age-beyond-browsers"

	// LintUnusedID: an ID that is not the rule's name in metrics, logs and explanations.
	LintUnusedID = "unused-id"

	// LintEchoWithoutVary: what responses have depends on the Origin, and caches are not
	// told.
	LintEchoWithoutVary = "echo-without-vary"
)

// LintCodes are all codes that findings can have.
var LintCodes = []string{
	LintUnreachableRule, LintUnreachableOrigin, LintUnreachableMethod, LintUnsentExposeHeaders,
	LintDuplicate, LintCoveredOrigin, LintCoveredHeader,
	LintGluedWildcard, LintWideOrigin, LintNullOrigin, LintNoScheme, LintUpperCase,
	LintPathInOrigin, LintDefaultPort, LintUnmatchableOrigin, LintPlaceholder,
	LintForbiddenHeader, LintHiddenHeader, LintMaxAge, LintUnusedID, LintEchoWithoutVary,
}

// longestMaxAge is how many seconds the most patient browser keeps a preflight's answer:
// Firefox. Chromium keeps it for 7200 at most, Safari for 600.
const longestMaxAge = 86_400

// Finding is something in a rules document that is legal and yet unwise.
type Finding struct {
	// File, Line and Column are as in Fault.
	File   string `json:"file"`
	Line   int    `json:"line"`
	Column int    `json:"column"`

	// Code is one of LintCodes.
	Code string `json:"code"`

	// Message says what was found, Advice what to write instead.
	Message string `json:"message"`
	Advice  string `json:"advice"`

	offset int // where in the document, to sort by

	// cure is what stands in Advice to write in place of the value, for tests; cured
	// tells an empty one, "remove it", from none.
	cure  []string
	cured bool
}

// String returns "file:line:column: message: advice (code)".
func (f Finding) String() string {
	return fmt.Sprintf("%s: %s: %s (%s)", f.Place(), f.Message, f.Advice, f.Code)
}

// Place returns "file:line:column", without what is not known.
func (f Finding) Place() string { return placeOf(f.File, f.Line, f.Column) }

// Lint reads a document as Parse does and returns what is legal in it and yet unwise, in
// the order of the document. Of a bad document it returns the error that Parse returns.
//
// What it says of rules that no request can reach is never wrong: it evaluates the rules for
// requests that stand for all that a rule can match.
func Lint(doc []byte, opts Options) ([]Finding, error) {
	_, findings, err := ParseAndLint(doc, opts)
	return findings, err
}

// ParseAndLint is Parse and Lint in one.
func ParseAndLint(doc []byte, opts Options) (*Configuration, []Finding, error) {
	cfg, lint, err := ParseThenLint(doc, opts)
	if err != nil {
		return nil, nil, err
	}
	return cfg, lint(Compile(cfg)), nil
}

// ParseThenLint is Parse, and returns a function that finds what Lint does, given what cfg
// compiles to. That takes longer than parsing: it is for whoever puts rules in force first. The
// function keeps the document in memory.
func ParseThenLint(doc []byte, opts Options) (cfg *Configuration, lint func(*Ruleset) []Finding, err error) {
	cfg, p, err := parse(doc, opts)
	if err != nil {
		return nil, nil, err
	}
	return cfg, func(rules *Ruleset) []Finding {
		findings := findings(cfg, rules, func(i int, element string, k int) Finding {
			at := p.places[i][element][k]
			line, column := p.position(at)
			return Finding{File: p.opts.File, Line: line, Column: column, offset: at}
		})
		slices.SortStableFunc(findings, func(a, b Finding) int { return cmp.Compare(a.offset, b.offset) })
		return findings
	}, nil
}

// LintBlocks is Lint for rule blocks that CheckBlocks finds no fault with. A place is as in
// BlockOptions.
func LintBlocks(cfg *Configuration, place func(i int, element string, k int) (file string, line int)) []Finding {
	return findings(cfg, Compile(cfg), func(i int, element string, k int) Finding {
		file, line := place(i, element, k)
		return Finding{File: file, Line: line}
	})
}

// findings are in the order of the rules. A place is a Finding without anything else.
func findings(cfg *Configuration, rules *Ruleset, place func(i int, element string, k int) Finding) []Finding {
	l := &linter{form: cfg.Form, place: place, rules: rules}
	for i := range cfg.Rules {
		l.lintRule(i, &cfg.Rules[i])
	}
	l.echoWithoutVary(cfg)
	return l.findings
}

type linter struct {
	form     Form
	place    func(i int, element string, k int) Finding
	rules    *Ruleset
	findings []Finding
}

// report adds a finding on the k-th value that rule i has of an element.
func (l *linter) report(i int, element string, k int, code, message, advice string) {
	f := l.place(i, element, k)
	f.Code, f.Message, f.Advice = code, message, advice
	l.findings = append(l.findings, f)
}

func (l *linter) lintRule(i int, r *CORSRule) {
	for k := range r.AllowedOrigins {
		l.origin(i, k, r.AllowedOrigins)
	}
	l.redundant(i, "AllowedOrigin", r.AllowedOrigins, LintCoveredOrigin)
	l.redundant(i, "AllowedMethod", r.AllowedMethods, "")
	l.redundant(i, "AllowedHeader", r.AllowedHeaders, LintCoveredHeader)
	l.redundant(i, "ExposeHeader", r.ExposeHeaders, "")
	l.browserHeaders(i, r)
	if r.MaxAgeSeconds != nil && *r.MaxAgeSeconds > longestMaxAge {
		l.report(i, "MaxAgeSeconds", 0, LintMaxAge,
			fmt.Sprintf("no browser keeps a preflight's answer for %d seconds: Firefox stops at %d, Chromium at 7200, Safari at 600", *r.MaxAgeSeconds, longestMaxAge),
			fmt.Sprintf("write %d or less", longestMaxAge))
	}
	l.unusedID(i, r.ID)
	l.reach(i, r)
}

// origin reports what is wrong with the k-th origin of rule i. Where it is known what to
// write, that is the advice, but for what the rule has already.
func (l *linter) origin(i, k int, origins []string) {
	problems := originProblems(origins[k])
	if len(problems) == 0 {
		return
	}
	cure := originCure(origins[k])
	added := slices.DeleteFunc(slices.Clone(cure), func(o string) bool {
		// In exact case: one with upper-case letters has advice of its own.
		return slices.ContainsFunc(slices.Delete(slices.Clone(origins), k, k+1), func(other string) bool { return Match(other, o) })
	})
	for _, p := range problems {
		switch {
		case cure == nil: // only the author knows
			p.advice = strings.Replace(p.advice, FormXML.apart("AllowedOrigin"), l.form.apart("AllowedOrigin"), 1)
		case len(added) == 0:
			p.advice = "remove it: the rule allows " + inWords(cure) + " already"
		case len(added) == 1:
			p.advice = "write " + added[0]
		default:
			p.advice = "write " + inWords(added) + ", each " + l.form.apart("AllowedOrigin")
		}
		l.report(i, "AllowedOrigin", k, p.code, p.message, p.advice)
		f := &l.findings[len(l.findings)-1]
		f.cured, f.cure = cure != nil, added
	}
}

// redundant reports values that stand in their rule twice, and those that another one
// covers; covered is the code of the latter, empty where * means nothing.
func (l *linter) redundant(i int, element string, values []string, covered string) {
	folded := make([]string, len(values))
	for k, value := range values {
		folded[k] = lower(value)
		if first := slices.Index(folded[:k], folded[k]); first >= 0 {
			if element == "AllowedOrigin" && values[k] == folded[k] && values[first] != folded[k] {
				continue // that one is to be removed: see checkUpperCase
			}
			l.report(i, element, k, LintDuplicate,
				fmt.Sprintf("the rule has the %s %s already", l.form.singular(element), quoteShort(values[first])),
				"remove this one")
			continue
		}
		if covered == "" {
			continue
		}
		wider := slices.IndexFunc(values, func(v string) bool { return lower(v) != folded[k] && covers(v, folded[k]) })
		if wider >= 0 {
			l.report(i, element, k, covered,
				fmt.Sprintf("%s %s matches all that %s does", l.form.singular(element), quoteShort(values[wider]), quoteShort(value)),
				fmt.Sprintf("remove %s, or %s if that is too wide", quoteShort(value), quoteShort(values[wider])))
		}
	}
}

// forbiddenHeaders are those of IsForbiddenHeader that are not known by their beginning.
var forbiddenHeaders = []string{
	"accept-charset", "accept-encoding", "access-control-request-headers", "access-control-request-method",
	"connection", "content-length", "cookie", "cookie2", "date", "dnt", "expect", "host", "keep-alive", "origin",
	"referer", "set-cookie", "te", "trailer", "transfer-encoding", "upgrade", "via",
}

// IsForbiddenHeader reports whether scripts cannot set a request header, whose name is in
// lower case, so that no browser asks for it in a preflight
// (https://fetch.spec.whatwg.org/#forbidden-request-header).
func IsForbiddenHeader(name string) bool {
	return slices.Contains(forbiddenHeaders, name) || strings.HasPrefix(name, "proxy-") || strings.HasPrefix(name, "sec-")
}

// browserHeaders reports headers that browsers keep to themselves.
func (l *linter) browserHeaders(i int, r *CORSRule) {
	for k, name := range r.AllowedHeaders {
		switch {
		case !IsToken(name): // S3 takes it
			l.report(i, "AllowedHeader", k, LintForbiddenHeader,
				fmt.Sprintf("no browser asks for %s: it is not a header name", quoteShort(name)), "write each header name "+l.form.apart("AllowedHeader"))
		case IsForbiddenHeader(lower(name)):
			l.report(i, "AllowedHeader", k, LintForbiddenHeader,
				fmt.Sprintf("no browser asks for %s: scripts cannot set it", name), "remove it")
		}
	}
	for k, name := range r.ExposeHeaders {
		if folded := lower(name); folded == "set-cookie" || folded == "set-cookie2" {
			l.report(i, "ExposeHeader", k, LintHiddenHeader,
				fmt.Sprintf("no browser shows %s to scripts, exposed or not", name), "remove it")
		}
	}
}

// unusedID reports an ID that is not its rule's name; of rules with the same ID, the second.
func (l *linter) unusedID(i int, id string) {
	notExpandedYet := l.form == FormBlocks && hasPlaceholder(id)
	if id == "" || l.rules.rules[i].idIsName || notExpandedYet {
		return
	}
	found := fmt.Sprintf("%s %s is ", l.form.name("ID"), quoteShort(id))
	if !isName(id) {
		l.report(i, "ID", 0, LintUnusedID,
			found+"not the rule's name in metrics and logs, which is "+l.name(i),
			fmt.Sprintf("write at most %d of A-Z, a-z, 0-9, ., _ and -, and not digits alone", maxNameBytes))
		return
	}
	var names []string
	for k := range l.rules.rules {
		if l.rules.rules[k].id == id {
			names = append(names, l.name(k))
		}
	}
	if names[1] == l.name(i) {
		l.report(i, "ID", 0, LintUnusedID,
			fmt.Sprintf("%son %d rules, so their names in metrics and logs are %s", found, len(names), inWords(names)),
			"give each rule an ID of its own")
	}
}

// echoWithoutVary reports, once for a document, that caches are not told that responses
// depend on the origin.
func (l *linter) echoWithoutVary(cfg *Configuration) {
	if cfg.ResponseVary {
		return
	}
	advice, vary := l.form.addVary(), "ResponseVary"
	if l.form == FormBlocks {
		vary = "response_vary"
	}
	for i, r := range cfg.Rules {
		if !slices.Contains(r.AllowedOrigins, "*") {
			l.report(i, "AllowedOrigin", 0, LintEchoWithoutVary,
				"a request's origin is echoed in Access-Control-Allow-Origin, and without "+vary+" a cache may give one origin's response to another", advice)
			return
		}
	}
	l.report(0, "AllowedOrigin", 0, LintEchoWithoutVary,
		"a response to a request without Origin has no Access-Control-Allow-Origin, and without "+vary+" a cache may give it to a page that needs one", advice)
}
