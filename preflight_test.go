package osscors

import (
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oss-cors/caddy-oss-cors/corsrules"
)

const (
	acrm = "Access-Control-Request-Method: "
	acrh = "Access-Control-Request-Headers: "
)

// allowedPreflight returns what an allowed preflight by the rule app gets.
func allowedPreflight(origin, headers string) []string {
	lines := []string{
		"Allow-Methods: PUT, GET",
		"Allow-Origin: " + origin,
		"Expose-Headers: ETag, x-oss-Test",
		"Max-Age: 600",
	}
	if headers != "" {
		lines = slices.Insert(lines, 0, "Allow-Headers: "+headers)
	}
	return lines
}

func TestAllowedPreflight(t *testing.T) {
	p := newProxy(t)
	write(t, "cors.xml", appRules)
	p.load(t, "oss_cors cors.xml")
	const app = "https://app.example.com"
	for _, test := range []struct {
		desc  string
		lines []string
		want  []string
	}{
		{
			desc:  "no headers asked for",
			lines: []string{fromApp, acrm + "PUT"},
			want:  allowedPreflight(app, ""),
		},
		{
			desc:  "headers are answered in lower case, in the order asked, joined with a comma and a space",
			lines: []string{fromApp, acrm + "GET", acrh + "X-OSS-Date,content-type ,\tX-Oss-Meta-A"},
			want:  allowedPreflight(app, "x-oss-date, content-type, x-oss-meta-a"),
		},
		{ // [picked]
			desc:  "several lines of headers are one list",
			lines: []string{fromApp, acrm + "PUT", acrh + "content-type, x-oss-a", acrh + "x-oss-b"},
			want:  allowedPreflight(app, "content-type, x-oss-a, x-oss-b"),
		},
		{ // [picked]
			desc:  "empty elements are skipped, and a name asked for twice is answered twice",
			lines: []string{fromApp, acrm + "PUT", acrh + ", content-type,,Content-Type,"},
			want:  allowedPreflight(app, "content-type, content-type"),
		},
		{ // [picked]
			desc:  "a list without any name counts as absent",
			lines: []string{"Origin: https://plain.example.com", acrm + "GET", acrh + " , ,", acrh},
			want:  []string{"Allow-Methods: GET", "Allow-Origin: https://plain.example.com"},
		},
		{
			desc:  "a rule without ExposeHeader and MaxAgeSeconds gives neither",
			lines: []string{"Origin: https://plain.example.com", acrm + "GET"},
			want:  []string{"Allow-Methods: GET", "Allow-Origin: https://plain.example.com"},
		},
		{ // [picked]: the comparison ignores case
			desc:  "the origin is echoed byte for byte",
			lines: []string{"Origin: HTTPS://App.Example.COM", acrm + "PUT"},
			want:  allowedPreflight("HTTPS://App.Example.COM", ""),
		},
		{
			desc:  "an origin that matches a wildcard is echoed",
			lines: []string{"Origin: https://a.b.preview.example.com", acrm + "PUT"},
			want:  allowedPreflight("https://a.b.preview.example.com", ""),
		},
		{
			desc:  "empty lines beside the ones with a value count as absent",
			lines: []string{"Origin:", fromApp, acrm, acrm + "PUT"},
			want:  allowedPreflight(app, ""),
		},
		{ // [picked]
			desc:  "as many headers as are looked at",
			lines: []string{fromApp, acrm + "PUT", acrh + strings.Repeat("x-oss-a,", corsrules.MaxRequestHeaders)},
			want:  allowedPreflight(app, strings.TrimSuffix(strings.Repeat("x-oss-a, ", corsrules.MaxRequestHeaders), ", ")),
		},
	} {
		t.Run(test.desc, func(t *testing.T) {
			got := p.preflight(t, test.lines...)
			got.expect(t, 200, test.want...)
			expectOSSHeaders(t, got)
			if got.body != "" || got.Header.Get("Content-Length") != "0" {
				t.Errorf("body %q, Content-Length %q; want an empty body", got.body, got.Header["Content-Length"])
			}
			for _, key := range []string{"Content-Type", "Vary", "X-Oss-Ec"} {
				if values, ok := got.Header[key]; ok {
					t.Errorf("%s is %q; want none", key, values)
				}
			}
		})
	}
}

var requestIDForm = regexp.MustCompile(`^[0-9A-F]{24}$`)

// expectOSSHeaders checks what every answer to a preflight has.
func expectOSSHeaders(t *testing.T, r reply) {
	t.Helper()
	id := r.Header.Get("X-Oss-Request-Id")
	if !requestIDForm.MatchString(id) {
		t.Fatalf("request ID %q", id)
	}
	seconds, err := strconv.ParseInt(id[:8], 16, 64)
	if now := time.Now().Unix(); err != nil || seconds > now || seconds < now-60 {
		t.Errorf("request ID %s begins with second %d; now is %d", id, seconds, now)
	}
	if spent, err := strconv.Atoi(r.Header.Get("X-Oss-Server-Time")); err != nil || spent < 0 || spent > 1000 {
		t.Errorf("X-Oss-Server-Time %q; want the milliseconds spent", r.Header["X-Oss-Server-Time"])
	}
}

func TestPreflightRequestIDsDiffer(t *testing.T) {
	p := newProxy(t)
	write(t, "cors.xml", appRules)
	p.load(t, "oss_cors cors.xml")
	seen := map[string]bool{}
	for range 20 {
		seen[p.preflight(t, fromApp, acrm+"PUT").Header.Get("X-Oss-Request-Id")] = true
	}
	if len(seen) != 20 {
		t.Errorf("20 answers have %d request IDs", len(seen))
	}
}

func TestLoneWildcardPreflight(t *testing.T) {
	p := newProxy(t)
	write(t, "cors.xml", openRules)
	p.load(t, "oss_cors cors.xml")
	for _, test := range []struct {
		desc, origin string
	}{
		{"an origin that the rule names next to its lone wildcard", "https://named.example.com"},
		{"any other origin", "https://stranger.example.net"},
		{"the null origin", "null"},
		{"an origin without a scheme", "www.example.com"},
	} {
		t.Run(test.desc, func(t *testing.T) {
			// [picked]: an explicit 0 gives Max-Age 0
			p.preflight(t, "Origin: "+test.origin, acrm+"GET", acrh+"anything").expect(t, 200,
				"Allow-Headers: anything", "Allow-Methods: GET, HEAD", "Allow-Origin: *", "Max-Age: 0")
		})
	}
}

const (
	notEnabledMessage = "CORSResponse: CORS is not enabled for this bucket."
	notAllowedMessage = "CORSResponse: This CORS request is not allowed. This is usually because the evalution of Origin, request method / Access-Control-Request-Method or Access-Control-Requet-Headers are not whitelisted by the resource's CORS spec."
	noOriginMessage   = "Insufficient information. Origin request header needed."
	noMethodMessage   = "Insufficient information. Request Access-Control-Request-Method header needed."
)

// expectError fails the test unless a response is this error of OSS's, byte for byte.
func (r reply) expectError(t *testing.T, status int, code, message, ec, hostID string) {
	t.Helper()
	r.expect(t, status)
	expectOSSHeaders(t, r)
	want := fmt.Sprintf(`<?xml version="1.0" encoding="UTF-8"?>
<Error>
  <Code>%s</Code>
  <Message>%s</Message>
  <RequestId>%s</RequestId>
  <HostId>%s</HostId>
  <EC>%s</EC>
  <RecommendDoc>https://api.aliyun.com/troubleshoot?q=%s</RecommendDoc>
</Error>
`, code, message, r.Header.Get("X-Oss-Request-Id"), hostID, ec, ec)
	if r.body != want {
		t.Errorf("body:\n%s\nwant:\n%s", r.body, want)
	}
	for key, want := range map[string]string{"Content-Type": "application/xml", "X-Oss-Ec": ec, "Content-Length": strconv.Itoa(len(want))} {
		if got := r.Header[key]; len(got) != 1 || got[0] != want {
			t.Errorf("%s is %q; want %q", key, got, want)
		}
	}
	if vary, ok := r.Header["Vary"]; ok {
		t.Errorf("Vary is %q; want none", vary)
	}
}

// oversizedHeaders are names that the rule app allows, and together one byte too long.
var oversizedHeaders = "x-oss-" + strings.Repeat("a", corsrules.MaxRequestHeaderBytes-len("x-oss-")+1)

func TestDeniedPreflight(t *testing.T) {
	p := newProxy(t)
	write(t, "cors.xml", appRules)
	p.load(t, "oss_cors cors.xml")
	longOrigin := "Origin: https://" + strings.Repeat("a", corsrules.MaxOriginBytes-len("https://.preview.example.com")+1) + ".preview.example.com"
	for _, test := range []struct {
		desc   string
		lines  []string
		reason string
	}{
		{"an origin that no rule has", []string{fromStranger, acrm + "GET"}, "origin"},
		{"a wildcard needs its dot", []string{"Origin: https://preview.example.com", acrm + "GET"}, "origin"},
		{"the null origin", []string{"Origin: null", acrm + "GET"}, "origin"},
		{"a method that the origin's rule does not have", []string{fromApp, acrm + "DELETE"}, "method"},
		{"methods are case-sensitive", []string{fromApp, acrm + "put"}, "method"},
		{"a header that the rule does not have", []string{fromApp, acrm + "PUT", acrh + "content-type,x-foo"}, "header"},
		{"a rule without AllowedHeader allows none", []string{"Origin: https://plain.example.com", acrm + "GET", acrh + "content-type"}, "header"},
		{"two origins", []string{fromApp, fromApp, acrm + "PUT"}, "malformed"},                                                               // [picked]
		{"an origin of more than 512 bytes", []string{longOrigin, acrm + "PUT"}, "malformed"},                                                // [picked]
		{"two methods", []string{fromApp, acrm + "PUT", acrm + "PUT"}, "malformed"},                                                          // [picked]
		{"two methods in a line", []string{fromApp, acrm + "PUT,GET"}, "malformed"},                                                          // [picked]
		{"a header name that is none", []string{fromApp, acrm + "PUT", acrh + "x-oss-a b"}, "malformed"},                                     // [picked]
		{"too many headers", []string{fromApp, acrm + "PUT", acrh + strings.Repeat("x-oss-a,", corsrules.MaxRequestHeaders+1)}, "malformed"}, // [picked]
		{"too long a list of headers", []string{fromApp, acrm + "PUT", acrh + oversizedHeaders}, "malformed"},                                // [picked]
	} {
		t.Run(test.desc, func(t *testing.T) {
			before := p.series(t).counters()
			p.preflight(t, test.lines...).expectError(t, 403, "AccessForbidden", notAllowedMessage, "0003-00000602", "bucket.example.com")
			series := denials("cors.xml", "preflight", test.reason)
			if got := p.series(t).counters()[series] - before[series]; got != 1 {
				t.Errorf("%s grew by %v; want 1", series, got)
			}
		})
	}
}

func TestBrokenPreflight(t *testing.T) {
	p := newProxy(t)
	write(t, "cors.xml", appRules)
	p.load(t, "oss_cors cors.xml")
	for _, test := range []struct {
		desc        string
		lines       []string
		message, ec string
	}{
		{"no origin", []string{acrm + "PUT"}, noOriginMessage, "0034-00000101"},
		{"an empty origin", []string{"Origin:", acrm + "PUT"}, noOriginMessage, "0034-00000101"},
		{"no origin comes before a malformed method", []string{acrm + "PUT,GET"}, noOriginMessage, "0034-00000101"},
		{"no method", []string{fromApp}, noMethodMessage, "0034-00000102"},
		{"an empty method", []string{fromApp, acrm + "\t "}, noMethodMessage, "0034-00000102"},
		{"no method comes before two origins", []string{fromApp, fromStranger}, noMethodMessage, "0034-00000102"},
		{"no method comes before an origin that no rule has", []string{fromStranger}, noMethodMessage, "0034-00000102"},
	} {
		t.Run(test.desc, func(t *testing.T) {
			p.preflight(t, test.lines...).expectError(t, 400, "BadRequest", test.message, test.ec, "bucket.example.com")
		})
	}
}

// With debug_preflights a denial shows what the nearest rule allows, so that the browser names
// what is missing. It is counted and logged as ever.
func TestDebugPreflights(t *testing.T) {
	p := newProxy(t)
	p.miswired = true // the answer is not that of the decision
	write(t, "cors.xml", appRules)
	log := filepath.Join(t.TempDir(), "log.json")
	p.options = logTo(log)
	name := newName()
	p.load(t, "oss_cors cors.xml {\nname "+name+"\nresponse_vary\ndebug_header\ndebug_preflights\n}")
	if lines := readLog(t, log, "debug_preflights is on"); len(lines) != 1 || !strings.Contains(lines[0], `"level":"warn"`) {
		t.Errorf("the log says %q", lines)
	}
	const app = "https://app.example.com"
	for _, test := range []struct {
		desc   string
		lines  []string
		status int
		want   []string
		reason string
	}{
		{"a header", []string{fromApp, acrm + "PUT", acrh + "x-foo,content-type"}, 200, allowedPreflight(app, "content-type"), "header"},
		{"a method", []string{fromApp, acrm + "DELETE"}, 200, allowedPreflight(app, ""), "method"},
		{"a method that browsers do not look for", []string{fromApp, acrm + "POST", acrh + "content-type"}, 403, nil, "method"},
		{"an origin", []string{fromStranger, acrm + "PUT"}, 403, nil, "origin"},
		{"a broken preflight", []string{fromApp, acrm + "PUT,GET"}, 403, nil, "malformed"},
	} {
		t.Run(test.desc, func(t *testing.T) {
			want := p.series(t).counters()
			want[denials(name, "preflight", test.reason)]++
			got := p.preflight(t, test.lines...)
			got.expect(t, test.status, test.want...)
			if vary := got.Header.Get("Vary"); vary != "Origin" {
				t.Errorf("Vary is %q", vary)
			}
			if decision := got.Header.Get(debugHeader); !strings.HasPrefix(decision, "denied; reason="+test.reason) {
				t.Errorf("the debug header says %q", decision)
			}
			expectCounters(t, p, want)
			if lines := readLog(t, log, `"reason":"`+test.reason+`"`); len(lines) == 0 {
				t.Error("the denial is not logged")
			}
		})
	}
}

// Only a bucket can have no rules; a rules file must have some.
func TestPreflightWithoutRules(t *testing.T) {
	p := newProxy(t)
	mkdir(t, "rules")
	p.load(t, "oss_cors {\nrules directory rules\nbucket path\n}")
	for _, test := range []struct {
		desc   string
		lines  []string
		expect func(t *testing.T, r reply)
	}{
		{"a whole preflight", []string{fromApp, acrm + "PUT"}, func(t *testing.T, r reply) {
			r.expectError(t, 403, "AccessForbidden", notEnabledMessage, "0003-00000601", "bucket.example.com")
		}},
		{"not enabled comes before malformed", []string{fromApp, fromApp, acrm + "PUT,GET"}, func(t *testing.T, r reply) {
			r.expectError(t, 403, "AccessForbidden", notEnabledMessage, "0003-00000601", "bucket.example.com")
		}},
		{"a missing origin comes before not enabled", []string{acrm + "PUT"}, func(t *testing.T, r reply) {
			r.expectError(t, 400, "BadRequest", noOriginMessage, "0034-00000101", "bucket.example.com")
		}},
		{"not enabled comes before a missing method", []string{fromApp}, func(t *testing.T, r reply) { // [picked]
			r.expectError(t, 403, "AccessForbidden", notEnabledMessage, "0003-00000601", "bucket.example.com")
		}},
	} {
		t.Run(test.desc, func(t *testing.T) {
			test.expect(t, p.ask(t, "OPTIONS /bucket/key HTTP/1.1", test.lines...))
		})
	}
}

// Where rules cannot be read there is no EC to tell.
func TestPreflightWhileRulesAreUnreachable(t *testing.T) {
	p := newProxy(t)
	p.load(t, "oss_cors {\nrules directory missing\nbucket path\n}")
	got := p.ask(t, "OPTIONS /bucket/key HTTP/1.1", fromApp, acrm+"PUT")
	got.expect(t, 503)
	expectOSSHeaders(t, got)
	if ec, ok := got.Header["X-Oss-Ec"]; ok {
		t.Errorf("x-oss-ec is %q; want none, for there is no EC", ec)
	}
}

func TestHostID(t *testing.T) {
	p := newProxy(t)
	write(t, "cors.xml", appRules)
	p.load(t, "oss_cors cors.xml")
	for _, test := range []struct {
		desc, requestLine, host, want string
	}{
		{"the request's Host", "OPTIONS /k HTTP/1.1", "Other.example:8080", "Other.example:8080"},
		{"an address", "OPTIONS /k HTTP/1.1", "[::1]:80", "[::1]:80"},
		{"& is escaped, ' is not", "OPTIONS /k HTTP/1.1", "a&b'c", "a&amp;b'c"},
		{"an absolute target's host", "OPTIONS http://target.example/k HTTP/1.1", "other.example", "target.example"},
		{"HTTP/1.0 without a host", "OPTIONS /k HTTP/1.0", "", ""},
	} {
		t.Run(test.desc, func(t *testing.T) {
			p.ask(t, test.requestLine, "Host: "+test.host, fromStranger, acrm+"GET").
				expectError(t, 403, "AccessForbidden", notAllowedMessage, "0003-00000602", test.want)
		})
	}
}

func TestPreflightVary(t *testing.T) {
	p := newProxy(t)
	write(t, "vary.xml", withVary(appRules))
	write(t, "cors.xml", appRules)
	p.load(t, "oss_cors vary.xml", "oss_cors cors.xml {\nresponse_vary\n}", "oss_cors cors.xml")
	for _, test := range []struct {
		desc string
		site int
		want []string
	}{
		{"ResponseVary in the rules", 0, []string{"Origin"}},
		{"response_vary in the Caddyfile", 1, []string{"Origin"}},
		{"neither", 2, nil},
	} {
		for _, lines := range [][]string{{fromApp, acrm + "PUT"}, {fromStranger, acrm + "PUT"}, {fromApp}, {acrm + "PUT"}} {
			t.Run(fmt.Sprint(test.desc, lines), func(t *testing.T) {
				got := askAt(t, p.addrs[test.site], "OPTIONS /k HTTP/1.1", lines...)
				if vary := got.Header["Vary"]; !slices.Equal(vary, test.want) {
					t.Errorf("Vary is %q; want %q", vary, test.want)
				}
			})
		}
	}
}

// A preflight is answered here whatever the site does with other requests.
func TestPreflightGoesFirst(t *testing.T) {
	p := newProxy(t)
	write(t, "cors.xml", appRules)
	forwarded := upstream(t, func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("%s %s reached the origin server", r.Method, r.URL)
	})
	for _, test := range []struct {
		desc, site string
	}{
		{"basic_auth", "basic_auth {\nbob $2a$04$zKPjXFmG7zLQcnaMF9A0y.LuYkCDRZ5b7ICDhwR7xSiVPBtsRcCG2\n}"},
		{"forward_auth", "forward_auth " + forwarded + " {\nuri /auth\n}"},
		{"redir", "redir https://elsewhere.example"},
		{"request_body", "request_body {\nmax_size 1\n}"},
		{"method", "method GET"},
		{"rewrite", "rewrite /other"},
		{"header", "header >Access-Control-Allow-Origin *"},
		{"respond", "respond no 418"},
		{"error", "error no 500"},
		{"abort", "abort"},
		{"reverse_proxy", "reverse_proxy " + forwarded},
		{"handle", "handle {\nrespond no 418\n}"},
		{"route", "route {\nrespond no 418\n}"},
	} {
		t.Run(test.desc, func(t *testing.T) {
			p.load(t, test.site+"\noss_cors cors.xml")
			p.preflight(t, fromApp, acrm+"PUT").expect(t, 200, allowedPreflight("https://app.example.com", "")...)
			p.preflight(t, fromStranger, acrm+"PUT").expectError(t, 403, "AccessForbidden", notAllowedMessage, "0003-00000602", "bucket.example.com")
		})
	}
}

func TestPreflightOfAnyTarget(t *testing.T) {
	p := newProxy(t)
	write(t, "cors.xml", appRules)
	p.load(t, "oss_cors cors.xml\nfile_server")
	for _, target := range []string{"/", "/no/such/key", "/dir%2Fkey", "/?acl&x-oss-process=image/resize", "/../..//a", "/%ff", "http://b.example/k"} {
		t.Run(target, func(t *testing.T) {
			p.ask(t, "OPTIONS "+target+" HTTP/1.1", fromApp, acrm+"PUT").expect(t, 200, allowedPreflight("https://app.example.com", "")...)
		})
	}
}

// A body is not looked at, nor in the way of the connection's next request.
func TestPreflightWithBody(t *testing.T) {
	p := newProxy(t)
	write(t, "cors.xml", appRules)
	p.load(t, "oss_cors cors.xml")
	c := dial(t, p.addrs[0])
	for range 2 {
		c.send("OPTIONS /k HTTP/1.1", fromApp, acrm+"PUT", "Authorization: OSS id:signature", "Content-Length: 4")
		_, _ = io.WriteString(c, "body")
		c.receive(t, "OPTIONS").expect(t, 200, allowedPreflight("https://app.example.com", "")...)
	}
}

// What handlers in front of ours say of a body that is not sent, or of CORS, is gone.
func TestPreflightAfterOtherHandlers(t *testing.T) {
	p := newProxy(t)
	write(t, "cors.xml", appRules)
	p.load(t, `route {
		header {
			Content-Type text/html
			Content-Encoding gzip
			ETag "1"
			Last-Modified "Thu, 01 Jan 1970 00:00:00 GMT"
			Access-Control-Allow-Credentials true
			Access-Control-Allow-Private-Network true
			Strict-Transport-Security max-age=1
		}
		oss_cors cors.xml
	}`)
	allowed := p.preflight(t, fromApp, acrm+"PUT")
	allowed.expect(t, 200, allowedPreflight("https://app.example.com", "")...)
	for _, key := range []string{"Content-Type", "Content-Encoding", "Etag", "Last-Modified"} {
		if values, ok := allowed.Header[key]; ok {
			t.Errorf("%s is %q; want none", key, values)
		}
	}
	if allowed.Header.Get("Strict-Transport-Security") == "" {
		t.Error("a header about neither body nor CORS is gone")
	}
	p.preflight(t, fromStranger, acrm+"PUT").expectError(t, 403, "AccessForbidden", notAllowedMessage, "0003-00000602", "bucket.example.com")
}

// [picked]: OSS itself answers 400 to an OPTIONS request that is not a preflight.
func TestOtherOPTIONSRequestsGoOn(t *testing.T) {
	p := newProxy(t)
	write(t, "cors.xml", appRules)
	origin := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Allow", "GET, PROPFIND")
		w.Header().Set("Access-Control-Allow-Origin", "*")
		w.WriteHeader(http.StatusNoContent)
	})
	p.load(t, "oss_cors cors.xml\nreverse_proxy "+origin)
	for _, test := range []struct {
		desc  string
		lines []string
	}{
		{"no CORS header", nil},
		{"lines without a value", []string{"Origin:", "Origin: \t", acrm}},
		{"headers asked for alone", []string{acrh + "content-type"}},
		{"a fetch by a script of the same site", []string{"Sec-Fetch-Mode: cors"}},
		{"from the request's own host", []string{"Origin: https://bucket.example.com", "Sec-Fetch-Mode: cors"}},
		{"from the same origin behind a proxy that rewrites Host", []string{fromApp, "Sec-Fetch-Site: same-origin"}},
	} {
		t.Run(test.desc, func(t *testing.T) {
			got := p.preflight(t, test.lines...)
			got.expect(t, 204)
			if got.Header.Get("Allow") != "GET, PROPFIND" {
				t.Errorf("not the origin server's answer: %v", got.Header)
			}
		})
	}
	for name := range p.series(t).counters() {
		if !strings.HasPrefix(name, "upstream_headers_removed_total") {
			t.Errorf("%s counts what is not a CORS request", name)
		}
	}
}

// Go's server answers OPTIONS * before any handler runs.
func TestOPTIONSOfTheServer(t *testing.T) {
	p := newProxy(t)
	write(t, "cors.xml", appRules)
	p.load(t, "oss_cors cors.xml")
	got := p.ask(t, "OPTIONS * HTTP/1.1", fromApp, acrm+"PUT")
	got.expect(t, 200)
	if got.Header.Get("X-Oss-Request-Id") != "" {
		t.Errorf("the answer is ours: %v", got.Header)
	}
	expectCounters(t, p, series{})
}
