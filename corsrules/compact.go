package corsrules

import (
	"fmt"
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
