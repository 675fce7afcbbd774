package observability

import (
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/harness"
)

const replayCaddyfile = `{
	admin off
	auto_https off
}

http://:{$LIVE_PORT} {
	log {
		output file access.log
	}
	oss_cors cors.xml {
		debug_header
	}
	respond ok
}

http://:{$CANDIDATE_PORT} {
	oss_cors cors-new.xml {
		debug_header
	}
	respond ok
}
`

// replayed is a group of requests whose outcome changes.
type replayed struct{ Change, Kind, Origin, Method, Headers string }

// What replay says of an access log is what two handlers decide, one with the rules in force
// and one with the candidates.
func TestReplayAgreesWithTheHandler(t *testing.T) {
	dir := t.TempDir()
	const documents = "internal/command/testdata/commands/"
	for _, name := range []string{"cors.xml", "cors-new.xml"} {
		harness.WriteFile(t, filepath.Join(dir, name), harness.ReadRepo(t, documents+name))
	}
	harness.WriteFile(t, filepath.Join(dir, "Caddyfile"), replayCaddyfile)
	ports := harness.FreePorts(t, 2)
	caddy := harness.StartCaddy(t, dir, "Caddyfile", []string{"LIVE_PORT=" + ports[0], "CANDIDATE_PORT=" + ports[1]}, ports)

	want := map[replayed]int{}
	decide := func(port string, r replayed) string {
		request, err := http.NewRequest(r.Method, "http://127.0.0.1:"+port+"/k?secret", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Host = "cdn.example.com"
		request.Header.Set("Origin", r.Origin)
		if r.Kind == "preflight" {
			request.Method = http.MethodOptions
			request.Header.Set("Access-Control-Request-Method", r.Method)
			request.Header.Set("Access-Control-Request-Headers", r.Headers)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		outcome, _, _ := strings.Cut(response.Header.Get("X-Oss-Cors-Decision"), ";")
		return outcome
	}
	origins := []string{"https://app.example.com", "https://x.preview.example.com", "https://a.example.com", "https://z.example.com", "https://evil.example", "http://cdn.example.com", "null"}
	for _, origin := range origins {
		for _, method := range []string{"GET", "PUT", "DELETE", "POST", "PATCH"} {
			for _, r := range []replayed{
				{"", "actual", origin, method, ""},
				{"", "preflight", origin, method, ""},
				{"", "preflight", origin, method, "content-type"},
				{"", "preflight", origin, method, "content-type, x-oss-meta-a"},
			} {
				switch decide(ports[0], r) + " " + decide(ports[1], r) {
				case "allowed denied":
					r.Change = "denied"
					want[r]++
				case "denied allowed":
					r.Change = "allowed"
					want[r]++
				}
			}
		}
	}
	if len(want) < 10 {
		t.Fatalf("only %d requests change, which compares too little", len(want))
	}
	caddy.Stop() // so that the log is written

	if got := replay(t, dir, "cors-new.xml"); !reflect.DeepEqual(got, want) {
		t.Errorf("replay: %v\nthe handlers: %v", got, want)
	}
	if got := replay(t, dir, "cors.xml"); len(got) > 0 {
		t.Errorf("with the rules in force, replay says that there are changes: %v", got)
	}
}

// replay returns how many requests in access.log change with candidate rules.
func replay(t *testing.T, dir, candidate string) map[replayed]int {
	t.Helper()
	cmd := exec.Command(harness.CaddyBinary(t), "oss-cors", "replay", "--rules", candidate, "access.log", "--json")
	cmd.Dir, cmd.Stderr = dir, os.Stderr
	output, err := cmd.Output()
	if err != nil && !errors.As(err, new(*exec.ExitError)) {
		t.Fatal(err)
	}
	var result struct {
		Changes []struct {
			replayed
			Requests int
		}
	}
	if err := json.Unmarshal(output, &result); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	changes := map[replayed]int{}
	for _, c := range result.Changes {
		changes[c.replayed] = c.Requests
	}
	return changes
}
