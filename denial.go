package osscors

import (
	"github.com/caddy-oss-cors/caddy-oss-cors/internal/running"
	"github.com/caddy-oss-cors/caddy-oss-cors/metrics"
)

// keepDenial keeps a denial for the admin API, with the request ID that the client was
// given.
func (d *decided) keepDenial(requestID string) {
	ruleset := d.rules.Name
	if ruleset == metrics.OtherBuckets && d.bucket != "" {
		ruleset = d.bucket // so that it can be explained
	}
	denial := running.Denial{
		Ruleset:   ruleset,
		Kind:      d.request.Kind.String(),
		Reason:    d.decision.Reason.String(),
		Value:     shown(d.decision.Value),
		Origin:    metrics.OriginLabel(d.request.Origin),
		Method:    shown(d.request.Method),
		Headers:   metrics.WithoutSecrets(d.request.Headers),
		Path:      d.path(),
		Client:    d.clientIP(),
		RequestID: requestID,
	}
	if d.decision.Nearest != nil {
		denial.Nearest = d.decision.Nearest.Name()
	}
	running.AddDenial(denial)
}
