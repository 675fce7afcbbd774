// Package adminapi is the part of Caddy's admin API that shows the running rule sets and
// explains their decisions.
package adminapi

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-oss-cors/caddy-oss-cors/internal/explain"
	"github.com/caddy-oss-cors/caddy-oss-cors/internal/running"
	"github.com/caddy-oss-cors/caddy-oss-cors/metrics"
	"github.com/caddy-oss-cors/caddy-oss-cors/rulesource"
)

func init() {
	caddy.RegisterModule(API{})
}

// API is a part of Caddy's admin API:
//
//	GET  /oss_cors/rulesets   the rule sets in force, where they come from, and their counts
//	POST /oss_cors/explain    what they decide for a request; see explain.Request
type API struct{}

// CaddyModule returns the Caddy module information.
func (API) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "admin.api.oss_cors",
		New: func() caddy.Module { return new(API) },
	}
}

// Routes implements caddy.AdminRouter.
func (API) Routes() []caddy.AdminRoute {
	return []caddy.AdminRoute{
		{Pattern: "/oss_cors/rulesets", Handler: onlyMethod(http.MethodGet, serveRulesets)},
		{Pattern: "/oss_cors/explain", Handler: onlyMethod(http.MethodPost, serveExplain)},
	}
}

// onlyMethod refuses all other methods.
func onlyMethod(method string, serve caddy.AdminHandlerFunc) caddy.AdminHandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		if r.Method != method {
			w.Header().Set("Allow", method)
			return apiErrorf(http.StatusMethodNotAllowed, "%s %s: use %s", r.Method, r.URL.Path, method)
		}
		return serve(w, r)
	}
}

func apiErrorf(status int, format string, args ...any) error {
	return caddy.APIError{HTTPStatus: status, Err: fmt.Errorf(format, args...)}
}

// rulesetStatus is a rule set in force, as GET /oss_cors/rulesets shows it.
type rulesetStatus struct {
	Name string `json:"name"`

	// Source is the kind of source, as the Caddyfile has it; Document is where the
	// rules come from.
	Source   string `json:"source"`
	Document string `json:"document,omitempty"`

	NumberOfRules int          `json:"number_of_rules"`
	Rules         []ruleStatus `json:"rules"`
	ResponseVary  bool         `json:"response_vary"`

	// Loaded is when the rules were; LastError is why newer ones could not be.
	Loaded    *time.Time `json:"loaded,omitempty"`
	LastError string     `json:"last_error,omitempty"`

	// Denied counts by kind and reason.
	Denied map[string]map[string]uint64 `json:"denied,omitempty"`

	// Shadow are the candidate rules.
	Shadow *rulesetStatus `json:"shadow,omitempty"`
}

type ruleStatus struct {
	Name string `json:"name"`

	// Hits counts by kind.
	Hits map[string]uint64 `json:"hits,omitempty"`
}

var bothKinds = []metrics.Kind{metrics.Preflight, metrics.Actual}

func serveRulesets(w http.ResponseWriter, _ *http.Request) error {
	all := []rulesetStatus{}
	for _, site := range running.Sites() {
		source, ok := site.Source.(rulesource.Reporter)
		if !ok {
			continue // of another plugin, which does not report
		}
		for _, report := range source.Reports() {
			status := statusOf(source, report)
			status.ResponseVary = status.ResponseVary || site.Policy.ResponseVary
			if shadow, ok := site.Shadow.(rulesource.Reporter); ok {
				candidates := statusOf(shadow, shadow.Reports()[0]) // a file has one
				status.Shadow = &candidates
			}
			all = append(all, status)
		}
	}
	return writeJSON(w, all)
}

func statusOf(source rulesource.Source, report rulesource.Report) rulesetStatus {
	rules := report.Rules
	status := rulesetStatus{
		Name:          rules.Name,
		Source:        kindOf(source),
		Document:      report.Document,
		NumberOfRules: rules.Len(),
		Rules:         []ruleStatus{},
		ResponseVary:  rules.ResponseVary(),
	}
	if loaded := report.Status.Loaded; !loaded.IsZero() {
		status.Loaded = &loaded
	}
	if report.Status.Err != nil {
		status.LastError = report.Status.Err.Error()
	}
	for i, name := range rules.RuleNames() {
		rule := ruleStatus{Name: name}
		if rules.Metrics != nil {
			rule.Hits = map[string]uint64{}
			for _, kind := range bothKinds {
				rule.Hits[kind.String()] = rules.Hits(kind, i)
			}
		}
		status.Rules = append(status.Rules, rule)
	}
	if rules.Metrics != nil {
		status.Denied = map[string]map[string]uint64{}
		for _, kind := range bothKinds {
			status.Denied[kind.String()] = rules.Metrics.Denials(kind)
		}
	}
	return status
}

// kindOf is the word that stands after rules in the Caddyfile.
func kindOf(source rulesource.Source) string {
	if module, ok := source.(caddy.Module); ok {
		return module.CaddyModule().ID.Name()
	}
	return ""
}

// maxExplainBody bounds a request to explain: several times what any real one has.
const maxExplainBody = 64 << 10

func serveExplain(w http.ResponseWriter, r *http.Request) error {
	var q explain.Request
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxExplainBody))
	dec.DisallowUnknownFields()
	err := dec.Decode(&q)
	if err == nil && dec.Decode(new(any)) != io.EOF {
		err = errors.New("there is more after the JSON object")
	}
	switch {
	case errors.As(err, new(*http.MaxBytesError)):
		return apiErrorf(http.StatusRequestEntityTooLarge, "the body has more than %d bytes", maxExplainBody)
	case err != nil:
		return apiErrorf(http.StatusBadRequest, `the body is not what is expected: %w; send JSON such as {"origin": "https://app.example.com", "method": "PUT", "headers": ["content-type"]}`, err)
	case strings.TrimSpace(q.Origin) == "" || strings.TrimSpace(q.Method) == "":
		return apiErrorf(http.StatusBadRequest, "origin and method are needed")
	}
	site, rules, err := find(r.Context(), q.Ruleset)
	if err != nil {
		return err
	}
	q.Ruleset = cmp.Or(q.Ruleset, rules.Name)
	return writeJSON(w, explain.New(rules.Ruleset, site.Policy, q))
}

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
		if rules := singleRules(ctx, site); rules != nil && (only || name == rules.Name) {
			return site, rules, nil
		}
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

// singleRules returns the rules of a source of one document, and nil of another.
func singleRules(ctx context.Context, site *running.Site) *rulesource.Rules {
	if site.PerBucket() {
		return nil
	}
	rules, err := site.Source.Rules(ctx, "")
	if err != nil {
		return nil
	}
	return rules
}

// maxNames bounds how many rule sets an error names.
const maxNames = 4

// rulesetNames returns the names of the running rule sets; the kind of source stands for
// those of many buckets.
func rulesetNames(ctx context.Context, sites []*running.Site) []string {
	var names []string
	for _, site := range sites {
		name := "the buckets of rules " + kindOf(site.Source)
		if rules := singleRules(ctx, site); rules != nil {
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

func writeJSON(w http.ResponseWriter, result any) error {
	w.Header().Set("Content-Type", "application/json")
	return explain.WriteJSON(w, result)
}

// Interface guards
var (
	_ caddy.AdminRouter = API{}
)
