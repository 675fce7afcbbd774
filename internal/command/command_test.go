package command

import (
	"bytes"
	"encoding/pem"
	"errors"
	goflag "flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/caddy-oss-cors/caddy-oss-cors/corsrules"
	"github.com/caddy-oss-cors/caddy-oss-cors/internal/explain"
)

var update = goflag.Bool("update", false, "write the golden files anew")

// runCommand runs "caddy oss-cors" with args among the test's documents.
func runCommand(t *testing.T, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, append([]string{"oss-cors"}, args...)...)
	cmd.Dir = "testdata/commands"
	cmd.Stdin = strings.NewReader("<CORSConfiguration><CORSRule></CORSRule></CORSConfiguration>")
	cmd.Env = append(os.Environ(), asCaddy+"=1", "TZ=UTC")
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	if err := cmd.Run(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		t.Fatal(err)
	}
	return out.String(), errOut.String(), cmd.ProcessState.ExitCode()
}

var elapsed = regexp.MustCompile(`\d+\.\d{6}\(s\)|("elapsed_seconds": )[\d.e-]+`)

// Each golden file is a command, what it prints, and its exit status.
func TestCommands(t *testing.T) {
	server, admin := newPreflightServer(t), newAdminServer(t)
	origin, method := "--origin=https://app.example.com", "--acr-method=PUT"
	explaining := []string{"explain", "--rules", "cors.xml", "--origin"}
	cases := []struct {
		name   string
		status int
		args   []string
	}{
		{"explain-allowed", 0, append(explaining, "https://app.example.com", "--method", "PUT", "--headers", "Content-Type,x-oss-date")},
		{"explain-header", 1, append(explaining, "https://x.preview.example.com", "--method", "PUT", "--headers", "content-type,x-foo")},
		{"explain-method", 1, append(explaining, "https://app.example.com", "--method", "DELETE")},
		{"explain-method-case", 0, append(explaining, "https://app.example.com", "--method", "put")},
		{"explain-method-never", 1, append(explaining, "https://app.example.com", "--method", "PATCH")},
		{"explain-origin", 1, append(explaining, "https://evil.example", "--method", "PUT")},
		{"explain-malformed", 1, append(explaining, "https://app.example.com", "--method", "PUT", "--headers", "content type")},
		{"explain-simple", 0, append(explaining, "https://evil.example", "--method", "GET")},
		{"explain-simple-with-preflight", 0, append(explaining, "https://app.example.com", "--method", "GET", "--preflight")},
		{"explain-header-without-preflight", 0, append(explaining, "https://evil.example", "--method", "GET", "--headers", "x-foo", "--preflight=false")},
		{"explain-json", 1, append(explaining, "https://app.example.com", "--method", "PUT", "--headers", "x-foo", "--json")},
		{"explain-policy", 0, []string{"explain", "--rules", "named.xml", "--origin", "https://app.example.com", "--method", "PUT", "--response-vary", "--allow-credentials"}},
		{"explain-s3", 1, []string{"explain", "--rules", "s3.json", "--origin", "https://app.example.com", "--method", "PUT", "--headers", "x-amz-date", "--dialect", "s3"}},
		{"explain-s3-allowed", 0, []string{"explain", "--rules", "s3.json", "--origin", "https://app.example.com", "--method", "GET", "--preflight", "--dialect", "s3"}},
		{"explain-not-s3", 2, []string{"explain", "--rules", "s3.json", "--origin", "https://app.example.com", "--method", "PUT"}},
		{"explain-no-such-dialect", 2, append(explaining, "https://app.example.com", "--method", "GET", "--dialect", "gcs")},
		{"explain-too-wide", 2, []string{"explain", "--rules", "wide.xml", "--origin", "https://app.example.com", "--method", "GET", "--allow-credentials"}},
		{"explain-bad-rules", 2, []string{"explain", "--rules", "bad.xml", "--origin", "https://app.example.com", "--method", "GET"}},
		{"explain-no-file", 2, []string{"explain", "--rules", "missing.xml", "--origin", "https://app.example.com", "--method", "GET"}},
		{"explain-too-many-rules", 2, append(explaining, "https://app.example.com", "--method", "GET", "--max-rules", "2")},
		{"explain-missing-flags", 2, []string{"explain", "--rules", "cors.xml", "--method", ""}},
		{"explain-nothing", 2, []string{"explain"}},
		{"explain-no-rules", 2, []string{"explain", "--origin", "https://app.example.com", "--method", "PUT"}},
		{"explain-no-request", 2, []string{"explain", "--rules", "-"}},
		{"explain-no-method", 2, []string{"explain", "--rules", "cors.xml", "--origin", "https://app.example.com"}},
		{"explain-argument", 2, append(explaining, "https://app.example.com", "--method", "GET", "more")},
		{"explain-max-rules", 2, append(explaining, "https://app.example.com", "--method", "GET", "--max-rules", "0")},

		{"explain-caddyfile", 1, []string{"explain", "--rules", "Caddyfile", "--site", "api", "--origin", "https://app.example.com", "--method", "PUT"}},
		{"explain-caddyfile-credentials", 0, []string{"explain", "--rules", "Caddyfile", "--site", "files.example.com", "--origin", "https://files.example.com", "--method", "GET"}},
		{"explain-caddyfile-dialect", 1, []string{"explain", "--rules", "s3.caddyfile", "--origin", "https://APP.example.com", "--method", "GET", "--verbatim"}},
		{"explain-inline", 1, []string{"explain", "--rules", "inline.caddyfile", "--site", "cdn.example.com", "--origin", "https://app.example.com", "--method", "GET", "--preflight"}},
		{"explain-inline-s3", 0, []string{"explain", "--rules", "inline.caddyfile", "--site", "s3.example.com", "--origin", "https://app.example.com", "--method", "GET", "--preflight"}},
		{"explain-bad-blocks", 2, []string{"explain", "--rules", "bad.caddyfile", "--origin", "https://files.example.com", "--method", "GET"}},

		{"explain-typed", 1, append(explaining, "HTTP://App.example.com:80/upload?id=1", "--method", "put", "--headers", "Content-Type: application/json\nAccept: */*\nCookie: a=b")},
		{"explain-verbatim", 1, append(explaining, "https://app.example.com/", "--method", "put", "--headers", "accept", "--verbatim")},
		{"explain-safelisted", 0, append(explaining, "https://evil.example", "--method", "GET", "--headers", "accept", "--headers", "range: bytes=0-1")},

		{"lint-good", 0, []string{"lint", "cors.xml"}},
		{"lint-file", 1, []string{"lint", "rules/unwise.xml"}},
		{"lint-directory", 1, []string{"lint", "rules"}},
		{"lint-ignore", 0, []string{"lint", "rules/unwise.xml", "--ignore", "glued-wildcard,path-in-origin", "--ignore", "echo-without-vary,max-age-beyond-browsers,unreachable-rule"}},
		{"lint-json", 1, []string{"lint", "rules", "--json", "--ignore", "glued-wildcard,unreachable-rule"}},
		{"lint-json-good", 0, []string{"lint", "cors.xml", "--json"}},
		{"lint-caddyfile", 1, []string{"lint", "Caddyfile"}},
		{"lint-caddyfile-json", 1, []string{"lint", "Caddyfile", "--json", "--ignore", "echo-without-vary"}},
		{"lint-blocks", 0, []string{"lint", "blocks.caddyfile", "--ignore", "echo-without-vary"}},
		{"lint-bad-blocks", 1, []string{"lint", "bad.caddyfile"}},
		{"lint-inline", 1, []string{"lint", "inline.caddyfile"}},
		{"lint-bad-inline", 1, []string{"lint", "inline-bad.caddyfile"}},
		{"lint-elsewhere", 2, []string{"lint", "elsewhere.caddyfile"}},
		{"lint-too-many-rules", 1, []string{"lint", "cors.xml", "--max-rules=2"}},
		{"lint-many", 1, []string{"lint", "s3-many.json", "--ignore", "echo-without-vary"}},
		{"lint-s3", 0, []string{"lint", "s3-many.json", "--dialect", "s3"}},
		{"lint-s3-max-rules", 1, []string{"lint", "s3-many.json", "--ignore", "echo-without-vary", "--dialect", "s3", "--max-rules", "11"}},
		{"lint-no-such-dialect", 2, []string{"lint", "s3-many.json", "--dialect", "gcs"}},
		{"lint-no-such-code", 2, []string{"lint", "cors.xml", "--ignore", "everything"}},
		{"lint-no-file", 2, []string{"lint", "missing.xml"}},
		{"lint-nothing-there", 2, []string{"lint", ".."}},
		{"lint-stray", 0, []string{"lint", "stray"}},
		{"lint-stray-alone", 2, []string{"lint", "stray-json"}},
		{"lint-no-argument", 2, []string{"lint"}},
		{"lint-arguments", 1, []string{"lint", "cors.xml", "bad.xml"}},
		{"lint-standard-input", 1, []string{"lint", "-"}},

		{"options-allowed", 0, []string{"options", server + "/allowed", origin, "--acr-method=put", "--acr-headers=content-type,x-foo"}},
		{"options-allowed-json", 0, []string{"options", server + "/allowed", origin, method, "--json"}},
		{"options-denied", 1, []string{"options", server + "/denied", origin, method}},
		{"options-denied-decision", 1, []string{"options", server + "/decision", origin, method}},
		{"options-denied-decision-json", 1, []string{"options", server + "/decision", origin, method, "--json"}},
		{"options-error-status", 1, []string{"options", server + "/error", origin, method}},
		{"options-no-cacert", 2, []string{"options", server + "/allowed", origin, method, "--cacert=missing.pem"}},
		{"options-bad-cacert", 2, []string{"options", server + "/allowed", origin, method, "--cacert=cors.xml"}},
		{"options-denied-json", 1, []string{"options", server + "/denied", origin, method, "--json"}},
		{"options-redirect", 1, []string{"options", server + "/redirect", origin, method}},
		{"options-plain-404", 1, []string{"options", server + "/nothing", origin, method}},
		{"options-no-cors", 1, []string{"options", server + "/no-cors", origin, method}},
		{"options-other-origin", 1, []string{"options", server + "/allowed", "--origin=https://evil.example", method}},
		{"options-other-method", 1, []string{"options", server + "/allowed", origin, "--acr-method=DELETE"}},
		{"options-other-header", 1, []string{"options", server + "/allowed", origin, method, "--acr-headers=x-bar"}},
		{"options-hostile", 1, []string{"options", server + "/hostile", origin, method}},
		{"options-no-answer", 2, []string{"options", "http://127.0.0.1:1/", origin, method}},
		{"options-no-url", 2, []string{"options", "oss://bucket/key", origin, method}},
		{"options-bad-header", 2, []string{"options", server + "/allowed", origin, "--acr-method=P\nT"}},
		{"options-missing-flags", 2, []string{"options", server + "/allowed"}},

		{"diff", 1, []string{"diff", "cors.xml", "cors-new.xml"}},
		{"diff-json", 1, []string{"diff", "cors-new.xml", "cors.xml", "--json"}},
		{"diff-same", 0, []string{"diff", "cors.xml", "cors.xml"}},
		{"diff-same-json", 0, []string{"diff", "cors.xml", "cors.xml", "--json"}},
		{"diff-caddyfile", 1, []string{"diff", "cors.xml", "Caddyfile", "--site", "api"}},
		{"diff-blocks-same", 0, []string{"diff", "named.xml", "blocks.caddyfile"}},
		{"diff-credentials", 1, []string{"diff", "blocks.caddyfile", "credentials.caddyfile"}},
		{"convert-credentials", 0, []string{"convert", "--to", "caddyfile", "credentials.caddyfile"}},
		{"diff-several", 2, []string{"diff", "cors.xml", "Caddyfile"}},
		{"diff-too-many", 2, []string{"diff", "one.caddyfile", "split.caddyfile"}},
		{"diff-bad-rules", 2, []string{"diff", "-", "cors.xml"}},
		{"diff-s3", 1, []string{"diff", "s3.json", "s3-many.json", "--dialect", "s3"}},
		{"diff-s3-case", 1, []string{"diff", "s3-case.xml", "s3.caddyfile"}},
		{"diff-no-file", 2, []string{"diff", "cors.xml", "missing.xml"}},
		{"diff-one-argument", 2, []string{"diff", "cors.xml"}},
		{"console-not-loopback", 2, []string{"console", "--listen", "0.0.0.0:2020"}},
		{"console-bad-admin", 2, []string{"console", "--address", "localhost:2019-2021"}},

		{"test", 0, []string{"test", "good.test.yaml"}},
		{"test-json", 0, []string{"test", "good.test.yaml", "--json"}},
		{"test-s3", 0, []string{"test", "s3.test.yaml"}},
		{"test-no-such-dialect", 2, []string{"test", "dialect.test.yaml"}},
		{"test-failing", 1, []string{"test", "good.test.yaml", "failing.test.yaml"}},
		{"test-failing-json", 1, []string{"test", "failing.test.yaml", "--json"}},
		{"test-caddyfile", 0, []string{"test", "blocks.test.yaml"}},
		{"test-caddyfile-credentials", 1, []string{"test", "credentials.test.yaml"}},
		{"test-types", 2, []string{"test", "types.test.yaml"}},
		{"test-no-tests", 2, []string{"test", "no-tests.test.yaml"}},
		{"test-no-rules-file", 2, []string{"test", "no-rules.test.yaml"}},
		{"test-max-rules", 2, []string{"test", "max-rules.test.yaml"}},
		{"test-typo", 2, []string{"test", "typo.test.yaml"}},
		{"test-reason", 2, []string{"test", "reason.test.yaml"}},
		{"test-bad-rules", 2, []string{"test", "badrules.test.yaml"}},
		{"test-not-yaml", 2, []string{"test", "cors.xml"}},
		{"test-rules-in-json", 2, []string{"test", "aws.json"}},
		{"test-bad-yaml", 2, []string{"test", "bad.test.yaml"}},
		{"test-no-file", 2, []string{"test", "missing.yaml"}},
		{"test-no-argument", 2, []string{"test"}},
		{"explain-running", 1, []string{"explain", "--ruleset", "cors.xml", "--address", admin, "--origin", "https://app.example.com", "--method", "PUT", "--headers", "x-foo"}},
		{"explain-running-unknown", 2, []string{"explain", "--ruleset", "other.xml", "--address", admin, "--origin", "https://app.example.com", "--method", "PUT"}},
		{"explain-running-away", 2, []string{"explain", "--address", "127.0.0.1:1", "--origin", "https://app.example.com", "--method", "PUT"}},
		{"explain-rules-and-ruleset", 2, []string{"explain", "--rules", "cors.xml", "--ruleset", "cors.xml", "--origin", "https://app.example.com", "--method", "PUT"}},
		{"explain-curl", 1, []string{"explain", "--rules", "cors.xml", "--curl", "curl https://cdn.example.com/a -X DELETE -H 'Origin: https://app.example.com' -H 'accept: */*'"}},
		{"explain-curl-without-origin", 2, []string{"explain", "--rules", "cors.xml", "--curl", "curl https://cdn.example.com/a"}},
		{"explain-har", 1, []string{"explain", "--rules", "cors.xml", "--har", "upload.har"}},
		{"explain-har-json", 1, []string{"explain", "--rules", "cors.xml", "--har", "upload.har", "--json"}},
		{"explain-curl-standard-input", 2, []string{"explain", "--rules", "cors.xml", "--curl", "-"}},
		{"explain-curl-and-har", 2, []string{"explain", "--rules", "cors.xml", "--curl", "x", "--har", "x"}},

		{"status", 1, []string{"status", "--address", admin}},
		{"status-json", 1, []string{"status", "--address", admin, "--json"}},
		{"status-no-port", 2, []string{"status", "--address", "nope"}},
		{"status-away", 2, []string{"status", "--address", "127.0.0.1:1"}},
		{"watch", 0, []string{"watch", "--address", admin, "--count", "3"}},
		{"watch-json", 0, []string{"watch", "--address", admin, "--count", "1", "--json"}},
		{"watch-count", 2, []string{"watch", "--count", "-1"}},
		{"watch-away", 2, []string{"watch", "--address", "127.0.0.1:1"}},

		{"replay", 1, []string{"replay", "--rules", "cors-new.xml", "access.log"}},
		{"replay-json", 1, []string{"replay", "--rules", "cors-new.xml", "access.log", "--json"}},
		{"replay-same", 0, []string{"replay", "--rules", "cors.xml", "access.log"}},
		{"replay-live", 1, []string{"replay", "--rules", "cors.xml", "--live", "cors-new.xml", "access.log", "access.log"}},
		{"replay-bucket", 0, []string{"replay", "--rules", "cors-new.xml", "--bucket", "photos", "access.log"}},
		{"replay-not-a-log", 0, []string{"replay", "--rules", "cors.xml", "not-a.log"}},
		{"replay-other-log", 2, []string{"replay", "--rules", "cors.xml", "access.log", "other.log"}},
		{"replay-process-log", 2, []string{"replay", "--rules", "cors.xml", "process.log", "--json"}},
		{"replay-other-standard-input", 2, []string{"replay", "--rules", "cors.xml", "-"}},
		{"replay-empty-log", 0, []string{"replay", "--rules", "cors.xml", "empty.log"}},
		{"replay-suggest-other-log", 2, []string{"replay", "--suggest", "--allow-origin", "https://app.example.com", "other.log"}},
		{"replay-suggest", 0, []string{"replay", "--suggest", "--allow-origin", "https://app.example.com,https://b.example.com", "--allow-origin", "https://c.example.com", "access.log"}},
		{"replay-suggest-nothing", 2, []string{"replay", "--suggest", "--allow-origin", "https://x.example", "access.log"}},
		{"replay-suggest-bad-origin", 2, []string{"replay", "--suggest", "--allow-origin", "https://*.*", "access.log"}},
		{"replay-suggest-no-origin", 2, []string{"replay", "--suggest", "access.log"}},
		{"replay-suggest-caddyfile", 0, []string{"replay", "--suggest", "--allow-origin", "https://app.example.com,https://b.example.com", "--allow-origin", "https://c.example.com", "--to", "caddyfile", "access.log"}},
		{"replay-suggest-json", 0, []string{"replay", "--suggest", "--allow-origin", "https://b.example.com", "--to", "ossutil-json", "access.log"}},
		{"replay-suggest-vary-to-s3", 0, []string{"replay", "--suggest", "--allow-origin", "https://b.example.com", "--to", "s3-json", "access.log"}},
		{"replay-suggest-no-such-form", 2, []string{"replay", "--suggest", "--allow-origin", "https://b.example.com", "--to", "gcs", "access.log"}},
		{"replay-blocks", 1, []string{"replay", "--rules", "blocks.caddyfile", "access.log"}},
		{"replay-dialect", 0, []string{"replay", "--rules", "cors.xml", "--dialect", "s3", "access.log"}},
		{"replay-no-such-dialect", 2, []string{"replay", "--rules", "cors.xml", "--dialect", "gcs", "access.log"}},
		{"replay-no-rules", 2, []string{"replay", "access.log"}},
		{"replay-no-log", 2, []string{"replay", "--rules", "cors.xml"}},
		{"replay-no-file", 2, []string{"replay", "--rules", "cors.xml", "missing.log"}},

		{"no-command", 2, nil},
		{"unknown-command", 2, []string{"exlpain"}},
		{"standard-input-twice", 2, []string{"replay", "--rules", "-", "-"}},
		{"standard-input-twice-as-arguments", 2, []string{"diff", "-", "-"}},
		{"flag-not-a-boolean", 2, []string{"lint", "cors.xml", "--json=maybe"}},
		{"unknown-flag", 2, []string{"lint", "cors.xml", "--fix"}},
		{"bad-flag-value", 2, []string{"lint", "cors.xml", "--max-rules=ten"}},
		{"help", 0, []string{"--help"}},
		{"help-explain", 0, []string{"explain", "--help"}},
		{"help-options", 0, []string{"options", "--help"}},
		{"convert-oss-xml", 0, []string{"convert", "--to", "oss-xml", "aws.json"}},
		{"convert-s3-xml", 0, []string{"convert", "--to", "s3-xml", "aws.json"}},
		{"convert-s3-json", 0, []string{"convert", "--to", "s3-json", "vary-false.xml"}},
		{"convert-ossutil-json", 0, []string{"convert", "--to", "ossutil-json", "cors.xml"}},
		{"convert-caddyfile", 0, []string{"convert", "--to", "caddyfile", "cors.xml"}},
		{"convert-google", 0, []string{"convert", "--to", "oss-xml", "google.json"}},
		{"convert-r2", 0, []string{"convert", "--to", "s3-json", "r2.json"}},
		{"lint-r2", 1, []string{"lint", "r2.json"}},
		{"convert-google-patch", 2, []string{"convert", "--to", "oss-xml", "google-patch.json"}},
		{"convert-google-patch-to-caddyfile", 0, []string{"convert", "--to", "caddyfile", "google-patch.json"}},
		{"convert-vary-to-s3", 2, []string{"convert", "--to", "s3-json", "cors.xml"}},
		{"convert-bad-rules", 2, []string{"convert", "--to", "caddyfile", "bad.xml"}},
		{"convert-blocks", 0, []string{"convert", "--to", "oss-xml", "blocks.caddyfile"}},
		{"convert-blocks-to-blocks", 0, []string{"convert", "--to", "caddyfile", "Caddyfile", "--site", "api"}},
		{"convert-patch", 2, []string{"convert", "--to", "s3-json", "Caddyfile", "--site", "www.example.com"}},
		{"convert-patch-to-ossutil", 2, []string{"convert", "--to", "ossutil-json", "Caddyfile", "--site", "www.example.com"}},
		{"convert-several", 2, []string{"convert", "--to", "oss-xml", "Caddyfile"}},
		{"convert-no-such-site", 2, []string{"convert", "--to", "oss-xml", "Caddyfile", "--site", "cdn.example.com"}},
		{"convert-inline", 0, []string{"convert", "--to", "caddyfile", "inline.caddyfile", "--site", "cdn.example.com"}},
		{"convert-elsewhere", 2, []string{"convert", "--to", "oss-xml", "elsewhere.caddyfile"}},
		{"convert-no-form", 2, []string{"convert", "cors.xml"}},
		{"convert-no-such-form", 2, []string{"convert", "--to", "gcs", "cors.xml"}},
		{"help-convert", 0, []string{"convert", "--help"}},
		{"help-diff", 0, []string{"diff", "--help"}},
		{"help-console", 0, []string{"console", "--help"}},
		{"help-test", 0, []string{"test", "--help"}},
		{"help-status", 0, []string{"status", "--help"}},
		{"help-watch", 0, []string{"watch", "--help"}},
		{"help-replay", 0, []string{"replay", "--help"}},
		{"help-lint", 0, []string{"lint", "--help"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			stdout, stderr, status := runCommand(t, c.args...)
			if status != c.status {
				t.Errorf("exit status %d, want %d", status, c.status)
			}
			got := fmt.Sprintf("$ caddy oss-cors %s\n%s", strings.Join(c.args, " "), stdout)
			if stderr != "" {
				got += "--- on standard error\n" + stderr
			}
			got += fmt.Sprintf("--- exit status %d\n", status)
			got = strings.ReplaceAll(got, server, "http://localhost:8080")
			got = strings.ReplaceAll(got, admin, "localhost:2019")
			got = elapsed.ReplaceAllStringFunc(got, func(s string) string {
				return regexp.MustCompile(`[\d.]+(e-\d+)?`).ReplaceAllString(s, "0.001000")
			})
			golden(t, c.name, got)
		})
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata/commands", name+".golden")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s is not what is printed; if that is right, go test -run TestCommands ./internal/command -update\n got:\n%s\nwant:\n%s", file, got, want)
	}
}

// denial is how OSS denies a preflight.
const denial = `<Error>
  <Code>AccessForbidden</Code>
  <Message>CORSResponse: This CORS request is not allowed. This is usually because the evalution of Origin, request method / Access-Control-Request-Method or Access-Control-Requet-Headers are not whitelisted by the resource's CORS spec.</Message>
  <RequestId>5DECB1F6F3150D373335D8D2</RequestId>
  <EC>0003-00000602</EC>
</Error>
`

// newPreflightServer answers as various servers do, and fails the test if it is sent
// anything but a preflight, or a redirect is followed.
func newPreflightServer(t *testing.T) (url string) {
	mux := http.NewServeMux()
	mux.HandleFunc("/allowed", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "https://app.example.com")
		w.Header().Set("Access-Control-Allow-Methods", "GET, PUT")
		w.Header().Set("Access-Control-Allow-Headers", "content-type, x-foo")
		w.Header().Set("Access-Control-Max-Age", "600")
		w.Header().Set("Vary", "Origin")
		w.Header().Set("X-Oss-Request-Id", "59FC3349BC4D25C01C26CBA2")
	})
	mux.HandleFunc("/denied", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, denial)
	})
	mux.HandleFunc("/decision", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Oss-Cors-Decision", "denied; reason=header; value=x-tr%61ce-id; nearest=web-app")
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, denial)
	})
	mux.HandleFunc("/error", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		w.WriteHeader(http.StatusTeapot)
	})
	mux.Handle("/redirect", http.RedirectHandler("/followed", http.StatusFound))
	mux.HandleFunc("/followed", func(http.ResponseWriter, *http.Request) { t.Error("a redirect was followed") })
	mux.HandleFunc("/no-cors", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		for range 1 << 12 { // more than is read
			_, _ = io.WriteString(w, strings.Repeat("x", 1<<10))
		}
	})
	mux.HandleFunc("/hostile", func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, "<Error><Code>Access\u009b31m</Code><Message>one\ntwo</Message></Error>")
	})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodOptions || r.Header.Get("Origin") == "" || r.Header.Get("Access-Control-Request-Method") == "" {
			t.Errorf("not a preflight: %s %s", r.Method, r.Header)
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// Colors change nothing but the colors: columns stay aligned.
func TestColors(t *testing.T) {
	rules := corsrules.Compile(&corsrules.Configuration{Rules: []corsrules.CORSRule{
		{ID: "no", AllowedOrigins: []string{"https://a.example"}, AllowedMethods: []string{"GET"}},
		{ID: "yes", AllowedOrigins: []string{"*"}, AllowedMethods: []string{"GET"}},
		{ID: "later", AllowedOrigins: []string{"*"}, AllowedMethods: []string{"GET"}},
	}})
	e := explain.New(rules, corsrules.Policy{}, explain.Request{Origin: "https://b.example", Method: "GET"})
	plain, colored := new(printer), &printer{colored: true}
	plain.explanation(e)
	colored.explanation(e)
	code := regexp.MustCompile("\x1b\\[\\d*m")
	if got := code.ReplaceAllString(colored.String(), ""); got != plain.String() || got == colored.String() {
		t.Errorf("without its colors\n%s\nis not\n%s", colored.String(), plain.String())
	}
	if isTerminal(new(bytes.Buffer)) || isTerminal(os.NewFile(^uintptr(0), "")) {
		t.Error("what is not a terminal is taken for one")
	}
}

// A server's certificate counts unless the user says otherwise.
func TestOptionsVerifiesCertificates(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
	}))
	t.Cleanup(server.Close)
	file := filepath.Join(t.TempDir(), "root.pem")
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(file, certificate, 0o600); err != nil {
		t.Fatal(err)
	}
	for flag, want := range map[string]int{"": 2, "--insecure": 0, "--cacert=" + file: 0} {
		args := strings.Fields("options " + server.URL + " --origin=https://a.example --acr-method=GET " + flag)
		if _, stderr, status := runCommand(t, args...); status != want {
			t.Errorf("%s: exit status %d, want %d; %s", flag, status, want, stderr)
		}
	}
}
