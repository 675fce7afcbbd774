package clients

import (
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/harness"
)

// TestBucketAPIClients lets every client write, read and delete rules, with both signature
// versions and with each way to name the bucket. What a client reads is what it wrote, field
// by field, and it is in force.
func TestBucketAPIClients(t *testing.T) {
	p := harness.StartAPIProxy(t, harness.APIOptions{})
	rules := []ruleFields{
		{
			Origins: []string{"https://app.example.com", "https://*.preview.example.com"},
			Methods: []string{"PUT", "GET"},
			Headers: []string{"Content-Type", "X-Oss-*"},
			Expose:  []string{"ETag", "x-oss-Request-id"},
			MaxAge:  new(300),
		},
		{Origins: []string{"*"}, Methods: []string{"HEAD"}, Headers: []string{"*"}, Expose: []string{"Date"}, MaxAge: new(0)},
	}
	want := append([]ruleFields(nil), rules...)
	want[0].Headers = []string{"content-type", "x-oss-*"} // as OSS keeps them

	for style, port := range map[string]string{"path": p.Path, "host": p.Host, "cname": p.CNAME} {
		for _, v4 := range []bool{false, true} {
			for name, newClient := range apiClients {
				t.Run(fmt.Sprintf("%s, %s, V4 %t", name, style, v4), func(t *testing.T) {
					config := apiClientConfig{style: style, port: port, v4: v4, id: harness.APIKey, secret: harness.APISecret, bucket: harness.APIBucket}
					client := newClient(t, config)
					if err := client.put(rules, true); err != nil {
						t.Fatalf("put: %v", err)
					}
					got, vary, err := client.get()
					if err != nil {
						t.Fatalf("get: %v", err)
					}
					if !reflect.DeepEqual(got, want) {
						t.Errorf("read   %+v\nwritten %+v", got, want)
					}
					wantVary := strings.HasPrefix(name, "Go SDK") // the others drop it
					if name != "ali-oss" && (vary == nil || *vary != wantVary) {
						t.Errorf("ResponseVary is %v; want %t", vary, wantVary)
					}
					expectPreflight(t, config, http.StatusOK, wantVary)

					if err := client.delete(); err != nil {
						t.Fatalf("delete: %v", err)
					}
					expectAPIError(t, "get after delete", second(client.get()), apiError{status: 404, code: "NoSuchCORSConfiguration", ec: "0034-00000001"})
					expectPreflight(t, config, http.StatusForbidden, false)
					if err := client.delete(); err != nil {
						t.Errorf("delete of none: %v", err)
					}
				})
			}
		}
	}
	log := p.Log.String()
	for _, secret := range []string{harness.APISecret, harness.OtherSecret} {
		if strings.Contains(log, secret) {
			t.Error("a secret is in the log")
		}
	}
}

func second[A, B any](_ A, _ B, err error) error { return err }

// expectPreflight sends a preflight for a PUT from app.example.com.
func expectPreflight(t *testing.T, c apiClientConfig, status int, vary bool) {
	t.Helper()
	url, host := c.url("k.txt")
	r, err := http.NewRequest("OPTIONS", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = host
	r.Header.Set("Origin", "https://app.example.com")
	r.Header.Set("Access-Control-Request-Method", "PUT")
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	a.Body.Close()
	if a.StatusCode != status || (a.Header.Get("Vary") == "Origin") != vary {
		t.Errorf("preflight: %s, Vary %q; want %d, %t", a.Status, a.Header.Get("Vary"), status, vary)
	}
}

// expectAPIError fails the test unless a client got an error with this Code, this EC and a
// request ID.
func expectAPIError(t *testing.T, desc string, got error, want apiError) {
	t.Helper()
	var e *apiError
	if !errors.As(got, &e) {
		t.Errorf("%s: the client says %v; want %v", desc, got, &want)
		return
	}
	if e.status != want.status || e.code != want.code || e.ec != want.ec {
		t.Errorf("%s: %v; want %v", desc, e, &want)
	}
	if !regexp.MustCompile(`^[0-9A-F]{24}$`).MatchString(e.requestID) {
		t.Errorf("%s: request ID %q", desc, e.requestID)
	}
}
