package osscors

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// A header line without a value counts as absent (docs/oss-behaviour.md, section 2): the
// origin that is decided is the one in the counters, the list of denied origins, the log,
// the debug header and the comparison with Host. So it is with the preflight's other headers.
func TestEmptyLines(t *testing.T) {
	const host, evil = "Host: evil.example", "Origin: https://evil.example"
	for _, test := range []struct {
		desc, method string
		lines        []string
		header       string // X-Oss-Cors-Decision
		origin       string // denied, in the metrics and the log
	}{
		{"a denied request", "GET", []string{"Origin:", evil}, "denied; reason=origin; value=https%3A%2F%2Fevil.example", "https://evil.example"},
		{"a denied request, the empty line last", "GET", []string{evil, "Origin: "}, "denied; reason=origin; value=https%3A%2F%2Fevil.example", "https://evil.example"},
		{"a same-origin request", "POST", []string{host, "Origin:", evil}, "none", ""},
		{"an allowed request", "PUT", []string{"Origin:", fromApp}, "allowed; rule=app", ""},
		{"a denied preflight", "OPTIONS", []string{"Origin:", evil, acrm, acrm + "PUT"}, "denied; reason=origin; value=https%3A%2F%2Fevil.example", "https://evil.example"},
		{"a preflight denied for its method", "OPTIONS", []string{fromApp, acrm, acrm + "POST"}, "denied; reason=method; value=POST; nearest=app", "https://app.example.com"},
		{"a preflight denied for a header", "OPTIONS", []string{"Origin:", fromApp, acrm + "PUT", acrh, acrh + "x-foo"}, "denied; reason=header; value=x-foo; nearest=app", "https://app.example.com"},
		{"an allowed preflight", "OPTIONS", []string{"Origin:", fromApp, acrm, acrm + "PUT", acrh, acrh + "content-type"}, "allowed; rule=app", ""},
	} {
		t.Run(test.desc, func(t *testing.T) {
			p := newProxy(t)
			write(t, "cors.xml", appRules)
			log := filepath.Join(t.TempDir(), "log.json")
			p.options = logTo(log)
			name := newName()
			p.load(t, "oss_cors cors.xml {\ndebug_header\nname "+name+"\n}\nrespond served")
			got := p.ask(t, test.method+" /key HTTP/1.1", test.lines...)
			if value := got.Header.Get("X-Oss-Cors-Decision"); value != test.header {
				t.Errorf("the debug header is %q; want %q", value, test.header)
			}
			denied := map[string]float64{}
			for series, n := range p.series(t) {
				if strings.HasPrefix(series, "denied_origin_requests") {
					denied[series] = n
				}
			}
			want := map[string]float64{}
			if test.origin != "" {
				want[fmt.Sprintf("denied_origin_requests{origin=%q,ruleset=%q}", test.origin, name)] = 1
				eventually(t, func() bool { return len(readLog(t, log, `"CORS request denied"`)) == 1 })
				if line := readLog(t, log, `"CORS request denied"`)[0]; !strings.Contains(line, `"origin":"`+test.origin+`"`) {
					t.Errorf("the log says %s", line)
				}
			}
			if fmt.Sprint(denied) != fmt.Sprint(want) {
				t.Errorf("denied origins %v; want %v", denied, want)
			}
		})
	}
}
