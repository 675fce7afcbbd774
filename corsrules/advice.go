package corsrules

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Advice says what to change so that a denied request is allowed, in words that follow "To
// allow it, "; "" where the request is not denied, or lacks Origin or
// Access-Control-Request-Method.
func (d *Decision) Advice() string {
	switch d.Reason {
	case NoRules:
		return "write a CORSConfiguration: there are no rules"
	case RulesUnavailable:
		return "fix the error in Caddy's log: the rules cannot be read"
	case Malformed:
		return fmt.Sprintf("correct the request's %s: it is malformed, repeated or too long, so no rule is evaluated", d.Value)
	case OriginMismatch:
		return cmp.Or(unwiseOrigin(d.Value), d.form.add("AllowedOrigin", d.Value, "the rule that is meant for it"))
	case MethodMismatch:
		return d.methodAdvice()
	case HeaderMismatch:
		if IsForbiddenHeader(d.Value) {
			return fmt.Sprintf("leave out %s: scripts cannot set it, and browsers never ask for it", d.Value)
		}
		return d.form.add("AllowedHeader", d.Value, "rule "+d.Nearest.Name())
	}
	return ""
}

// unwiseOrigin says what to do about a denied origin that no rule should list, because Parse
// would refuse it or Lint would find it; "" for any other.
func unwiseOrigin(origin string) string {
	if problem := checkOrigin(FormXML, origin); problem != "" {
		return "correct what sends the request: no rule can list this origin"
	}
	switch problems := originProblems(origin); {
	case len(problems) == 0:
		return ""
	case problems[0].code == LintNullOrigin:
		return problems[0].advice
	default:
		return "correct what sends the request: " + problems[0].message
	}
}

// Advice says what to change so that a denied request is allowed, as Decision.Advice does.
// Where no rule is meant for the origin, it also names the one difference to an origin that a
// rule lists, if there is one.
func (e *Explanation) Advice() string {
	forAnybody := e.Reason == MethodMismatch && e.Nearest.anyOrigin
	if e.Reason == OriginMismatch || forAnybody {
		if advice := e.differenceAdvice(); advice != "" {
			return advice
		}
	}
	return e.Decision.Advice()
}

func (e *Explanation) differenceAdvice() string {
	for _, compare := range originDifferences {
		for _, v := range e.Verdicts {
			if v.Reason != OriginMismatch || unwiseOrigin(v.Value) != "" {
				continue
			}
			if e.Reason == MethodMismatch && !slices.Contains(v.Rule.effect.source.AllowedMethods, e.Value) {
				continue
			}
			for _, listed := range v.Rule.origins {
				switch found, instead := compare(v.Value, listed); {
				case instead != "":
					return fmt.Sprintf("write %s in rule %s, where %s", instead, v.Rule.Name(), found)
				case found != "":
					return fmt.Sprintf("%s: its origin %s %s", e.form.add("AllowedOrigin", v.Value, "rule "+v.Rule.Name()), listed, found)
				}
			}
		}
	}
	return ""
}

func (d *Decision) methodAdvice() string {
	upper := strings.ToUpper(d.Value)
	switch {
	case checkBlockMethod(upper) != "":
		return fmt.Sprintf("use another method: no rule can allow %s", d.Value)
	case d.form != FormBlocks && !slices.Contains(Methods, upper):
		return fmt.Sprintf("use another method, or write the rules as rule blocks in the Caddyfile, which can allow %s: a document can allow %s only", upper, methodsInWords)
	case upper != d.Value:
		return fmt.Sprintf("send the method as %s: method names are case-sensitive", upper)
	case d.Nearest.anyOrigin:
		return fmt.Sprintf("write a rule that allows %s to this origin: rule %s is for all origins", d.Value, d.Nearest.Name())
	}
	return d.form.add("AllowedMethod", d.Value, "rule "+d.Nearest.Name())
}

// Why says in words why the rule matches or does not, and what it allows.
func (v *Verdict) Why() string {
	rule := v.Rule.Source()
	switch v.Reason {
	case OriginMismatch:
		return "origin: it allows " + summarize(rule.AllowedOrigins)
	case MethodMismatch:
		return fmt.Sprintf("method %s: it allows %s", v.Value, summarize(rule.AllowedMethods))
	case HeaderMismatch:
		return fmt.Sprintf("header %s: it allows %s", v.Value, summarize(rule.AllowedHeaders))
	}
	if v.decidedBy != v.Rule {
		return fmt.Sprintf("it would match, but rule %s comes first", v.decidedBy.Name())
	}
	return "it allows origin, method and headers"
}

// summarize lists values, not more than a person reads.
func summarize(values []string) string {
	const most = 4
	if i := slices.Index(values, ""); i >= 0 { // S3 takes it
		values = slices.Clone(values)
		values[i] = `""`
	}
	switch {
	case len(values) == 0:
		return "none"
	case len(values) > most:
		return fmt.Sprintf("%s and %d more", strings.Join(values[:most-1], ", "), len(values)-most+1)
	}
	return strings.Join(values, ", ")
}
