package metrics

// Hits returns how many requests of a kind the rule matched.
func (r *Rule) Hits(k Kind) uint64 { return r.hits[k].Load() }

// Denials returns how many requests of a kind were denied, by reason. Every reason is
// there from the start.
func (rs *Ruleset) Denials(k Kind) map[string]uint64 {
	denials := make(map[string]uint64, len(rs.denied[k]))
	for reason, n := range rs.denied[k] {
		denials[reason] = n.Load()
	}
	return denials
}
