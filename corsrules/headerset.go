package corsrules

import (
	"slices"
	"strings"
)

// headerSet is what the AllowedHeader elements of a rule allow. Names are in lower case.
type headerSet struct {
	all      bool     // a lone "*"
	exact    []string // sorted
	patterns []pattern
}

func newHeaderSet(headers []string) (s headerSet) {
	for _, header := range headers {
		if header == "*" {
			s.all = true
		} else if p, ok := newPattern(lower(header)); ok {
			s.patterns = append(s.patterns, p)
		} else {
			s.exact = append(s.exact, lower(header))
		}
	}
	slices.Sort(s.exact)
	s.exact = slices.Clip(slices.Compact(s.exact))
	return s
}

// firstNotAllowed returns the first of the names in Request.Headers that the set does not
// allow; "" if it allows all.
func (s *headerSet) firstNotAllowed(headers string) string {
	if s.all {
		return ""
	}
	for headers != "" {
		var name string
		name, headers, _ = strings.Cut(headers, headerSeparator)
		if !s.has(name) {
			return name
		}
	}
	return ""
}

func (s *headerSet) has(name string) bool {
	if _, found := slices.BinarySearch(s.exact, name); found {
		return true
	}
	return slices.ContainsFunc(s.patterns, func(p pattern) bool { return p.matches(name) })
}
