package osscors

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddy-oss-cors/caddy-oss-cors/corsrules"
	"github.com/caddy-oss-cors/caddy-oss-cors/metrics"
)

// count counts the decision, compares it with the shadow's, and makes it known to Caddy's
// placeholders and access log.
func (d *decided) count() {
	d.denials = d.rules.Count(kindOf(d.request), d.decision, d.request.Origin)
	if d.handler.site.Shadow != nil {
		d.compareShadow()
	}
	ctx := d.r.Context()
	if repl, ok := ctx.Value(caddy.ReplacerCtxKey).(*caddy.Replacer); ok {
		repl.Map(d.placeholder)
	}
	if server, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server); ok && server.Logs != nil {
		ctx.Value(caddyhttp.ExtraLogFieldsCtxKey).(*caddyhttp.ExtraLogFields).Add(zap.Object("oss_cors", d))
	}
}

// kindOf is the kind as metrics count it: metrics does not import corsrules.
func kindOf(r corsrules.Request) metrics.Kind {
	if r.Kind == corsrules.Preflight {
		return metrics.Preflight
	}
	return metrics.Actual
}

// compareShadow counts and logs what the candidate rules would change.
func (d *decided) compareShadow() {
	live := d.decision.Outcome
	if live == corsrules.None || d.decision.Reason == corsrules.RulesUnavailable {
		return
	}
	candidates, _ := d.handler.site.Shadow.Rules(d.r.Context(), "") // a file is always available
	shadow := candidates.Decide(d.request)
	if shadow.Outcome == live || shadow.Outcome == corsrules.None {
		return
	}
	if !shouldLog(d.rules.Metrics.ShadowChange(kindOf(d.request), live == corsrules.Allowed, d.request.Origin)) {
		return
	}
	d.handler.log.Named("shadow").Info("the candidate CORS rules would change an outcome",
		zap.String("ruleset", d.rules.Name),
		zap.Stringer("kind", d.request.Kind),
		zap.String("origin", metrics.OriginLabel(d.request.Origin)),
		zap.String("method", shown(d.request.Method)),
		zap.Object("live", decisionFields{d.decision}),
		zap.Object("shadow", decisionFields{shadow}))
}

// observeResponse looks at a response that is about to be written: by then it has all its
// headers, the request ID among them. It does so once for a request, even if handle_errors
// writes a second response.
func (d *decided) observeResponse(h http.Header, status int, removed bool) {
	if d.observed {
		return
	}
	d.observed = true
	if removed {
		d.rules.Metrics.UpstreamHeadersRemoved()
	}
	if isCacheable(d.method, status, h) && d.variesByOrigin() && !listHas(h["Vary"], "Origin") && !listHas(h["Vary"], "*") {
		d.cacheUnsafe()
	}
	if d.decision.Outcome == corsrules.Denied {
		d.keepDenial(givenRequestID(h))
	}
	if shouldLog(d.denials) {
		d.logDenial(givenRequestID(h))
	}
}

// variesByOrigin reports whether another Origin could get a different response: this one names
// its origin, or it allows none where a rule allows the method to others.
func (d *decided) variesByOrigin() bool {
	if d.decision.Outcome == corsrules.Allowed {
		return d.decision.NamesOrigin()
	}
	return d.rules.AllowsMethod(d.method)
}

func (d *decided) cacheUnsafe() {
	if d.rules.Metrics.CacheUnsafe() == 1 {
		d.handler.log.Warn("a cache may give this response to another origin: it is cacheable, depends on the request's Origin and has no Vary: Origin; set ResponseVary in the rules, or response_vary",
			zap.String("ruleset", d.rules.Name),
			zap.String("path", d.path()),
			zap.String("allow_origin", metrics.OriginLabel(d.decision.AllowOrigin)))
	}
}

// shouldLog reports whether the n-th occurrence of something is logged: the 1st, 10th, 100th
// and so on. n is 0 if it is not known or not a denial: that is not logged.
func shouldLog(n uint64) bool {
	for n >= 10 && n%10 == 0 {
		n /= 10
	}
	return n == 1
}

// cacheableStatuses are those that caches may store without explicit freshness (RFC 9110,
// section 15.1).
var cacheableStatuses = []int{200, 203, 204, 206, 300, 301, 308, 404, 405, 410, 414, 501}

// isCacheable reports whether caches are likely to keep a response, and to use it again without
// validation, by its Cache-Control: one with a lifetime, unless it is the server's error, or a
// public one, unless its lifetime is 0. Validation is harmless: a 304 has the headers of its own
// request, which take the place of those that are kept (RFC 9111, section 3.2).
func isCacheable(method string, status int, h http.Header) bool {
	control := h["Cache-Control"]
	if len(control) == 0 || method != http.MethodGet && method != http.MethodHead ||
		listHas(control, "no-store") || listHas(control, "private") || listHas(control, "no-cache") {
		return false
	}
	hasLifetime, isStale := false, false
	for _, name := range []string{"max-age", "s-maxage", "stale-while-revalidate"} {
		seconds, has := listValue(control, name)
		hasLifetime = hasLifetime || strings.Trim(seconds, "0") != ""
		isStale = isStale || has && strings.Trim(seconds, "0") == ""
	}
	return hasLifetime && 200 <= status && status < 500 ||
		!isStale && listHas(control, "public") && slices.Contains(cacheableStatuses, status)
}

// logDenial logs a denial, with the request ID that the client was given, if that is known,
// so that a user's report can be found.
func (d *decided) logDenial(requestID string) {
	d.handler.log.Info("CORS request denied",
		zap.String("ruleset", d.rules.Name),
		zap.Stringer("kind", d.request.Kind),
		zap.String("origin", metrics.OriginLabel(d.request.Origin)),
		zap.String("method", shown(d.request.Method)),
		zap.Inline(decisionFields{d.decision}),
		known("bucket", d.bucketName),
		zap.String("host", shown(d.host)),
		zap.String("path", d.path()),
		zap.String("client_ip", d.clientIP()),
		known("request_id", requestID),
		known("trace_id", d.traceID()))
}

// known is a field of a log line that is left out where it is empty.
func known(key, value string) zap.Field {
	if value == "" {
		return zap.Skip()
	}
	return zap.String(key, shown(value))
}

// path is the path that was requested. No log line of this module has the query: a presigned URL's is a key
// to the object.
func (d *decided) path() string {
	if strings.HasPrefix(d.target, "/") {
		path, _, _ := strings.Cut(d.target, "?")
		return shown(path)
	}
	u, err := url.ParseRequestURI(d.target) // in absolute form, which may have a password
	if err != nil {                         // the authority of a CONNECT request
		return ""
	}
	return shown(u.EscapedPath())
}

// clientIP is Caddy's, which takes trusted proxies into account.
func (d *decided) clientIP() string {
	ip, _ := caddyhttp.GetVar(d.r.Context(), caddyhttp.ClientIPVarKey).(string)
	return ip
}

// traceID is that of Caddy's tracing directive; empty without it.
func (d *decided) traceID() string {
	id, _ := caddyhttp.GetVar(d.r.Context(), "trace_id").(string)
	return id
}

// givenRequestID is the request ID in a response; empty if it has none.
func givenRequestID(h http.Header) string {
	for _, key := range []string{"X-Oss-Request-Id", "X-Amz-Request-Id", "X-Request-Id"} {
		if ids := h[key]; len(ids) > 0 && ids[0] != "" {
			return ids[0]
		}
	}
	return ""
}

// decisionFields shows a decision in a log.
type decisionFields struct{ corsrules.Decision }

// MarshalLogObject implements zapcore.ObjectMarshaler.
func (d decisionFields) MarshalLogObject(enc zapcore.ObjectEncoder) error {
	enc.AddString("outcome", d.Outcome.String())
	if d.Reason != corsrules.NoReason {
		enc.AddString("reason", d.Reason.String())
		enc.AddString("value", shown(d.Value))
	}
	if d.Rule != nil {
		enc.AddString("rule", d.Rule.Name())
	}
	if d.Nearest != nil {
		enc.AddString("nearest", d.Nearest.Name())
	}
	return nil
}

// MarshalLogObject implements zapcore.ObjectMarshaler: the access log's fields.
func (d *decided) MarshalLogObject(enc zapcore.ObjectEncoder) error {
	enc.AddString("ruleset", d.rules.Name)
	if d.bucket != "" {
		enc.AddString("bucket", d.bucket)
	}
	return decisionFields{d.decision}.MarshalLogObject(enc)
}

// placeholder gives {http.oss_cors.*} their values.
func (d *decided) placeholder(key string) (any, bool) {
	name, ok := strings.CutPrefix(key, "http.oss_cors.")
	if !ok {
		return nil, false
	}
	switch name {
	case "outcome":
		return d.decision.Outcome.String(), true
	case "rule":
		return ruleName(d.decision), true
	case "reason":
		return d.decision.Reason.String(), true
	case "value":
		return shown(d.decision.Value), true
	case "ruleset":
		return d.rules.Name, true
	case "bucket":
		return d.bucket, true
	}
	return nil, false
}

// ruleName names the rule that matched or, on a denial, the nearest; "" if there is none.
func ruleName(d corsrules.Decision) string {
	switch {
	case d.Rule != nil:
		return d.Rule.Name()
	case d.Nearest != nil:
		return d.Nearest.Name()
	}
	return ""
}

// debugHeader is the header that DebugHeader turns on.
const debugHeader = "X-Oss-Cors-Decision"

// debugValue is the value of the debug header.
func (d *decided) debugValue() string {
	decision := &d.decision
	value := decision.Outcome.String()
	if decision.Reason != corsrules.NoReason {
		value += "; reason=" + decision.Reason.String()
	}
	if decision.Value != "" {
		value += "; value=" + string(appendToken(nil, shown(decision.Value)))
	}
	if decision.Rule != nil {
		value += "; rule=" + decision.Rule.Name()
	} else if decision.Nearest != nil {
		value += "; nearest=" + decision.Nearest.Name()
	}
	return value
}

// appendToken appends text, and percent-encodes "%" and every byte that a token cannot have.
func appendToken(dst []byte, text string) []byte {
	const hex = "0123456789ABCDEF"
	for i := range len(text) {
		if c := text[i]; c != '%' && corsrules.IsToken(text[i:i+1]) {
			dst = append(dst, c)
		} else {
			dst = append(dst, '%', hex[c>>4], hex[c&15])
		}
	}
	return dst
}

// maxShown is how many bytes of a request's own text a log line or header shows.
const maxShown = 300

// shown returns a request's own text in a form that can be shown.
func shown(s string) string {
	s = metrics.WithoutSecrets(s)
	if len(s) <= maxShown {
		return s
	}
	return strings.ToValidUTF8(s[:maxShown], "") + "…"
}
