// Package explain says of a request what the rules decide, what each rule does, and which
// headers the handler would send. The admin API and "caddy oss-cors explain" both show it.
package explain

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"

	"github.com/caddy-oss-cors/caddy-oss-cors/corsrules"
)

// Request is the request to explain: the body of POST /oss_cors/explain.
type Request struct {
	// Ruleset is the rule set's name, or its bucket's. It may be left out where only
	// one is running.
	Ruleset string `json:"ruleset"`

	// Origin is the page's origin, or its address.
	Origin string `json:"origin"`
	Method string `json:"method"`

	// Headers are those that the page's script sets: each string is a name, several
	// names with commas between them, or "Name: value" as developer tools show it.
	Headers []string `json:"headers"`

	// Preflight says whether the browser sends a preflight. nil: it does if the
	// method or a header needs one.
	Preflight *bool `json:"preflight,omitempty"`

	// Verbatim evaluates the values exactly as they are, as they stand in a log, and
	// each of Headers as a line of Access-Control-Request-Headers. Default: they are
	// what a person typed, and what a browser would send is evaluated.
	Verbatim bool `json:"verbatim,omitempty"`
}

// Explanation is the result. Origin, Method and Headers are those that were evaluated.
type Explanation struct {
	Ruleset string   `json:"ruleset"`
	Origin  string   `json:"origin"`
	Method  string   `json:"method"`
	Headers []string `json:"headers"`

	// Notes say where these are not what the request had, and why.
	Notes []string `json:"notes,omitempty"`

	// Allowed is the browser's view: of the preflight if it sends one, else of the
	// actual request. An actual request that follows an allowed preflight is allowed.
	Allowed bool `json:"allowed"`

	// PreflightNeeded says whether the browser sends one.
	PreflightNeeded bool `json:"preflight_needed"`

	Preflight Decision `json:"preflight"`
	Actual    Decision `json:"actual"`
}

// Decision is the decision on one request, with every rule's verdict.
type Decision struct {
	Outcome string `json:"outcome"`
	Rule    string `json:"rule,omitempty"`
	Reason  string `json:"reason,omitempty"`
	Value   string `json:"value,omitempty"`
	Nearest string `json:"nearest,omitempty"`

	// Advice says what to change so that the request is allowed.
	Advice string `json:"advice,omitempty"`

	// ResponseHeaders are what the handler sets on the response.
	ResponseHeaders map[string]string `json:"response_headers"`

	Rules []Verdict `json:"rules"`
}

// Verdict is what one rule says.
type Verdict struct {
	Rule    string `json:"rule"`
	Number  int    `json:"number"`
	Matches bool   `json:"matches"`
	Reason  string `json:"reason,omitempty"`
	Value   string `json:"value,omitempty"`

	// Why says the same in words.
	Why string `json:"why"`
}

// New explains q by rules, for a handler with this policy.
func New(rules *corsrules.Ruleset, policy corsrules.Policy, q Request) Explanation {
	var notes []string
	if !q.Verbatim {
		q, notes = asBrowsersSend(q)
	}
	origin := []string{q.Origin}
	preflight := policy.Dialect.ReadRequest(&http.Request{Method: http.MethodOptions, Header: http.Header{
		"Origin":                         origin,
		"Access-Control-Request-Method":  {q.Method},
		"Access-Control-Request-Headers": q.Headers,
	}})
	actual := policy.Dialect.ReadRequest(&http.Request{Method: q.Method, Header: http.Header{"Origin": origin}})
	e := Explanation{
		Ruleset:         q.Ruleset,
		Origin:          q.Origin,
		Method:          q.Method,
		Headers:         append([]string{}, q.Headers...),
		Notes:           notes,
		PreflightNeeded: needsPreflight(q),
		Preflight:       newDecision(rules.Explain(preflight), policy),
		Actual:          newDecision(rules.Explain(actual), policy),
	}
	decisive := e.Actual
	if e.PreflightNeeded {
		decisive = e.Preflight
	}
	e.Allowed = decisive.Outcome == corsrules.Allowed.String()
	return e
}

// needsPreflight reports whether a browser sends a preflight: unless the method is
// CORS-safelisted (https://fetch.spec.whatwg.org/#cors-safelisted-method) and no header is
// left that it would have to ask for.
func needsPreflight(q Request) bool {
	if q.Preflight != nil {
		return *q.Preflight
	}
	return !corsrules.IsSafelistedMethod(q.Method) || strings.Trim(strings.Join(q.Headers, ""), ", \t") != ""
}

func newDecision(e corsrules.Explanation, policy corsrules.Policy) Decision {
	d := Decision{
		Outcome:         e.Outcome.String(),
		Reason:          e.Reason.String(),
		Value:           e.Value,
		Advice:          e.Advice(),
		ResponseHeaders: map[string]string{},
		Rules:           []Verdict{},
	}
	for name, value := range e.Headers(policy) {
		d.ResponseHeaders[name] = value
	}
	if e.Rule != nil {
		d.Rule = e.Rule.Name()
	}
	if e.Nearest != nil {
		d.Nearest = e.Nearest.Name()
	}
	for _, v := range e.Verdicts {
		d.Rules = append(d.Rules, Verdict{
			Rule:    v.Rule.Name(),
			Number:  v.Rule.Number(),
			Matches: v.Reason == corsrules.NoReason,
			Reason:  v.Reason.String(),
			Value:   v.Value,
			Why:     v.Why(),
		})
	}
	return d
}

// WriteJSON writes a result as the admin API and --json show it.
func WriteJSON(w io.Writer, result any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(result)
}
