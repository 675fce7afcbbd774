package corsrules

import (
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
		return "let the rules be read again: the log says why they cannot be"
	case Malformed:
		return fmt.Sprintf("correct the request's %s: it is malformed, repeated or too long, so no rule is evaluated", d.Value)
	case OriginMismatch:
		return fmt.Sprintf("add <AllowedOrigin>%s</AllowedOrigin> to the rule that is meant for it", d.Value)
	case MethodMismatch:
		return d.methodAdvice()
	case HeaderMismatch:
		return fmt.Sprintf("add <AllowedHeader>%s</AllowedHeader> to rule %s", d.Value, d.Nearest.Name())
	}
	return ""
}

func (d *Decision) methodAdvice() string {
	upper := strings.ToUpper(d.Value)
	switch {
	case !slices.Contains(Methods, upper):
		return fmt.Sprintf("use another method: rules can allow %s, and never %s", strings.Join(Methods, ", "), d.Value)
	case upper != d.Value:
		return fmt.Sprintf("request %s: methods are in upper case", upper)
	case d.Nearest.anyOrigin:
		return fmt.Sprintf("write a rule that allows %s to this origin: rule %s is for all origins", d.Value, d.Nearest.Name())
	}
	return fmt.Sprintf("add <AllowedMethod>%s</AllowedMethod> to rule %s", d.Value, d.Nearest.Name())
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
	switch {
	case len(values) == 0:
		return "none"
	case len(values) > most:
		return fmt.Sprintf("%s and %d more", strings.Join(values[:most-1], ", "), len(values)-most+1)
	}
	return strings.Join(values, ", ")
}
