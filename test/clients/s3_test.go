package clients

import (
	"cmp"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/harness"
)

// s3Origin answers what s3cmd asks for besides the rules of a bucket.
func s3Origin(w http.ResponseWriter, r *http.Request) {
	if r.URL.Query().Has("location") {
		_, _ = io.WriteString(w, `<LocationConstraint xmlns="http://s3.amazonaws.com/doc/2006-03-01/">eu-west-1</LocationConstraint>`)
		return
	}
	w.WriteHeader(http.StatusNotFound)
	_, _ = io.WriteString(w, `<Error><Code>NoSuchKey</Code><Message>not here</Message></Error>`)
}

// TestS3Clients lets every client of S3 write, read and delete rules. What a client reads is
// what it wrote, field by field, and it is in force. A client of OSS works on the same
// document.
func TestS3Clients(t *testing.T) {
	p := harness.StartAPIProxy(t, harness.APIOptions{Origin: http.HandlerFunc(s3Origin)})
	rules := []s3Rule{{
		ID:             "the application & its previews",
		AllowedOrigins: []string{"https://app.example.com", "https://*.preview.example.com"},
		AllowedMethods: []string{"PUT", "GET"},
		AllowedHeaders: []string{"Content-Type", "X-Amz-*"},
		ExposeHeaders:  []string{"ETag", "x-amz-Request-id"},
		MaxAgeSeconds:  300,
	}}
	for len(rules) < 12 { // more than OSS takes
		rules = append(rules, s3Rule{ID: fmt.Sprint("rule ", len(rules)), AllowedOrigins: []string{"*"}, AllowedMethods: []string{"HEAD"}, MaxAgeSeconds: 60})
	}
	for style, port := range map[string]string{"path": p.Path, "host": p.Host} {
		for name, newClient := range s3Clients {
			if style == "host" && name != "AWS SDK for Go" && name != "minio-go" {
				continue
			}
			t.Run(name+", "+style, func(t *testing.T) {
				config := apiClientConfig{style: style, port: port, v4: true, id: harness.APIKey, secret: harness.APISecret, bucket: harness.APIBucket}
				client, oss := newClient(t, config), newSDKv2(t, config)
				if err := client.put(rules); err != nil {
					t.Fatalf("put: %v", err)
				}
				if got, err := client.get(); err != nil || !reflect.DeepEqual(got, rules) {
					t.Errorf("read    %+v, %v\nwritten %+v", got, err, rules)
				}
				expectPreflight(t, config, http.StatusOK, false)

				fields, _, err := oss.get()
				if err != nil || len(fields) != len(rules) || !reflect.DeepEqual(fields[0].Headers, []string{"content-type", "x-amz-*"}) {
					t.Errorf("OSS's client reads %+v, %v", fields, err)
				}
				if err := oss.put(fields[:1], true); err != nil {
					t.Fatal(err)
				}
				got, err := client.get()
				if err != nil || len(got) != 1 || !reflect.DeepEqual(got[0].AllowedOrigins, rules[0].AllowedOrigins) {
					t.Errorf("S3's client reads what OSS's wrote as %+v, %v", got, err)
				}
				expectPreflight(t, config, http.StatusOK, true)

				if err := client.delete(); err != nil {
					t.Fatalf("delete: %v", err)
				}
				expectS3Error(t, "get after delete", errorOf(client.get()), "NoSuchCORSConfiguration")
				expectPreflight(t, config, http.StatusForbidden, false)
				if err := client.delete(); err != nil {
					t.Errorf("delete of none: %v", err)
				}
			})
		}
	}
	if log := p.Log.String(); strings.Contains(log, harness.APISecret) {
		t.Error("a secret is in the log")
	}
}

// Each refusal reaches S3's clients with S3's Code, and changes nothing.
func TestS3Refusals(t *testing.T) {
	p := harness.StartAPIProxy(t, harness.APIOptions{Origin: http.HandlerFunc(s3Origin)})
	rule := func(origin, method, expose string) []s3Rule {
		return []s3Rule{{ID: "a", AllowedOrigins: []string{origin}, AllowedMethods: []string{method}, ExposeHeaders: []string{expose}, MaxAgeSeconds: 60}}
	}
	good := rule("https://app.example.com", "PUT", "ETag")
	for name, newClient := range s3Clients {
		t.Run(name, func(t *testing.T) {
			for _, c := range []struct {
				desc               string
				id, secret, bucket string // empty: alice's
				rules              []s3Rule
				code               string
			}{
				{desc: "an unknown key", id: "NobodysKey", rules: good, code: "InvalidAccessKeyId"},
				{desc: "another's secret", secret: harness.OtherSecret, rules: good, code: "SignatureDoesNotMatch"},
				{desc: "a bucket outside the key's", bucket: harness.OtherBucket, rules: good, code: "AccessDenied"},
				{desc: "two wildcards", rules: rule("*a*", "PUT", "ETag"), code: "InvalidRequest"},
				{desc: "a method that no rule can have", rules: rule("*", "PATCH", "ETag"), code: "InvalidRequest"},
				{desc: "an exposed wildcard", rules: rule("*", "PUT", "x-*"), code: "InvalidRequest"},
				{desc: "101 rules", rules: slices.Repeat(good, 101), code: "InvalidRequest"},
			} {
				config := apiClientConfig{style: "path", port: p.Path, bucket: cmp.Or(c.bucket, harness.APIBucket),
					id: cmp.Or(c.id, harness.APIKey), secret: cmp.Or(c.secret, harness.APISecret)}
				expectS3Error(t, c.desc, newClient(t, config).put(c.rules), c.code)
			}
		})
	}
	if found := harness.Documents(t, p.Storage); len(found) > 0 {
		t.Errorf("stored: %v", found)
	}
}

func expectS3Error(t *testing.T, desc string, got error, code string) {
	t.Helper()
	if got == nil || !strings.Contains(got.Error(), code) {
		t.Errorf("%s: the client says %v; want %s", desc, got, code)
	}
}

func errorOf[A any](_ A, err error) error { return err }
