package corsrules

import (
	"slices"
	"strings"
)

// cell stands for all values (origins or header names) that some patterns cannot tell apart.
type cell struct {
	// witness is one of them. Its \x00 stands for a run that no pattern names.
	witness string

	// label is how a document would write them: a value, or a pattern that stands for
	// what no narrower label matches.
	label string
}

// cellsOf returns at least one cell of each kind of value that the patterns tell apart, but
// for values that none matches. Those that a set of patterns with a * matches begin with the
// longest prefix of these and end with the longest suffix: either something is between the
// two, or they overlap, in which case there are few such values, and each is a cell.
func cellsOf(values []string) []cell {
	var cells []cell
	var patterns []pattern
	for _, value := range values {
		value = lower(value)
		if p, ok := newPattern(value); ok {
			patterns = append(patterns, p)
		} else {
			cells = append(cells, cell{value, value})
		}
	}
	for _, a := range patterns {
		for _, b := range patterns {
			if strings.HasPrefix(a.prefix, b.prefix) && strings.HasSuffix(b.suffix, a.suffix) {
				cells = appendBetween(cells, a.prefix, b.suffix)
			}
		}
	}
	slices.SortFunc(cells, func(a, b cell) int { return strings.Compare(a.witness, b.witness) })
	return slices.Compact(cells)
}

// appendBetween appends the cells of what begins with prefix and ends with suffix.
func appendBetween(cells []cell, prefix, suffix string) []cell {
	cells = append(cells, cell{prefix + anyRun + suffix, prefix + "*" + suffix})
	for overlap := 1; overlap <= min(len(prefix), len(suffix)); overlap++ {
		if strings.HasSuffix(prefix, suffix[:overlap]) {
			value := prefix + suffix[overlap:]
			cells = append(cells, cell{value, value})
		}
	}
	return cells
}

// withoutCovered removes labels that another one covers, unless others tell the two apart.
func withoutCovered(labels, others []string) (some []string) {
	for _, narrow := range labels {
		saysNothing := func(wide string) bool {
			tellsApart := func(other string) bool { return covers(other, narrow) && !covers(other, wide) }
			return wide != narrow && covers(wide, narrow) && !slices.ContainsFunc(others, tellsApart)
		}
		if !slices.ContainsFunc(labels, saysNothing) {
			some = append(some, narrow)
		}
	}
	return some
}

// narrowerThan returns those of others that a label covers.
func narrowerThan(labels, others []string) (narrower []string) {
	for _, other := range others {
		if slices.ContainsFunc(labels, func(wide string) bool { return covers(wide, other) }) {
			narrower = append(narrower, other)
		}
	}
	return narrower
}
