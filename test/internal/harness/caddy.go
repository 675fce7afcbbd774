package harness

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"testing"

	"github.com/caddy-oss-cors/caddy-oss-cors/internal/freeport"
)

// FreePorts returns n different TCP ports that nothing listens on.
func FreePorts(t *testing.T, n int) []string {
	t.Helper()
	ports := make([]string, n)
	for i := range ports {
		port, err := freeport.Next()
		if err != nil {
			t.Fatal(err)
		}
		ports[i] = port
	}
	return ports
}

// StartCaddy runs Caddy with a configuration file, in a working directory (empty: the
// repository's root) and with additions to the environment, such as "PAGE_PORT=8080". It
// returns when every port in waitFor answers.
func StartCaddy(t *testing.T, dir, config string, env, waitFor []string) *Process {
	t.Helper()
	return StartBinary(t, CaddyBinary(t), dir, config, env, waitFor)
}

// StartBinary is StartCaddy with another binary than the one that is tested.
func StartBinary(t *testing.T, binary, dir, config string, env, waitFor []string) *Process {
	t.Helper()
	cmd := exec.Command(binary, "run", "--config", config)
	cmd.Dir = cmp.Or(dir, RepoRoot)
	return startProcess(t, "Caddy ("+config+")", cmd, env, waitFor)
}

// lintFindings are logged for a document that may have mistakes. The tests of the examples'
// documents say which may have findings.
const lintFindings = `"msg":"CORS rules are valid, and may have mistakes`

// CheckCaddyfile fails the test unless a Caddyfile is formatted, adapts and is valid, all
// without a warning.
func CheckCaddyfile(t *testing.T, config string) {
	t.Helper()
	for _, args := range [][]string{{"fmt", "--diff", config}, {"adapt", "--validate", "--config", config}} {
		cmd := exec.Command(CaddyBinary(t), args...)
		cmd.Dir = RepoRoot
		var log bytes.Buffer
		cmd.Stderr = &log
		out, err := cmd.Output()
		warnings := bytes.Count(log.Bytes(), []byte(`"level":"warn"`)) - bytes.Count(log.Bytes(), []byte(lintFindings))
		if err != nil || warnings > 0 {
			t.Errorf("caddy %s: %v\n%s%s", strings.Join(args, " "), err, log.Bytes(), out)
		}
	}
}

// Load makes Caddy load a Caddyfile, even if it has not changed. admin is the URL of the
// admin endpoint.
func Load(admin, caddyfile string) error {
	request, err := http.NewRequest(http.MethodPost, admin+"/load", strings.NewReader(caddyfile))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "text/caddyfile")
	request.Header.Set("Cache-Control", "must-revalidate")
	response, err := FreshClient.Do(request)
	if WasDropped(err) { // the admin endpoint restarts, too
		return Load(admin, caddyfile)
	}
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if body, _ := io.ReadAll(response.Body); response.StatusCode != http.StatusOK {
		return fmt.Errorf("/load: %s %s", response.Status, body)
	}
	return nil
}
