package stores

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"

	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/harness"
)

const minioExample = "examples/minio"

// TestExampleMinIO does what the example's README says, and then uploads from pages with the AWS
// SDK, in front of a real MinIO.
func TestExampleMinIO(t *testing.T) {
	t.Setenv("MINIO_ROOT_USER", harness.StoreAccessKey)
	t.Setenv("MINIO_ROOT_PASSWORD", harness.StoreSecretKey)
	t.Setenv("STORAGE", t.TempDir())
	harness.CheckCaddyfile(t, minioExample+"/Caddyfile")
	ports := harness.FreePorts(t, 3)
	proxy, store := "localhost:"+ports[0], "localhost:"+ports[1]
	harness.StartServer(t, ports[1], harness.MinIOTool(t, "minio"), "server",
		"--address", "127.0.0.1:"+ports[1], "--console-address", "127.0.0.1:"+ports[2], t.TempDir())
	harness.StartCaddy(t, "", minioExample+"/Caddyfile", []string{"PROXY_PORT=" + ports[0], "STORE_PORT=" + ports[1]}, ports[:1])

	blocks := shellBlocks(harness.ReadRepo(t, minioExample+"/README.md"))
	if len(blocks) != 3 {
		t.Fatalf("the README has %d blocks of commands; want 3, how to run it first", len(blocks))
	}
	run := func(script string) string {
		t.Helper()
		return runReadme(t, strings.NewReplacer("localhost:8081", proxy, "localhost:9000", store).Replace(script))
	}

	// The rules: what one tool writes, the other reads.
	out := run(blocks[1])
	for _, want := range []string{`"AllowedOrigins": [`, `"http://app.localhost:*"`, "<AllowedOrigin>http://app.localhost:*</AllowedOrigin>"} {
		if !strings.Contains(out, want) {
			t.Errorf("%s is not printed:\n%s", want, out)
		}
	}
	if written, read := harness.ReadRepo(t, minioExample+"/cors.json"), regexp.MustCompile(`(?s)\{.*\}`).FindString(out); jsonOf(t, written) != jsonOf(t, read) {
		t.Errorf("aws reads of what mc wrote:\n%s\nand cors.json has\n%s", read, written)
	}
	out = run(blocks[2])
	statuses := regexp.MustCompile(`HTTP/1.1 [2-5]\d\d`).FindAllString(out, -1)
	if want := []string{"HTTP/1.1 200", "HTTP/1.1 200", "HTTP/1.1 403", "HTTP/1.1 204"}; !slices.Equal(statuses, want) {
		t.Errorf("the statuses are %q; want %q\n%s", statuses, want, out)
	}
	direct := out[strings.LastIndex(out, "HTTP/1.1 "):]
	for text, in := range map[string]string{
		"Vary: Origin, Access-Control-Request-Headers, Access-Control-Request-Method": out,
		"<Method>PUT</Method><ResourceType>OBJECT</ResourceType>":                     out,
		"Access-Control-Allow-Origin: https://stranger.example":                       direct, // which makes the proxy needed
		"Access-Control-Allow-Credentials: true":                                      direct,
	} {
		if !strings.Contains(in, text) {
			t.Errorf("%s is not printed:\n%s", text, in)
		}
	}
	if strings.Count(out, "stranger.example") != 1 {
		t.Errorf("the proxy allows the stranger something:\n%s", out)
	}
	expectMinIOUploads(t, "http://"+proxy, "http://"+store)
}

// expectMinIOUploads uploads from two pages, of which the rules allow one.
func expectMinIOUploads(t *testing.T, proxy, store string) {
	t.Helper()
	pages := serveStorePage(t)
	page := openStorePage(t, "http://app.localhost:"+pages)
	const text = "written across origins"
	put := page.call(t, "put", proxy, "page.txt", text)
	if put.Status != http.StatusOK || put.Headers["etag"] == "" {
		t.Errorf("presigned PUT: %+v; want 200 and an ETag", put)
	}
	if got := runReadme(t, "mc cat store/private/page.txt", "MC_HOST_store="+minioAccount(store)); got != text {
		t.Errorf("MinIO holds %q; want %q", got, text)
	}
	if get := page.call(t, "get", proxy, "page.txt"); get.Status != http.StatusOK || get.Body != text || get.Headers["accept-ranges"] != "" {
		t.Errorf("presigned GET: %+v; want what was written, and no header that the rules do not expose", get)
	}
	const size = 11 << 20 // three parts of 5 MiB at the most
	upload := page.call(t, "upload", proxy, "large.bin", size)
	stored := runReadme(t, "mc cat store/private/large.bin", "MC_HOST_store="+minioAccount(store))
	if sum := sha256.Sum256([]byte(stored)); upload.Parts != 3 || hex.EncodeToString(sum[:]) != upload.SHA256 {
		t.Errorf("upload in parts: %+v; MinIO holds %d bytes, SHA-256 %x", upload, len(stored), sum)
	}
	if refusals := page.refusals(); len(refusals) > 0 {
		t.Errorf("the browser refused: %v", refusals)
	}

	stranger := openStorePage(t, "http://stranger.localhost:"+pages)
	for name, args := range map[string][]any{"get": {proxy, "page.txt"}, "put": {proxy, "stranger.txt", text}, "upload": {proxy, "stranger.bin", size}} {
		if got := stranger.call(t, name, args...); !got.Blocked {
			t.Errorf("%s by a stranger: %+v", name, got)
		}
	}
	if got := stranger.call(t, "put", store, "stranger.txt", text); got.Status != http.StatusOK {
		t.Errorf("MinIO itself does not let the stranger in, so this test shows nothing: %+v", got)
	}
	if !slices.Contains(stranger.refusals(), network.CorsErrorPreflightMissingAllowOriginHeader) {
		t.Error("the browser did not refuse because of the preflight")
	}
}

func minioAccount(store string) string {
	return "http://" + harness.StoreAccessKey + ":" + harness.StoreSecretKey + "@" + strings.TrimPrefix(store, "http://")
}

// shellBlocks returns the commands that a page shows.
func shellBlocks(page string) (blocks []string) {
	for _, match := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(page, -1) {
		blocks = append(blocks, match[1])
	}
	return blocks
}

// jsonOf returns a JSON text without what does not count in it.
func jsonOf(t *testing.T, text string) string {
	t.Helper()
	var value any
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	plain, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(plain)
}

// runReadme runs commands in the root of the repository, mc among them, and returns what they
// print.
func runReadme(t *testing.T, script string, env ...string) string {
	t.Helper()
	bin := t.TempDir()
	if err := os.Symlink(harness.MinIOTool(t, "mc"), filepath.Join(bin, "mc")); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-ec", script)
	cmd.Dir = harness.RepoRoot
	cmd.Env = append(os.Environ(), "MC_CONFIG_DIR="+t.TempDir(), "PATH="+bin+":"+os.Getenv("PATH"), "AWS_PAGER=")
	cmd.Env = append(cmd.Env, env...)
	var out, log strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &log
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s\n%s\n%s", err, script, out.String(), log.String())
	}
	return out.String()
}
