package osscors

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddy-oss-cors/caddy-oss-cors/corsrules"
	"github.com/caddy-oss-cors/caddy-oss-cors/internal/running"
	"github.com/caddy-oss-cors/caddy-oss-cors/metrics"
	"github.com/caddy-oss-cors/caddy-oss-cors/rulesource"
)

// BenchmarkBuckets measures a preflight's whole way through the handler where each bucket
// has ten rules of its own, the tenth of which allows it: with all buckets asked in turn,
// and with few of many, as most requests are for few buckets.
func BenchmarkBuckets(b *testing.B) {
	for _, bench := range []struct{ asked, loaded int }{{1, 1}, {100, 100}, {100, 10_000}, {10_000, 10_000}} {
		b.Run(fmt.Sprintf("%d of %d", bench.asked, bench.loaded), func(b *testing.B) {
			tenants := loadTenants(b, bench.loaded)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				tenants.ask(b, i%bench.asked*7919%bench.loaded)
			}
		})
	}
}

// tenants are buckets that a handler has loaded, and a client who asks for one after
// another.
type tenants struct {
	handler *Handler
	request *http.Request
	writer  *benchWriter
}

// loadTenants has each of so many buckets asked for once.
func loadTenants(b *testing.B, n int) *tenants {
	dir := b.TempDir()
	r := httptest.NewRequest(http.MethodOptions, "/", http.NoBody)
	r.Header = http.Header{"Origin": {""}, "Access-Control-Request-Method": {"PUT"}, "Access-Control-Request-Headers": {"content-type"}}
	r = r.WithContext(context.WithValue(r.Context(), caddyhttp.ServerCtxKey, &caddyhttp.Server{}))
	ts := &tenants{handlerOf(b, dir), r, &benchWriter{header: http.Header{}}}
	before := time.Now().Add(-time.Hour)
	for i := range n {
		file := filepath.Join(dir, fmt.Sprintf("tenant-%d.xml", i))
		if err := os.WriteFile(file, tenantRules(i), 0o600); err != nil {
			b.Fatal(err)
		}
		if err := os.Chtimes(file, before, before); err != nil { // a new file is read twice, with a pause
			b.Fatal(err)
		}
		if ts.ask(b, i); len(ts.writer.header["Access-Control-Allow-Origin"]) == 0 {
			b.Fatalf("tenant %d: denied", i)
		}
	}
	return ts
}

// ask sends a preflight. Its text and its context are made anew, as Caddy does: kept, a
// thousand buckets' would push what is measured out of the processor's cache.
func (ts *tenants) ask(b *testing.B, tenant int) {
	number := strconv.Itoa(tenant)
	ts.request.URL.Path = "/tenant-" + number + "/key"
	ts.request.Header["Origin"][0] = "https://app9.tenant" + number + ".example.com"
	ctx := context.WithValue(ts.request.Context(), caddyhttp.VarsCtxKey, map[string]any{})
	ctx = context.WithValue(ctx, caddy.ReplacerCtxKey, caddy.NewReplacer())
	ctx = context.WithValue(ctx, caddyhttp.ExtraLogFieldsCtxKey, new(caddyhttp.ExtraLogFields))
	clear(ts.writer.header)
	if err := ts.handler.ServeHTTP(ts.writer, ts.request.WithContext(ctx), nil); err != nil {
		b.Fatal(err)
	}
}

// handlerOf returns a handler over a directory of rules, which it reads once.
func handlerOf(b *testing.B, dir string) *Handler {
	ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
	b.Cleanup(cancel)
	source := &rulesource.Directory{Path: dir, RefreshOptions: rulesource.RefreshOptions{Refresh: caddy.Duration(time.Hour)}}
	opts := &rulesource.Options{Logger: zap.NewNop(), Store: metrics.NewStore(), Metrics: metrics.Options{DeniedOrigins: metrics.DefaultDeniedOrigins}}
	if err := source.Open(ctx, opts); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = source.Cleanup() })
	return &Handler{site: &running.Site{Source: source}, log: zap.NewNop(), Bucket: &Bucket{Path: true}}
}

// tenantRules is a document as tenants write them.
func tenantRules(tenant int) []byte {
	cfg := new(corsrules.Configuration)
	for r := range 10 {
		cfg.Rules = append(cfg.Rules, corsrules.CORSRule{
			AllowedOrigins: []string{fmt.Sprintf("https://app%d.tenant%d.example.com", r, tenant), fmt.Sprintf("https://*.preview%d.tenant%d.example.com", r, tenant)},
			AllowedMethods: []string{"GET", "PUT"},
			AllowedHeaders: []string{"content-type", "x-oss-*"},
			ExposeHeaders:  []string{"ETag", "x-oss-request-id"},
		})
	}
	return cfg.Marshal()
}
