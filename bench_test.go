package osscors

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddy-oss-cors/caddy-oss-cors/internal/running"
	"github.com/caddy-oss-cors/caddy-oss-cors/metrics"
	"github.com/caddy-oss-cors/caddy-oss-cors/rulesource"
)

// benchWriter forgets what is written. It is used for one request after another.
type benchWriter struct{ header http.Header }

func (w *benchWriter) Header() http.Header         { return w.header }
func (w *benchWriter) Write(p []byte) (int, error) { return len(p), nil }
func (w *benchWriter) WriteHeader(int)             {}

// benchRequest is what is asked.
type benchRequest struct {
	name, method string
	header       http.Header
}

const (
	benchApp      = "https://app.example.com"
	benchStranger = "https://stranger.example.net"
)

var benchRequests = []benchRequest{
	{"preflight allowed", http.MethodOptions, http.Header{
		"Origin": {benchApp}, "Access-Control-Request-Method": {"PUT"}, "Access-Control-Request-Headers": {"content-type,x-oss-date"},
	}},
	{"preflight denied", http.MethodOptions, http.Header{"Origin": {benchStranger}, "Access-Control-Request-Method": {"PUT"}}},
	{"actual allowed", http.MethodGet, http.Header{"Origin": {benchApp}}},
	{"actual denied", http.MethodGet, http.Header{"Origin": {benchStranger}}},
	{"no CORS", http.MethodGet, http.Header{}},
}

func (q benchRequest) new() *http.Request {
	r := httptest.NewRequest(q.method, "/key", http.NoBody)
	r.Header = q.header
	return r
}

// benchNext answers actual requests.
var benchNext = caddyhttp.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error {
	w.WriteHeader(http.StatusOK)
	return nil
})

// BenchmarkHandler measures a request's whole way through the handler, that of a handler
// behind it left out.
func BenchmarkHandler(b *testing.B) {
	source := &rulesource.Inline{XML: appRules}
	err := source.Open(caddy.Context{}, &rulesource.Options{
		Name: "bench", Logger: zap.NewNop(), Store: metrics.NewStore(), Metrics: metrics.Options{DeniedOrigins: metrics.DefaultDeniedOrigins},
	})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = source.Cleanup() }()
	handler := &Handler{site: &running.Site{Source: source}, log: zap.NewNop()}
	for _, request := range benchRequests {
		b.Run(request.name, func(b *testing.B) {
			// What Caddy puts into a request's context, made once: its cost is not ours.
			r, vars := request.new(), map[string]any{}
			r = r.WithContext(context.WithValue(r.Context(), caddyhttp.VarsCtxKey, vars))
			w := &benchWriter{header: http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				clear(vars)
				clear(w.header)
				if err := handler.ServeHTTP(w, r, benchNext); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkObservation measures what it costs to be told everything: the same requests
// with all that can be observed turned on, and with all of it off. They go through Caddy's
// server, which keeps an access log of both; through the handler alone; and through the
// handler where only what is observed has an access log, whose field then is all its cost.
func BenchmarkObservation(b *testing.B) {
	for _, layer := range []struct {
		name  string
		serve func(b *testing.B, on bool) http.Handler
	}{
		{"in Caddy", observedServer},
		{"handler", func(b *testing.B, on bool) http.Handler { return observedHandler(b, on, false) }},
		{"handler with a log", func(b *testing.B, on bool) http.Handler { return observedHandler(b, on, on) }},
	} {
		for _, request := range benchRequests[:4] {
			for _, on := range []bool{false, true} {
				name := layer.name + "/" + request.name + "/off"
				if on {
					name = layer.name + "/" + request.name + "/on"
				}
				b.Run(name, func(b *testing.B) {
					handler, w := layer.serve(b, on), &benchWriter{header: http.Header{}}
					r := request.new()
					b.ReportAllocs()
					for b.Loop() {
						clear(w.header)
						handler.ServeHTTP(w, r)
					}
				})
			}
		}
	}
}

// observedServer returns a server of a Caddy that runs, with a handler that shows all it
// can, or as little.
func observedServer(b *testing.B, on bool) http.Handler {
	options := "denied_origins 0"
	if on {
		options = "shadow cors.xml\ndebug_header"
	}
	return benchServer(b, "log {\noutput discard\n}\noss_cors {\nrules file cors.xml\n"+options+"\n}")
}

// benchServer returns the server of a Caddy that runs, of a site that does something before
// it answers 200.
func benchServer(b *testing.B, site string) http.Handler {
	p := newProxy(b)
	write(b, "cors.xml", appRules)
	p.load(b, site+"\nrespond 200")
	app, err := caddy.ActiveContext().App("http")
	if err != nil {
		b.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(p.addrs[0])
	for _, server := range app.(*caddyhttp.App).Servers {
		if strings.HasSuffix(server.Listen[0], ":"+port) {
			return server
		}
	}
	b.Fatal("the site has no server")
	return nil
}

// BenchmarkInCaddy measures a request's way through Caddy's server to a response that has
// Access-Control headers from nobody, from Caddy's own directives, which hardly decide
// anything, and from the rules.
func BenchmarkInCaddy(b *testing.B) {
	const header = `header {
		Access-Control-Allow-Origin https://app.example.com
		Access-Control-Allow-Methods "PUT, GET"
		Access-Control-Expose-Headers "ETag, x-oss-Test"
		Access-Control-Max-Age 600
		%s
	}
	`
	const ofPreflight = `Access-Control-Allow-Headers "content-type, x-oss-date"
		X-Oss-Request-Id 59FC3349BC4D25C01C26CBA2
		X-Oss-Server-Time 0`
	const recipe = `@preflight {
		method OPTIONS
		header Origin https://app.example.com
	}
	handle @preflight {
		` + header + `
		respond 200
	}`
	for _, bench := range []struct {
		name, site string
		request    benchRequest
	}{
		{"preflight/none", "", benchRequests[0]},
		{"preflight/header", fmt.Sprintf(recipe, ofPreflight), benchRequests[0]},
		{"preflight/oss_cors", "oss_cors cors.xml", benchRequests[0]},
		{"actual/none", "", benchRequests[2]},
		{"actual/header", fmt.Sprintf(header, ""), benchRequests[2]},
		{"actual/oss_cors", "oss_cors cors.xml", benchRequests[2]},
	} {
		b.Run(bench.name, func(b *testing.B) {
			server, w := benchServer(b, bench.site), &benchWriter{header: http.Header{}}
			r := bench.request.new()
			b.ReportAllocs()
			for b.Loop() {
				clear(w.header)
				server.ServeHTTP(w, r)
			}
			if got := len(w.header["Access-Control-Max-Age"]); (got == 1) != (bench.site != "") {
				b.Fatalf("%q", w.header)
			}
		})
	}
}

// observedHandler returns such a handler alone, in the context that Caddy makes for each
// request.
func observedHandler(b *testing.B, on, logged bool) http.Handler {
	open := func(opts *rulesource.Options) rulesource.Source {
		source := &rulesource.Inline{XML: appRules}
		opts.Name, opts.Logger = "bench", zap.NewNop()
		if err := source.Open(caddy.Context{}, opts); err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = source.Cleanup() })
		return source
	}
	opts, server := metrics.Options{Shadow: on}, new(caddyhttp.Server)
	if on {
		opts.DeniedOrigins = metrics.DefaultDeniedOrigins
	}
	if logged {
		server.Logs = new(caddyhttp.ServerLogConfig)
	}
	handler := &Handler{site: &running.Site{Source: open(&rulesource.Options{Store: metrics.NewStore(), Metrics: opts})}, log: zap.NewNop(), DebugHeader: on}
	if on {
		handler.site.Shadow = open(&rulesource.Options{})
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := context.WithValue(r.Context(), caddyhttp.ServerCtxKey, server)
		ctx = context.WithValue(ctx, caddyhttp.VarsCtxKey, map[string]any{})
		ctx = context.WithValue(ctx, caddy.ReplacerCtxKey, caddy.NewReplacer())
		ctx = context.WithValue(ctx, caddyhttp.ExtraLogFieldsCtxKey, new(caddyhttp.ExtraLogFields))
		if err := handler.ServeHTTP(w, r.WithContext(ctx), benchNext); err != nil {
			b.Fatal(err)
		}
	})
}
