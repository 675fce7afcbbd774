package osscors

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddy-oss-cors/caddy-oss-cors/metrics"
	"github.com/caddy-oss-cors/caddy-oss-cors/rulesource"
)

// benchWriter forgets what is written. It is used for one request after another.
type benchWriter struct{ header http.Header }

func (w *benchWriter) Header() http.Header         { return w.header }
func (w *benchWriter) Write(p []byte) (int, error) { return len(p), nil }
func (w *benchWriter) WriteHeader(int)             {}

// BenchmarkHandler measures a request's whole way through the handler, that of a handler
// behind it left out.
func BenchmarkHandler(b *testing.B) {
	source := &rulesource.Inline{XML: appRules}
	err := source.Open(caddy.Context{}, &rulesource.Options{
		Name: "bench", Logger: zap.NewNop(), Metrics: &metrics.Options{DeniedOrigins: metrics.DefaultDeniedOrigins},
	})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = source.Cleanup() }()
	handler := &Handler{source: source, log: zap.NewNop()}
	next := caddyhttp.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error {
		w.WriteHeader(http.StatusOK)
		return nil
	})
	const app, stranger = "https://app.example.com", "https://stranger.example.net"
	for _, bench := range []struct {
		name, method string
		header       http.Header
	}{
		{"preflight allowed", http.MethodOptions, http.Header{
			"Origin": {app}, "Access-Control-Request-Method": {"PUT"}, "Access-Control-Request-Headers": {"content-type,x-oss-date"},
		}},
		{"preflight denied", http.MethodOptions, http.Header{"Origin": {stranger}, "Access-Control-Request-Method": {"PUT"}}},
		{"actual allowed", http.MethodGet, http.Header{"Origin": {app}}},
		{"actual denied", http.MethodGet, http.Header{"Origin": {stranger}}},
		{"no CORS", http.MethodGet, http.Header{}},
	} {
		b.Run(bench.name, func(b *testing.B) {
			r := httptest.NewRequest(bench.method, "/key", http.NoBody)
			r.Header = bench.header
			// What Caddy puts into a request's context, made once: its cost is not ours.
			vars := map[string]any{}
			ctx := context.WithValue(r.Context(), caddyhttp.VarsCtxKey, vars)
			r = r.WithContext(ctx)
			w := &benchWriter{header: http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				clear(vars)
				clear(w.header)
				if err := handler.ServeHTTP(w, r, next); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkObservation measures what it costs to be told everything: the same requests
// with all that can be observed turned on, and with all of it off. What Caddy itself puts
// into a request's context is there for both, its access log included.
func BenchmarkObservation(b *testing.B) {
	const app, stranger = "https://app.example.com", "https://stranger.example.net"
	next := caddyhttp.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error {
		w.WriteHeader(http.StatusOK)
		return nil
	})
	for _, bench := range []struct {
		name, method string
		header       http.Header
	}{
		{"preflight allowed", http.MethodOptions, http.Header{
			"Origin": {app}, "Access-Control-Request-Method": {"PUT"}, "Access-Control-Request-Headers": {"content-type,x-oss-date"},
		}},
		{"preflight denied", http.MethodOptions, http.Header{"Origin": {stranger}, "Access-Control-Request-Method": {"PUT"}}},
		{"actual allowed", http.MethodGet, http.Header{"Origin": {app}}},
		{"actual denied", http.MethodGet, http.Header{"Origin": {stranger}}},
	} {
		for _, on := range []bool{false, true} {
			name := bench.name + "/off"
			if on {
				name = bench.name + "/on"
			}
			b.Run(name, func(b *testing.B) {
				handler := observedHandler(b, on)
				r := httptest.NewRequest(bench.method, "/key", http.NoBody)
				r.Header = bench.header
				w := &benchWriter{header: http.Header{}}
				server := &caddyhttp.Server{}
				if on {
					server.Logs = new(caddyhttp.ServerLogConfig)
				}
				ctx := context.WithValue(r.Context(), caddyhttp.ServerCtxKey, server)
				b.ReportAllocs()
				for b.Loop() {
					clear(w.header)
					ctx := context.WithValue(ctx, caddyhttp.VarsCtxKey, map[string]any{})
					ctx = context.WithValue(ctx, caddy.ReplacerCtxKey, caddy.NewReplacer())
					ctx = context.WithValue(ctx, caddyhttp.ExtraLogFieldsCtxKey, new(caddyhttp.ExtraLogFields))
					if err := handler.ServeHTTP(w, r.WithContext(ctx), next); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// observedHandler returns a handler that shows all it can, or as little.
func observedHandler(b *testing.B, on bool) *Handler {
	open := func(opts *rulesource.Options) rulesource.Source {
		source := &rulesource.Inline{XML: appRules}
		opts.Name, opts.Logger = "bench", zap.NewNop()
		if err := source.Open(caddy.Context{}, opts); err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = source.Cleanup() })
		return source
	}
	opts := &metrics.Options{Shadow: on}
	if on {
		opts.DeniedOrigins = metrics.DefaultDeniedOrigins
	}
	handler := &Handler{source: open(&rulesource.Options{Metrics: opts}), log: zap.NewNop(), DebugHeader: on}
	if on {
		handler.shadow = open(&rulesource.Options{})
	}
	return handler
}
