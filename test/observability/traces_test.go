package observability

import (
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/harness"
)

// collector receives spans as an OpenTelemetry collector does, by OTLP over HTTP.
type collector struct {
	url string

	mu    sync.Mutex
	spans map[string]*tracepb.Span // by trace ID
}

func startCollector(t *testing.T) *collector {
	t.Helper()
	c := &collector{spans: map[string]*tracepb.Span{}}
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var data tracepb.TracesData // on the wire as ExportTraceServiceRequest
		if err == nil {
			err = proto.Unmarshal(body, &data)
		}
		if err != nil || r.URL.Path != "/v1/traces" {
			t.Errorf("%s: %v", r.URL, err)
		}
		c.add(&data)
	}))
	t.Cleanup(server.Close)
	c.url = server.URL
	return c
}

func (c *collector) add(data *tracepb.TracesData) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, resource := range data.GetResourceSpans() {
		for _, scope := range resource.GetScopeSpans() {
			for _, span := range scope.GetSpans() {
				c.spans[hex.EncodeToString(span.GetTraceId())] = span
			}
		}
	}
}

// attributes waits for the span of a trace, and returns its attributes.
func (c *collector) attributes(t *testing.T, traceID string) map[string]string {
	t.Helper()
	var span *tracepb.Span
	harness.WaitUntil(t, "the collector has a span of "+traceID, func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		span = c.spans[traceID]
		return span != nil
	})
	attributes := map[string]string{}
	for _, a := range span.GetAttributes() {
		attributes[a.GetKey()] = a.GetValue().GetStringValue()
	}
	return attributes
}

// TestTraces runs the example with a collector. A request's span has what oss_cors decided,
// and the log has the trace's ID.
func TestTraces(t *testing.T) {
	c := startCollector(t)
	o := startCaddy(t, "OTEL_EXPORTER_OTLP_ENDPOINT="+c.url, "OTEL_BSP_SCHEDULE_DELAY=100")
	app := harness.Header("Origin", "https://app.example.com")
	for i, test := range []struct {
		desc, method, path string
		header             http.Header
		want               map[string]string
	}{
		{"an allowed request", "GET", "/photo.jpg", app, map[string]string{"ruleset": "app", "outcome": "allowed", "rule": "web-app"}},
		{"another rule set", "GET", "/downloads/tool.zip", app, map[string]string{"ruleset": "downloads", "outcome": "allowed", "rule": "anyone"}},
		{
			"a preflight that is denied for a header", "OPTIONS", "/photo.jpg", harness.PreflightHeader("https://app.example.com", "PUT", "content-type,x-trace-id"),
			map[string]string{"ruleset": "app", "outcome": "denied", "reason": "header", "value": "x-trace-id", "rule": "web-app"},
		},
		{
			"a denied origin", "GET", "/photo.jpg", harness.Header("Origin", "https://stranger.example"),
			map[string]string{"ruleset": "app", "outcome": "denied", "reason": "origin", "value": "https://stranger.example"},
		},
		{"a request that does not need CORS", "GET", "/photo.jpg", http.Header{}, map[string]string{"ruleset": "app", "outcome": "none"}},
	} {
		t.Run(test.desc, func(t *testing.T) {
			traceID := fmt.Sprintf("%031x%d", 0xc0, i)
			header := test.header.Clone()
			header.Set("Traceparent", "00-"+traceID+"-00000000000000c0-01")
			o.ask(t, test.method, test.path+"?Signature=secret", header)
			got := c.attributes(t, traceID)
			want := map[string]string{}
			for _, name := range []string{"ruleset", "outcome", "rule", "reason", "value"} {
				want["oss_cors."+name] = test.want[name]
			}
			maps.DeleteFunc(got, func(name, value string) bool {
				if strings.Contains(value, "secret") {
					t.Errorf("the span has the query: %s=%s", name, value)
				}
				return !strings.HasPrefix(name, "oss_cors.")
			})
			if !maps.Equal(got, want) {
				t.Errorf("the span has %v; want %v", got, want)
			}

			line := regexp.MustCompile(`"msg":"handled request".*"traceID":"` + traceID + `"`)
			harness.WaitUntil(t, "the access log has the trace", func() bool { return line.MatchString(o.caddy.Log.String()) })
			denial := regexp.MustCompile(`"msg":"CORS request denied".*"trace_id":"` + traceID + `"`)
			if logged := denial.MatchString(o.caddy.Log.String()); logged != (test.want["outcome"] == "denied") {
				t.Errorf("a denial with this trace's ID is logged: %t", logged)
			}
		})
	}
}
