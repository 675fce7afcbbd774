package osscors

import (
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddy-oss-cors/caddy-oss-cors/corsrules"
	"github.com/caddy-oss-cors/caddy-oss-cors/metrics"
)

// observe counts the decision, compares it with the shadow's, and makes it known to
// Caddy's placeholders and access log.
func (a *answer) observe() {
	a.denials = a.rules.Count(a.kind, a.decision, a.origin)
	if a.handler.shadow != nil {
		a.compareShadow()
	}
	ctx := a.request.Context()
	if repl, ok := ctx.Value(caddy.ReplacerCtxKey).(*caddy.Replacer); ok {
		repl.Map(a.placeholder)
	}
	if server, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server); ok && server.Logs != nil {
		ctx.Value(caddyhttp.ExtraLogFieldsCtxKey).(*caddyhttp.ExtraLogFields).Add(zap.Object("oss_cors", a))
	}
}

// compareShadow counts and logs what the candidate rules would change. Nothing would
// where no Access-Control header is needed.
func (a *answer) compareShadow() {
	live := a.decision.Outcome
	if live == corsrules.None {
		return
	}
	candidates, _ := a.handler.shadow.Rules(a.request.Context(), "") // a file is always reachable
	shadow := ask(candidates.Ruleset, a.kind, a.request)
	if live == shadow.Outcome || excused(shadow, a.kind, a.request) {
		return
	}
	if !shouldLog(a.rules.Metrics.ShadowChange(a.kind, live == corsrules.Allowed, a.origin)) {
		return
	}
	a.handler.log.Named("shadow").Info("the candidate CORS rules would change an outcome",
		zap.String("ruleset", a.rules.Name),
		zap.Stringer("kind", a.kind),
		zap.String("origin", metrics.OriginLabel(a.origin)),
		zap.String("method", short(a.method)),
		zap.Object("live", decisionFields{a.decision}),
		zap.Object("shadow", decisionFields{shadow}))
}

// observeResponse looks at a response that is about to be written: by then it has all
// headers, its request ID among them.
func (a *answer) observeResponse(h http.Header, status int, removed bool) {
	if removed {
		a.rules.Metrics.UpstreamHeadersRemoved()
	}
	if a.echoesOrigin() && isCacheable(a.method, status, h) && !listHas(h["Vary"], "Origin") && !listHas(h["Vary"], "*") {
		a.cacheUnsafe()
	}
	if shouldLog(a.denials) {
		a.logDenial(givenRequestID(h))
	}
}

func (a *answer) cacheUnsafe() {
	if a.rules.Metrics.CacheUnsafe() == 1 {
		a.handler.log.Warn("a cache may give this response to another origin: it is cacheable, names one allowed origin and has no Vary: Origin; set ResponseVary in the rules, or response_vary",
			zap.String("ruleset", a.rules.Name),
			zap.String("uri", short(a.uri)),
			zap.String("rule", a.decision.Rule.Name()))
	}
}

// shouldLog reports whether the n-th occurrence of something is logged: the 1st, 10th, 100th
// and so on. With n = 0, where it is not known which this is, it is not logged.
func shouldLog(n uint64) bool {
	for n >= 10 && n%10 == 0 {
		n /= 10
	}
	return n == 1
}

// cacheableStatuses are those that caches store without being told more (RFC 9110,
// section 15.1).
var cacheableStatuses = []int{200, 203, 204, 206, 300, 301, 308, 404, 405, 410, 414, 501}

// isCacheable reports whether a shared or private cache would keep a response, by its
// Cache-Control.
func isCacheable(method string, status int, h http.Header) bool {
	control := h["Cache-Control"]
	return len(control) > 0 &&
		(method == http.MethodGet || method == http.MethodHead) &&
		slices.Contains(cacheableStatuses, status) &&
		(listHas(control, "max-age") || listHas(control, "s-maxage") || listHas(control, "public")) &&
		!listHas(control, "no-store") && !listHas(control, "private")
}

// logDenial writes a line on a denial, with the request ID that the client was given, so
// that a user's 403 can be found.
func (a *answer) logDenial(requestID string) {
	a.handler.log.Info("CORS request denied",
		zap.String("ruleset", a.rules.Name),
		zap.Stringer("kind", a.kind),
		zap.String("origin", metrics.OriginLabel(a.origin)),
		zap.String("method", short(a.method)),
		zap.Inline(decisionFields{a.decision}),
		zap.String("host", short(a.host)),
		zap.String("uri", short(a.uri)),
		zap.String("request_id", requestID))
}

// givenRequestID is the ID that the origin server gave a response, if any.
func givenRequestID(h http.Header) string {
	for _, key := range []string{"X-Oss-Request-Id", "X-Amz-Request-Id", "X-Request-Id"} {
		if id := h.Get(key); id != "" {
			return short(id)
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
		enc.AddString("value", short(d.Value))
	}
	if rule := ruleName(d.Decision); rule != "" {
		enc.AddString("rule", rule)
	}
	return nil
}

// MarshalLogObject implements zapcore.ObjectMarshaler: the access log's fields.
func (a *answer) MarshalLogObject(enc zapcore.ObjectEncoder) error {
	if a.bucket != "" {
		enc.AddString("bucket", a.bucket)
	}
	return decisionFields{a.decision}.MarshalLogObject(enc)
}

// placeholder gives {http.oss_cors.*} their values.
func (a *answer) placeholder(key string) (any, bool) {
	name, ok := strings.CutPrefix(key, "http.oss_cors.")
	if !ok {
		return nil, false
	}
	switch name {
	case "outcome":
		return a.decision.Outcome.String(), true
	case "rule":
		return ruleName(a.decision), true
	case "reason":
		return a.decision.Reason.String(), true
	case "bucket":
		return a.bucket, true
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

// debugValue is the value of X-Oss-Cors-Decision.
func (a *answer) debugValue() string {
	var onStack [256]byte
	d, value := &a.decision, onStack[:0]
	value = append(value, d.Outcome.String()...)
	if d.Reason != corsrules.NoReason {
		value = append(append(value, "; reason="...), d.Reason.String()...)
	}
	if d.Value != "" {
		value = appendToken(append(value, "; value="...), short(d.Value))
	}
	if d.Rule != nil {
		value = append(append(value, "; rule="...), d.Rule.Name()...)
	} else if d.Nearest != nil {
		value = append(append(value, "; nearest="...), d.Nearest.Name()...)
	}
	return string(value)
}

// appendToken appends text with each byte percent-encoded that a token cannot have, and "%",
// so that it can be decoded.
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

// maxShown is how much of a request's own text a log line or header shows.
const maxShown = 300

func short(s string) string {
	if len(s) <= maxShown {
		return s
	}
	return strings.ToValidUTF8(s[:maxShown], "") + "…"
}
