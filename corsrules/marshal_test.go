package corsrules

import (
	"testing"
)

// TestMarshal pins the document that GetBucketCors answers (docs/oss-behaviour.md,
// section 5).
func TestMarshal(t *testing.T) {
	cases := []struct {
		desc   string
		picked bool
		cfg    *Configuration
		want   string
	}{
		{desc: "every element", cfg: &Configuration{
			ResponseVary: true,
			Rules: []CORSRule{
				{
					ID: "web", AllowedOrigins: lines("https://a", "https://*.b"), AllowedMethods: lines("PUT", "GET"),
					AllowedHeaders: lines("x-oss-*", "content-type"), ExposeHeaders: lines("ETag", "x-a"), MaxAgeSeconds: seconds(600),
				},
				{AllowedOrigins: lines("*"), AllowedMethods: lines("HEAD")},
			},
		}, want: `<?xml version="1.0" encoding="UTF-8"?>
<CORSConfiguration>
  <CORSRule>
    <ID>web</ID>
    <AllowedOrigin>https://a</AllowedOrigin>
    <AllowedOrigin>https://*.b</AllowedOrigin>
    <AllowedMethod>PUT</AllowedMethod>
    <AllowedMethod>GET</AllowedMethod>
    <AllowedHeader>x-oss-*</AllowedHeader>
    <AllowedHeader>content-type</AllowedHeader>
    <ExposeHeader>ETag</ExposeHeader>
    <ExposeHeader>x-a</ExposeHeader>
    <MaxAgeSeconds>600</MaxAgeSeconds>
  </CORSRule>
  <CORSRule>
    <AllowedOrigin>*</AllowedOrigin>
    <AllowedMethod>HEAD</AllowedMethod>
  </CORSRule>
  <ResponseVary>true</ResponseVary>
</CORSConfiguration>
`},
		{desc: "ResponseVary always, MaxAgeSeconds 0 too", cfg: configuration(ruleSpec{origins: "https://a", methods: "GET", maxAge: seconds(0)}), want: `<?xml version="1.0" encoding="UTF-8"?>
<CORSConfiguration>
  <CORSRule>
    <AllowedOrigin>https://a</AllowedOrigin>
    <AllowedMethod>GET</AllowedMethod>
    <MaxAgeSeconds>0</MaxAgeSeconds>
  </CORSRule>
  <ResponseVary>false</ResponseVary>
</CORSConfiguration>
`},
		{desc: "escapes", picked: true, cfg: &Configuration{Rules: []CORSRule{{
			ID: "a&b<c>d\"e'f\rg\nh]]>", AllowedOrigins: lines("<&>"), AllowedMethods: lines("GET"), AllowedHeaders: lines("&'"),
		}}}, want: `<?xml version="1.0" encoding="UTF-8"?>
<CORSConfiguration>
  <CORSRule>
    <ID>a&amp;b&lt;c&gt;d"e'f&#13;g
h]]&gt;</ID>
    <AllowedOrigin>&lt;&amp;&gt;</AllowedOrigin>
    <AllowedMethod>GET</AllowedMethod>
    <AllowedHeader>&amp;'</AllowedHeader>
  </CORSRule>
  <ResponseVary>false</ResponseVary>
</CORSConfiguration>
`},
	}
	for _, c := range cases {
		t.Run(caseName(c.desc, c.picked), func(t *testing.T) {
			if got := string(c.cfg.Marshal()); got != c.want {
				t.Errorf("got:\n%s\nwant:\n%s", got, c.want)
			}
			checkRoundTrip(t, c.cfg)
		})
	}
}

// Every document of the tables comes back from Marshal as it was.
func TestRoundTrip(t *testing.T) {
	for _, c := range acceptedCases {
		t.Run("parse/"+caseName(c.desc, c.picked), func(t *testing.T) { checkRoundTrip(t, c.want) })
	}
	for _, c := range preflightCases {
		if c.cfg != nil && len(c.cfg.Rules) > 0 {
			t.Run("preflight/"+caseName(c.desc, c.picked), func(t *testing.T) { checkRoundTrip(t, c.cfg) })
		}
	}
}
