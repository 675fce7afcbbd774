package adminapi

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-oss-cors/caddy-oss-cors/corsrules"
	"github.com/caddy-oss-cors/caddy-oss-cors/internal/running"
	"github.com/caddy-oss-cors/caddy-oss-cors/metrics"
	"github.com/caddy-oss-cors/caddy-oss-cors/rulesource"
)

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

	// Dialect is "s3" if requests get S3's answers; empty for OSS's.
	Dialect string `json:"dialect,omitempty"`

	// Loaded is when the rules were; LastError is why newer ones could not be.
	Loaded    *time.Time `json:"loaded,omitempty"`
	LastError string     `json:"last_error,omitempty"`

	// Unavailable: preflights are answered 503, as no rules are known.
	Unavailable bool `json:"unavailable,omitempty"`

	// Denied counts by kind and reason.
	Denied map[string]map[string]uint64 `json:"denied,omitempty"`

	// Shadow are the candidate rules.
	Shadow *rulesetStatus `json:"shadow,omitempty"`
}

// ruleStatus is a rule in force. Its lists are as in the document; MaxAge is in seconds.
type ruleStatus struct {
	Name   string `json:"name"`
	Number int    `json:"number"`

	AllowedOrigins []string `json:"allowed_origins"`
	AllowedMethods []string `json:"allowed_methods"`
	AllowedHeaders []string `json:"allowed_headers,omitempty"`
	ExposeHeaders  []string `json:"expose_headers,omitempty"`
	MaxAge         *int     `json:"max_age,omitempty"`

	// Hits counts by kind.
	Hits map[string]uint64 `json:"hits,omitempty"`
}

var bothKinds = []metrics.Kind{metrics.Preflight, metrics.Actual}

// serveRulesets shows all rule sets, or those whose name has the text of the query's search,
// and no more of them than its limit.
func serveRulesets(w http.ResponseWriter, r *http.Request) error {
	query := r.URL.Query()
	limit := math.MaxInt
	if text := query.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return apiErrorf(http.StatusBadRequest, "limit is %q: a whole number from 1 is needed", text)
		}
		limit = n
	}
	return writeJSON(w, statuses(query.Get("search"), limit))
}

func statuses(search string, limit int) []rulesetStatus {
	all := []rulesetStatus{}
	for _, site := range running.Sites() {
		source, ok := site.Source.(rulesource.Reporter)
		if !ok {
			continue // of another plugin, which does not report
		}
		for _, report := range source.Reports() {
			if !strings.Contains(report.Rules.Name, search) {
				continue
			}
			if len(all) == limit {
				return all
			}
			status := statusOf(source, report)
			status.ResponseVary = status.ResponseVary || site.Policy.ResponseVary
			if site.Policy.Dialect == corsrules.DialectS3 {
				status.Dialect = "s3"
			}
			if shadow, ok := site.Shadow.(rulesource.Reporter); ok {
				candidates := statusOf(shadow, shadow.Reports()[0]) // a file has one
				status.Shadow = &candidates
			}
			all = append(all, status)
		}
	}
	return all
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
		Unavailable:   report.Unavailable,
	}
	var sources []corsrules.CORSRule
	if rules.Ruleset != nil {
		sources = rules.Configuration().Rules
	}
	if loaded := report.Status.Loaded; !loaded.IsZero() {
		status.Loaded = &loaded
	}
	if report.Status.Err != nil {
		status.LastError = report.Status.Err.Error()
	}
	for i, name := range rules.RuleNames() {
		rule := newRuleStatus(name, i+1, sources[i])
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

func newRuleStatus(name string, number int, rule corsrules.CORSRule) ruleStatus {
	return ruleStatus{
		Name:           name,
		Number:         number,
		AllowedOrigins: rule.AllowedOrigins,
		AllowedMethods: rule.AllowedMethods,
		AllowedHeaders: rule.AllowedHeaders,
		ExposeHeaders:  rule.ExposeHeaders,
		MaxAge:         rule.MaxAgeSeconds,
	}
}

// kindOf is the word that stands after rules in the Caddyfile.
func kindOf(source rulesource.Source) string {
	if module, ok := source.(caddy.Module); ok {
		return module.CaddyModule().ID.Name()
	}
	return ""
}

// serveDocument shows the rules in force as GetBucketCors does, or as rule blocks. They are as
// long as a document may be, at most.
func serveDocument(w http.ResponseWriter, r *http.Request) error {
	name := r.PathValue("name")
	site, rules, err := find(r.Context(), name)
	if err != nil {
		return err
	}
	if rules.Ruleset == nil {
		return apiErrorf(http.StatusNotFound, "bucket %s has no rules", name)
	}
	cfg := *rules.Configuration()
	if cfg.Form == corsrules.FormBlocks { // whose response_vary is next to them
		cfg.ResponseVary = site.Policy.ResponseVary
	}
	text, isXML, err := documentText(&cfg)
	if err != nil {
		return apiErrorf(http.StatusInternalServerError, "the rules %s cannot be written: %w", name, err)
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if isXML {
		w.Header().Set("Content-Type", "application/xml")
	}
	_, err = w.Write(text)
	return err
}
