package corsrules

// Verdict is what one rule says of a request.
type Verdict struct {
	Rule *Rule

	// Reason is why the rule does not match: OriginMismatch, MethodMismatch or
	// HeaderMismatch; NoReason where it does.
	Reason Reason

	// Value is the origin, the method or the header name that it does not allow.
	Value string
}

// Explanation is a Decision and every rule's verdict, in their order. There are no
// verdicts where the rules were not asked.
type Explanation struct {
	Decision
	Verdicts []Verdict
}

// ExplainPreflight decides as Preflight does, and asks every rule.
func (rs *Ruleset) ExplainPreflight(origin, method, headers []string) Explanation {
	var tr trace
	d := rs.preflight(origin, method, headers, &tr)
	return Explanation{d, tr}
}

// ExplainActual decides as Actual does, and asks every rule.
func (rs *Ruleset) ExplainActual(origin []string, method string) Explanation {
	var tr trace
	d := rs.actual(origin, method, &tr)
	return Explanation{d, tr}
}
