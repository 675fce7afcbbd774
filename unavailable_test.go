package osscors

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A request whose rules cannot be read is a denial like the others: in the counters, the
// log, the access log, the debug header and the placeholders. A preflight gets 503, an actual
// request is served.
func TestRulesUnavailable(t *testing.T) {
	p := newProxy(t)
	log := filepath.Join(t.TempDir(), "log.json")
	p.options = logTo(log)
	p.load(t, `log
		oss_cors {
			rules directory missing
			bucket path
			debug_header
		}
		header X-Placeholders "{http.oss_cors.outcome},{http.oss_cors.reason}"
		respond served`)
	const debug = "denied; reason=rules_unavailable"
	for _, test := range []struct {
		desc, method, path string
		lines              []string
		status             int
		reason             string
	}{
		{"a preflight", "OPTIONS", "/one/key", []string{fromApp, acrm + "PUT"}, 503, "rules_unavailable"},
		{"a malformed preflight", "OPTIONS", "/two/key", []string{fromApp, acrm + "PUT,GET"}, 503, "rules_unavailable"},
		{"an actual request", "GET", "/three/key", []string{fromApp}, 200, "rules_unavailable"},
		{"a same-origin request", "POST", "/four/key", []string{"Host: app.example.com", fromApp}, 200, ""},
		{"a request without Origin", "GET", "/five/key", nil, 200, ""},
	} {
		t.Run(test.desc, func(t *testing.T) {
			want, kind := p.series(t).counters(), "actual"
			if test.method == "OPTIONS" {
				kind = "preflight"
			}
			outcome, header := "none", "none"
			if test.reason != "" {
				outcome, header = "denied", debug
				want[denials("_other", kind, test.reason)]++
			}
			got := p.ask(t, test.method+" "+test.path+" HTTP/1.1", test.lines...)
			got.expect(t, test.status)
			if value := got.Header.Get("X-Oss-Cors-Decision"); value != header {
				t.Errorf("the debug header is %q; want %q", value, header)
			}
			if value, want := got.Header.Get("X-Placeholders"), outcome+","+test.reason; test.status == 200 && value != want {
				t.Errorf("the placeholders are %q; want %q", value, want)
			}
			expectCounters(t, p, want)
			eventually(t, func() bool {
				return slices.ContainsFunc(readLog(t, log, `"oss_cors"`), func(line string) bool {
					var e struct {
						Request struct{ URI string }
						OSSCORS struct{ Outcome, Reason string } `json:"oss_cors"`
					}
					return json.Unmarshal([]byte(line), &e) == nil && e.Request.URI == test.path &&
						e.OSSCORS.Outcome == outcome && e.OSSCORS.Reason == test.reason
				})
			})
		})
	}
	if lines := readLog(t, log, `"CORS request denied"`); len(lines) == 0 || !strings.Contains(lines[0], `"reason":"rules_unavailable"`) {
		t.Errorf("the log has %q", lines)
	}
}
