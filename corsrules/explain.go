package corsrules

// Verdict is what one rule says of a request.
type Verdict struct {
	Rule *Rule

	// Reason is why the rule does not match: OriginMismatch, MethodMismatch or
	// HeaderMismatch; NoReason where it does.
	Reason Reason

	// Value is the origin, the method or the header name that it does not allow.
	Value string

	decidedBy *Rule // the rule that matched first, if one did
}

// Explanation is a Decision with every rule's verdict, in the order of the rules. There are
// no verdicts where the rules were not evaluated.
type Explanation struct {
	Decision
	Verdicts []Verdict
}

// Explain decides as Decide does, by the same code, and evaluates every rule.
func (rs *Ruleset) Explain(req Request) Explanation {
	var e Explanation
	e.Decision = rs.decide(&req, &e.Verdicts)
	for i := range e.Verdicts {
		e.Verdicts[i].decidedBy = e.Rule
	}
	return e
}

// originMismatches are the verdicts of all rules where none allows the origin.
func (rs *Ruleset) originMismatches(origin string) []Verdict {
	verdicts := make([]Verdict, len(rs.rules))
	for i := range rs.rules {
		verdicts[i] = Verdict{Rule: &rs.rules[i], Reason: OriginMismatch, Value: origin}
	}
	return verdicts
}
