package osscors

import (
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// newName returns a ruleset's name that no test run in this process has used: the sampling
// of the log is the process's.
func newName() string {
	names++
	return fmt.Sprintf("ruleset-%d", names)
}

var names int

// The decision shows alike in the response header, the placeholders and the access log.
func TestTheDecisionShows(t *testing.T) {
	p := newProxy(t)
	write(t, "cors.xml", appRules)
	log := filepath.Join(t.TempDir(), "log.json")
	p.options = logTo(log)
	p.load(t, `log
		oss_cors cors.xml {
			debug_header
		}
		header X-Placeholders "{http.oss_cors.outcome},{http.oss_cors.rule},{http.oss_cors.reason},{http.oss_cors.bucket},{http.oss_cors.value},{http.oss_cors.ruleset}"
		respond answered`)
	type entry struct {
		OSSCORS map[string]string `json:"oss_cors"`
	}
	for _, test := range []struct {
		desc, request string
		lines         []string
		header        string
		placeholders  string // of actual requests
		logged        map[string]string
	}{
		{
			desc: "not a CORS request", request: "GET /1 HTTP/1.1",
			header: "none", placeholders: "none,,,,,cors.xml",
			logged: map[string]string{"outcome": "none"},
		},
		{
			desc: "allowed", request: "GET /2 HTTP/1.1", lines: []string{fromApp},
			header: "allowed; rule=app", placeholders: "allowed,app,,,,cors.xml",
			logged: map[string]string{"outcome": "allowed", "rule": "app"},
		},
		{
			desc: "a rule without an ID is named by its number", request: "GET /3 HTTP/1.1", lines: []string{"Origin: https://plain.example.com"},
			header: "allowed; rule=2", placeholders: "allowed,2,,,,cors.xml",
			logged: map[string]string{"outcome": "allowed", "rule": "2"},
		},
		{
			desc: "no rule has the origin: none is near", request: "GET /4 HTTP/1.1", lines: []string{fromStranger},
			header: "denied; reason=origin; value=https%3A%2F%2Fstranger.example.net", placeholders: "denied,,origin,,https://stranger.example.net,cors.xml",
			logged: map[string]string{"outcome": "denied", "reason": "origin", "value": "https://stranger.example.net"},
		},
		{
			desc: "the nearest rule lacks the method", request: "DELETE /5 HTTP/1.1", lines: []string{fromApp},
			header: "denied; reason=method; value=DELETE; nearest=app", placeholders: "denied,app,method,,DELETE,cors.xml",
			logged: map[string]string{"outcome": "denied", "reason": "method", "value": "DELETE", "nearest": "app"},
		},
		{
			desc: "the nearest rule lacks a header", request: "OPTIONS /6 HTTP/1.1", lines: []string{fromApp, acrm + "PUT", acrh + "content-type,x-foo"},
			header: "denied; reason=header; value=x-foo; nearest=app",
			logged: map[string]string{"outcome": "denied", "reason": "header", "value": "x-foo", "nearest": "app"},
		},
		{
			desc: "an allowed preflight", request: "OPTIONS /7 HTTP/1.1", lines: []string{fromApp, acrm + "PUT"},
			header: "allowed; rule=app",
			logged: map[string]string{"outcome": "allowed", "rule": "app"},
		},
		{
			desc: "malformed", request: "OPTIONS /8 HTTP/1.1", lines: []string{fromApp, fromStranger, acrm + "PUT"},
			header: "denied; reason=malformed; value=origin",
			logged: map[string]string{"outcome": "denied", "reason": "malformed", "value": "origin"},
		},
		{
			desc: "no method asked for", request: "OPTIONS /9 HTTP/1.1", lines: []string{fromApp},
			header: "denied; reason=missing_method",
			logged: map[string]string{"outcome": "denied", "reason": "missing_method", "value": ""},
		},
	} {
		t.Run(test.desc, func(t *testing.T) {
			answer := p.ask(t, test.request, test.lines...)
			if got := answer.Header.Get(debugHeader); got != test.header {
				t.Errorf("header %q; want %q", got, test.header)
			}
			if got := answer.Header.Get("X-Placeholders"); got != test.placeholders {
				t.Errorf("placeholders %q; want %q", got, test.placeholders)
			}
			uri := strings.Fields(test.request)[1]
			var e entry
			eventually(t, func() bool {
				lines := readLog(t, log, `"uri":"`+uri+`","headers"`)
				return len(lines) == 1 && json.Unmarshal([]byte(lines[0]), &e) == nil
			})
			test.logged["ruleset"] = "cors.xml"
			if fmt.Sprint(e.OSSCORS) != fmt.Sprint(test.logged) {
				t.Errorf("access log %v; want %v", e.OSSCORS, test.logged)
			}
		})
	}
}

// A denial can be found in the log by the request ID that the client was given.
func TestDenialsAreLogged(t *testing.T) {
	p := newProxy(t)
	write(t, "cors.xml", appRules)
	log := filepath.Join(t.TempDir(), "log.json")
	p.options = logTo(log)
	withStub(t, "identified", func(w http.ResponseWriter, _ *http.Request) error {
		w.Header().Set("X-Amz-Request-Id", "by-the-store")
		w.WriteHeader(http.StatusOK)
		return nil
	})
	name := newName()
	p.load(t, "oss_cors cors.xml {\nname "+name+"\n}\nstub identified")
	denials := func(text string) []string {
		return slices.DeleteFunc(readLog(t, log, "CORS request denied"), func(line string) bool { return !strings.Contains(line, text) })
	}

	preflight := p.preflight(t, "Origin: https://one.example", acrm+"PUT")
	eventually(t, func() bool {
		return len(denials(`"request_id":"`+preflight.Header.Get("X-Oss-Request-Id")+`"`)) == 1
	})
	p.get(t, "Origin: https://two.example")
	eventually(t, func() bool { return len(denials(`"request_id":"by-the-store"`)) == 1 })

	for range 99 { // one has been denied already
		p.get(t, "Origin: https://two.example")
	}
	p.ask(t, "PUT /key HTTP/1.1", "Origin: https://plain.example.com", "Content-Length: 0")
	eventually(t, func() bool { return len(denials(`"reason":"method"`)) == 1 })
	if n := len(denials("https://two.example")); n != 3 {
		t.Errorf("%d lines for 100 denials; want the 1st, the 10th and the 100th", n)
	}
	if n := p.series(t)[`denied_origin_requests{origin="https://two.example",ruleset="`+name+`"}`]; n != 100 {
		t.Errorf("the gauge shows %v denials", n)
	}
}

// The values of a request break no line of the log, and what is shown of them is bounded.
func TestLogsAreSafeAndBounded(t *testing.T) {
	p := newProxy(t)
	write(t, "cors.xml", appRules)
	log := filepath.Join(t.TempDir(), "log.json")
	p.options = logTo(log)
	p.load(t, "oss_cors cors.xml {\nname "+newName()+"\ndebug_header\n}\nrespond answered")
	long := strings.Repeat("x", 4000)
	answer := p.ask(t, "OPTIONS /"+long+" HTTP/1.1", fromApp, acrm+"PUT", acrh+long)
	if got := len(answer.Header.Get(debugHeader)); got > 2*maxShown {
		t.Errorf("%s has %d bytes", debugHeader, got)
	}
	p.preflight(t, `Origin: https://x.example","level":"panic`, acrm+`PUT"}`)
	eventually(t, func() bool { return len(readLog(t, log, "CORS request denied")) == 2 })
	for _, line := range readLog(t, log, "CORS request denied") {
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil || fields["level"] != "info" {
			t.Errorf("%v: %s", err, line)
		}
		for name, value := range fields {
			if text, ok := value.(string); ok && len(text) > maxShown+len("…") {
				t.Errorf("%s has %d bytes", name, len(text))
			}
		}
	}
}

func TestDeniedOriginsCanBeTurnedOff(t *testing.T) {
	p := newProxy(t)
	write(t, "cors.xml", appRules)
	p.load(t, "oss_cors cors.xml {\ndenied_origins 0\n}\nrespond answered")
	p.get(t, fromStranger)
	for name := range p.series(t) {
		if strings.Contains(name, "stranger") {
			t.Error(name)
		}
	}
}

// Candidate rules are evaluated with those in force, counted and logged, and never decide.
func TestShadow(t *testing.T) {
	p := newProxy(t)
	write(t, "cors.xml", appRules)
	write(t, "candidate.xml", document(plainRule, element("AllowedOrigin", "https://new.example.com")+element("AllowedMethod", "GET")))
	log := filepath.Join(t.TempDir(), "log.json")
	p.options = logTo(log)
	name := newName()
	p.load(t, "oss_cors {\nname "+name+"\nrules file cors.xml {\nrefresh 10ms\n}\nshadow candidate.xml\n}\nrespond answered")
	changes := func(kind, live, shadow string) string {
		return fmt.Sprintf("shadow_changes_total{kind=%q,live=%q,ruleset=%q,shadow=%q}", kind, live, name, shadow)
	}
	if n, ok := p.series(t)[changes("actual", "denied", "allowed")]; !ok || n != 0 {
		t.Error("the series do not stand at 0 from the start")
	}

	p.get(t, fromApp).expect(t, 200, appGranted...)
	p.get(t, "Origin: https://new.example.com").expect(t, 200)
	p.preflight(t, fromApp, acrm+"PUT").expect(t, 200, allowedPreflight("https://app.example.com", "")...)
	p.get(t, "Origin: https://plain.example.com") // both allow it
	p.get(t, fromStranger)                        // both deny it
	p.get(t)
	p.get(t, fromApp, "Sec-Fetch-Mode: navigate") // needs no CORS: nothing would change
	expectCounters(t, p, series{
		hits(name, "app", "actual"):               2,
		hits(name, "app", "preflight"):            1,
		hits(name, "2", "actual"):                 1,
		denials(name, "actual", "origin"):         2,
		changes("actual", "allowed", "denied"):    1,
		changes("actual", "denied", "allowed"):    1,
		changes("preflight", "allowed", "denied"): 1,
	})
	lines := readLog(t, log, "would change")
	if len(lines) != 2 || !strings.Contains(lines[0], `"live":{"outcome":"allowed","rule":"app"},"shadow":{"outcome":"denied","reason":"origin"`) {
		t.Errorf("the log says %q", lines)
	}

	write(t, "candidate.xml", appRules)
	eventually(t, func() bool { return len(readLog(t, log, `"document":"candidate.xml","rules"`)) == 2 })
	p.get(t, fromApp)
	if n := p.series(t)[changes("actual", "allowed", "denied")]; n != 1 {
		t.Errorf("%v changes; the candidate was to be read again", n)
	}
	write(t, "candidate.xml", "bad")
	eventually(t, func() bool { return len(readLog(t, log, "the last good ones stay in force")) == 1 })
	if p.series(t)[of("rules_last_load_successful", name)] != 1 {
		t.Error("a bad candidate shows as a fault of the rules in force")
	}
}

func TestShadowIsRefused(t *testing.T) {
	for _, test := range []struct{ desc, site, want string }{
		{"a missing candidate", "oss_cors cors.xml {\nshadow nothing.xml\n}", "nothing.xml"},
		{"a bad candidate", "oss_cors cors.xml {\nshadow bad.xml\n}", "bad.xml:1:1"},
		{"next to many documents", "oss_cors {\nrules directory .\nbucket path\nshadow cors.xml\n}", "shadow cors.xml: candidate rules are for a source of one document, such as rules file, and rules directory has many"},
		{"without a file", "oss_cors cors.xml {\nshadow\n}", "shadow takes exactly one argument"},
	} {
		p := newProxy(t)
		write(t, "cors.xml", appRules)
		write(t, "bad.xml", "bad")
		if err := p.tryLoad(t, test.site); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", test.desc, err)
		}
	}
}

// A response that a cache may give to another origin is counted, and logged once. It names an
// origin, or it has no Access-Control-Allow-Origin though rules allow other origins: after an
// <img>, whose request has no Origin, a cache gives that response to a fetch.
func TestCacheUnsafeResponses(t *testing.T) {
	p := newProxy(t)
	write(t, "cors.xml", appRules)
	write(t, "vary.xml", withVary(appRules))
	write(t, "open.xml", openRules)
	log := filepath.Join(t.TempDir(), "log.json")
	p.options = logTo(log)
	const site = "oss_cors %s\nheader Cache-Control {query.cc}\nheader Vary {query.vary}\nrespond `` {query.status}"
	p.load(t, fmt.Sprintf(site, "cors.xml"), fmt.Sprintf(site, "vary.xml"), fmt.Sprintf(site, "open.xml"))
	for _, test := range []struct {
		desc, request, query string
		origin               string
		site                 int
		unsafe               bool
	}{
		{desc: "max-age", query: "cc=max-age=60&status=200", unsafe: true},
		{desc: "s-maxage", query: "cc=s-maxage=60&status=200", unsafe: true},
		{desc: "public", query: "cc=public&status=200", unsafe: true},
		{desc: "among others, in upper case", query: "cc=immutable,+Max-Age=60&status=200", unsafe: true},
		{desc: "an error that caches keep", query: "cc=public&status=404", unsafe: true},
		{desc: "a redirect with a lifetime", query: "cc=max-age=60&status=302", unsafe: true},
		{desc: "a redirect without one", query: "cc=public&status=302"},
		{desc: "a server's error with a lifetime", query: "cc=max-age=60&status=502"},
		{desc: "HEAD", request: "HEAD", query: "cc=public&status=200"}, // not in the rules
		{desc: "an error that they do not", query: "cc=public&status=500"},
		{desc: "no Cache-Control", query: "status=200"},
		{desc: "no-store", query: "cc=max-age=60,no-store&status=200"},
		{desc: "private", query: "cc=private,max-age=60&status=200"},
		{desc: "no-cache", query: "cc=public,no-cache,max-age=60&status=200"},
		{desc: "public, with a lifetime of 0", query: "cc=public,+max-age=0&status=200"},
		{desc: "a lifetime of 0", query: "cc=max-age=00,must-revalidate&status=200"},
		{desc: "a lifetime of 0 in browsers alone", query: "cc=max-age=0,s-maxage=60&status=200", unsafe: true},
		{desc: "a lifetime of 0, and use beyond it", query: "cc=max-age=0,stale-while-revalidate=60&status=200", unsafe: true},
		{desc: "Vary is the origin server's own", query: "cc=public&status=200&vary=Accept,origin"},
		{desc: "Vary: *", query: "cc=public&status=200&vary=*"},
		{desc: "another method", request: "PUT", query: "cc=public&status=200"},
		{desc: "no origin", query: "cc=public&status=200", origin: "X-None: 1", unsafe: true},
		{desc: "no origin, and no rule has the method", request: "HEAD", query: "cc=public&status=200", origin: "X-None: 1"},
		{desc: "no origin, and Vary is the origin server's own", query: "cc=public&status=200&vary=Origin", origin: "X-None: 1"},
		{desc: "a denied origin", query: "cc=public&status=200", origin: fromStranger, unsafe: true},
		{desc: "ResponseVary", query: "cc=public&status=200", site: 1},
		{desc: "ResponseVary, and no origin", query: "cc=public&status=200", origin: "X-None: 1", site: 1},
		{desc: "a lone *", query: "cc=public&status=200", site: 2},
		{desc: "a lone *, and no origin", query: "cc=public&status=200", origin: "X-None: 1", site: 2, unsafe: true},
	} {
		ruleset := []string{"cors.xml", "vary.xml", "open.xml"}[test.site]
		before := p.series(t)[of("cache_unsafe_responses_total", ruleset)]
		request, origin := test.request, test.origin
		if request == "" {
			request = "GET"
		}
		if origin == "" {
			origin = fromApp
		}
		askAt(t, p.addrs[test.site], request+" /key?"+test.query+" HTTP/1.1", origin, "Content-Length: 0")
		if got := p.series(t)[of("cache_unsafe_responses_total", ruleset)] > before; got != test.unsafe {
			t.Errorf("%s: counted as unsafe: %t", test.desc, got)
		}
	}
	if lines := readLog(t, log, "a cache may give this response to another origin"); len(lines) != 2 || // of cors.xml and open.xml
		!strings.Contains(lines[0], "response_vary") || !strings.Contains(lines[0], `"path":"/key"`) || strings.Contains(lines[0], "cc=") {
		t.Errorf("the log says %q", lines)
	}
}
