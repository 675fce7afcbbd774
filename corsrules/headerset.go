package corsrules

import "slices"

// headerSet is what a rule's AllowedHeaders allow.
type headerSet struct {
	any      bool
	exact    []string // sorted
	patterns []pattern
}

func newHeaderSet(headers []string) (s headerSet) {
	for _, header := range headers {
		if header == "*" {
			s.any = true
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

// firstNotAllowed returns the first of the names that the set does not allow, or nil.
func (s *headerSet) firstNotAllowed(names headerList) headerList {
	if s.any {
		return nil
	}
	for len(names) > 0 {
		var name headerList
		name, names = names.cut()
		if !s.has(name) && !s.hasPattern(name) {
			return name
		}
	}
	return nil
}

// has is slices.BinarySearch, which would have to allocate the name as a string.
func (s *headerSet) has(name headerList) bool {
	low, high := 0, len(s.exact)
	for low < high {
		middle := (low + high) / 2
		if s.exact[middle] < string(name) {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return low < len(s.exact) && s.exact[low] == string(name)
}

func (s *headerSet) hasPattern(name headerList) bool {
	for i := range s.patterns {
		if matches(&s.patterns[i], name) {
			return true
		}
	}
	return false
}
