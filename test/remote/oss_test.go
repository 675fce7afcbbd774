package remote

import (
	"context"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	ossv2 "github.com/aliyun/alibabacloud-oss-go-sdk-v2/oss"
	"github.com/aliyun/alibabacloud-oss-go-sdk-v2/oss/credentials"

	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/harness"
)

// bucket is a bucket of OSS: that of another proxy's bucket API, behind a server that can be in
// trouble.
type bucket struct {
	*front
	good http.HandlerFunc
	sdk  *ossv2.Client
}

func newBucket(t *testing.T) *bucket {
	t.Helper()
	api := harness.StartAPIProxy(t, harness.APIOptions{})
	target := &url.URL{Scheme: "http", Host: "127.0.0.1:" + api.Path}
	good := httputil.NewSingleHostReverseProxy(target).ServeHTTP
	return &bucket{
		front: newFront(t, good),
		good:  good,
		sdk: ossv2.NewClient(ossv2.NewConfig().WithEndpoint(target.String()).WithRegion(harness.APIRegion).
			WithCredentialsProvider(credentials.NewStaticCredentialsProvider(harness.APIKey, harness.APISecret))),
	}
}

func (b *bucket) put(t *testing.T, origin string) {
	t.Helper()
	_, err := b.sdk.PutBucketCors(context.Background(), &ossv2.PutBucketCorsRequest{
		Bucket: ossv2.Ptr(harness.APIBucket),
		CORSConfiguration: &ossv2.CORSConfiguration{CORSRules: []ossv2.CORSRule{{
			AllowedOrigins: []string{origin}, AllowedMethods: []string{"PUT"},
		}}, ResponseVary: ossv2.Ptr(true)},
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (b *bucket) deleteRules(t *testing.T) {
	t.Helper()
	if _, err := b.sdk.DeleteBucketCors(context.Background(), &ossv2.DeleteBucketCorsRequest{Bucket: ossv2.Ptr(harness.APIBucket)}); err != nil {
		t.Fatal(err)
	}
}

// source is the source in a Caddyfile, with more lines.
func (b *bucket) source(name string, lines ...string) string {
	lines = append([]string{"rules oss " + name + " {", "endpoint " + b.URL, "refresh 100ms"}, lines...)
	return strings.Join(append(lines, "}"), "\n")
}

const static = "credentials static " + harness.APIKey + " {env.SECRET}"

func ossError(status int, code string) http.HandlerFunc {
	return says(status, `<?xml version="1.0" encoding="UTF-8"?><Error><Code>`+code+`</Code><Message>No.</Message><RequestId>1</RequestId></Error>`)
}

// A proxy follows the rules of a bucket of OSS, for which there is another proxy here.
func TestRulesOSS(t *testing.T) {
	b := newBucket(t)
	p := newProxy(t, b.source(harness.APIBucket, static), "SECRET="+harness.APISecret)
	p.start(t)
	p.waitFor(t, app, notEnabled)
	b.put(t, app)
	p.waitFor(t, app, allowed)
	b.put(t, other)
	p.waitFor(t, other, "200 "+other)
	b.deleteRules(t)
	p.waitFor(t, other, notEnabled)
	b.put(t, app)
	p.waitFor(t, app, allowed)
	if s := p.status(t); s.Source != "oss" || s.Document != "oss://"+harness.APIBucket || s.LastError != "" || s.Loaded.IsZero() {
		t.Errorf("the status is %+v", s)
	}

	p.inAllTrouble(t, b.front, b.good, map[string]http.HandlerFunc{
		"a fault":              ossError(500, "InternalError"),
		"a right that is lost": ossError(403, "AccessDenied"),
		"a deleted bucket":     ossError(404, "NoSuchBucket"),
		"no answer":            hang,
		"slow":                 drip,
		"cut off":              truncate,
		"a gigabyte":           gigabyte,
		"a web page":           says(200, "<!DOCTYPE html><title>Log in</title>"),
		"a redirect":           http.RedirectHandler("/", http.StatusFound).ServeHTTP,
	})
	p.restartsWithout(t, b.front, b.good)
	if strings.Contains(p.Log.String(), harness.APISecret) {
		t.Error("the log has the secret")
	}
}

// That a bucket has no rules is known after a restart, too.
func TestRulesOSSNotEnabled(t *testing.T) {
	b := newBucket(t)
	p := newProxy(t, b.source(harness.APIBucket, static), "SECRET="+harness.APISecret)
	p.start(t)
	p.waitFor(t, app, notEnabled)
	p.stop(t)
	b.answers(hang)
	p.start(t)
	p.waitFor(t, app, notEnabled)
}

// Requests have the security token of temporary credentials, and are signed by version 4 for a
// region that is known.
func TestRulesOSSTemporaryCredentials(t *testing.T) {
	b := newBucket(t)
	b.put(t, app)
	p := newProxy(t, b.source(harness.APIBucket, "region cn-shanghai"),
		"OSS_ACCESS_KEY_ID="+harness.APIKey, "OSS_ACCESS_KEY_SECRET="+harness.APISecret, "OSS_SESSION_TOKEN=CAISexample")
	p.start(t)
	p.waitFor(t, app, allowed)
	for _, r := range b.requests() {
		if r.Get("X-Oss-Security-Token") != "CAISexample" || !strings.Contains(r.Get("Authorization"), "/cn-shanghai/oss/aliyun_v4_request") {
			t.Errorf("requested with %v", r)
		}
	}
}

// What OSS definitely refuses stops the start, and is told as it is.
func TestRulesOSSRefused(t *testing.T) {
	b := newBucket(t)
	newProxy(t, b.source(harness.APIBucket, static), "SECRET=wrong").expectRefused(t, "403 SignatureDoesNotMatch")
	newProxy(t, b.source(harness.APIBucket, "region cn-hangzhou", static), "SECRET=wrong").expectRefused(t, "403 SignatureDoesNotMatch")
	newProxy(t, b.source(harness.OtherBucket, static), "SECRET="+harness.APISecret).expectRefused(t, "403 AccessDenied: The bucket you access does not belong to you.")
	newProxy(t, b.source(harness.APIBucket, "credentials static nobody {env.SECRET}"), "SECRET="+harness.APISecret).expectRefused(t, "403 InvalidAccessKeyId")
	newProxy(t, b.source(harness.APIBucket), "OSS_ACCESS_KEY_ID=").expectRefused(t, "OSS_ACCESS_KEY_ID and OSS_ACCESS_KEY_SECRET are not in Caddy's environment")
	newProxy(t, b.source(harness.APIBucket, static)).expectRefused(t, "env.SECRET")
	b.answers(ossError(404, "NoSuchBucket"))
	newProxy(t, b.source(harness.APIBucket, static), "SECRET="+harness.APISecret).expectRefused(t, "404 NoSuchBucket")
}
