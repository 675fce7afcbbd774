package corsrules

import (
	"fmt"
	"slices"
	"strings"
)

// anyRun stands for the * of a pattern in a witness: a value that is matched by exactly
// those patterns that match everything that the witness's own pattern does. No value of a
// document has this byte.
const anyRun = "\x00"

// witness returns a value that stands for all that an origin or header name of a rule
// can match.
func witness(value string) string {
	return strings.Replace(lower(value), "*", anyRun, 1)
}

// covers reports whether one value of a rule matches all that another one does.
func covers(wide, narrow string) bool {
	if p, ok := newPattern(lower(wide)); ok {
		return p.matches(witness(narrow))
	}
	return lower(wide) == lower(narrow)
}

// reach reports what of rule i no request can reach. For each of its origins with each of
// its methods, the rules are asked for the rule that takes a preflight with all headers
// that rule i allows: if that is another one, it takes every other request too.
func (l *linter) reach(i int, r *CORSRule) {
	names := make([]string, len(r.AllowedHeaders))
	for k, name := range r.AllowedHeaders {
		names[k] = witness(name)
	}
	preflights := l.takers(i, r, strings.Join(names, headerSeparator))
	if preflights.only() {
		l.report(i, "CORSRule", 0, LintUnreachableRule,
			fmt.Sprintf("no request can reach rule %s: %s all of its requests first", l.name(i), l.match(preflights)),
			fmt.Sprintf("remove the rule, or put it above %s", l.names(preflights)))
		return
	}
	if slices.ContainsFunc(preflights, taker.isOther) {
		for k := range r.AllowedOrigins {
			l.reachValue(i, "AllowedOrigin", k, LintUnreachableOrigin, r.AllowedOrigins[k], preflights.where(k, anywhere))
		}
		for k := range r.AllowedMethods {
			l.reachValue(i, "AllowedMethod", k, LintUnreachableMethod, r.AllowedMethods[k], preflights.where(anywhere, k))
		}
	}
	l.unsentExposeHeaders(i, r, l.takers(i, r, ""))
}

func (l *linter) reachValue(i int, element string, k int, code, value string, taken takers) {
	if taken.only() {
		l.report(i, element, k, code,
			fmt.Sprintf("no request with %s %s can reach rule %s: %s them first", l.form.singular(element), quoteShort(value), l.name(i), l.match(taken)),
			fmt.Sprintf("remove it from this rule, or put the rule above %s", l.names(taken)))
	}
}

// unsentExposeHeaders takes the rules that actual requests go to, which have no
// Access-Control-Request-Headers.
func (l *linter) unsentExposeHeaders(i int, r *CORSRule, actual takers) {
	if len(r.ExposeHeaders) == 0 || !actual.only() {
		return
	}
	for _, t := range actual {
		for k, name := range r.ExposeHeaders {
			has := func(other string) bool { return strings.EqualFold(other, name) }
			if !slices.ContainsFunc(l.rules.rules[t.rule].effect.source.ExposeHeaders, has) {
				l.report(i, "ExposeHeader", k, LintUnsentExposeHeaders,
					fmt.Sprintf("rule %s decides preflights only, so it does not expose %s to any script: %s the actual requests first, for they do not ask for headers", l.name(i), name, l.match(actual)),
					fmt.Sprintf("put the rule above %s, or expose %s there", l.names(actual), name))
				return
			}
		}
	}
}

// taker is the rule that takes the requests with one origin and one method of a rule.
type taker struct{ origin, method, rule int }

func (t taker) isOther() bool { return t.rule != own }

// takers are those of one rule. A rule that was not taken from is its own.
type takers []taker

// takers asks for the taker of each origin and method of rule i. Origins that no request
// has are left out: they say nothing about reach.
func (l *linter) takers(i int, r *CORSRule, headers string) takers {
	all := make(takers, 0, len(r.AllowedOrigins)*len(r.AllowedMethods))
	for o, origin := range r.AllowedOrigins {
		if !isOriginText(origin) {
			continue
		}
		w := witness(origin)
		for m, method := range r.AllowedMethods {
			d := l.rules.walk(&Request{Kind: Preflight, Origin: w, Method: method, Headers: headers}, nil)
			t := taker{o, m, d.Rule.Number() - 1}
			if t.rule == i {
				t.rule = own
			}
			all = append(all, t)
		}
	}
	return all
}

const (
	anywhere = -1 // any origin, any method
	own      = -1 // the rule itself
)

// where returns those with an origin and a method.
func (ts takers) where(origin, method int) takers {
	var some takers
	for _, t := range ts {
		if (origin == anywhere || t.origin == origin) && (method == anywhere || t.method == method) {
			some = append(some, t)
		}
	}
	return some
}

// only reports whether other rules take all.
func (ts takers) only() bool {
	return len(ts) > 0 && !slices.ContainsFunc(ts, func(t taker) bool { return t.rule == own })
}

func (l *linter) name(i int) string { return l.rules.rules[i].Name() }

func (l *linter) match(ts takers) string {
	names := l.names(ts)
	if strings.HasPrefix(names, "rules ") {
		return names + " match"
	}
	return names + " matches"
}

// names returns "rule app" or "rules 1, app".
func (l *linter) names(ts takers) string {
	rules := make([]int, len(ts))
	for k, t := range ts {
		rules[k] = t.rule
	}
	slices.Sort(rules)
	rules = slices.Compact(rules)
	names := make([]string, len(rules))
	for k, rule := range rules {
		names[k] = l.name(rule)
	}
	if len(names) == 1 {
		return "rule " + names[0]
	}
	return "rules " + strings.Join(names, ", ")
}
