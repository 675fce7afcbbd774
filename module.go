package osscors

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddy-oss-cors/caddy-oss-cors/corsrules"
	"github.com/caddy-oss-cors/caddy-oss-cors/metrics"
	"github.com/caddy-oss-cors/caddy-oss-cors/rulesource"
)

func init() {
	caddy.RegisterModule(new(Handler))
}

// Handler gives the origin behind it the CORS behaviour of an Alibaba Cloud OSS bucket.
//
// It loads CORS rules in the format of OSS's CORSConfiguration. Preflights are answered
// by the first rule that matches origin, method and headers, as OSS answers them: 200, or
// 403 in OSS's own words; they reach neither authentication nor the origin server. Actual
// requests go on, and their responses get the Access-Control headers that the rules give
// them, whatever their status and whoever made them; those of the origin server's own are
// removed. A request that no rule matches is served without Access-Control headers, and
// never refused: CORS is no access control.
//
// What is decided is counted, in the metrics that begin with caddy_oss_cors_.
type Handler struct {
	// RulesRaw is where the rules come from: a module in the namespace
	// http.oss_cors.rules, such as file or inline. Required.
	RulesRaw json.RawMessage `json:"rules,omitempty" caddy:"namespace=http.oss_cors.rules inline_key=source"`

	// ResponseVary adds "Vary: Origin" to every response, as ResponseVary in the
	// rules does; for rules written by clients that cannot set it. Default: false.
	ResponseVary bool `json:"response_vary,omitempty"`

	// AllowCredentials adds "Access-Control-Allow-Credentials: true" wherever an
	// origin is allowed by name. OSS never does. Rules with origins that are too
	// wide for it (null, those without a scheme, and any * but a whole leading host
	// label or the port) are then refused. Default: false.
	AllowCredentials bool `json:"allow_credentials,omitempty"`

	// Name is the ruleset label of metrics and logs. Default: the rules file's path
	// as written, or "inline".
	Name string `json:"name,omitempty"`

	source rulesource.Source
}

// CaddyModule returns the Caddy module information.
func (*Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.oss_cors",
		New: func() caddy.Module { return new(Handler) },
	}
}

// Provision loads the rules: without good ones the configuration is refused.
func (h *Handler) Provision(ctx caddy.Context) error {
	if len(h.RulesRaw) == 0 {
		return errors.New("oss_cors has no rules: name a file (oss_cors cors.xml), or another source (rules inline …)")
	}
	module, err := ctx.LoadModule(h, "RulesRaw")
	if err != nil {
		return fmt.Errorf("oss_cors rules: %w", err)
	}
	h.source = module.(rulesource.Source)
	err = h.source.Open(ctx, rulesource.Options{
		Name:             h.Name,
		AllowCredentials: h.AllowCredentials,
		Logger:           ctx.Logger(),
	})
	if err != nil {
		return fmt.Errorf("oss_cors rules:\n%w", err)
	}
	return registerMetrics(ctx.GetMetricsRegistry())
}

// registerMetrics shows the process's counts in a configuration's registry, once however
// many handlers it has.
func registerMetrics(registry prometheus.Registerer) error {
	err := registry.Register(rulesource.Metrics)
	if errors.As(err, new(prometheus.AlreadyRegisteredError)) {
		return nil
	}
	return err
}

// ServeHTTP answers a preflight, or decorates the response to an actual request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	if a := answerOf(r); a != nil { // another instance has decided
		return a.decorate(w, r, next)
	}
	rules := h.source.Rules()
	if isPreflight(r) {
		decision := rules.Preflight(r.Header["Origin"], r.Header["Access-Control-Request-Method"], r.Header["Access-Control-Request-Headers"])
		rules.Count(metrics.Preflight, decision)
		return h.answerPreflight(w, r, rules, decision)
	}
	decision := rules.Actual(r.Header["Origin"], r.Method)
	if decision.Outcome == corsrules.Denied && !needsCORS(r) {
		decision = corsrules.Decision{}
	}
	rules.Count(metrics.Actual, decision) // before next, which may panic
	return h.newAnswer(rules, decision).decorate(w, r, next)
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
)
