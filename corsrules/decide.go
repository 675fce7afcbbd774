package corsrules

import "slices"

// Outcome is what the rules say of a request.
type Outcome uint8

const (
	// None: not a CORS request, or one that no rule allows and that needs no CORS. The
	// zero Decision has this outcome.
	None Outcome = iota
	// Allowed: a rule matched.
	Allowed
	// Denied: no rule matched, or the rules could not be evaluated.
	Denied
)

// String returns the outcome as logs, placeholders and explanations show it.
func (o Outcome) String() string { return [...]string{"none", "allowed", "denied"}[o] }

// Reason is why a request was denied. The last three are ordered by how much of a rule
// matched: origin, then method, then headers.
type Reason uint8

const (
	// NoReason: the request was not denied.
	NoReason Reason = iota
	// NoRules: the bucket has no CORS configuration.
	NoRules
	// RulesUnavailable: the bucket's rules cannot be read, and none were read before.
	RulesUnavailable
	// MissingOrigin: a preflight without Origin.
	MissingOrigin
	// MissingMethod: a preflight without Access-Control-Request-Method.
	MissingMethod
	// Malformed: a CORS header of the request is broken, repeated or over its bound.
	Malformed
	// OriginMismatch: no rule allows the origin.
	OriginMismatch
	// MethodMismatch: rules that allow the origin do not allow the method.
	MethodMismatch
	// HeaderMismatch: rules that allow origin and method do not allow a header.
	HeaderMismatch
)

// String returns the reason as metrics, logs and explanations show it; "" for NoReason.
func (r Reason) String() string {
	return [...]string{"", "no_rules", "rules_unavailable", "missing_origin", "missing_method", "malformed", "origin", "method", "header"}[r]
}

// PreflightReasons and ActualReasons are the reasons for which a preflight and an actual
// request can be denied. For S3 there is one more: see Dialect.ActualReasons.
var (
	PreflightReasons = []Reason{NoRules, RulesUnavailable, MissingOrigin, MissingMethod, Malformed, OriginMismatch, MethodMismatch, HeaderMismatch}
	ActualReasons    = []Reason{NoRules, RulesUnavailable, Malformed, OriginMismatch, MethodMismatch}
)

// Decision is what a Ruleset says of one request.
type Decision struct {
	Outcome Outcome

	// Reason is why the request was denied; NoReason unless it was.
	Reason Reason

	// Rule is the rule that matched; nil unless the request is allowed.
	Rule *Rule

	// AllowOrigin is the value of Access-Control-Allow-Origin: "*" if the rule has
	// a lone "*", else the request's Origin. AllowHeaders is that of
	// Access-Control-Allow-Headers, empty for none. Both are empty on a denial.
	AllowOrigin, AllowHeaders string

	// Value is what was not allowed: the origin or the method that no rule allows, or
	// the first header that the nearest rule does not allow; for Malformed the name of
	// the request header. Else empty.
	Value string

	// Nearest is the first of the rules that matched most of a denied request; nil if
	// no rule allows the origin.
	Nearest *Rule

	// ResponseVary is the rule set's: it holds for every response, whatever the outcome.
	ResponseVary bool

	form Form // of the rule set
}

// Decide returns the decision of the first rule for which origin, method and headers all
// match (docs/oss-behaviour.md, sections 2 to 4). A nil Ruleset denies with NoRules. Decide
// does not allocate, unless the origin has upper-case letters.
func (rs *Ruleset) Decide(req Request) Decision {
	return rs.decide(&req, nil)
}

// decide decides. If verdicts is not nil it goes through all rules and says there what each
// does.
func (rs *Ruleset) decide(req *Request, verdicts *[]Verdict) Decision {
	var d Decision
	if req.Kind != NotCORS {
		d = rs.evaluate(req, verdicts)
	}
	if d.Outcome == Denied && !req.NeedsCORS() {
		d = Decision{}
	}
	if rs != nil {
		d.ResponseVary, d.form = rs.responseVary, rs.form
	}
	return d
}

// evaluate makes the checks that come before the rules, in the order of
// docs/oss-behaviour.md, section 3, and then goes through the rules.
func (rs *Ruleset) evaluate(req *Request, verdicts *[]Verdict) Decision {
	switch {
	case req.Origin == "":
		return denied(MissingOrigin, "")
	case rs == nil:
		return denied(NoRules, "")
	case rs.unavailable:
		return denied(RulesUnavailable, "")
	case req.Method == "":
		return denied(MissingMethod, "")
	case req.malformed != "":
		return denied(Malformed, req.malformed)
	}
	return rs.walk(req, verdicts)
}

func denied(reason Reason, value string) Decision {
	return Decision{Outcome: Denied, Reason: reason, Value: value}
}

// walk goes through the rules that allow the origin, in their order, to the first that
// matches; for an explanation, to the last.
func (rs *Ruleset) walk(req *Request, verdicts *[]Verdict) Decision {
	d := denied(OriginMismatch, req.Origin)
	if verdicts != nil {
		*verdicts = rs.originMismatches(req.Origin)
	}
	search := rs.origins.search(req.Origin)
	for i, ok := search.next(); ok; i, ok = search.next() {
		r := &rs.rules[i]
		if req.dialect == DialectS3 && !r.allowsInCase(req.Origin) {
			continue
		}
		reason, value := r.mismatch(req)
		if verdicts != nil {
			(*verdicts)[i] = Verdict{Rule: r, Reason: reason, Value: value}
		}
		switch {
		case d.Outcome == Allowed: // an explanation goes on
		case reason == NoReason:
			d = Decision{Outcome: Allowed, Rule: r, AllowOrigin: r.allowOrigin(req.Origin)}
			if req.Kind == Preflight {
				d.AllowHeaders = req.Headers
			}
			if verdicts == nil {
				return d
			}
		case reason > d.Reason:
			d.Reason, d.Nearest, d.Value = reason, r, value
		}
	}
	return d
}

// mismatch returns why a rule that allows the origin does not match, and the method or the
// first header that it does not allow; NoReason if it matches.
func (r *Rule) mismatch(req *Request) (Reason, string) {
	if !slices.Contains(r.effect.source.AllowedMethods, req.Method) {
		return MethodMismatch, req.Method
	}
	if name := r.effect.headers.firstNotAllowed(req.Headers); name != "" {
		return HeaderMismatch, name
	}
	return NoReason, ""
}
