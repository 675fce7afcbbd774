package browsers

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/fetchmodel"
	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/harness"
)

// requestLine is a request and how the proxy decided, as far as the model knows.
func requestLine(r fetchmodel.WireRequest, status int, decision string) string {
	line := fmt.Sprintf("%s %s", r.Method, fetchmodel.HostOf(r.URL))
	for _, part := range [][2]string{{"origin", r.Origin}, {"asks", r.RequestMethod}, {"and", r.RequestHeaders}} {
		if part[1] != "" {
			line += " " + part[0] + " " + part[1]
		}
	}
	if r.Cookie {
		line += " cookie"
	}
	return fmt.Sprintf("%s: %d %s", line, status, decision)
}

// requests reads the access log: the requests of every case, by its path, the counts that
// they add up to, and those that the rules decide otherwise.
func (w *matrixWorld) requests(t *testing.T) (requests map[string][]string, counts map[string]int, wrong []difference) {
	t.Helper()
	log, err := os.ReadFile(filepath.Join(w.dir, "access.log"))
	if err != nil {
		t.Fatal(err)
	}
	requests, counts = map[string][]string{}, map[string]int{}
	for line := range strings.Lines(string(log)) {
		var entry struct {
			Request struct {
				Method, Host, URI string
				Headers           http.Header
			}
			Status int
			CORS   struct{ Outcome, Reason, Rule string } `json:"oss_cors"`
		}
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Fatal(err)
		}
		decision := strings.TrimSpace(entry.CORS.Outcome + " " + entry.CORS.Rule)
		if entry.CORS.Outcome == "denied" {
			decision = "denied " + entry.CORS.Reason
		}
		header := entry.Request.Headers
		r := fetchmodel.WireRequest{
			URL:            "://" + entry.Request.Host,
			Method:         entry.Request.Method,
			Origin:         header.Get("Origin"),
			Mode:           header.Get("Sec-Fetch-Mode"),
			RequestMethod:  header.Get("Access-Control-Request-Method"),
			RequestHeaders: header.Get("Access-Control-Request-Headers"),
			Cookie:         header.Get("Cookie") != "",
		}
		path, _ := casePath(entry.Request.URI)
		requests[path] = append(requests[path], requestLine(r, entry.Status, decision))
		bucket, _, _ := strings.Cut(entry.Request.Host, ".")
		if decision != "none" {
			counts[countName(bucket, r.Method, decision)]++
		}
		if want := w.buckets[bucket].Serve(r, fetchmodel.WireResponse{Header: map[string]string{}}).Decision; decision != want {
			wrong = append(wrong, difference{path, theDecision, want, decision})
		}
	}
	return requests, counts, wrong
}

// countName is the name of the counter that a request adds to.
func countName(bucket, method, decision string) string {
	kind := "actual"
	if method == http.MethodOptions {
		kind = "preflight"
	}
	return bucket + " " + kind + " " + decision
}

var matrixCounter = regexp.MustCompile(`(?m)^caddy_oss_cors_(?:rule_hits|denied)_total\{kind="(\w+)",(rule|reason)="([^"]*)",ruleset="(\w+)"\} (\d+)$`)

// counts reads the metrics: every counter that is not 0, by its countName.
func (w *matrixWorld) counts(t *testing.T) map[string]int {
	t.Helper()
	counts := map[string]int{}
	for _, m := range matrixCounter.FindAllStringSubmatch(harness.Get(t, w.metrics), -1) {
		decision := map[string]string{"rule": "allowed ", "reason": "denied "}[m[2]] + m[3]
		if n, err := strconv.Atoi(m[5]); err != nil {
			t.Fatal(err)
		} else if n > 0 {
			counts[m[4]+" "+m[1]+" "+decision] = n
		}
	}
	return counts
}
