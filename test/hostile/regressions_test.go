package hostile

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/harness"
)

// rulesFor is a document with one rule, which allows GET, PUT and any header to origins.
func rulesFor(vary bool, origins ...string) string {
	var b strings.Builder
	b.WriteString("<CORSConfiguration><CORSRule>")
	for _, origin := range origins {
		b.WriteString("<AllowedOrigin>" + origin + "</AllowedOrigin>")
	}
	fmt.Fprintf(&b, "<AllowedMethod>GET</AllowedMethod><AllowedMethod>PUT</AllowedMethod><AllowedHeader>*</AllowedHeader>"+
		"<ExposeHeader>ETag</ExposeHeader></CORSRule><ResponseVary>%t</ResponseVary></CORSConfiguration>", vary)
	return b.String()
}

// expectOrigins starts a Caddy with a rule for allowed. Preflights and actual requests must be
// allowed for origins that the rule's author meant, and denied for origins that an attacker
// can register.
func expectOrigins(t *testing.T, allowed, good, evil []string) {
	t.Helper()
	tb := harness.StartTestbed(t, harness.TestbedConfig{Rules: rulesFor(false, allowed...)})
	ask := func(origin, want string) {
		t.Helper()
		p := tb.Exchange(t, "OPTIONS", "/k.txt", "Origin: "+origin, forGet)
		a := tb.Exchange(t, "GET", "/k.txt", "Origin: "+origin)
		for kind, answer := range map[string]harness.RawResponse{"preflight": p, "actual": a} {
			if got := answer.Header.Get("Access-Control-Allow-Origin"); got != want {
				t.Errorf("%s from %s: Access-Control-Allow-Origin is %q; want %q", kind, origin, got, want)
			}
			if granted := harness.AccessControl(answer.Header); want == "" && len(granted) > 0 {
				t.Errorf("%s from %s is denied with %q", kind, origin, granted)
			}
		}
	}
	for _, origin := range good {
		ask(origin, origin)
	}
	for _, origin := range evil {
		ask(origin, "")
	}
}

// CVE-2024-27302: go-zero compared with strings.HasSuffix, so that notexample.com matched
// example.com. Here an origin without * is compared as a whole.
func TestCVE_2024_27302_suffix(t *testing.T) {
	expectOrigins(t, []string{"https://example.com", "example.org"},
		[]string{"https://example.com", "example.org"},
		[]string{"https://notexample.com", "https://evil.net/https://example.com", "xhttps://example.com", "https://example.org", "notexample.org"})
}

// CVE-2023-28109: Play With Docker allowed any host that ends in its own name, without a dot
// before it. Here the text around the * is compared byte by byte, with its dot.
func TestCVE_2023_28109_suffixWithoutDot(t *testing.T) {
	expectOrigins(t, []string{"https://*.play.example.com"},
		[]string{"https://a.play.example.com", "https://a.b.play.example.com"},
		[]string{"https://evil-play.example.com", "https://evilplay.example.com", "https://play.example.com", "https://a.play.example.com.evil.net"})
}

// CVE-2019-25211: gin-contrib/cors dropped a byte before a * at the end, so that
// http://localhost:* also allowed http://localhost.example.com. Here the whole prefix counts.
func TestCVE_2019_25211_trailingWildcard(t *testing.T) {
	expectOrigins(t, []string{"http://localhost:*", "https://example.com:*"},
		[]string{"http://localhost:3000", "https://example.com:8443"},
		[]string{"http://localhost", "http://localhost.example.com", "http://localhost.example.com:80", "https://example.community", "https://example.com.evil.net", "https://example.co:1"})
}

// GHSA-vhxv-fg4m-p2w8: jub0bs/cors kept its origins in a tree in which two with a common end
// also allowed their combination https://barfoo.com. Here exact origins are keys of a map.
func TestGHSA_vhxv_fg4m_p2w8_commonSuffix(t *testing.T) {
	expectOrigins(t, []string{"https://foo.com", "https://bar.com", "https://*.oo.com"},
		[]string{"https://foo.com", "https://bar.com", "https://x.oo.com"},
		[]string{"https://barfoo.com", "https://foobar.com", "https://foo.combar.com", "https://oo.com", "https://boo.com"})
}

// CVE-2022-1996: go-restful used the configured domains as regular expressions without
// anchors. Here there are no regular expressions.
func TestCVE_2022_1996_unanchored(t *testing.T) {
	expectOrigins(t, []string{"https://api.example.com"},
		[]string{"https://api.example.com", "HTTPS://API.example.COM"},
		[]string{"https://api.example.com.evil.net", "https://evil.net?https://api.example.com", "https://apiXexample.com", "https://api.example.com@evil.net", "https://api.example.com:8080", "https://api.example.com/"})
}

// CVE-2026-37737: Sanic-CORS anchored its patterns at the start only; others leave the dots
// unescaped. Here every byte except the * matches itself, and both ends are anchored.
func TestCVE_2026_37737_patterns(t *testing.T) {
	expectOrigins(t, []string{`https://trusted\.com`, "https://(a|b).example.com", "https://*.example.com", "https://ab*bc.example.org", "https://[a-z]+.example.net"},
		[]string{"https://x.example.com", "https://ab-bc.example.org", "https://abbc.example.org"},
		[]string{"https://trusted.com", "https://trusted.com.attacker.io", "https://a.example.net", "https://xexample.com", "https://x.exampleXcom", "https://x.example.com.evil.net", "https://abc.example.org", "https://.example.comx"})
}

// GO-2024-2883: rs/cors split a list of header names at every comma and allocated 120 MB for
// one request. Here Caddy allocates at most a few times the size of a request.
func TestGO_2024_2883_headerListExhaustion(t *testing.T) {
	tb := harness.StartTestbed(t, harness.TestbedConfig{})
	allocated := func() int {
		match := regexp.MustCompile(`# TotalAlloc = (\d+)`).FindStringSubmatch(harness.Get(t, tb.Admin+"/debug/pprof/heap?debug=1"))
		var n int
		if _, err := fmt.Sscan(match[1], &n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	for desc, lines := range map[string][]string{
		"commas":                     {asksFor + strings.Repeat(",", 8*kilobyte)},
		"names and commas":           {asksFor + strings.Repeat("a,", 4*kilobyte)},
		"64 KB of commas":            {asksFor + strings.Repeat(",", 64*kilobyte)},
		"commas on every line":       slices.Repeat([]string{asksFor + strings.Repeat(",", 1000)}, 500),
		"every name, upper-case":     {asksFor + strings.ToUpper(names(128, 63))},
		"names that no rule has":     {asksFor + strings.ReplaceAll(names(128, 63), "x", "y")},
		"a name that is not a token": {asksFor + names(127, 63) + ",@"},
	} {
		t.Run(desc, func(t *testing.T) {
			const n = 100
			text := strings.Repeat(harness.PreflightText(append([]string{fromSub, forGet}, lines...)...), n)
			before := allocated()
			conn := tb.Dial(t)
			go conn.Send(text)
			for range n {
				conn.Receive(t, "OPTIONS")
			}
			if each, size := (allocated()-before)/n, len(text)/n; each > 8*size+300*kilobyte {
				t.Errorf("a preflight of %d bytes had %d allocated", size, each)
			}
		})
	}
}

// A value that a request chooses must not become a list, or a wildcard, in a header that
// browsers read: go-safeweb echoed "GET, DELETE" as Access-Control-Allow-Methods. Here the
// methods are the rule's, and header names are tokens that its AllowedHeaders match.
func TestRequestValuesInLists(t *testing.T) {
	tb := harness.StartTestbed(t, harness.TestbedConfig{})
	for _, lines := range [][]string{
		{fromApp, "Access-Control-Request-Method: GET, DELETE"},
		{fromApp, "Access-Control-Request-Method: *"},
		{fromApp, forGet, asksFor + "*"},
		{fromApp, forGet, asksFor + "content-type, *"},
		{fromApp, forGet, asksFor + "x-*"},
		{"Origin: *", forGet},
		{"Origin: https://*.preview.example.com, *", forGet},
		{"Origin: https://a.preview.example.com https://b.preview.example.com", forGet},
	} {
		if a := tb.Exchange(t, "OPTIONS", "/", lines...); a.StatusCode != 403 || len(harness.AccessControl(a.Header)) > 0 {
			t.Errorf("%q: %s %q", lines, a.Status, harness.AccessControl(a.Header))
		}
	}
	a := tb.Exchange(t, "OPTIONS", "/", fromApp, forPut, asksFor+"x-oss-*")
	if got := a.Header.Get("Access-Control-Allow-Headers"); got != "x-oss-*" { // a name like others: browsers read a lone * only
		t.Errorf("%q", got)
	}
}

// A sandboxed frame sends the origin null, and so does a local file: to allow null is to allow
// everyone. Here null is an ordinary origin: no other pattern except * matches it.
func TestNullOrigin(t *testing.T) {
	expectOrigins(t, []string{"https://app.example.com", "https://*", "http://*.example.com", "nu*ull"},
		[]string{"https://anything.example"},
		[]string{"null", "NULL"})
	expectOrigins(t, []string{"null"}, []string{"null"}, []string{"https://null", "nullx"})
}

// CVE-2024-6221: flask-cors sent Access-Control-Allow-Private-Network: true by default. Here
// it is never sent, and removed from the origin server's responses.
func TestCVE_2024_6221_privateNetwork(t *testing.T) {
	const name = "Access-Control-Allow-Private-Network"
	tb := harness.StartTestbed(t, harness.TestbedConfig{Origin: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set(name, "true")
	})})
	for _, a := range []harness.RawResponse{
		tb.Exchange(t, "OPTIONS", "/", fromApp, forGet, "Access-Control-Request-Private-Network: true"),
		tb.Exchange(t, "GET", "/", fromApp),
		tb.Exchange(t, "GET", "/"),
	} {
		if a.StatusCode != 200 || a.Header.Get(name) != "" {
			t.Errorf("%s %q", a.Status, harness.AccessControl(a.Header))
		}
	}
}
