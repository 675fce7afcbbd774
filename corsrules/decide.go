package corsrules

import "strings"

// Outcome is what the rules say of a request.
type Outcome uint8

const (
	// None: no matter of CORS. The zero Decision is one.
	None Outcome = iota
	// Allowed: a rule matched.
	Allowed
	// Denied: no rule matched, or the request could not be judged.
	Denied
)

func (o Outcome) String() string { return [...]string{"none", "allowed", "denied"}[o] }

// Reason is why a request was denied. The last three are ordered by how long a rule
// held: origin, then method, then headers.
type Reason uint8

const (
	// NoReason: the request was not denied.
	NoReason Reason = iota
	// NoRules: the bucket has no CORS configuration.
	NoRules
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
	return [...]string{"", "no_rules", "missing_origin", "missing_method", "malformed", "origin", "method", "header"}[r]
}

// PreflightReasons and ActualReasons are the reasons for which a preflight and an actual
// request can be denied.
var (
	PreflightReasons = []Reason{NoRules, MissingOrigin, MissingMethod, Malformed, OriginMismatch, MethodMismatch, HeaderMismatch}
	ActualReasons    = []Reason{NoRules, Malformed, OriginMismatch, MethodMismatch}
)

// Decision is what a Ruleset says of one request.
type Decision struct {
	Outcome Outcome

	// Rule is the rule that matched; nil unless the request is allowed.
	Rule *Rule

	// AllowOrigin is the value of Access-Control-Allow-Origin: "*" if the rule has
	// a lone "*", else the request's Origin. AllowHeaders is that of
	// Access-Control-Allow-Headers, empty for none. Both are empty on a denial.
	AllowOrigin, AllowHeaders string

	// Reason is why the request was denied; NoReason unless it was.
	Reason Reason

	// Value is what was at fault: the origin or the method that no rule allows, or the
	// first header that the nearest rule does not; for Malformed the name of the
	// request header. Else empty.
	Value string

	// Nearest is, on a denial, the rule that held longest, the first such; nil
	// where no rule's origin matched.
	Nearest *Rule
}

// Preflight decides a preflight by the lines of its Origin,
// Access-Control-Request-Method and Access-Control-Request-Headers headers. An OPTIONS
// request with neither of the first two is none, and not for Preflight. White space around
// a value is no part of it (RFC 9110, section 5.5). For a request as browsers send it, with
// origin and header names in lower case, it allocates nothing but AllowHeaders.
func (rs *Ruleset) Preflight(origin, method, headers []string) Decision {
	return rs.preflight(origin, method, headers, nil)
}

// Actual decides an actual request by the lines of its Origin header and its method.
// Without an origin, the outcome is None. It allocates nothing for an origin in lower case.
func (rs *Ruleset) Actual(origin []string, method string) Decision {
	return rs.actual(origin, method, nil)
}

// trace collects each rule's verdict for an explanation. A nil trace ends the walk
// at the first match.
type trace []Verdict

// begin has all rules not allow the origin, until those are asked that do.
func (tr *trace) begin(rs *Ruleset, q *query) {
	if tr == nil {
		return
	}
	for i := range rs.rules {
		*tr = append(*tr, Verdict{Rule: &rs.rules[i], Reason: OriginMismatch, Value: q.origin})
	}
}

func (rs *Ruleset) preflight(originLines, methodLines, headerLines []string, tr *trace) (d Decision) {
	origin, oneOrigin := single(originLines)
	method, oneMethod := single(methodLines)
	switch {
	case origin == "":
		return denied(MissingOrigin, "")
	case method == "":
		return denied(MissingMethod, "")
	case rs == nil:
		return denied(NoRules, "")
	}
	q := query{origin: origin, method: method, headerLines: headerLines}
	if !oneOrigin || !rs.find(&q) {
		return denied(Malformed, "origin")
	}
	if !oneMethod || strings.IndexByte(method, ',') >= 0 {
		return denied(Malformed, "access-control-request-method")
	}
	var onStack [512]byte
	headers, ok := appendHeaderList(onStack[:0], headerLines)
	if !ok {
		return denied(Malformed, "access-control-request-headers")
	}
	if d = rs.walk(&q, headers, tr); d.Outcome == Allowed {
		d.AllowHeaders = headers.text(headerLines)
	}
	return d
}

func (rs *Ruleset) actual(originLines []string, method string, tr *trace) Decision {
	origin, oneOrigin := single(originLines)
	switch {
	case origin == "":
		return Decision{}
	case rs == nil:
		return denied(NoRules, "")
	}
	q := query{origin: origin, method: method}
	if !oneOrigin || !rs.find(&q) {
		return denied(Malformed, "origin")
	}
	return rs.walk(&q, nil, tr)
}

func denied(reason Reason, value string) Decision {
	return Decision{Outcome: Denied, Reason: reason, Value: value}
}

// query is a request in the form in which rules are asked, but for its header list, which
// would leave the stack as part of it.
type query struct {
	search
	origin, method string // as sent
	headerLines    []string
}

// find looks the origin up. It reports whether that is well-formed, which an origin that is
// listed as it stands needs no look at.
func (rs *Ruleset) find(q *query) bool {
	q.begin(&rs.origins, q.origin)
	if q.listed != noMore {
		return true
	}
	if !isSerializedOrigin(q.origin) {
		return false
	}
	if folded := lower(q.origin); folded != q.origin {
		q.begin(&rs.origins, folded)
	}
	return true
}

// walk asks the rules that allow the origin, in their order; the first that matches decides
// (docs/oss-behaviour.md, section 2).
func (rs *Ruleset) walk(q *query, headers headerList, tr *trace) (d Decision) {
	method := methodBit(q.method)
	d = denied(OriginMismatch, q.origin)
	tr.begin(rs, q)
	for i := q.next(); i != noMore; i = q.next() {
		r := &rs.rules[i]
		reason, header := r.judge(method, headers)
		if tr != nil {
			(*tr)[i] = Verdict{Rule: r, Reason: reason, Value: q.atFault(reason, header)}
		}
		switch {
		case d.Outcome == Allowed: // an explanation goes on
		case reason == NoReason:
			d = Decision{Outcome: Allowed, Rule: r, AllowOrigin: q.origin}
			if r.anyOrigin {
				d.AllowOrigin = "*"
			}
			if tr == nil {
				return d
			}
		case reason > d.Reason:
			d.Reason, d.Nearest, d.Value = reason, r, q.atFault(reason, header)
		}
	}
	return d
}

// judge asks a rule that allows the origin. Where a header is at fault, it returns the first
// such.
func (r *Rule) judge(method methodSet, headers headerList) (Reason, headerList) {
	if r.grant.methods&method == 0 {
		return MethodMismatch, nil
	}
	if header := r.grant.headers.firstNotAllowed(headers); header != nil {
		return HeaderMismatch, header
	}
	return NoReason, nil
}

func (q *query) atFault(reason Reason, header headerList) string {
	switch reason {
	case MethodMismatch:
		return q.method
	case HeaderMismatch:
		return header.in(q.headerLines)
	}
	return ""
}
