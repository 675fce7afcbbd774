package examples

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/harness"

	ossv2 "github.com/aliyun/alibabacloud-oss-go-sdk-v2/oss"
	"github.com/aliyun/alibabacloud-oss-go-sdk-v2/oss/credentials"
)

// namedPreflight sends a preflight for a URL whose host only this test resolves.
func namedPreflight(t *testing.T, origin, method, host, target string) *http.Response {
	t.Helper()
	_, port, _ := net.SplitHostPort(host)
	r, err := http.NewRequest("OPTIONS", "http://127.0.0.1:"+port+target, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = host
	r.Header.Set("Origin", origin)
	r.Header.Set("Access-Control-Request-Method", method)
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	a.Body.Close()
	return a
}

// TestExampleManyBuckets does what the example's README says.
func TestExampleManyBuckets(t *testing.T) {
	const dir = "examples/many-buckets"
	harness.CheckCaddyfile(t, dir+"/Caddyfile")
	root := harness.CopyOfRepo(t, dir)
	ports := harness.FreePorts(t, 2)
	harness.StartCaddy(t, root, dir+"/Caddyfile", []string{"PROXY_PORT=" + ports[0], "STORE_PORT=" + ports[1]}, ports)
	const office, elsewhere = "https://office.example.com", "https://elsewhere.example"
	expect := func(origin, host, target string, want int, allowOrigin string) {
		t.Helper()
		a := namedPreflight(t, origin, "GET", host+":"+ports[0], target)
		if got := a.Header.Get("Access-Control-Allow-Origin"); a.StatusCode != want || got != allowOrigin {
			t.Errorf("%s of %s%s: %d, allowed is %q; want %d, %q", origin, host, target, a.StatusCode, got, want, allowOrigin)
		}
	}
	expect(office, "reports.s3.localhost", "/2026.csv", 200, office)
	expect(office, "s3.localhost", "/reports/2026.csv", 200, office)
	expect(elsewhere, "reports.s3.localhost", "/2026.csv", 403, "")
	expect(elsewhere, "photos.s3.localhost", "/cat.jpg", 200, "*")
	expect(office, "music.s3.localhost", "/song.ogg", 403, "")

	rules, err := os.ReadFile(filepath.Join(root, dir, "rules/photos.xml"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, dir, "rules/music.xml"), rules, 0o600); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Second) // refresh
	expect(office, "music.s3.localhost", "/song.ogg", 200, "*")

	r, err := http.NewRequest("GET", "http://127.0.0.1:"+ports[0]+"/cat.jpg", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = "photos.s3.localhost"
	r.Header.Set("Origin", elsewhere)
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	body, err := harness.ReadAll(a)
	if want := "GET photos.s3.localhost/cat.jpg reached the store."; err != nil || body != want || a.Header.Get("Access-Control-Allow-Origin") != "*" || a.Header.Get("Vary") != "Origin" {
		t.Errorf("%q, %v, %v; want %q", body, a.Header, err, want)
	}
}

// TestExampleBucketAPI does what the example's README says, with ossutil and with an SDK, which
// checks the certificate.
func TestExampleBucketAPI(t *testing.T) {
	const dir = "examples/bucket-api"
	state := t.TempDir()
	env := map[string]string{
		"RULES_KEY_ID": "admin", "RULES_KEY_SECRET": "adminsSecret",
		"SHOP_KEY_ID": "shop", "SHOP_KEY_SECRET": "shopsSecret",
		"STORAGE": state,
	}
	for name, value := range env {
		t.Setenv(name, value)
	}
	harness.CheckCaddyfile(t, dir+"/Caddyfile")
	ports := harness.FreePorts(t, 2)
	c := harness.StartCaddy(t, "", dir+"/Caddyfile", []string{"PROXY_PORT=" + ports[0], "STORE_PORT=" + ports[1]}, ports)
	endpoint := "https://127.0.0.1:" + ports[0]

	rules := func(args ...string) (string, error) {
		cmd := exec.Command(harness.Tool(t, "ossutil"), append([]string{"cors", "--endpoint", endpoint, "--skip-verify-cert",
			"--access-key-id", "shop", "--access-key-secret", "shopsSecret"}, args...)...)
		cmd.Dir = harness.RepoRoot
		cmd.Env = append(os.Environ(), "HOME="+t.TempDir())
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	harness.WaitForCertificate(t, "127.0.0.1:"+ports[0], "")
	if out, err := rules("--method", "put", "oss://shop-images", "examples/many-buckets/rules/photos.xml"); err != nil {
		t.Errorf("put: %v\n%s", err, out)
	}
	if out, err := rules("--method", "get", "oss://shop-images"); err != nil || !strings.Contains(out, "<AllowedOrigin>https://gallery.example.com</AllowedOrigin>") {
		t.Errorf("get: %v\n%s", err, out)
	}
	if out, err := rules("--method", "put", "oss://bank-images", "examples/many-buckets/rules/photos.xml"); err == nil || !strings.Contains(out, "ErrorCode=AccessDenied") {
		t.Errorf("put of another's: %v\n%s", err, out)
	}

	authority, err := os.ReadFile(filepath.Join(state, "pki/authorities/local/root.crt"))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(authority)
	https := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
	preflight := func() *http.Response {
		t.Helper()
		r, err := http.NewRequest("OPTIONS", endpoint+"/shop-images/cat.jpg", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Origin", "https://gallery.example.com")
		r.Header.Set("Access-Control-Request-Method", "PUT")
		a, err := https.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		a.Body.Close()
		return a
	}
	if a := preflight(); a.StatusCode != 200 || a.Header.Get("Vary") != "Origin" {
		t.Errorf("preflight: %s %v", a.Status, a.Header)
	}
	if out, err := rules("--method", "delete", "oss://shop-images"); err != nil {
		t.Errorf("delete: %v\n%s", err, out)
	}
	if a := preflight(); a.StatusCode != 403 {
		t.Errorf("preflight without rules: %s", a.Status)
	}

	sdk := ossv2.NewClient(ossv2.LoadDefaultConfig().WithEndpoint(endpoint).WithRegion(harness.APIRegion).WithHttpClient(https).WithRetryMaxAttempts(1).
		WithCredentialsProvider(credentials.NewStaticCredentialsProvider("admin", "adminsSecret")))
	_, err = sdk.GetBucketCors(context.Background(), &ossv2.GetBucketCorsRequest{Bucket: ossv2.Ptr("bank-images")})
	if e := new(ossv2.ServiceError); !errors.As(err, &e) || e.Code != "NoSuchCORSConfiguration" {
		t.Errorf("SDK v2 over TLS: %v", err)
	}
	if log := c.Log.String(); strings.Contains(log, "adminsSecret") || strings.Contains(log, "shopsSecret") {
		t.Error("a secret is in the log")
	}
}
