package explain

import (
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestReadPaste(t *testing.T) {
	yes := true
	pasted := func(url, origin, method string, headers ...string) Pasted {
		return Pasted{Request: Request{Origin: origin, Method: method, Headers: headers}, URL: url}
	}
	preflight := func(p Pasted) Pasted {
		p.Preflight = &yes
		return p
	}
	sent := func(p Pasted) Pasted {
		p.Preflight, p.Verbatim = &yes, true
		return p
	}
	const app = "https://app.example.com"
	cases := []struct {
		desc, text, format string
		want               []Pasted
	}{
		{"cURL as Chromium copies it", `curl 'https://cdn.example/a.json?x=1' \
  -X 'PUT' \
  -H 'accept: */*' \
  -H 'content-type: application/json' \
  -H 'origin: https://app.example.com' \
  -H 'referer: https://app.example.com/page' \
  -H 'sec-fetch-mode: cors' \
  -H 'user-agent: Mozilla/5.0' \
  -H 'x-foo: it'\''s' \
  --data-raw $'{"a":"\u0041\'"}'`, PastedCurl, []Pasted{pasted("https://cdn.example/a.json?x=1", app, "PUT", "content-type", "x-foo")}},
		{"cURL with data is a POST", `curl https://cdn.example/a -H "Origin: https://app.example.com" -d a=b -H "Content-Type: application/x-www-form-urlencoded"`, PastedCurl, []Pasted{pasted("https://cdn.example/a", app, "POST")}},
		{"cURL with glued options", `curl -XDELETE -H"Origin: https://app.example.com" --url=https://cdn.example/a`, PastedCurl, []Pasted{pasted("https://cdn.example/a", app, "DELETE")}},
		{"cURL of a preflight", `curl -X OPTIONS https://cdn.example/a -H 'Origin: https://app.example.com' -H 'Access-Control-Request-Method: PUT' -H 'Access-Control-Request-Headers: content-type,x-foo'`, PastedCurl, []Pasted{sent(pasted("https://cdn.example/a", app, "PUT", "content-type,x-foo"))}},
		{"cURL with HEAD and an origin by referer", `$ curl -I -e https://app.example.com/page https://cdn.example/a | cat`, PastedCurl, []Pasted{pasted("https://cdn.example/a", app, "HEAD")}},
		{"cURL with JSON", `curl --json '{}' https://cdn.example/a`, PastedCurl, []Pasted{pasted("https://cdn.example/a", "", "POST", "content-type")}},

		{"fetch as Chromium copies it", `fetch("https://cdn.example/a", {
  "headers": {
    "accept": "*/*",
    "content-type": "text/plain;charset=UTF-8",
    "sec-ch-ua": "\"Chromium\";v=\"130\"",
    "x-foo": "1"
  },
  "referrer": "https://app.example.com/",
  "body": "{\"method\": \"GET\"}",
  "method": "PUT",
  "mode": "cors",
  "credentials": "omit"
});`, PastedFetch, []Pasted{pasted("https://cdn.example/a", app, "PUT", "x-foo")}},
		{"fetch as a person writes it", "const r = await fetch('https://cdn.example/a', {method: 'DELETE', headers: {'X-Bar': token, accept: `*/*`}, body: JSON.stringify({method: 'POST', headers: {a: 1}})})", PastedFetch, []Pasted{pasted("https://cdn.example/a", "", "DELETE", "x-bar")}},
		{"fetch without options", `fetch("https://cdn.example/a").then((r) => r.text({method: "PUT"}))`, PastedFetch, []Pasted{pasted("https://cdn.example/a", "", "GET")}},

		{"HAR", `{"log": {"version": "1.2", "entries": [
  {"request": {"method": "GET", "url": "https://app.example.com/", "headers": []}},
  {"request": {"method": "OPTIONS", "url": "https://cdn.example/a", "headers": [{"name": "Origin", "value": "https://app.example.com"}, {"name": "Access-Control-Request-Method", "value": "PUT"}, {"name": "access-control-request-headers", "value": "x-foo"}]}},
  {"request": {"method": "GET", "url": "https://cdn.example/b", "headers": [{"name": "origin", "value": "https://app.example.com"}, {"name": ":method", "value": "GET"}]}},
  {"request": {"method": "GET", "url": "https://cdn.example/b", "headers": [{"name": "origin", "value": "https://app.example.com"}]}}
]}}`, PastedHAR, []Pasted{sent(pasted("https://cdn.example/a", app, "PUT", "x-foo")), pasted("https://cdn.example/b", app, "GET")}},

		{"Chromium's console, a preflight", "Access to fetch at 'https://cdn.example/a' from origin 'https://app.example.com' has been blocked by CORS policy: Response to preflight request doesn't pass access control check: No 'Access-Control-Allow-Origin' header is present on the requested resource.", PastedConsole, []Pasted{preflight(pasted("https://cdn.example/a", app, ""))}},
		{"Chromium's console, a header", "Access to XMLHttpRequest at 'https://cdn.example/a' from origin 'https://app.example.com' has been blocked by CORS policy: Request header field x-foo is not allowed by Access-Control-Allow-Headers in preflight response.", PastedConsole, []Pasted{preflight(pasted("https://cdn.example/a", app, "", "x-foo"))}},
		{"Chromium's console, a method", "Access to fetch at 'https://cdn.example/a' from origin 'https://app.example.com' has been blocked by CORS policy: Method DELETE is not allowed by Access-Control-Allow-Methods in preflight response.", PastedConsole, []Pasted{preflight(pasted("https://cdn.example/a", app, "DELETE"))}},
		{"Firefox's console", "Cross-Origin Request Blocked: The Same Origin Policy disallows reading the remote resource at https://cdn.example/a. (Reason: header ‘x-foo’ is not allowed according to header ‘Access-Control-Allow-Headers’ from CORS preflight response).", PastedConsole, []Pasted{preflight(pasted("https://cdn.example/a", "", "", "x-foo"))}},

		{"request ID", "5DECB1F6F3150D373335D8D2", PastedRequestID, nil},
	}
	for _, c := range cases {
		format, got, err := ReadPaste(c.text)
		if err != nil || format != c.format || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %s %+v, %v\nwant %+v", c.desc, format, got, err, c.want)
		}
	}
}

func TestReadPasteRefuses(t *testing.T) {
	for desc, text := range map[string]string{
		"nothing":          "",
		"prose":            "it does not work",
		"a URL":            "https://cdn.example/a",
		"JSON, not a HAR":  "{]",
		"a HAR of nothing": `{"log": {"entries": []}}`,
		"an open quote":    "curl 'https://cdn.example",
		"no URL":           "curl -X PUT",
		"a variable":       "fetch(url)",
		"too long":         strings.Repeat("x", MaxPaste+1),
	} {
		if format, got, err := ReadPaste(text); err == nil {
			t.Errorf("%s is read as %s: %+v", desc, format, got)
		}
	}
}

// Whatever is pasted, what is read from it is bounded, and of it.
func FuzzReadPaste(f *testing.F) {
	for _, text := range []string{
		`curl 'https://a.example/' -X $'P\u0055T' -H "x: \"" --data-raw \`, `fetch("a", {"headers": {"x-foo": "1"}, method: 'PUT'})`,
		`{"log": {"entries": [{"request": {"headers": [{"name": "origin", "value": "x"}]}}]}}`,
		"Access to fetch at 'x' from origin 'y' has been blocked by CORS policy", "Cross-Origin Request Blocked at header ‘x’ is not allowed",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		_, requests, err := ReadPaste(text)
		if err != nil {
			return
		}
		if len(requests) > maxPasted {
			t.Fatalf("%d requests", len(requests))
		}
		for _, p := range requests {
			if p.Preflight == nil && !slices.IsSorted(p.Headers) {
				t.Errorf("%q: the headers are not sorted", p.Headers)
			}
		}
	})
}
