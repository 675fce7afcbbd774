package osscors

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/caddy-oss-cors/caddy-oss-cors/corsrules"
	"github.com/caddy-oss-cors/caddy-oss-cors/rulesource"
)

// explainRequest is what "caddy oss-cors explain" and POST /oss_cors/explain are asked.
type explainRequest struct {
	// Ruleset is the rule set's name, or its bucket's. It may be left out where only
	// one is running.
	Ruleset string `json:"ruleset"`

	Origin string `json:"origin"`
	Method string `json:"method"`

	// RequestHeaders are the lines of Access-Control-Request-Headers.
	RequestHeaders []string `json:"headers"`

	// Preflight says whether the browser sends a preflight. nil: it does if the
	// method or a header needs one.
	Preflight *bool `json:"preflight,omitempty"`
}

// explanation is the answer, in JSON and, by explanationText, in words.
type explanation struct {
	Ruleset        string   `json:"ruleset"`
	Origin         string   `json:"origin"`
	Method         string   `json:"method"`
	RequestHeaders []string `json:"headers"`

	// Allowed is the browser's view: of the preflight if it sends one, else of the
	// actual request. A preflight that is allowed is followed by a request that is.
	Allowed bool `json:"allowed"`

	// PreflightNeeded says whether the browser sends one.
	PreflightNeeded bool `json:"preflight_needed"`

	Preflight judgement `json:"preflight"`
	Actual    judgement `json:"actual"`
}

// judgement is the decision on one request, and every rule's verdict.
type judgement struct {
	Outcome string `json:"outcome"`
	Rule    string `json:"rule,omitempty"`
	Reason  string `json:"reason,omitempty"`
	Value   string `json:"value,omitempty"`
	Nearest string `json:"nearest,omitempty"`

	// Advice says what to change so that the request is allowed.
	Advice string `json:"advice,omitempty"`

	// ResponseHeaders are what the module sets on the response.
	ResponseHeaders map[string]string `json:"response_headers"`

	Rules []verdict `json:"rules"`
}

// verdict is what one rule says.
type verdict struct {
	Rule    string `json:"rule"`
	Number  int    `json:"number"`
	Matches bool   `json:"matches"`
	Reason  string `json:"reason,omitempty"`
	Value   string `json:"value,omitempty"`

	// Why says the same in words.
	Why string `json:"why"`
}

// explain asks rules, as the handler h would.
func explain(h *Handler, rules *rulesource.Rules, q explainRequest) explanation {
	origin, method := []string{q.Origin}, []string{q.Method}
	e := explanation{
		Ruleset:         cmp.Or(q.Ruleset, rules.Name),
		Origin:          q.Origin,
		Method:          q.Method,
		RequestHeaders:  append([]string{}, q.RequestHeaders...),
		PreflightNeeded: needsPreflight(q),
		Preflight:       judgementOf(h, rules, rules.ExplainPreflight(origin, method, q.RequestHeaders)),
		Actual:          judgementOf(h, rules, rules.ExplainActual(origin, q.Method)),
	}
	decisive := e.Actual
	if e.PreflightNeeded {
		decisive = e.Preflight
	}
	e.Allowed = decisive.Outcome == corsrules.Allowed.String()
	return e
}

// needsPreflight reports whether a browser asks for leave: unless the method is one of
// three, or where a script sets a header of its own (Fetch, section 2.2.1 "Methods").
func needsPreflight(q explainRequest) bool {
	if q.Preflight != nil {
		return *q.Preflight
	}
	simple := slices.Contains([]string{http.MethodGet, http.MethodHead, http.MethodPost}, q.Method)
	return !simple || strings.Trim(strings.Join(q.RequestHeaders, ""), ", \t") != ""
}

func judgementOf(h *Handler, rules *rulesource.Rules, e corsrules.Explanation) judgement {
	header := http.Header{}
	(&answer{handler: h, rules: rules, decision: e.Decision}).setHeaders(header, new(headerValues))
	j := judgement{
		Outcome:         e.Outcome.String(),
		Reason:          e.Reason.String(),
		Value:           e.Value,
		Advice:          advice(e.Decision),
		ResponseHeaders: map[string]string{},
		Rules:           []verdict{},
	}
	for name, values := range header {
		j.ResponseHeaders[name] = strings.Join(values, ", ")
	}
	if e.Rule != nil {
		j.Rule = e.Rule.Name()
	}
	if e.Nearest != nil {
		j.Nearest = e.Nearest.Name()
	}
	for _, v := range e.Verdicts {
		j.Rules = append(j.Rules, verdict{
			Rule:    v.Rule.Name(),
			Number:  v.Rule.Number(),
			Matches: v.Reason == corsrules.NoReason,
			Reason:  v.Reason.String(),
			Value:   v.Value,
			Why:     why(v, e.Decision),
		})
	}
	return j
}

// why says in words what a rule found.
func why(v corsrules.Verdict, d corsrules.Decision) string {
	rule := v.Rule.Source()
	switch v.Reason {
	case corsrules.OriginMismatch:
		return "origin: it allows " + someOf(rule.AllowedOrigins)
	case corsrules.MethodMismatch:
		return fmt.Sprintf("method %s: it allows %s", v.Value, someOf(rule.AllowedMethods))
	case corsrules.HeaderMismatch:
		return fmt.Sprintf("header %s: it allows %s", v.Value, someOf(rule.AllowedHeaders))
	}
	if d.Rule != v.Rule {
		return fmt.Sprintf("it would match, but rule %s comes first", d.Rule.Name())
	}
	return "it allows all that is asked"
}

// someOf lists values, not more than a person reads.
func someOf(values []string) string {
	const most = 4
	switch {
	case len(values) == 0:
		return "none"
	case len(values) > most:
		return fmt.Sprintf("%s and %d more", strings.Join(values[:most-1], ", "), len(values)-most+1)
	}
	return strings.Join(values, ", ")
}

// advice says what to change so that a denied request is allowed.
func advice(d corsrules.Decision) string {
	switch d.Reason {
	case corsrules.NoRules:
		return "write a CORSConfiguration: there are no rules"
	case corsrules.Malformed:
		return fmt.Sprintf("correct the request's %s: it is malformed, repeated or too long, and no rule is asked", d.Value)
	case corsrules.OriginMismatch:
		return fmt.Sprintf("add <AllowedOrigin>%s</AllowedOrigin> to the rule that is meant for it", d.Value)
	case corsrules.MethodMismatch:
		return methodAdvice(d, d.Nearest.Source())
	case corsrules.HeaderMismatch:
		return fmt.Sprintf("add <AllowedHeader>%s</AllowedHeader> to rule %s", d.Value, d.Nearest.Name())
	}
	return ""
}

func methodAdvice(d corsrules.Decision, nearest corsrules.CORSRule) string {
	upper := strings.ToUpper(d.Value)
	switch {
	case !slices.Contains(corsrules.Methods, upper):
		return fmt.Sprintf("use another method: rules can allow %s, and never %s", strings.Join(corsrules.Methods, ", "), d.Value)
	case upper != d.Value:
		return fmt.Sprintf("ask for %s: methods are in upper case", upper)
	case slices.Contains(nearest.AllowedOrigins, "*"):
		return fmt.Sprintf("write a rule that allows %s to this origin: rule %s is for all origins", d.Value, d.Nearest.Name())
	}
	return fmt.Sprintf("add <AllowedMethod>%s</AllowedMethod> to rule %s", d.Value, d.Nearest.Name())
}
