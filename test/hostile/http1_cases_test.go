package hostile

import (
	"slices"
	"strings"

	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/harness"
)

// hostile is a request that no honest client sends, in HTTP/1.
type hostile struct {
	desc    string
	request string
	status  int
	allow   string   // Access-Control-Allow-Headers of an answer that allows
	counts  []string // what grows by 1
	closes  bool     // the connection ends with the answer
	origin  string   // what the origin server sees, if anything
}

const (
	malform = "denied preflight malformed"
	hitsSub = "rule_hits preflight preview"
)

// The bounds are those of corsrules: MaxRequestHeaderBytes (8 KiB), MaxRequestHeaders
// (128) and MaxOriginBytes (512). [picked] (docs/oss-behaviour.md, section 2).
var hostileHeaderLists = []hostile{
	{desc: "64 KB of names",
		request: harness.PreflightText(fromApp, forGet, asksFor+names(64, kilobyte)), status: 403, counts: []string{malform}},
	{desc: "64 KB, one name",
		request: harness.PreflightText(fromSub, forGet, asksFor+strings.Repeat("x", 64*kilobyte)), status: 403, counts: []string{malform}},
	{desc: "64 KB over many lines",
		request: harness.PreflightText(append([]string{fromSub, forGet}, slices.Repeat([]string{asksFor + "x-a"}, 64*kilobyte/3)...)...), status: 403, counts: []string{malform}},
	{desc: "more than the server reads",
		request: harness.PreflightText(fromApp, forGet, asksFor+strings.Repeat("x", 2<<20)), status: 431, closes: true},
	{desc: "ten thousand commas",
		request: harness.PreflightText(fromApp, forGet, asksFor+strings.Repeat(",", 10_000)), status: 403, counts: []string{malform}},
	{desc: "ten thousand commas on ten thousand lines",
		request: harness.PreflightText(append([]string{fromApp, forGet}, slices.Repeat([]string{asksFor + ","}, 10_000)...)...), status: 403, counts: []string{malform}},
	{desc: "as many commas as are read",
		request: harness.PreflightText(fromApp, forGet, asksFor+strings.Repeat(",", 8*kilobyte)), status: 200, counts: []string{hitsApp}},
	{desc: "commas and spaces around one name",
		request: harness.PreflightText(fromApp, forGet, asksFor+strings.Repeat(" ,\t", 1000)+"content-type"+strings.Repeat(", ", 1000)), status: 200,
		allow: "content-type", counts: []string{hitsApp}},
	{desc: "8 KiB exactly",
		request: harness.PreflightText(fromSub, forGet, asksFor+names(1, 8*kilobyte)), status: 200, allow: names(1, 8*kilobyte), counts: []string{hitsSub}},
	{desc: "8 KiB and 1",
		request: harness.PreflightText(fromSub, forGet, asksFor+names(1, 8*kilobyte+1)), status: 403, counts: []string{malform}},
	{desc: "8 KiB and 1 over two lines",
		request: harness.PreflightText(fromSub, forGet, asksFor+names(1, 8*kilobyte), asksFor+"y"), status: 403, counts: []string{malform}},
	{desc: "128 names",
		request: harness.PreflightText(fromSub, forGet, asksFor+names(128, 8)), status: 200,
		allow: strings.ReplaceAll(names(128, 8), ",", ", "), counts: []string{hitsSub}},
	{desc: "129 names",
		request: harness.PreflightText(fromSub, forGet, asksFor+names(129, 8)), status: 403, counts: []string{malform}},
	{desc: "129 times the same name",
		request: harness.PreflightText(fromSub, forGet, asksFor+strings.Repeat("a,", 129)), status: 403, counts: []string{malform}},
	{desc: "repeated lines are one list",
		request: harness.PreflightText(fromApp, forGet, asksFor+"content-type", asksFor, asksFor+"x-oss-a,x-oss-b"), status: 200,
		allow: "content-type, x-oss-a, x-oss-b", counts: []string{hitsApp}},
	{desc: "a repeated line smuggles nothing",
		request: harness.PreflightText(fromApp, forGet, asksFor+"content-type", asksFor+"authorization"), status: 403, counts: []string{"denied preflight header"}},
}

// Names in a list of headers that are not tokens (RFC 9110, section 5.6.2). The rule preview
// allows any name.
var noTokens = []string{
	"x y", "x\ty", "x:y", `"x"`, "x/y", "(x)", "{x}", "[x]", "x=y", "x;y", "x@y", "x?", "<x>", `x\y`,
	"x-caf\xc3\xa9", "\xff", "\xe2\x80\x8b", "x\u2028y", "%78, y z",
}

var hostileOrigins = []hostile{
	{desc: "two Origin lines, both allowed",
		request: harness.PreflightText(fromApp, fromSub, forGet), status: 403, counts: []string{malform}},
	{desc: "the same Origin twice",
		request: harness.PreflightText(fromApp, fromApp, forGet), status: 403, counts: []string{malform}},
	{desc: "ten thousand Origin lines",
		request: harness.PreflightText(append(slices.Repeat([]string{fromApp}, 10_000), forGet)...), status: 403, counts: []string{malform}},
	{desc: "a line without a value counts as absent",
		request: harness.PreflightText("Origin:", fromApp, "Origin: \t ", forGet), status: 200, counts: []string{hitsApp}},
	{desc: "two origins in one line",
		request: harness.PreflightText(fromApp+" https://evil.example", forGet), status: 403, counts: []string{malform}},
	{desc: "folded after the origin",
		request: harness.PreflightText(fromApp+"\r\n .evil.example", forGet), status: 403, counts: []string{malform}},
	{desc: "folded within the origin",
		request: harness.PreflightText("Origin: https://\r\n\tapp.example.com", forGet), status: 403, counts: []string{malform}},
	{desc: "512 bytes",
		request: harness.PreflightText("Origin: https://"+strings.Repeat("x", 512-len("https://.preview.example.com"))+".preview.example.com", forGet), status: 200, counts: []string{hitsSub}},
	{desc: "513 bytes",
		request: harness.PreflightText("Origin: https://"+strings.Repeat("x", 513-len("https://.preview.example.com"))+".preview.example.com", forGet), status: 403, counts: []string{malform}},
	{desc: "64 KB",
		request: harness.PreflightText("Origin: https://"+strings.Repeat("x", 64*kilobyte)+".preview.example.com", forGet), status: 403, counts: []string{malform}},
	{desc: "a tab",
		request: harness.PreflightText("Origin: https://x\t.preview.example.com", forGet), status: 403, counts: []string{malform}},
	{desc: "UTF-8",
		request: harness.PreflightText("Origin: https://caf\u00e9.preview.example.com", forGet), status: 403, counts: []string{malform}},
	{desc: "no UTF-8",
		request: harness.PreflightText("Origin: https://\xff\xfe.preview.example.com", forGet), status: 403, counts: []string{malform}},
	{desc: "none",
		request: harness.PreflightText(forGet), status: 400, counts: []string{"denied preflight missing_origin"}},
	{desc: "blanks only",
		request: harness.PreflightText("Origin:  \t ", forGet), status: 400, counts: []string{"denied preflight missing_origin"}},
}

var hostileMethods = []hostile{
	{desc: "two lines",
		request: harness.PreflightText(fromApp, forGet, forPut), status: 403, counts: []string{malform}},
	{desc: "the same twice",
		request: harness.PreflightText(fromApp, forGet, forGet), status: 403, counts: []string{malform}},
	{desc: "a list",
		request: harness.PreflightText(fromApp, forGet+", PUT"), status: 403, counts: []string{malform}},
	{desc: "a comma alone",
		request: harness.PreflightText(fromApp, "Access-Control-Request-Method: ,"), status: 403, counts: []string{malform}},
	{desc: "lower case",
		request: harness.PreflightText(fromApp, "Access-Control-Request-Method: put"), status: 403, counts: []string{"denied preflight method"}},
	{desc: "64 KB",
		request: harness.PreflightText(fromApp, "Access-Control-Request-Method: "+strings.Repeat("P", 64*kilobyte)), status: 403, counts: []string{"denied preflight method"}},
	{desc: "no token",
		request: harness.PreflightText(fromApp, "Access-Control-Request-Method: G\xffT <>"), status: 403, counts: []string{"denied preflight method"}},
	{desc: "none",
		request: harness.PreflightText(fromApp, asksFor+"content-type"), status: 400, counts: []string{"denied preflight missing_method"}},
	{desc: "blanks only",
		request: harness.PreflightText(fromApp, "Access-Control-Request-Method: \t"), status: 400, counts: []string{"denied preflight missing_method"}},

	// Some frameworks read another method from these. Caddy does not.
	{desc: "X-HTTP-Method-Override on a preflight",
		request: harness.PreflightText(fromApp, forGet, "X-HTTP-Method-Override: GET", "X-HTTP-Method: GET", "X-Method-Override: GET"), status: 200, counts: []string{hitsApp}},
	{desc: "X-HTTP-Method-Override makes no preflight",
		request: harness.RequestText("GET /k.txt?_method=OPTIONS HTTP/1.1", "Host: bucket.example", fromApp, forPut, "X-HTTP-Method-Override: OPTIONS"), status: 200,
		counts: []string{"rule_hits actual app"}, origin: "GET /k.txt?_method=OPTIONS"},
	{desc: "X-HTTP-Method-Override allows no method",
		request: harness.RequestText("DELETE /k.txt HTTP/1.1", "Host: bucket.example", fromApp, "X-HTTP-Method-Override: GET"), status: 200,
		counts: []string{"denied actual method"}, origin: "DELETE /k.txt"},
	{desc: "OPTIONS in lower case is another method",
		request: harness.RequestText("options /k.txt HTTP/1.1", "Host: bucket.example", fromApp, forGet), status: 200,
		counts: []string{"denied actual method"}, origin: "options /k.txt"},
}

var hostileMessages = []hostile{
	{desc: "NUL in a value", request: harness.PreflightText("Origin: https://app.example.com\x00", forGet), status: 400, closes: true},
	{desc: "ESC in a value", request: harness.PreflightText("Origin: \x1b[31mhttps://app.example.com", forGet), status: 400, closes: true},
	{desc: "DEL in a value", request: harness.PreflightText("Origin: https://app.example.com\x7f", forGet), status: 400, closes: true},
	{desc: "CR in a value", request: harness.PreflightText("Origin: https://app.example.com\rX: y", forGet), status: 400, closes: true},
	{desc: "NUL in the list", request: harness.PreflightText(fromApp, forGet, asksFor+"content-type\x00"), status: 400, closes: true},
	{desc: "NUL in a name", request: harness.PreflightText("Ori\x00gin: https://app.example.com", forGet), status: 400, closes: true},
	{desc: "a blank before the colon", request: harness.PreflightText("Origin : https://app.example.com", forGet), status: 400, closes: true},
	{desc: "a name that is not a token", request: harness.PreflightText("Ori(gin): https://app.example.com", forGet), status: 400, closes: true},
	{desc: "no name", request: harness.PreflightText(": https://app.example.com", forGet), status: 400, closes: true},
	{desc: "no colon", request: harness.PreflightText("Origin", forGet), status: 400, closes: true},
	{desc: "the first line is folded", request: harness.RequestText("OPTIONS / HTTP/1.1", " Origin: https://app.example.com", "Host: x"), status: 400, closes: true},
	{desc: "no Host", request: harness.RequestText("OPTIONS / HTTP/1.1", fromApp, forGet), status: 400, closes: true},
	{desc: "two Hosts", request: harness.PreflightText("Host: other.example", fromApp, forGet), status: 400, closes: true},
	{desc: "a Host that is none", request: harness.RequestText("OPTIONS / HTTP/1.1", "Host: <a b>", fromApp, forGet), status: 400, closes: true},
	{desc: "a method that is not a token", request: harness.RequestText("OPT(IONS / HTTP/1.1", "Host: x", fromApp, forGet), status: 400, closes: true},
	{desc: "no version", request: harness.RequestText("OPTIONS /", "Host: x", fromApp, forGet), status: 400, closes: true},
	{desc: "a version of the future", request: harness.RequestText("OPTIONS / HTTP/4.2", "Host: x", fromApp, forGet), status: 505, closes: true},
	{desc: "a control byte in the target", request: harness.RequestText("OPTIONS /\x01 HTTP/1.1", "Host: x", fromApp, forGet), status: 400, closes: true},

	// These are complete preflights, but unusual ones.
	{desc: "absolute-form", status: 200, counts: []string{hitsApp},
		request: harness.RequestText("OPTIONS http://other.example/k.txt HTTP/1.1", "Host: bucket.example", fromApp, forGet)},
	{desc: "absolute-form of another scheme", status: 200, counts: []string{hitsApp},
		request: harness.RequestText("OPTIONS ftp://user:pass@other.example:1/k.txt HTTP/1.1", "Host: bucket.example", fromApp, forGet)},
	{desc: "a path that climbs", status: 200, counts: []string{hitsApp},
		request: harness.RequestText("OPTIONS /../../%2e%2e/etc/passwd%00//\\?x=%ff HTTP/1.1", "Host: bucket.example", fromApp, forGet)},
	{desc: "a path of 64 KB", status: 200, counts: []string{hitsApp},
		request: harness.RequestText("OPTIONS /"+strings.Repeat("x", 64*kilobyte)+" HTTP/1.1", "Host: bucket.example", fromApp, forGet)},
	{desc: "HTTP/1.0 without Host", status: 200, counts: []string{hitsApp}, closes: true,
		request: harness.RequestText("OPTIONS /k.txt HTTP/1.0", fromApp, forGet)},

	// Caddy refuses these before any handler runs: the Host that this module sees has no byte
	// that XML or a log cannot hold.
	{desc: "an empty Host", request: harness.RequestText("OPTIONS / HTTP/1.1", "Host:", fromApp, forGet), status: 400},
	{desc: "an absolute-form with a broken host", request: harness.RequestText("OPTIONS http://a%ff<b/ HTTP/1.1", "Host: x", fromApp, forGet), status: 400},
	{desc: "a Host of dots", request: harness.RequestText("OPTIONS / HTTP/1.1", "Host: ..", fromApp, forGet), status: 400},

	// Go's server answers this one itself.
	{desc: "OPTIONS *", request: harness.RequestText("OPTIONS * HTTP/1.1", "Host: bucket.example", fromApp, forGet), status: 200},
}

var hostileBodies = []hostile{
	{desc: "a small one",
		request: harness.PreflightText(fromApp, forGet, "Content-Length: 8") + "GET / HT", status: 200, counts: []string{hitsApp}},
	{desc: "a chunked one",
		request: harness.PreflightText(fromApp, forGet, "Transfer-Encoding: chunked") + "5\r\nhello\r\n0\r\n\r\n", status: 200, counts: []string{hitsApp}},
	{desc: "a large one",
		request: harness.PreflightText(fromApp, forGet, "Content-Length: 10000000") + strings.Repeat("x", 10_000_000), status: 200, counts: []string{hitsApp}, closes: true},
	{desc: "a large chunked one",
		request: harness.PreflightText(fromApp, forGet, "Transfer-Encoding: chunked") + strings.Repeat("10000\r\n"+strings.Repeat("x", 0x10000)+"\r\n", 100), status: 200, counts: []string{hitsApp}, closes: true},
	{desc: "one on a malformed preflight",
		request: harness.PreflightText(fromApp, fromApp, forGet, "Content-Length: 8") + "GET / HT", status: 403, counts: []string{malform}},
	{desc: "one of negative length",
		request: harness.PreflightText(fromApp, forGet, "Content-Length: -1"), status: 400, closes: true},
	{desc: "one of two lengths",
		request: harness.PreflightText(fromApp, forGet, "Content-Length: 1", "Content-Length: 2") + "xx", status: 400, closes: true},
	{desc: "one in an unknown encoding",
		request: harness.PreflightText(fromApp, forGet, "Transfer-Encoding: gzip") + "xx", status: 501, closes: true},
}

var hostileActual = []hostile{
	{desc: "two Origins",
		request: harness.RequestText("GET /k.txt HTTP/1.1", "Host: bucket.example", fromApp, fromSub), status: 200,
		counts: []string{"denied actual malformed"}, origin: "GET /k.txt"},
	{desc: "64 KB of Origin",
		request: harness.RequestText("GET /k.txt HTTP/1.1", "Host: bucket.example", "Origin: https://"+strings.Repeat("x", 64*kilobyte)), status: 200,
		counts: []string{"denied actual malformed"}, origin: "GET /k.txt"},
	{desc: "no UTF-8",
		request: harness.RequestText("GET /k.txt HTTP/1.1", "Host: bucket.example", "Origin: https://\xff"), status: 200,
		counts: []string{"denied actual malformed"}, origin: "GET /k.txt"},
	{desc: "a preflight's headers mean nothing",
		request: harness.RequestText("GET /k.txt HTTP/1.1", "Host: bucket.example", fromApp, forGet, forPut, asksFor+strings.Repeat(",", 64*kilobyte)), status: 200,
		counts: []string{"rule_hits actual app"}, origin: "GET /k.txt"},
	{desc: "a method of 32 bytes",
		request: harness.RequestText(strings.Repeat("M", 32)+" /k.txt HTTP/1.1", "Host: bucket.example", fromApp), status: 200,
		counts: []string{"denied actual method"}, origin: strings.Repeat("M", 32) + " /k.txt"},
	{desc: "a method of 33 bytes, which Caddy refuses",
		request: harness.RequestText(strings.Repeat("M", 33)+" /k.txt HTTP/1.1", "Host: bucket.example", fromApp), status: 405},
}
