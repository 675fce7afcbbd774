package osscors

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// What replay says of an access log is what the handlers decided, the one in force and one with
// the candidate rules: also of requests as no browser sends them, and of those that need no
// CORS. The handlers' decisions are those in their own access logs.
func TestReplayAgreesWithTheHandlers(t *testing.T) {
	const candidate = "rule app {\norigin https://*.example.com\nmethod GET PATCH\nheader x-*\n}\nrule {\norigin null\nmethod PUT\n}\n"
	for _, dialect := range []string{"oss", "s3"} {
		t.Run(dialect, func(t *testing.T) {
			p := newProxy(t)
			write(t, "cors.xml", appRules)
			write(t, "candidate.caddyfile", "oss_cors {\n"+candidate+"dialect "+dialect+"\n}\n")
			liveLog, candidateLog := filepath.Join(t.TempDir(), "live.log"), filepath.Join(t.TempDir(), "candidate.log")
			site := func(log, rules string) string {
				return "log {\noutput file " + log + "\nformat json\n}\noss_cors {\n" + rules + "\ndialect " + dialect + "\n}\nrespond ok\n"
			}
			p.load(t, site(liveLog, "rules file cors.xml"), site(candidateLog, candidate))
			sendRequestsOfAllKinds(t, p.addrs)
			p.stop(t) // so that the logs are written

			live, candidates := loggedOutcomes(t, liveLog), loggedOutcomes(t, candidateLog)
			want := map[string]int{}
			for uri, outcome := range live {
				switch outcome + " " + candidates[uri] {
				case "allowed allowed":
					want["still_allowed"]++
				case "denied denied":
					want["still_denied"]++
				case "denied allowed":
					want["now_allowed"]++
				case "allowed denied":
					want["now_denied"]++
				} // else the request needs no CORS
			}
			for _, kind := range []string{"still_allowed", "still_denied", "now_allowed", "now_denied"} {
				if want[kind] < 10 {
					t.Errorf("only %d requests are %s, which compares too little", want[kind], kind)
				}
			}
			got := replayed(t, "--rules", "candidate.caddyfile", liveLog)
			for kind, n := range want {
				if got[kind] != float64(n) {
					t.Errorf("replay has %v requests %s, and the handlers %d", got[kind], kind, n)
				}
			}
			if got["undecided"] != 0.0 || got["not_access_log"] != 0.0 {
				t.Errorf("replay left requests out: %v", got)
			}
		})
	}
}

// sendRequestsOfAllKinds sends each request to all addresses, with a path of its own.
func sendRequestsOfAllKinds(t *testing.T, addrs []string) {
	origins := [][]string{nil, {"Origin:"}, {fromApp}, {"Origin:", fromApp}, {fromApp, fromStranger}, {"Origin: HTTPS://App.Example.Com"}, {"Origin: null"},
		{"Origin: https://b.example.com "}, {"Origin: http://bucket.example.com"}, {"Origin: https://" + strings.Repeat("a", 5000)}}
	methods := [][]string{nil, {acrm}, {acrm + "PUT"}, {acrm, acrm + "GET"}, {acrm + "GET", acrm + "PUT"}, {acrm + "put"}, {acrm + "PATCH"}, {acrm + "P@T"}}
	headers := [][]string{nil, {acrh}, {acrh + "content-type"}, {acrh + "x-a", acrh + "X-B"}, {acrh + "content type"}, {acrh + ",x-a,,"}}
	n := 0
	send := func(method string, lines ...[]string) {
		n++
		var all []string
		for _, some := range lines {
			all = append(all, some...)
		}
		for _, addr := range addrs {
			askAt(t, addr, fmt.Sprintf("%s /%d HTTP/1.1", method, n), all...)
		}
	}
	for _, origin := range origins {
		for _, method := range methods {
			for _, header := range headers {
				send("OPTIONS", origin, method, header)
			}
			send("PUT", origin, method)
		}
		for _, method := range []string{"GET", "PUT", "PATCH", "DELETE"} {
			for _, line := range [][]string{nil, {"Sec-Fetch-Site: same-origin"}, {"Sec-Fetch-Mode: no-cors"}, {"Sec-Fetch-Mode: websocket"}, {"Connection: Upgrade", "Upgrade: websocket"}} {
				send(method, origin, line)
			}
		}
	}
}

// loggedOutcomes returns the outcome in an access log for each URI.
func loggedOutcomes(t *testing.T, name string) map[string]string {
	outcomes := map[string]string{}
	for _, line := range readLog(t, name, "") {
		var entry struct {
			Request struct{ URI string }
			OSSCORS struct{ Outcome string } `json:"oss_cors"`
		}
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Fatal(err)
		}
		outcomes[entry.Request.URI] = entry.OSSCORS.Outcome
	}
	return outcomes
}

// replayed returns what "caddy oss-cors replay --json" prints.
func replayed(t *testing.T, args ...string) (result map[string]any) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, append([]string{"oss-cors", "replay", "--json"}, args...)...)
	cmd.Env = append(os.Environ(), asCaddy+"=1")
	out, err := cmd.Output()
	if err != nil && !errors.As(err, new(*exec.ExitError)) {
		t.Fatal(err)
	}
	if err := json.Unmarshal(out, &result); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return result
}
