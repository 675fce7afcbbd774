package osscors

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/caddy-oss-cors/caddy-oss-cors/bucketapi"
	"github.com/caddy-oss-cors/caddy-oss-cors/corsrules"
	_ "github.com/caddy-oss-cors/caddy-oss-cors/internal/adminapi" // one import registers all modules
	_ "github.com/caddy-oss-cors/caddy-oss-cors/internal/command"
	"github.com/caddy-oss-cors/caddy-oss-cors/internal/running"
	"github.com/caddy-oss-cors/caddy-oss-cors/metrics"
	"github.com/caddy-oss-cors/caddy-oss-cors/rulesource"
)

func init() {
	caddy.RegisterModule(new(Handler))
}

// Handler gives the server behind it the CORS behaviour of an Alibaba Cloud OSS bucket.
//
// Its rules are in the configuration itself, or in a document in the format of OSS's
// CORSConfiguration. The first rule that matches origin, method and headers decides. A
// preflight gets 200 if a rule matches, otherwise OSS's error (403, 400), or 503 if the rules
// cannot be read; it reaches neither authentication nor the origin server. Actual requests are
// passed to the next handler, and their responses get the Access-Control headers that the rule
// requires, whatever their status and whichever handler wrote them; those that the origin
// server set are removed. An actual request that no rule matches is served without
// Access-Control headers, and is never refused: CORS is not access control.
//
// Decisions are counted in the metrics that begin with caddy_oss_cors_. They show in the
// access log, as the object oss_cors, and in placeholders:
//
// Placeholder | Description
// ------------|-------------
// `{http.oss_cors.outcome}` | `allowed`, `denied`, or `none` if the request does not need CORS
// `{http.oss_cors.rule}` | The rule that matched or, on a denial, the nearest; empty if there is none
// `{http.oss_cors.reason}` | Why the request was denied, such as `origin` or `rules_unavailable`; empty if it was not
// `{http.oss_cors.value}` | What of the request the rules do not allow: its origin, its method or a header; empty if it was not denied
// `{http.oss_cors.ruleset}` | The name of the rules that decided
// `{http.oss_cors.bucket}` | The bucket, if `bucket` is set and the request names one
type Handler struct {
	// RulesRaw is where the rules come from: a module in the namespace
	// http.oss_cors.rules, such as file, or config for rules in the configuration itself.
	// Required.
	RulesRaw json.RawMessage `json:"rules,omitempty" caddy:"namespace=http.oss_cors.rules inline_key=source"`

	// Bucket says which bucket a request is for. Required for rules of many buckets;
	// with rules of one document it only shows in the placeholder and the logs.
	// Default: none.
	Bucket *Bucket `json:"bucket,omitempty"`

	// BucketAPI serves PutBucketCors, GetBucketCors and DeleteBucketCors, to clients of
	// OSS and of S3. For the source storage only. Default: none; requests with ?cors are
	// then passed to the next handler.
	BucketAPI *BucketAPI `json:"bucket_api,omitempty"`

	// ResponseVary adds "Vary: Origin" to every response, as ResponseVary in the
	// rules does; for rules written by clients that cannot set it. Default: false.
	ResponseVary bool `json:"response_vary,omitempty"`

	// AllowCredentials adds "Access-Control-Allow-Credentials: true" to every response
	// that allows an origin. OSS never does. Rules with an origin that anybody can be
	// behind are then refused: *, null, an origin without a scheme, a * that is neither
	// the port nor the whole first label of a host, and one under which anybody can
	// register a name (https://*.vercel.app). For sources of one document only.
	// Default: false.
	AllowCredentials bool `json:"allow_credentials,omitempty"`

	// Dialect is whose decisions and answers requests get: "oss", or "s3" for
	// applications that were written for S3. With "s3", documents may be of either store.
	// Default: "oss".
	Dialect string `json:"dialect,omitempty"`

	// Name is the ruleset label of metrics and logs, for rules of one document: with
	// many buckets the label is the bucket. Default: the rules file's path as
	// written, the URL without user information and query, "oss://<bucket>", "inline" or
	// "config".
	Name string `json:"name,omitempty"`

	// Shadow is a file of candidate rules. They are evaluated with those in force, and
	// what they would change is counted and logged; they never affect a response. They
	// have the refresh and max_rules of the rules in force; for the sources inline and
	// config, a refresh of 5s; for config, at most 20 rules. Global placeholders such as
	// {env.HOME} work. For sources of one document only. Default: none.
	Shadow string `json:"shadow,omitempty"`

	// DeniedOrigins is how many denied origins the metrics show by name, in the whole
	// process. If several handlers set it, the largest number counts. 0: those of this
	// handler are not shown. Default: 100.
	DeniedOrigins *int `json:"denied_origins,omitempty"`

	// DebugHeader puts the decision on every response, as X-Oss-Cors-Decision: the
	// rule, or the reason, the value that is not allowed and the nearest rule. Default:
	// false.
	DebugHeader bool `json:"debug_header,omitempty"`

	// DebugPreflights answers a preflight that is denied for its method or header, by a
	// rule that allows the origin, with 200 and what that rule allows, so that the
	// browser's console names what is missing. OSS answers 403, which no console
	// explains. The browser still does not send the request, and the denial is counted
	// and logged as one. For development. Default: false.
	DebugPreflights bool `json:"debug_preflights,omitempty"`

	log  *zap.Logger
	site *running.Site
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
	dialect, err := corsrules.DialectNamed(h.Dialect)
	if err != nil {
		return fmt.Errorf("oss_cors: %w", err)
	}
	h.log = ctx.Logger()
	h.site = &running.Site{
		Source: module.(rulesource.Source),
		Policy: corsrules.Policy{ResponseVary: h.ResponseVary, AllowCredentials: h.AllowCredentials, Dialect: dialect},
	}
	if err := h.check(); err != nil {
		return fmt.Errorf("oss_cors: %w", err)
	}
	if err := h.open(ctx); err != nil {
		return fmt.Errorf("oss_cors rules:\n%w", err)
	}
	if h.BucketAPI != nil {
		if err := h.BucketAPI.provision(h.site.Source, h.site.Policy.Dialect, h.log); err != nil {
			return fmt.Errorf("oss_cors bucket_api:\n%w", err)
		}
	}
	if err := registerMetrics(ctx.GetMetricsRegistry()); err != nil {
		return err
	}
	if h.DebugPreflights {
		h.log.Warn("debug_preflights is on: preflights that are denied for their method or header are answered 200, where OSS answers 403; use it for development only")
	}
	running.Add(h.site)
	return nil
}

// Cleanup implements caddy.CleanerUpper. It also runs after a failed Provision.
func (h *Handler) Cleanup() error {
	running.Remove(h.site)
	return nil
}

// sourceName returns how a Caddyfile names a source.
func sourceName(source rulesource.Source) string {
	return "rules " + source.(caddy.Module).CaddyModule().ID.Name()
}

// check checks the options other than the rules. It returns all errors.
func (h *Handler) check() error {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if h.Name == metrics.OtherBuckets {
		wrong("name %s is reserved: choose another", h.Name)
	}
	if h.DeniedOrigins != nil && *h.DeniedOrigins < 0 {
		wrong("denied_origins is %d: a whole number is needed, 0 for none", *h.DeniedOrigins)
	}
	if h.site.PerBucket() && h.Name != "" {
		wrong("name %s: a name is for rules of one document, and %s has those of many buckets, whose names are the labels; take name out", h.Name, sourceName(h.site.Source))
	}
	if _, ok := h.site.Source.(rulesource.Shadower); h.Shadow != "" && !ok {
		wrong("shadow %s: candidate rules are for a source of one document, such as rules file, and %s has many", h.Shadow, sourceName(h.site.Source))
	}
	if h.site.PerBucket() && h.AllowCredentials {
		wrong("allow_credentials needs rules of one document: with many buckets, their owners write the rules, and could allow any origin")
	}
	if h.Bucket != nil {
		errs = append(errs, h.Bucket.validate())
	} else if h.site.PerBucket() {
		wrong("%s needs bucket, which says where a request names one: bucket path, bucket host <domain…> or bucket name <name>", sourceName(h.site.Source))
	}
	return errors.Join(errs...)
}

// open opens the source of the rules and that of their shadow.
func (h *Handler) open(ctx caddy.Context) error {
	opts := &rulesource.Options{
		Name:             h.Name,
		AllowCredentials: h.AllowCredentials,
		ResponseVary:     h.ResponseVary,
		Dialect:          h.site.Policy.Dialect,
		Logger:           h.log,
		Store:            metrics.Default,
		Metrics:          metrics.Options{DeniedOrigins: metrics.DefaultDeniedOrigins, Shadow: h.Shadow != ""},
	}
	if h.DeniedOrigins != nil {
		opts.Metrics.DeniedOrigins = *h.DeniedOrigins
	}
	if err := h.site.Source.Open(ctx, opts); err != nil {
		return err
	}
	if h.Shadow == "" {
		return nil
	}
	h.site.Shadow = h.site.Source.(rulesource.Shadower).Shadow(h.Shadow) // see check
	err := h.site.Shadow.Open(ctx, &rulesource.Options{
		AllowCredentials: h.AllowCredentials,
		ResponseVary:     h.ResponseVary,
		Dialect:          h.site.Policy.Dialect,
		Logger:           h.log.Named("shadow"),
	})
	if err != nil {
		return fmt.Errorf("shadow:\n%w", err)
	}
	return nil
}

// registerMetrics shows the process's counts in a configuration's registry, once for all of
// its handlers.
func registerMetrics(registry prometheus.Registerer) error {
	err := registry.Register(metrics.Default)
	if errors.As(err, new(prometheus.AlreadyRegisteredError)) {
		return nil
	}
	return err
}

// ServeHTTP answers a preflight, or passes the request on and sets the headers that its
// decision requires on the response.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	if d := fromContext(r); d != nil { // another oss_cors handler has decided
		return d.decorate(w, r, next)
	}
	d := h.decide(r)
	d.count() // before next, which may panic
	if d.request.Kind == corsrules.Preflight {
		return d.answerPreflight(w)
	}
	if h.BucketAPI != nil { // the source has many buckets, so Bucket is not nil
		if _, key := h.Bucket.of(r); bucketapi.IsRequest(r, key) {
			next = h.BucketAPI.handler(d.bucket) // the response has the headers of the rules before the change
		}
	}
	return d.decorate(w, r, next)
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddy.CleanerUpper          = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
)
