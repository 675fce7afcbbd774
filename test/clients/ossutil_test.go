package clients

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/harness"
)

// ossClientRules are those of Alibaba Cloud's own examples for cors-options.
const ossClientRules = `<CORSConfiguration>
  <CORSRule>
    <AllowedOrigin>http://www.aliyun.com</AllowedOrigin>
    <AllowedMethod>PUT</AllowedMethod>
    <AllowedMethod>GET</AllowedMethod>
    <AllowedHeader>x-oss-meta-*</AllowedHeader>
    <ExposeHeader>x-oss-meta-name</ExposeHeader>
    <ExposeHeader>ETag</ExposeHeader>
    <MaxAgeSeconds>10001</MaxAgeSeconds>
  </CORSRule>
  <ResponseVary>true</ResponseVary>
</CORSConfiguration>
`

const ossClientCaddyfile = `{
	admin off
	persist_config off
	default_bind 127.0.0.1
}

http://:%s {
	oss_cors {
		rules directory buckets
		bucket path
	}
	reverse_proxy %s
}
`

// startOSSEndpoint starts a proxy for clients of OSS, and counts the requests that get past
// it. The bucket examplebucket has ossClientRules, and no other has any.
func startOSSEndpoint(t *testing.T) (endpoint string, passed *atomic.Int32) {
	t.Helper()
	passed = new(atomic.Int32)
	origin := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { passed.Add(1) }))
	t.Cleanup(origin.Close)
	port := harness.FreePorts(t, 1)[0]
	dir := t.TempDir()
	for name, content := range map[string]string{
		"Caddyfile":                 fmt.Sprintf(ossClientCaddyfile, port, origin.Listener.Addr()),
		"buckets/examplebucket.xml": ossClientRules,
	} {
		harness.WriteFile(t, filepath.Join(dir, name), content)
	}
	harness.StartCaddy(t, dir, "Caddyfile", nil, []string{port})
	return "http://127.0.0.1:" + port, passed
}

// TestOssutil runs "ossutil cors-options" against the proxy. What it prints is what Alibaba
// Cloud's documentation of the command shows.
func TestOssutil(t *testing.T) {
	ossutil := harness.Tool(t, "ossutil")
	endpoint, passed := startOSSEndpoint(t)
	const (
		elapsed = `\n\d+\.\d+\(s\) elapsed\n`
		allowed = "Access-Control-Allow-Methods: PUT, GET\n" +
			"Access-Control-Allow-Origin: http://www.aliyun.com\n" +
			"Access-Control-Expose-Headers: x-oss-meta-name, ETag\n" +
			"Access-Control-Max-Age: 10001\n" +
			"Vary: Origin\n"
		allowHeaders = "Access-Control-Allow-Headers: x-oss-meta-author, x-oss-meta-name\n"
	)
	failed := func(status int, code, message, ec string) string {
		return fmt.Sprintf(`Error: oss: service returned error: StatusCode=%d, ErrorCode=%s, ErrorMessage="%s", RequestId=`, status, code, regexp.QuoteMeta(message)) +
			`[0-9A-F]{24}, Ec=` + ec + `\n`
	}
	notAllowed := failed(403, "AccessForbidden", harness.OSSNotAllowed, "0003-00000602")
	for _, c := range []struct {
		desc string
		args string
		want string // a regular expression for all that is printed
		exit int
	}{
		{"a bucket", "--acr-method put --origin http://www.aliyun.com oss://examplebucket", allowed + elapsed, 0},
		{"an object", "--acr-method GET --origin http://www.aliyun.com oss://examplebucket/dir/k.txt", allowed + elapsed, 0},
		{"headers", "--acr-method PUT --origin http://www.aliyun.com --acr-headers X-Oss-Meta-Author,x-oss-meta-name oss://examplebucket/", allowHeaders + allowed + elapsed, 0},
		{"signed with V4", "--sign-version v4 --region cn-hangzhou --acr-method PUT --origin http://www.aliyun.com oss://examplebucket", allowed + elapsed, 0},

		{"another origin", "--acr-method PUT --origin http://www.aliyun.com.evil.example oss://examplebucket", notAllowed, 1},
		{"another method", "--acr-method DELETE --origin http://www.aliyun.com oss://examplebucket", notAllowed, 1},
		{"another header", "--acr-method PUT --origin http://www.aliyun.com --acr-headers x-oss-meta-a,x-oss-acl oss://examplebucket", notAllowed, 1},
		{"a bucket without rules", "--acr-method PUT --origin http://www.aliyun.com oss://otherbucket", failed(403, "AccessForbidden", harness.OSSNotEnabled, "0003-00000601"), 1},
		{"no origin", "--acr-method PUT oss://examplebucket", failed(400, "BadRequest", harness.OSSMissingOrigin, "0034-00000101"), 1},
		{"no method", "--origin http://www.aliyun.com oss://examplebucket", failed(400, "BadRequest", harness.OSSMissingMethod, "0034-00000102"), 1},
	} {
		t.Run(c.desc, func(t *testing.T) {
			args := append([]string{"cors-options", "--endpoint", endpoint, "--access-key-id", "id", "--access-key-secret", "secret"}, strings.Fields(c.args)...)
			cmd := exec.Command(ossutil, args...)
			cmd.Dir = t.TempDir()
			cmd.Env = append(os.Environ(), "HOME="+cmd.Dir) // without the user's configuration
			var printed bytes.Buffer
			cmd.Stdout, cmd.Stderr = &printed, &printed
			if err := cmd.Run(); err != nil && !errors.As(err, new(*exec.ExitError)) {
				t.Fatal(err)
			}
			if exit := cmd.ProcessState.ExitCode(); exit != c.exit {
				t.Errorf("exit status %d; want %d", exit, c.exit)
			}
			// It ends header lines with CR and LF, and its own with LF.
			text := strings.ReplaceAll(printed.String(), "\r\n", "\n")
			if !regexp.MustCompile(`^` + c.want + `$`).MatchString(text) {
				t.Errorf("it printed %q; want %q", text, c.want)
			}
		})
	}
	if n := passed.Load(); n > 0 {
		t.Errorf("%d preflights reached the origin server", n)
	}
}
