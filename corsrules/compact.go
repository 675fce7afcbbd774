package corsrules

import (
	"fmt"
	"slices"
	"strings"
)

// compact lays a configuration out anew: equal values and equal lists are one, and all
// values lie in one string. Rules repeat each other, and a proxy may keep those of very
// many buckets.
func (c *Configuration) compact() {
	offsets := map[string]int{}
	var text strings.Builder
	for i := range c.Rules {
		for _, list := range c.Rules[i].lists() {
			for _, value := range *list {
				if _, known := offsets[value]; !known {
					offsets[value] = text.Len()
					text.WriteString(value)
				}
			}
		}
	}
	all := strings.Clone(text.String())
	known := map[string][]string{}
	c.Rules = slices.Clone(c.Rules) // without room for more
	for i := range c.Rules {
		for _, list := range c.Rules[i].lists() {
			if len(*list) == 0 {
				continue
			}
			key := listKey(*list)
			if known[key] == nil {
				compacted := make([]string, len(*list))
				for i, value := range *list {
					at := offsets[value]
					compacted[i] = all[at : at+len(value)]
				}
				known[key] = compacted
			}
			*list = known[key]
		}
	}
}

// listKey is the same for equal lists, and only for these.
func listKey(list []string) string { return fmt.Sprintf("%q", list) }

func (r *CORSRule) lists() [4]*[]string {
	return [...]*[]string{&r.AllowedOrigins, &r.AllowedMethods, &r.AllowedHeaders, &r.ExposeHeaders}
}

// shared is what the rules of one Ruleset have in common.
type shared struct {
	texts   map[string]string
	headers map[string]*headerSet
}

// text returns equal strings as one.
func (s shared) text(value string) string {
	if known, ok := s.texts[value]; ok {
		return known
	}
	s.texts[value] = value
	return value
}

// headerSet returns equal lists of headers as one.
func (s shared) headerSet(headers []string) *headerSet {
	key := listKey(headers)
	if s.headers[key] == nil {
		s.headers[key] = newHeaderSet(headers)
	}
	return s.headers[key]
}
