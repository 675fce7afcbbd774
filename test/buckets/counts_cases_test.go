package buckets

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/harness"
)

const countsCaddyfile = `{
	admin 127.0.0.1:%[1]s
	auto_https off
	persist_config off
}

http://:%[2]s {
	bind 127.0.0.1
	metrics
}

http://:%[3]s {
	bind 127.0.0.1

	handle /app/* {
		oss_cors {
			rules file app.xml
			name app
			shadow candidate.xml
		}
		handle /app/nested/* {
			oss_cors inner.xml {
				name inner
			}
			reverse_proxy %[5]s
		}
		handle /app/error {
			error 404
		}
		reverse_proxy %[5]s
	}

	handle /open/* {
		oss_cors {
			rules inline <<RULES
				<CORSConfiguration>
					<CORSRule>
						<AllowedOrigin>*</AllowedOrigin>
						<AllowedMethod>GET</AllowedMethod>
						<AllowedHeader>range</AllowedHeader>
					</CORSRule>
					<CORSRule>
						<AllowedOrigin>https://app.example.com</AllowedOrigin>
						<AllowedMethod>PUT</AllowedMethod>
					</CORSRule>
				</CORSConfiguration>
				RULES
			name open
		}
		reverse_proxy %[5]s
	}

	handle_errors {
		oss_cors inner.xml {
			name inner
		}
		respond "{err.status_code}"
	}
}

http://:%[4]s {
	bind 127.0.0.1
	oss_cors {
		rules directory buckets
		bucket path
	}
	reverse_proxy %[5]s
}
`

// countsFiles are the rules.
var countsFiles = map[string]string{
	"app.xml": `<CORSConfiguration>
	<CORSRule>
		<ID>site</ID>
		<AllowedOrigin>https://app.example.com</AllowedOrigin>
		<AllowedMethod>GET</AllowedMethod>
		<AllowedMethod>PUT</AllowedMethod>
		<AllowedHeader>content-type</AllowedHeader>
		<AllowedHeader>x-oss-*</AllowedHeader>
	</CORSRule>
	<CORSRule>
		<ID>preview</ID>
		<AllowedOrigin>https://*.preview.example.com</AllowedOrigin>
		<AllowedMethod>GET</AllowedMethod>
		<AllowedHeader>*</AllowedHeader>
	</CORSRule>
	<CORSRule>
		<ID>unused</ID>
		<AllowedOrigin>https://old.example.com</AllowedOrigin>
		<AllowedMethod>GET</AllowedMethod>
	</CORSRule>
</CORSConfiguration>`,

	// Without the previews, with new.example.com.
	"candidate.xml": `<CORSConfiguration>
	<CORSRule>
		<AllowedOrigin>https://app.example.com</AllowedOrigin>
		<AllowedOrigin>https://new.example.com</AllowedOrigin>
		<AllowedMethod>GET</AllowedMethod>
		<AllowedMethod>PUT</AllowedMethod>
		<AllowedHeader>content-type</AllowedHeader>
		<AllowedHeader>x-oss-*</AllowedHeader>
	</CORSRule>
</CORSConfiguration>`,

	// The rules of the nested instance and of the one in handle_errors, which decide nothing.
	"inner.xml": `<CORSConfiguration>
	<CORSRule>
		<AllowedOrigin>*</AllowedOrigin>
		<AllowedMethod>GET</AllowedMethod>
	</CORSRule>
</CORSConfiguration>`,

	"buckets/photos.xml": `<CORSConfiguration>
	<CORSRule>
		<ID>gallery</ID>
		<AllowedOrigin>https://gallery.example.com</AllowedOrigin>
		<AllowedMethod>GET</AllowedMethod>
	</CORSRule>
</CORSConfiguration>`,

	"buckets/uploads.xml": `<CORSConfiguration>
	<CORSRule>
		<AllowedOrigin>https://app.example.com</AllowedOrigin>
		<AllowedMethod>PUT</AllowedMethod>
		<AllowedHeader>*</AllowedHeader>
	</CORSRule>
	<CORSRule>
		<AllowedOrigin>https://app.example.com</AllowedOrigin>
		<AllowedMethod>POST</AllowedMethod>
	</CORSRule>
</CORSConfiguration>`,
}

// countedRequest is a kind of request and what it must count.
type countedRequest struct {
	buckets bool // to the server of the buckets
	method  string
	path    string
	header  http.Header
	status  int
	counts  []string // as hit, denial and so on return them; none: the request does not need CORS
}

func hit(ruleset, kind, rule string) string {
	return fmt.Sprintf(`caddy_oss_cors_rule_hits_total{kind=%q,rule=%q,ruleset=%q}`, kind, rule, ruleset)
}

func denial(ruleset, kind, reason string) string {
	return fmt.Sprintf(`caddy_oss_cors_denied_total{kind=%q,reason=%q,ruleset=%q}`, kind, reason, ruleset)
}

func shadowChange(ruleset, kind, live, shadow string) string {
	return fmt.Sprintf(`caddy_oss_cors_shadow_changes_total{kind=%q,live=%q,ruleset=%q,shadow=%q}`, kind, live, ruleset, shadow)
}

func ofRuleset(metric, ruleset string) string {
	return fmt.Sprintf(`caddy_oss_cors_%s{ruleset=%q}`, metric, ruleset)
}

const (
	appOrigin     = "https://app.example.com"
	previewOrigin = "https://42.preview.example.com"
	newOrigin     = "https://new.example.com"
	stranger      = "https://stranger.example"
	sameOrigin    = "http://bucket.example" // as the Host of the request
)

var countedMix = []countedRequest{
	// Preflights.
	{method: "OPTIONS", path: "/app/k", header: harness.PreflightHeader(appOrigin, "PUT", "content-type,x-oss-date"), status: 200,
		counts: []string{hit("app", "preflight", "site")}},
	{method: "OPTIONS", path: "/app/nested/k", header: harness.PreflightHeader(appOrigin, "GET", ""), status: 200,
		counts: []string{hit("app", "preflight", "site")}},
	{method: "OPTIONS", path: "/app/k", header: harness.PreflightHeader(previewOrigin, "GET", "x-any"), status: 200,
		counts: []string{hit("app", "preflight", "preview"), shadowChange("app", "preflight", "allowed", "denied")}},
	{method: "OPTIONS", path: "/app/k", header: harness.PreflightHeader(stranger, "GET", ""), status: 403,
		counts: []string{denial("app", "preflight", "origin")}},
	{method: "OPTIONS", path: "/app/k", header: harness.PreflightHeader(newOrigin, "GET", ""), status: 403,
		counts: []string{denial("app", "preflight", "origin"), shadowChange("app", "preflight", "denied", "allowed")}},
	{method: "OPTIONS", path: "/app/k", header: harness.PreflightHeader(appOrigin, "DELETE", ""), status: 403,
		counts: []string{denial("app", "preflight", "method")}},
	{method: "OPTIONS", path: "/app/k", header: harness.PreflightHeader(appOrigin, "PUT", "content-type,x-secret"), status: 403,
		counts: []string{denial("app", "preflight", "header")}},
	{method: "OPTIONS", path: "/app/k", header: harness.PreflightHeader("app.example.com/", "PUT", "bad name"), status: 403,
		counts: []string{denial("app", "preflight", "malformed")}},
	{method: "OPTIONS", path: "/app/k", header: harness.PreflightHeader("", "PUT", ""), status: 400,
		counts: []string{denial("app", "preflight", "missing_origin")}},
	{method: "OPTIONS", path: "/app/k", header: harness.PreflightHeader(appOrigin, "", ""), status: 400,
		counts: []string{denial("app", "preflight", "missing_method")}},
	{method: "OPTIONS", path: "/open/k", header: harness.PreflightHeader(stranger, "GET", "range"), status: 200,
		counts: []string{hit("open", "preflight", "1")}},
	{method: "OPTIONS", path: "/open/k", header: harness.PreflightHeader(appOrigin, "PUT", ""), status: 200,
		counts: []string{hit("open", "preflight", "2")}},
	{method: "OPTIONS", path: "/open/k", header: harness.PreflightHeader(stranger, "PUT", ""), status: 403,
		counts: []string{denial("open", "preflight", "method")}},
	{method: "OPTIONS", path: "/app/k", status: 200}, // not a preflight: the origin server answers

	// Actual requests.
	{method: "GET", path: "/app/k", header: harness.Header("Origin", appOrigin), status: 200,
		counts: []string{hit("app", "actual", "site")}},
	{method: "PUT", path: "/app/k", header: harness.Header("Origin", appOrigin), status: 200,
		counts: []string{hit("app", "actual", "site")}},
	{method: "GET", path: "/app/nested/k", header: harness.Header("Origin", appOrigin), status: 200,
		counts: []string{hit("app", "actual", "site")}},
	{method: "GET", path: "/app/error", header: harness.Header("Origin", appOrigin), status: 404,
		counts: []string{hit("app", "actual", "site")}},
	{method: "GET", path: "/app/own-cors", header: harness.Header("Origin", appOrigin), status: 200,
		counts: []string{hit("app", "actual", "site"), ofRuleset("upstream_headers_removed_total", "app")}},
	{method: "GET", path: "/app/cacheable", header: harness.Header("Origin", appOrigin), status: 200,
		counts: []string{hit("app", "actual", "site"), ofRuleset("cache_unsafe_responses_total", "app")}},
	{method: "GET", path: "/app/k", header: harness.Header("Origin", previewOrigin), status: 200,
		counts: []string{hit("app", "actual", "preview"), shadowChange("app", "actual", "allowed", "denied")}},
	{method: "GET", path: "/app/k", header: harness.Header("Origin", stranger), status: 200,
		counts: []string{denial("app", "actual", "origin")}},
	{method: "GET", path: "/app/nested/k", header: harness.Header("Origin", stranger), status: 200,
		counts: []string{denial("app", "actual", "origin")}},
	{method: "GET", path: "/app/error", header: harness.Header("Origin", stranger), status: 404,
		counts: []string{denial("app", "actual", "origin")}},
	{method: "GET", path: "/app/own-cors", header: harness.Header("Origin", stranger, "Sec-Fetch-Mode", "cors"), status: 200,
		counts: []string{denial("app", "actual", "origin"), ofRuleset("upstream_headers_removed_total", "app")}},
	{method: "GET", path: "/app/k", header: harness.Header("Origin", newOrigin), status: 200,
		counts: []string{denial("app", "actual", "origin"), shadowChange("app", "actual", "denied", "allowed")}},
	{method: "DELETE", path: "/app/k", header: harness.Header("Origin", appOrigin), status: 200,
		counts: []string{denial("app", "actual", "method")}},
	{method: "GET", path: "/app/k", header: harness.Header("Origin", appOrigin, "Origin", stranger), status: 200,
		counts: []string{denial("app", "actual", "malformed")}},
	{method: "GET", path: "/open/cacheable", header: harness.Header("Origin", stranger), status: 200,
		counts: []string{hit("open", "actual", "1")}}, // the same for every origin

	// Not denied, because they do not need CORS: same-origin posts, form posts, navigations
	// and what else browsers send with an Origin, WebSockets.
	{method: "GET", path: "/app/k", status: 200},
	{method: "GET", path: "/app/cacheable", status: 200, // without Access-Control-Allow-Origin, which others would get
		counts: []string{ofRuleset("cache_unsafe_responses_total", "app")}},
	{method: "GET", path: "/app/own-cors", status: 200,
		counts: []string{ofRuleset("upstream_headers_removed_total", "app")}},
	{method: "POST", path: "/app/k", header: harness.Header("Origin", sameOrigin), status: 200},
	{method: "POST", path: "/app/k", header: harness.Header("Origin", sameOrigin, "Sec-Fetch-Mode", "cors", "Sec-Fetch-Site", "same-origin"), status: 200},
	{method: "POST", path: "/app/k", header: harness.Header("Origin", stranger, "Sec-Fetch-Mode", "navigate", "Content-Type", "application/x-www-form-urlencoded"), status: 200},
	{method: "POST", path: "/app/k", header: harness.Header("Origin", "null", "Sec-Fetch-Mode", "no-cors"), status: 200},
	{method: "GET", path: "/app/socket", header: harness.Header("Origin", stranger, "Connection", "Upgrade", "Upgrade", "websocket"), status: 101},
	{method: "GET", path: "/app/nested/socket", header: harness.Header("Origin", stranger, "Sec-Fetch-Mode", "websocket", "Connection", "Upgrade", "Upgrade", "websocket"), status: 101},

	// The same, where a rule matches: that is counted.
	{method: "GET", path: "/app/socket", header: harness.Header("Origin", appOrigin, "Connection", "Upgrade", "Upgrade", "websocket"), status: 101,
		counts: []string{hit("app", "actual", "site")}},
	{method: "GET", path: "/open/k", header: harness.Header("Origin", sameOrigin), status: 200,
		counts: []string{hit("open", "actual", "1")}},
}

// countedBuckets are requests for buckets: each has a document of its own, or none.
var countedBuckets = []countedRequest{
	{buckets: true, method: "OPTIONS", path: "/photos/k", header: harness.PreflightHeader("https://gallery.example.com", "GET", ""), status: 200,
		counts: []string{hit("photos", "preflight", "gallery")}},
	{buckets: true, method: "GET", path: "/photos/k", header: harness.Header("Origin", "https://gallery.example.com"), status: 200,
		counts: []string{hit("photos", "actual", "gallery")}},
	{buckets: true, method: "GET", path: "/photos/k", header: harness.Header("Origin", appOrigin), status: 200,
		counts: []string{denial("photos", "actual", "origin")}},
	{buckets: true, method: "OPTIONS", path: "/uploads/k", header: harness.PreflightHeader(appOrigin, "PUT", "x-any"), status: 200,
		counts: []string{hit("uploads", "preflight", "1")}},
	{buckets: true, method: "OPTIONS", path: "/uploads/k", header: harness.PreflightHeader(appOrigin, "POST", "x-any"), status: 403,
		counts: []string{denial("uploads", "preflight", "header")}},
	{buckets: true, method: "POST", path: "/uploads/k", header: harness.Header("Origin", appOrigin), status: 200,
		counts: []string{hit("uploads", "actual", "2")}},
	{buckets: true, method: "POST", path: "/uploads/k", header: harness.Header("Origin", sameOrigin), status: 200},
	{buckets: true, method: "OPTIONS", path: "/unknown/k", header: harness.PreflightHeader(appOrigin, "GET", ""), status: 403,
		counts: []string{denial("_other", "preflight", "no_rules")}},
	{buckets: true, method: "GET", path: "/unknown/k", header: harness.Header("Origin", appOrigin), status: 200,
		counts: []string{denial("_other", "actual", "no_rules")}},
	{buckets: true, method: "GET", path: "/No_Bucket/k", header: harness.Header("Origin", appOrigin), status: 200,
		counts: []string{denial("_other", "actual", "no_rules")}},
	{buckets: true, method: "POST", path: "/unknown/k", header: harness.Header("Origin", sameOrigin), status: 200},
}

// countsOrigin is the handler of the origin server.
func countsOrigin(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Header.Get("Upgrade") != "":
		conn, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = buffered.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		_ = buffered.Flush()
	case strings.HasSuffix(r.URL.Path, "/own-cors"):
		w.Header().Set("Access-Control-Allow-Origin", "*")
	case strings.HasSuffix(r.URL.Path, "/cacheable"):
		w.Header().Set("Cache-Control", "public, max-age=60")
	}
}
