package osscors

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-oss-cors/caddy-oss-cors/internal/running"
)

// presignedQueries are queries that are keys: whoever has one reads or writes the object until
// it expires.
var presignedQueries = []struct {
	desc, query string
	secrets     []string
}{
	{"S3, version 4", "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=s3-v4-key%2F20261125%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20261125T000000Z&X-Amz-Expires=900&X-Amz-Security-Token=s3-v4-token&X-Amz-SignedHeaders=host&X-Amz-Signature=s3-v4-signature", []string{"s3-v4-key", "s3-v4-token", "s3-v4-signature"}},
	{"S3, version 2", "AWSAccessKeyId=s3-v2-key&Expires=1795600000&Signature=s3-v2-signature", []string{"s3-v2-key", "s3-v2-signature"}},
	{"OSS, version 1", "OSSAccessKeyId=oss-v1-key&Expires=1795600000&Signature=oss-v1-signature&security-token=oss-v1-token", []string{"oss-v1-key", "oss-v1-signature", "oss-v1-token"}},
	{"OSS, version 4", "x-oss-signature-version=OSS4-HMAC-SHA256&x-oss-credential=oss-v4-key%2F20261125%2Fcn-hangzhou%2Foss%2Faliyun_v4_request&x-oss-date=20261125T000000Z&x-oss-expires=900&x-oss-security-token=oss-v4-token&x-oss-signature=oss-v4-signature", []string{"oss-v4-key", "oss-v4-token", "oss-v4-signature"}},
	{"Azure SAS", "sv=2024-11-04&se=2026-11-26&sr=b&sp=r&sig=azure-signature", []string{"azure-signature"}},
	{"CloudFront", "Expires=1795600000&Policy=cloudfront-policy&Signature=cloudfront-signature&Key-Pair-Id=cloudfront-key", []string{"cloudfront-policy", "cloudfront-signature", "cloudfront-key"}},
	{"a bearer token", "access_token=bearer-token", []string{"bearer-token"}},
}

// No line of ours in the log, at any level, has what a request's query, Authorization or
// Cookie says, or what the query of a URL says that is sent in place of an origin, a method or
// a header. Nor do the metrics, and the denials that the admin API shows.
func TestNoSecretIsLogged(t *testing.T) {
	for _, site := range []struct{ desc, site string }{
		{"one document", "oss_cors cors.xml {\nname %s\nshadow candidate.xml\ndebug_header\n}"},
		{"rules that cannot be read", "oss_cors {\nrules directory missing\nbucket path\n}"},
		{"many buckets and their API", "oss_cors {\nrules storage\nbucket path\nbucket_api {\naccess_key id api-secret *\n}\n}"},
	} {
		t.Run(site.desc, func(t *testing.T) {
			p := newProxy(t)
			write(t, "cors.xml", appRules)
			write(t, "candidate.xml", openRules)
			log := filepath.Join(t.TempDir(), "log.json")
			p.options = strings.Replace(logTo(log), "log {", "log {\nlevel DEBUG", 1)
			p.load(t, strings.Replace(site.site, "%s", newName(), 1)+"\nheader Cache-Control public\nrespond served")
			var secrets []string
			for i, presigned := range presignedQueries {
				secrets = append(secrets, presigned.secrets...)
				origin := "Origin: https://page-" + string(rune('a'+i)) + ".example" // each has its line
				for _, request := range []string{"GET /bucket/key?", "PUT /bucket/key?", "OPTIONS /bucket/key?", "OPTIONS http://user:userinfo-secret@host.example/bucket/key?", "PUT /bucket?cors&", "GET /bucket?cors&"} {
					url := origin + "/key?" + presigned.query
					for _, from := range []string{origin, fromApp, "X-None: 1", url, strings.Replace(url, "page", "user:userinfo-secret@page", 1)} {
						p.ask(t, request+presigned.query+" HTTP/1.1", from, acrm+"DELETE", "Content-Length: 0",
							"Authorization: OSS id:authorization-secret", "Cookie: session=cookie-secret",
							"Referer: https://page.example/?"+presigned.query)
						p.ask(t, request+presigned.query+" HTTP/1.1", from, acrm+"GET?"+presigned.query, acrh+"x-a?"+presigned.query, "Content-Length: 0",
							"Authorization: OSS id:authorization-secret", "Cookie: session=cookie-secret",
							"Referer: https://page.example/?"+presigned.query)
					}
				}
			}
			secrets = append(secrets, "api-secret", "authorization-secret", "cookie-secret", "userinfo-secret")
			eventually(t, func() bool { return len(readLog(t, log, `"msg"`)) > 0 })
			content, err := os.ReadFile(log)
			if err != nil {
				t.Fatal(err)
			}
			if denials := readLog(t, log, "CORS request denied"); site.desc == "one document" && len(denials) < len(presignedQueries) {
				t.Fatalf("only %d denials are logged", len(denials))
			}
			response, err := http.Get(p.metricsURL)
			if err != nil {
				t.Fatal(err)
			}
			shownMetrics, err := io.ReadAll(response.Body)
			response.Body.Close()
			if err != nil {
				t.Fatal(err)
			}
			denials, err := json.Marshal(running.Denials())
			if err != nil {
				t.Fatal(err)
			}
			for where, text := range map[string]string{"log": string(content), "metrics": string(shownMetrics), "list of denials": string(denials)} {
				for _, secret := range secrets {
					for line := range strings.Lines(text) {
						if strings.Contains(line, secret) {
							t.Errorf("the %s has %s: %s", where, secret, line)
							break
						}
					}
				}
			}
		})
	}
}
