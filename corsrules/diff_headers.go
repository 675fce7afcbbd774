package corsrules

import (
	"fmt"
	"slices"
)

// nameSet has for each header cell whether a rule allows its names.
type nameSet []bool

// headerCells are the header names that some rules tell apart.
type headerCells struct {
	labels        [][]string // of each cell
	before, after []nameSet  // of each rule
}

func newHeaderCells(before, after []*Rule) *headerCells {
	h := &headerCells{before: make([]nameSet, len(before)), after: make([]nameSet, len(after))}
	var values []string
	for _, r := range slices.Concat(before, after) {
		values = append(values, r.effect.source.AllowedHeaders...)
	}
	known := map[string]int{} // the cell that the same rules allow
	for _, c := range cellsOf(values) {
		allows := func(r *Rule) bool { return r.effect.headers.all || r.effect.headers.has(c.witness) }
		key := ""
		for _, r := range slices.Concat(before, after) {
			key += fmt.Sprint(allows(r))
		}
		k, ok := known[key]
		if !ok {
			k = len(h.labels)
			known[key] = k
			h.labels = append(h.labels, nil)
			for i, r := range before {
				h.before[i] = append(h.before[i], allows(r))
			}
			for i, r := range after {
				h.after[i] = append(h.after[i], allows(r))
			}
		}
		h.labels[k] = append(h.labels[k], c.label)
	}
	for k, labels := range h.labels {
		others := slices.Concat(slices.Delete(slices.Clone(h.labels), k, k+1)...)
		h.labels[k] = withoutCovered(labels, others)
	}
	return h
}

// labelsOf returns what is in at least one of the sets.
func (h *headerCells) labelsOf(sets []nameSet) (labels []string) {
	for k := range h.labels {
		if slices.ContainsFunc(sets, func(s nameSet) bool { return s[k] }) {
			labels = append(labels, h.labels[k]...)
		}
	}
	return withoutCovered(labels, nil)
}

// names writes combinations of cells as combinations of names, and returns the narrower names
// that are in none. The empty combination, which every request has, stands alone, and as none.
func (h *headerCells) names(combinations [][]int) (names [][]string, except []string, err error) {
	var own, others []string
	for k, labels := range h.labels {
		if slices.ContainsFunc(combinations, func(c []int) bool { return slices.Contains(c, k) }) {
			own = append(own, labels...)
		} else {
			others = append(others, labels...)
		}
	}
	for _, combination := range combinations {
		spelled := 1
		for _, k := range combination {
			if spelled *= len(h.labels[k]); len(names)+spelled > maxCombinations {
				return nil, nil, errTooManyCombinations
			}
		}
		names = append(names, h.spell(combination)...)
	}
	if len(names) == 1 && len(names[0]) == 0 {
		return nil, nil, nil
	}
	return names, withoutCovered(narrowerThan(own, others), own), nil
}

// spell writes a combination with each of the names that its cells have.
func (h *headerCells) spell(combination []int) [][]string {
	spelled := [][]string{nil}
	for _, k := range combination {
		var longer [][]string
		for _, begun := range spelled {
			for _, label := range h.labels[k] {
				longer = append(longer, append(slices.Clone(begun), label))
			}
		}
		spelled = longer
	}
	return spelled
}

func intersect(a, b nameSet) nameSet {
	both := make(nameSet, len(a))
	for k := range a {
		both[k] = a[k] && b[k]
	}
	return both
}

// minimalCombinations returns the smallest combinations of cells that are in one of the sets
// of allowed and in none of then: whatever else a request asks for, it has one of these if
// the first allow it and the second do not.
func minimalCombinations(allowed, then []nameSet) (combinations [][]int, err error) {
	for _, set := range allowed {
		some, err := escaping(set, then)
		if err != nil {
			return nil, err
		}
		combinations = append(combinations, some...)
	}
	return onlyMinimal(combinations)
}

// escaping returns the smallest combinations of cells in set that are in none of the others:
// for each of the others they have a cell that it lacks.
func escaping(set nameSet, others []nameSet) (found [][]int, err error) {
	found = [][]int{{}}
	for _, other := range others {
		var longer [][]int
		for _, combination := range found {
			if slices.ContainsFunc(combination, func(k int) bool { return !other[k] }) {
				longer = append(longer, combination)
				continue
			}
			for k := range set {
				if set[k] && !other[k] {
					extended := append(slices.Clone(combination), k)
					slices.Sort(extended)
					longer = append(longer, extended)
				}
			}
		}
		if found, err = onlyMinimal(longer); err != nil {
			return nil, err
		}
	}
	return found, nil
}

var errTooManyCombinations = fmt.Errorf("what changes depends on more than %d combinations of header names: compare rules that differ less", maxCombinations)

// onlyMinimal removes combinations that contain another one.
func onlyMinimal(combinations [][]int) (minimal [][]int, err error) {
	slices.SortFunc(combinations, func(a, b []int) int {
		if len(a) != len(b) {
			return len(a) - len(b)
		}
		return slices.Compare(a, b)
	})
	for _, c := range combinations {
		contained := func(m []int) bool {
			return !slices.ContainsFunc(m, func(k int) bool { return !slices.Contains(c, k) })
		}
		if slices.ContainsFunc(minimal, contained) {
			continue
		}
		if len(minimal) == maxCombinations {
			return nil, errTooManyCombinations
		}
		minimal = append(minimal, c)
	}
	return minimal, nil
}
