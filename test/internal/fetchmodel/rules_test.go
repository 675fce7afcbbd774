package fetchmodel

import (
	"fmt"
	"testing"
)

const document = `<CORSConfiguration>
  <CORSRule>
    <ID>app</ID>
    <AllowedOrigin>https://*.example.com</AllowedOrigin>
    <AllowedMethod>PUT</AllowedMethod>
    <AllowedHeader>x-oss-*</AllowedHeader>
    <ExposeHeader>ETag</ExposeHeader>
    <MaxAgeSeconds>600</MaxAgeSeconds>
  </CORSRule>
  <CORSRule>
    <ID>all</ID>
    <AllowedOrigin>*</AllowedOrigin>
    <AllowedMethod>GET</AllowedMethod>
  </CORSRule>
  <ResponseVary>true</ResponseVary>
</CORSConfiguration>`

func TestBucketServe(t *testing.T) {
	bucket, err := ParseBucket([]byte(document))
	if err != nil {
		t.Fatal(err)
	}
	bucket.AllowCredentials = true
	preflight := func(origin, method, headers string) WireRequest {
		return WireRequest{URL: api + "/k", Method: "OPTIONS", Origin: origin, Mode: "cors", RequestMethod: method, RequestHeaders: headers}
	}
	for _, c := range []struct {
		desc     string
		request  WireRequest
		status   int
		decision string
		header   string
	}{
		{"allowed", preflight(page, "PUT", "x-oss-date"), 200, "allowed app",
			"map[access-control-allow-credentials:true access-control-allow-headers:x-oss-date access-control-allow-methods:PUT access-control-allow-origin:" + page + " access-control-expose-headers:ETag access-control-max-age:600 vary:Origin]"},
		{"every origin", preflight(third, "GET", ""), 200, "allowed all", "map[access-control-allow-methods:GET access-control-allow-origin:* vary:Origin]"},
		{"nearest rule: header", preflight(page, "PUT", "x-oss-date,x-other"), 403, "denied header", "map[vary:Origin]"},
		{"nearest rule: method", preflight(page, "DELETE", ""), 403, "denied method", "map[vary:Origin]"},
		{"no origin", preflight("", "GET", ""), 400, "denied missing_origin", "map[vary:Origin]"},
		{"no method", preflight(page, "", ""), 400, "denied missing_method", "map[vary:Origin]"},
		{"OPTIONS from the same origin", WireRequest{URL: api + "/k", Method: "OPTIONS", Origin: api, Mode: "cors"}, 200, "none", "map[vary:Origin]"},
		{"actual request, allowed", WireRequest{URL: api + "/k", Method: "GET", Origin: third, Mode: "cors"}, 200, "allowed all",
			"map[access-control-allow-methods:GET access-control-allow-origin:* vary:Origin]"},
		{"actual request, denied", WireRequest{URL: api + "/k", Method: "PUT", Origin: third, Mode: "cors"}, 200, "denied method", "map[vary:Origin]"},
		{"navigation", WireRequest{URL: api + "/k", Method: "POST", Origin: third, Mode: "navigate"}, 200, "none", "map[vary:Origin]"},
		{"no Origin", WireRequest{URL: api + "/k", Method: "GET"}, 200, "none", "map[vary:Origin]"},
	} {
		t.Run(c.desc, func(t *testing.T) {
			got := bucket.Serve(c.request, WireResponse{Status: 200, Header: header("access-control-allow-origin", "https://origin-server.example")})
			if h := fmt.Sprint(got.Header); got.Status != c.status || got.Decision != c.decision || h != c.header {
				t.Errorf("%d %s %s; want %d %s %s", got.Status, got.Decision, h, c.status, c.decision, c.header)
			}
		})
	}
}
