// Package observability runs examples/observability with a real Prometheus: every query of
// the dashboard and of the alerts returns data, and the alerts fire when they should.
//
//	cd test && go test ./observability
package observability
