package osscors

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-oss-cors/caddy-oss-cors/metrics"
	"github.com/caddy-oss-cors/caddy-oss-cors/rulesource"
)

func init() {
	caddy.RegisterModule(adminAPI{})
}

// liveHandlers are the process's provisioned handlers. The admin API, which is set up
// before any of them and knows no configuration, finds them here.
var liveHandlers handlerRegistry

// handlerRegistry holds handlers in the order in which they were added.
type handlerRegistry struct {
	mu       sync.Mutex
	handlers []*Handler
}

// add adds a handler that is ready to serve.
func (l *handlerRegistry) add(h *Handler) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.handlers = append(l.handlers, h)
}

// remove removes a handler; one that was never added is no error.
func (l *handlerRegistry) remove(h *Handler) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.handlers = slices.DeleteFunc(l.handlers, func(other *Handler) bool { return other == h })
}

func (l *handlerRegistry) all() []*Handler {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.handlers)
}

// adminAPI is a part of Caddy's admin API:
//
//	GET  /oss_cors/rulesets   the rule sets in force, where they come from, and their counts
//	POST /oss_cors/explain    what they say of a request; see explainRequest
type adminAPI struct{}

// CaddyModule returns the Caddy module information.
func (adminAPI) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "admin.api.oss_cors",
		New: func() caddy.Module { return new(adminAPI) },
	}
}

// Routes implements caddy.AdminRouter.
func (adminAPI) Routes() []caddy.AdminRoute {
	return []caddy.AdminRoute{
		{Pattern: "/oss_cors/rulesets", Handler: by(http.MethodGet, serveRulesets)},
		{Pattern: "/oss_cors/explain", Handler: by(http.MethodPost, serveExplain)},
	}
}

// by serves one method.
func by(method string, serve caddy.AdminHandlerFunc) caddy.AdminHandlerFunc {
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
	for _, h := range liveHandlers.all() {
		source, ok := h.source.(rulesource.Reporter)
		if !ok {
			continue // another plugin's, which tells nothing
		}
		for _, report := range source.Reports() {
			status := statusOf(source, report)
			status.ResponseVary = status.ResponseVary || h.ResponseVary
			if shadow, ok := h.shadow.(rulesource.Reporter); ok {
				candidates := statusOf(shadow, shadow.Reports()[0]) // a file has one
				status.Shadow = &candidates
			}
			all = append(all, status)
		}
	}
	return answerJSON(w, all)
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
	var q explainRequest
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
	h, rules, err := rulesOf(r, q.Ruleset)
	if err != nil {
		return err
	}
	return answerJSON(w, explain(h, rules, q))
}

// rulesOf returns the rules in force of a name, or the only ones if it is empty, and their
// handler. Where several handlers have them, it is the newest. A name that no single rule
// set has is a bucket's.
func rulesOf(r *http.Request, name string) (*Handler, *rulesource.Rules, error) {
	handlers := liveHandlers.all()
	slices.Reverse(handlers)
	if len(handlers) == 0 {
		return nil, nil, apiErrorf(http.StatusNotFound, "no oss_cors is running")
	}
	names := rulesetNames(r.Context(), handlers)
	only := name == "" && len(names) == 1
	for _, h := range handlers {
		if rules := singleRules(r.Context(), h); rules != nil && (only || name == rules.Name) {
			return h, rules, nil
		}
	}
	if name == "" {
		return nil, nil, apiErrorf(http.StatusBadRequest, "choose a rule set by ruleset: there are %s", someOf(names))
	}
	for _, h := range handlers {
		if !isPerBucket(h) || !isBucketName(name) {
			continue
		}
		rules, err := h.source.Rules(r.Context(), name)
		if err != nil {
			return nil, nil, apiErrorf(http.StatusServiceUnavailable, "the rules of bucket %s cannot be read: %w", name, err)
		}
		return h, rules, nil
	}
	return nil, nil, apiErrorf(http.StatusNotFound, "no rule set is named %q: there are %s", name, someOf(names))
}

func isPerBucket(h *Handler) bool {
	_, many := h.source.(rulesource.PerBucket)
	return many
}

// singleRules returns the rules of a source of one document, and nil of another.
func singleRules(ctx context.Context, h *Handler) *rulesource.Rules {
	if isPerBucket(h) {
		return nil
	}
	rules, err := h.source.Rules(ctx, "")
	if err != nil {
		return nil
	}
	return rules
}

// rulesetNames returns the names of the running rule sets; of sources of many buckets,
// the kind stands for them all.
func rulesetNames(ctx context.Context, handlers []*Handler) []string {
	var names []string
	for _, h := range handlers {
		name := "the buckets of rules " + kindOf(h.source)
		if rules := singleRules(ctx, h); rules != nil {
			name = rules.Name
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func answerJSON(w http.ResponseWriter, answer any) error {
	w.Header().Set("Content-Type", "application/json")
	return writeJSON(w, answer)
}

// Interface guards
var (
	_ caddy.AdminRouter = adminAPI{}
)
