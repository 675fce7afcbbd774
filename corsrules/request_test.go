package corsrules

import (
	"net/http"
	"strings"
	"testing"
)

// A line without a value counts as absent, wherever it stands: what is decided, and whether
// CORS is needed, is about the same origin, method and headers.
func TestReadRequest(t *testing.T) {
	const origin, method, headers = "Origin", "Access-Control-Request-Method", "Access-Control-Request-Headers"
	cases := []struct {
		desc      string
		method    string
		header    http.Header
		kind      Kind
		origin    string
		asked     string // Request.Method
		headers   string
		malformed string
	}{
		{"no header", "GET", nil, NotCORS, "", "GET", "", ""},
		{"an origin", "GET", http.Header{origin: {"https://a"}}, Actual, "https://a", "GET", "", ""},
		{"an empty line before the origin", "GET", http.Header{origin: {"", "https://a"}}, Actual, "https://a", "GET", "", ""},
		{"an empty line after the origin", "GET", http.Header{origin: {"https://a", " \t"}}, Actual, "https://a", "GET", "", ""},
		{"empty lines only", "GET", http.Header{origin: {"", " "}}, NotCORS, "", "GET", "", ""},
		{"white space around the origin", "GET", http.Header{origin: {"\t https://a "}}, Actual, "https://a", "GET", "", ""},
		{"two origins", "GET", http.Header{origin: {"", "https://a", "https://b"}}, Actual, "https://a", "GET", "", "origin"},
		{"the other two headers of an actual request", "GET", http.Header{origin: {"https://a"}, method: {"PUT"}, headers: {"x a"}}, Actual, "https://a", "GET", "", ""},
		{"OPTIONS without any of them", "OPTIONS", http.Header{headers: {"x-a"}}, NotCORS, "", "OPTIONS", "", ""},
		{"OPTIONS with empty lines only", "OPTIONS", http.Header{origin: {""}, method: {" "}}, NotCORS, "", "OPTIONS", "", ""},
		{"a preflight", "OPTIONS", http.Header{origin: {"https://a"}, method: {"PUT"}, headers: {"X-B,x-a"}}, Preflight, "https://a", "PUT", "x-b, x-a", ""},
		{"a preflight among empty lines", "OPTIONS", http.Header{origin: {"", "https://a"}, method: {" ", "PUT"}, headers: {"", "x-a", ",", "x-b"}}, Preflight, "https://a", "PUT", "x-a, x-b", ""},
		{"a preflight without Origin", "OPTIONS", http.Header{origin: {""}, method: {"PUT"}}, Preflight, "", "PUT", "", ""},
		{"a preflight without a method", "OPTIONS", http.Header{origin: {"https://a"}, method: {""}}, Preflight, "https://a", "", "", ""},
		{"OPTIONS from the same host", "OPTIONS", http.Header{origin: {"", "https://self"}, method: {" "}, headers: {"x a"}}, Actual, "https://self", "OPTIONS", "", ""},
		{"OPTIONS from the same host by another name", "OPTIONS", http.Header{origin: {"https://a"}, "Sec-Fetch-Site": {"same-origin"}}, Actual, "https://a", "OPTIONS", "", ""},
		{"OPTIONS from the same site", "OPTIONS", http.Header{origin: {"https://a"}, "Sec-Fetch-Site": {"same-site"}}, Preflight, "https://a", "", "", ""},
		{"a preflight from the same host", "OPTIONS", http.Header{origin: {"https://self"}, method: {"PUT"}, "Sec-Fetch-Site": {"same-origin"}}, Preflight, "https://self", "PUT", "", ""},
		{"two methods", "OPTIONS", http.Header{origin: {"https://a"}, method: {"", "PUT", "GET"}}, Preflight, "https://a", "PUT", "", "access-control-request-method"},
		{"methods in one line", "OPTIONS", http.Header{origin: {"https://a"}, method: {"PUT,GET"}}, Preflight, "https://a", "PUT,GET", "", "access-control-request-method"},
		{"a header that is not a token", "OPTIONS", http.Header{origin: {"https://a"}, method: {"PUT"}, headers: {"x-a", "x b"}}, Preflight, "https://a", "PUT", "", "access-control-request-headers"},
		{"the origin is named first", "OPTIONS", http.Header{origin: {"https://\xff"}, method: {"PUT,GET"}, headers: {"x b"}}, Preflight, "https://\xff", "PUT,GET", "", "origin"},
	}
	for _, c := range cases {
		t.Run(c.desc, func(t *testing.T) {
			got := ReadRequest(&http.Request{Method: c.method, Host: "self", Header: c.header})
			got.http = nil
			if want := (Request{Kind: c.kind, Origin: c.origin, Method: c.asked, Headers: c.headers, malformed: c.malformed}); got != want {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
		})
	}
}

func TestNeedsCORS(t *testing.T) {
	cases := []struct {
		desc         string
		method, host string
		header       http.Header
		want         bool
	}{
		{"another origin", "GET", "b.example", http.Header{"Origin": {"https://a.example"}}, true},
		{"no origin", "GET", "b.example", nil, false},
		{"a preflight", "OPTIONS", "a.example", http.Header{"Origin": {"https://a.example"}, "Access-Control-Request-Method": {"PUT"}}, true},
		{"the same host", "POST", "a.example", http.Header{"Origin": {"https://a.example"}}, false},
		{"the same host after an empty line", "POST", "a.example", http.Header{"Origin": {"", "https://a.example"}}, false},
		{"another host after an empty line", "POST", "b.example", http.Header{"Origin": {"", "https://a.example"}}, true},
		{"the default port", "POST", "a.example:443", http.Header{"Origin": {"https://a.example"}}, false},
		{"another port", "POST", "a.example:8443", http.Header{"Origin": {"https://a.example"}}, true},
		{"Sec-Fetch-Site says same-origin", "POST", "b.example", http.Header{"Origin": {"https://a.example"}, "Sec-Fetch-Site": {"", "same-origin"}}, false},
		{"Sec-Fetch-Mode says navigate", "POST", "b.example", http.Header{"Origin": {"https://a.example"}, "Sec-Fetch-Mode": {"navigate"}}, false},
		{"Sec-Fetch-Mode says cors", "POST", "b.example", http.Header{"Origin": {"https://a.example"}, "Sec-Fetch-Mode": {"cors"}}, true},
		{"WebSocket", "GET", "b.example", http.Header{"Origin": {"https://a.example"}, "Upgrade": {"websocket"}}, false},
		{"WebSocket over HTTP/2", "CONNECT", "b.example", http.Header{"Origin": {"https://a.example"}, ":protocol": {"websocket"}}, false},
	}
	for _, c := range cases {
		t.Run(c.desc, func(t *testing.T) {
			req := ReadRequest(&http.Request{Method: c.method, Host: c.host, Header: c.header})
			if got := req.NeedsCORS(); got != c.want {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

// tokenBytes are what a header's name may consist of (RFC 9110, section 5.6.2).
const tokenBytes = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

func TestIsToken(t *testing.T) {
	if !IsToken(tokenBytes) {
		t.Errorf("%q: got false, want true", tokenBytes)
	}
	if IsToken("") {
		t.Error("an empty string is not a token")
	}
	for c := range 256 {
		s := string([]byte{'a', byte(c)})
		if got, want := IsToken(s), strings.IndexByte(tokenBytes, byte(c)) >= 0; got != want {
			t.Errorf("%q: got %v, want %v", s, got, want)
		}
	}
}
