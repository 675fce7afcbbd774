package adminapi

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/caddy-oss-cors/caddy-oss-cors/internal/running"
	"github.com/caddy-oss-cors/caddy-oss-cors/rulesource"
)

// find returns the rules in force that have a name, or the only ones if it is empty, and
// their site: the newest where several sites have them. A name that no rule set of one
// document has is a bucket's.
func find(ctx context.Context, name string) (*running.Site, *rulesource.Rules, error) {
	sites := running.Sites()
	slices.Reverse(sites)
	if len(sites) == 0 {
		return nil, nil, apiErrorf(http.StatusNotFound, "no oss_cors handler is running")
	}
	names := rulesetNames(ctx, sites)
	only := name == "" && len(names) == 1
	for _, site := range sites {
		rules, err := singleRules(ctx, site)
		if rules == nil || !only && name != rules.Name {
			continue
		}
		if err != nil {
			return nil, nil, apiErrorf(http.StatusServiceUnavailable, "the rules %s cannot be read: %w", rules.Name, err)
		}
		return site, rules, nil
	}
	if name == "" {
		return nil, nil, apiErrorf(http.StatusBadRequest, "choose a rule set by ruleset: there are %s", strings.Join(names, ", "))
	}
	for _, site := range sites {
		if !site.PerBucket() || !rulesource.IsBucketName(name) {
			continue
		}
		rules, err := site.Source.Rules(ctx, name)
		if err != nil {
			return nil, nil, apiErrorf(http.StatusServiceUnavailable, "the rules of bucket %s cannot be read: %w", name, err)
		}
		return site, rules, nil
	}
	return nil, nil, apiErrorf(http.StatusNotFound, "no rule set is named %q: there are %s", name, strings.Join(names, ", "))
}

// singleRules returns the rules of a source of one document, as Source.Rules does, and nil of
// another.
func singleRules(ctx context.Context, site *running.Site) (*rulesource.Rules, error) {
	if site.PerBucket() {
		return nil, nil
	}
	return site.Source.Rules(ctx, "")
}

// maxNames bounds how many rule sets an error names.
const maxNames = 4

// rulesetNames returns the names of the running rule sets; the kind of source stands for
// those of many buckets.
func rulesetNames(ctx context.Context, sites []*running.Site) []string {
	var names []string
	for _, site := range sites {
		name := "the buckets of rules " + kindOf(site.Source)
		if rules, _ := singleRules(ctx, site); rules != nil {
			name = rules.Name
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	if more := len(names) - maxNames; more > 0 {
		names = append(names[:maxNames], fmt.Sprintf("%d more", more))
	}
	return names
}
