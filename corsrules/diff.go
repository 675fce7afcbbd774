package corsrules

import (
	"fmt"
	"maps"
	"slices"
)

// The kinds of a Change.
const (
	// NowAllowed and NowDenied: the requests were denied before, or allowed.
	NowAllowed = "allowed"
	NowDenied  = "denied"
	// NowDifferent: the requests are allowed as before, with other response headers.
	NowDifferent = "response"
)

// maxCombinations bounds how many combinations of header names a Change can have: more than
// anybody reads. Documents as people write them have a handful.
const maxCombinations = 300

// Change is a difference between two rule sets, and the requests that it is about.
type Change struct {
	// Kind is NowAllowed, NowDenied or NowDifferent.
	Kind string `json:"change"`

	// Origins are those of the requests, as a document writes them. Except are narrower
	// ones that the change is not about.
	Origins []string `json:"origins"`
	Except  []string `json:"except,omitempty"`

	// Methods are those of the requests.
	Methods []string `json:"methods"`

	// Headers are combinations of header names, as a document writes them: the change is
	// about preflights that ask for all names of at least one combination. Empty: about
	// all requests.
	Headers [][]string `json:"headers,omitempty"`

	// HeadersExcept are names narrower than those in Headers, that the change is not
	// about.
	HeadersExcept []string `json:"headers_except,omitempty"`

	// With are the header names that the requests can, or could, ask for. Only where
	// Headers is empty.
	With []string `json:"with,omitempty"`

	// Response are the response headers that differ, if Kind is NowDifferent.
	Response []HeaderChange `json:"response,omitempty"`
}

// HeaderChange is a response header before and after; "" where it is not sent.
type HeaderChange struct {
	Name   string `json:"name"`
	Before string `json:"before"`
	After  string `json:"after"`
}

// Diff compares what rules decide for OSS, as DialectOSS.Diff does.
func Diff(before, after *Ruleset) ([]Change, error) { return DialectOSS.Diff(before, after) }

// Diff returns what changes for browsers when after takes the place of before, and d decides.
// It looks at the patterns themselves: every request that is decided otherwise, with an Origin
// in lower case as browsers send it, is one that a Change is about. It is an error if a Change
// depends on more than 300 combinations of header names. Neither may be nil or Unavailable.
func (d Dialect) Diff(before, after *Ruleset) ([]Change, error) {
	cells := map[string]*originCell{} // by the rules that allow the origin
	var all []string
	for _, c := range cellsOf(append(before.allOrigins(), after.allOrigins()...)) {
		if !isOriginCell(c) {
			continue
		}
		rulesBefore, rulesAfter := before.allowing(c.witness, d), after.allowing(c.witness, d)
		key := fmt.Sprint(rulesBefore, rulesAfter)
		if cells[key] == nil {
			changes, err := changesOf(before.pick(rulesBefore), after.pick(rulesAfter))
			if err != nil {
				return nil, fmt.Errorf("from %s: %w", c.label, err)
			}
			cells[key] = &originCell{changes: changes}
		}
		cells[key].labels = append(cells[key].labels, c.label)
		all = append(all, c.label)
	}
	changes := mergeCells(cells, all)
	if d == DialectOSS && before.responseVary != after.responseVary { // S3's allowed responses have Vary anyway
		value := map[bool]string{true: "Origin"}
		changes = append(changes, Change{Kind: NowDifferent, Origins: []string{"*"}, Methods: slices.Clone(Methods),
			Response: []HeaderChange{{"Vary", value[before.responseVary], value[after.responseVary]}}})
	}
	return changes, nil
}

// originCell are origins that the same rules allow.
type originCell struct {
	labels  []string
	changes []Change // without Origins and Except
}

// isOriginCell reports whether a request can have an origin of the cell.
func isOriginCell(c cell) bool {
	value, _ := newPattern(c.label)
	return isOriginText(value.prefix + value.suffix)
}

func (rs *Ruleset) allOrigins() (origins []string) {
	for i := range rs.rules {
		origins = append(origins, rs.rules[i].origins...)
	}
	return origins
}

// allowing returns the indexes of the rules that allow an origin where d decides.
func (rs *Ruleset) allowing(origin string, d Dialect) (rules []int) {
	search := rs.origins.search(origin)
	for i, ok := search.next(); ok; i, ok = search.next() {
		if d == DialectOSS || rs.rules[i].allowsInCase(origin) {
			rules = append(rules, i)
		}
	}
	return rules
}

func (rs *Ruleset) pick(indexes []int) []*Rule {
	rules := make([]*Rule, len(indexes))
	for k, i := range indexes {
		rules[k] = &rs.rules[i]
	}
	return rules
}

// changesOf returns the changes for origins that these rules allow, in their order. Methods
// with the same changes share them.
func changesOf(before, after []*Rule) (changes []Change, err error) {
	for _, method := range methodsOf(slices.Concat(before, after)) {
		some, err := methodChanges(withMethod(before, method), withMethod(after, method))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", method, err)
		}
		for _, c := range some {
			same := func(other Change) bool { return fmt.Sprint(other.about()) == fmt.Sprint(c.about()) }
			if k := slices.IndexFunc(changes, same); k >= 0 {
				changes[k].Methods = append(changes[k].Methods, method)
				continue
			}
			c.Methods = []string{method}
			changes = append(changes, c)
		}
	}
	return changes, nil
}

// methodsOf returns Methods and what else rules allow: those of a Caddyfile may have any.
func methodsOf(rules []*Rule) []string {
	methods := slices.Clone(Methods)
	for _, r := range rules {
		for _, method := range r.effect.source.AllowedMethods {
			if !slices.Contains(methods, method) {
				methods = append(methods, method)
			}
		}
	}
	return methods
}

// about is c without its origins and methods.
func (c Change) about() Change {
	c.Origins, c.Except, c.Methods = nil, nil, nil
	return c
}

func withMethod(rules []*Rule, method string) (some []*Rule) {
	for _, r := range rules {
		if slices.Contains(r.effect.source.AllowedMethods, method) {
			some = append(some, r)
		}
	}
	return some
}

// methodChanges returns the changes for one method.
func methodChanges(before, after []*Rule) (changes []Change, err error) {
	h := newHeaderCells(before, after)
	for _, outcome := range []struct {
		kind          string
		allowed, then []nameSet // by the rules that allow, by those that do not
	}{{NowAllowed, h.after, h.before}, {NowDenied, h.before, h.after}} {
		combinations, err := minimalCombinations(outcome.allowed, outcome.then)
		if err != nil {
			return nil, err
		}
		if len(combinations) == 0 {
			continue
		}
		c := Change{Kind: outcome.kind}
		if c.Headers, c.HeadersExcept, err = h.names(combinations); err != nil {
			return nil, err
		}
		if len(c.Headers) == 0 {
			c.With = h.labelsOf(outcome.allowed)
		}
		changes = append(changes, c)
	}
	different, err := responseChanges(h, before, after)
	return append(changes, different...), err
}

// responseChanges compares the response headers of each two rules that some request matches
// before and after.
func responseChanges(h *headerCells, before, after []*Rule) (changes []Change, err error) {
	for i, old := range before {
		for j, new := range after {
			both := intersect(h.before[i], h.after[j])
			earlier := slices.Concat(h.before[:i], h.after[:j])
			response := compareEffects(old, new)
			if len(response) == 0 {
				continue
			}
			combinations, err := minimalCombinations([]nameSet{both}, earlier)
			if err != nil {
				return nil, err
			}
			if len(combinations) == 0 {
				continue
			}
			c := Change{Kind: NowDifferent, Response: response}
			if c.Headers, c.HeadersExcept, err = h.names(combinations); err != nil {
				return nil, err
			}
			changes = append(changes, c)
		}
	}
	return changes, nil
}

func compareEffects(before, after *Rule) (changes []HeaderChange) {
	allowOrigin := map[bool]string{true: "*", false: "the request's origin"}
	for _, c := range []HeaderChange{
		{"Access-Control-Allow-Origin", allowOrigin[before.anyOrigin], allowOrigin[after.anyOrigin]},
		{"Access-Control-Allow-Methods", before.AllowMethods(), after.AllowMethods()},
		{"Access-Control-Expose-Headers", before.ExposeHeaders(), after.ExposeHeaders()},
		{"Access-Control-Max-Age", before.MaxAge(), after.MaxAge()},
	} {
		if c.Before != c.After {
			changes = append(changes, c)
		}
	}
	return changes
}

// mergeCells makes one change of those that differ in their origins alone.
func mergeCells(cells map[string]*originCell, all []string) []Change {
	merged := map[string]*Change{}
	for _, key := range slices.Sorted(maps.Keys(cells)) {
		for _, c := range cells[key].changes {
			id := fmt.Sprint(c)
			if merged[id] == nil {
				merged[id] = &c
			}
			merged[id].Origins = append(merged[id].Origins, cells[key].labels...)
		}
	}
	var changes []Change
	for _, c := range merged {
		isOwn := func(label string) bool { return slices.Contains(c.Origins, label) }
		others := slices.DeleteFunc(slices.Clone(all), isOwn)
		c.Except = withoutCovered(narrowerThan(c.Origins, others), c.Origins)
		c.Origins = withoutCovered(c.Origins, others)
		slices.Sort(c.Origins)
		changes = append(changes, *c)
	}
	slices.SortFunc(changes, func(a, b Change) int {
		return slices.Compare([]string{a.Kind, fmt.Sprint(a)}, []string{b.Kind, fmt.Sprint(b)})
	})
	return changes
}
