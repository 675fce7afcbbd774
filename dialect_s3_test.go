package osscors

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
)

var s3Refused = recordedRefusal("PUT", "OBJECT")

func s3Invalid(method string) recordedError {
	return recordedError{Code: "BadRequest", Message: "Invalid Access-Control-Request-Method: " + method}
}

// Denied preflights of dialect s3 that nobody has recorded.
func TestS3DeniedPreflight(t *testing.T) {
	p := newProxy(t)
	write(t, "cors.xml", appRules)
	p.load(t, "oss_cors cors.xml {\ndialect s3\n}")
	name := "cors.xml"
	long := strings.Repeat("X", 400)
	for _, test := range []struct {
		desc   string
		lines  []string
		status int
		want   recordedError
		reason string
	}{
		{"the case of the origin counts", []string{"Origin: https://App.example.com", acrm + "PUT"}, 403, s3Refused, "origin"},
		{"the case counts next to a wildcard", []string{"Origin: https://a.Preview.example.com", acrm + "PUT"}, 403, s3Refused, "origin"},
		{"no method", []string{fromApp}, 400, s3Invalid("null"), "missing_method"},
		{"a method that no rule can have", []string{fromApp, acrm + "PATCH"}, 400, s3Invalid("PATCH"), "method"},
		{"a method in lower case", []string{fromApp, acrm + "put"}, 400, s3Invalid("put"), "method"},
		{"such a method comes before the origin", []string{fromStranger, acrm + "PATCH"}, 400, s3Invalid("PATCH"), "origin"},
		{"a list of methods", []string{fromApp, acrm + "PUT,GET"}, 400, s3Invalid("PUT,GET"), "malformed"},
		{"markup as a method", []string{fromApp, acrm + "<b>"}, 400, s3Invalid("&lt;b&gt;"), "method"},
		{"a very long method", []string{fromApp, acrm + long}, 400, s3Invalid(long[:maxShown] + "…"), "method"},
		{"two methods", []string{fromApp, acrm + "PUT", acrm + "PUT"}, 403, s3Refused, "malformed"},
		{"two origins", []string{fromApp, fromApp, acrm + "PUT"}, 403, s3Refused, "malformed"},
		{"a header name that is none", []string{fromApp, acrm + "PUT", acrh + "x a"}, 403, s3Refused, "malformed"},
	} {
		t.Run(test.desc, func(t *testing.T) {
			before := p.series(t).counters()
			r := p.preflight(t, test.lines...)
			r.expect(t, test.status)
			r.expectS3Error(t, test.want)
			if vary, ok := r.Header["Vary"]; ok {
				t.Errorf("Vary is %q", vary)
			}
			series := denials(name, "preflight", test.reason)
			if got := p.series(t).counters()[series] - before[series]; got != 1 {
				t.Errorf("%s grew by %v; want 1", series, got)
			}
		})
	}
}

// Every OPTIONS request is S3's to answer; OSS passes some on.
func TestS3EveryOptionsIsAPreflight(t *testing.T) {
	p := newProxy(t)
	write(t, "cors.xml", appRules)
	origin := upstream(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	for dialect, want := range map[string]int{"oss": http.StatusTeapot, "s3": http.StatusBadRequest} {
		p.load(t, "oss_cors cors.xml {\ndialect "+dialect+"\n}\nreverse_proxy "+origin)
		for _, lines := range [][]string{nil, {"Origin: https://bucket.example.com"}, {"Access-Control-Request-Headers: x-a"}} {
			if got := p.preflight(t, lines...).StatusCode; got != want {
				t.Errorf("dialect %s, %q: %d; want %d", dialect, lines, got, want)
			}
		}
	}
}

// What comes before the rules, in S3's order.
func TestS3PreflightWithoutRules(t *testing.T) {
	notEnabled := func(method string) recordedError {
		return recordedError{Code: "AccessForbidden", Message: notEnabledMessage, Method: method, ResourceType: "BUCKET"}
	}
	noBucket := func(method string) recordedError {
		return recordedError{Code: "AccessForbidden", Message: "CORSResponse: Bucket not found", Method: method, ResourceType: "BUCKET"}
	}
	noOrigin := recordedError{Code: "BadRequest", Message: noOriginMessage}
	p := newProxy(t)
	mkdir(t, "rules")
	write(t, "rules/ruled.xml", appRules)
	p.load(t, "oss_cors {\nrules directory rules\nbucket path\ndialect s3\n}")
	const whatever = "Origin: whatever"
	for _, test := range []struct {
		desc, path string
		lines      []string
		status     int
		want       recordedError
	}{
		{"LocalStack, test_cors_http_options_no_config: options-no-origin", "/plain/key", nil, 400, noOrigin},
		{"LocalStack, test_cors_http_options_no_config: options-with-origin-and-method", "/plain/key", []string{whatever, acrm + "PUT"}, 403, notEnabled("PUT")},
		{"LocalStack, test_cors_http_options_no_config: options-with-origin-no-method", "/plain/key", []string{whatever}, 403, notEnabled("OPTIONS")},
		{"LocalStack, test_cors_http_options_non_existent_bucket: options-no-origin", "/No_Bucket/key", nil, 400, noOrigin},
		{"LocalStack, test_cors_http_options_non_existent_bucket: options-with-origin", "/No_Bucket/key", []string{whatever}, 403, noBucket("OPTIONS")},
		{"no bucket, with a method", "/No_Bucket/key", []string{whatever, acrm + "GET"}, 403, noBucket("GET")},
		{"no bucket is named", "/", []string{whatever, acrm + "GET"}, 403, noBucket("GET")},
		{"not enabled comes before a method that no rule can have", "/plain/key", []string{whatever, acrm + "BLAH"}, 403, notEnabled("BLAH")},
		{"an object", "/ruled/key", []string{whatever, acrm + "GET"}, 403, recordedRefusal("GET", "OBJECT")},
		{"a bucket", "/ruled/", []string{whatever, acrm + "GET"}, 403, recordedRefusal("GET", "BUCKET")},
		{"a bucket without a slash", "/ruled", []string{whatever, acrm + "GET"}, 403, recordedRefusal("GET", "BUCKET")},
	} {
		t.Run(test.desc, func(t *testing.T) {
			r := p.ask(t, "OPTIONS "+test.path+" HTTP/1.1", test.lines...)
			r.expect(t, test.status)
			r.expectS3Error(t, test.want)
		})
	}
	// LocalStack, test_cors_http_get_no_config
	if r := p.ask(t, "GET /plain/key HTTP/1.1", whatever); len(cors(r.Header)) > 0 || r.Header.Get("Vary") != "" {
		t.Errorf("a GET without rules got %v", r.Header)
	}
}

// ResourceType is told by what is left of the path once the bucket is known.
func TestS3ResourceType(t *testing.T) {
	p := newProxy(t)
	mkdir(t, "rules")
	write(t, "rules/ruled.xml", appRules)
	for _, test := range []struct{ bucket, host, path, want string }{
		{"bucket path", "s3.test", "/ruled/key", "OBJECT"},
		{"bucket path", "s3.test", "/ruled//", "OBJECT"}, // a key that is a slash
		{"bucket path", "s3.test", "/ruled/?location", "BUCKET"},
		{"bucket host s3.test", "ruled.s3.test", "/key", "OBJECT"},
		{"bucket host s3.test", "ruled.s3.test", "/", "BUCKET"},
		{"bucket host s3.test", "s3.test", "/ruled/", "BUCKET"},
		{"bucket name ruled", "s3.test", "/key", "OBJECT"},
		{"bucket name ruled", "s3.test", "/", "BUCKET"},
	} {
		p.load(t, "oss_cors {\nrules directory rules\n"+test.bucket+"\ndialect s3\n}")
		r := p.ask(t, "OPTIONS "+test.path+" HTTP/1.1", "Host: "+test.host, fromStranger, acrm+"PUT")
		r.expectS3Error(t, recordedRefusal("PUT", test.want))
	}
}

// Where the rules cannot be read S3 has an answer of its own form too.
func TestS3PreflightWithUnavailableRules(t *testing.T) {
	p := newProxy(t)
	p.load(t, "oss_cors {\nrules directory missing\nbucket path\ndialect s3\n}")
	r := p.ask(t, "OPTIONS /bucket/key HTTP/1.1", fromApp, acrm+"PUT")
	r.expect(t, 503)
	r.expectS3Error(t, recordedError{Code: rulesUnavailable.Code, Message: rulesUnavailable.Message})
}

// Vary is on what a rule allows, whatever the rules say of it, and is added to what the
// origin server says.
func TestS3Vary(t *testing.T) {
	p := newProxy(t)
	write(t, "cors.xml", appRules)
	write(t, "vary.xml", withVary(appRules))
	write(t, "open.xml", openRules)
	origin := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		if vary := r.URL.Query().Get("vary"); vary != "" {
			w.Header()["Vary"] = strings.Split(vary, "_")
		}
	})
	const all, rest = s3VaryValue, "Access-Control-Request-Headers, Access-Control-Request-Method"
	for _, test := range []struct {
		option, origin, theirs string
		want                   []string
	}{
		{"cors.xml", fromApp, "", []string{all}},
		{"open.xml", fromApp, "", []string{all}},
		{"cors.xml", fromApp, "Accept-Encoding", []string{"Accept-Encoding", all}},
		{"cors.xml", fromApp, "accept-encoding,origin", []string{"accept-encoding,origin", rest}},
		{"cors.xml", fromApp, "Origin_Access-Control-Request-Method", []string{"Origin", "Access-Control-Request-Method", "Access-Control-Request-Headers"}},
		{"cors.xml", fromApp, strings.ReplaceAll(all, " ", "%20"), []string{all}},
		{"vary.xml", fromApp, "", []string{all}},
		{"cors.xml", fromStranger, "", nil},
		{"cors.xml", fromStranger, "Accept-Encoding", []string{"Accept-Encoding"}},
		{"vary.xml", fromStranger, "", []string{"Origin"}},
		{"vary.xml", "X-No: origin", "Accept-Encoding", []string{"Accept-Encoding", "Origin"}},
		{"cors.xml {\nresponse_vary", fromStranger, "", []string{"Origin"}},
	} {
		option := test.option
		if !strings.Contains(option, "{") {
			option += " {"
		}
		p.load(t, "oss_cors "+option+"\ndialect s3\n}\nreverse_proxy "+origin)
		got := p.ask(t, "GET /key?vary="+test.theirs+" HTTP/1.1", test.origin).Header["Vary"]
		if !slices.Equal(got, test.want) {
			t.Errorf("%s, %s, next to %q: %q; want %q", test.option, test.origin, test.theirs, got, test.want)
		}
	}
}

// An actual request can be denied for a header, and that is counted.
func TestS3ActualRequests(t *testing.T) {
	p := newProxy(t)
	write(t, "cors.xml", appRules)
	p.load(t, "oss_cors cors.xml {\ndialect s3\n}\nrespond ok")
	for _, test := range []struct {
		desc, request string
		lines         []string
		want          []string
		reason        string
	}{
		{"a header that is allowed is not sent back", "GET", []string{fromApp, acrh + "content-type"}, appGranted, ""},
		{"a header that is not allowed", "GET", []string{fromApp, acrh + "x-a"}, nil, "header"},
		{"the requested method decides, allowed", "DELETE", []string{fromApp, acrm + "PUT"}, appGranted, ""},
		{"the requested method decides, denied", "PUT", []string{fromApp, acrm + "DELETE"}, nil, "method"},
		{"a requested method that no rule can have", "PUT", []string{fromApp, acrm + "BLAH"}, nil, "method"},
		{"two requested methods", "PUT", []string{fromApp, acrm + "PUT", acrm + "PUT"}, nil, "malformed"},
		{"a broken list of headers", "PUT", []string{fromApp, acrh + "x a"}, nil, "malformed"},
		{"the case of the origin counts", "PUT", []string{"Origin: HTTPS://app.example.com"}, nil, "origin"},
		{"no origin", "PUT", []string{acrm + "PUT"}, nil, ""},
	} {
		t.Run(test.desc, func(t *testing.T) {
			want := p.series(t).counters()
			switch {
			case test.reason != "":
				want[denials("cors.xml", "actual", test.reason)]++
			case test.want != nil:
				want[hits("cors.xml", "app", "actual")]++
			}
			p.ask(t, test.request+" /key HTTP/1.1", test.lines...).expect(t, 200, test.want...)
			expectCounters(t, p, want)
		})
	}
}

// What caches keep depends on the request's own method, and not on the one that decides.
func TestS3CacheUnsafeResponses(t *testing.T) {
	p := newProxy(t)
	write(t, "cors.xml", appRules)
	p.load(t, "oss_cors cors.xml {\ndialect s3\n}\nheader Cache-Control max-age=60\nrespond ok")
	for _, test := range []struct {
		method, decides string
		unsafe          float64
	}{{"GET", "DELETE", 1}, {"POST", "BLAH", 0}, {"PATCH", "GET", 0}} {
		before := p.series(t)[of("cache_unsafe_responses_total", "cors.xml")]
		p.ask(t, test.method+" /key HTTP/1.1", fromStranger, acrm+test.decides, "Content-Length: 0")
		if got := p.series(t)[of("cache_unsafe_responses_total", "cors.xml")] - before; got != test.unsafe {
			t.Errorf("%s with %s: %v are counted as unsafe; want %v", test.method, test.decides, got, test.unsafe)
		}
	}
}

// With dialect s3, every source takes documents of both stores, as S3 takes them.
func TestS3Documents(t *testing.T) {
	rule := element("AllowedOrigin", "https://%d.example.com") + element("AllowedOrigin", "") + element("AllowedMethod", "GET")
	var rules []string
	for i := range 100 {
		rules = append(rules, fmt.Sprintf(rule, i)+"<!-- "+strings.Repeat("long ", 80)+" -->")
	}
	s3 := withVary(document(rules...))
	if len(s3) < 2<<14 {
		t.Fatalf("%d bytes are not more than OSS takes", len(s3))
	}
	p := newProxy(t)
	write(t, "cors.xml", s3)
	mkdir(t, "rules")
	write(t, "rules/bucket.xml", s3)
	served := upstream(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, s3) })
	for desc, source := range map[string]string{
		"file":      "rules file cors.xml",
		"inline":    "rules inline `" + s3 + "`",
		"url":       "rules url http://" + served,
		"directory": "rules directory rules\nbucket name bucket",
		"shadow":    "rules file cors.xml\nshadow cors.xml",
	} {
		t.Run(desc, func(t *testing.T) {
			p.load(t, "oss_cors {\n"+source+"\ndialect s3\n}")
			p.get(t, "Origin: https://99.example.com").expect(t, 200, "Allow-Methods: GET", "Allow-Origin: https://99.example.com")
			if desc == "directory" { // whose documents are looked at later
				return
			}
			err := p.tryLoad(t, "oss_cors {\n"+source+"\n}")
			if err == nil || !strings.Contains(err.Error(), "more than 16384 bytes") {
				t.Errorf("the dialect oss takes it: %v", err)
			}
		})
	}
}

// allow_credentials refuses what it refuses in OSS's dialect.
func TestS3Credentials(t *testing.T) {
	p := newProxy(t)
	for _, origin := range []string{"*", "null", "https://*.vercel.app"} {
		write(t, "cors.xml", document(element("AllowedOrigin", origin)+element("AllowedMethod", "GET")))
		if err := p.tryLoad(t, "oss_cors cors.xml {\ndialect s3\nallow_credentials\n}"); err == nil || !strings.Contains(err.Error(), "is not allowed with allow_credentials") {
			t.Errorf("%q: %v", origin, err)
		}
	}
	write(t, "cors.xml", appRules)
	p.load(t, "oss_cors cors.xml {\ndialect s3\n}")
	p.get(t, fromApp).expect(t, 200, appGranted...)
}

// Options that know of rules know of S3's, too.
func TestS3Options(t *testing.T) {
	p := newProxy(t)
	p.miswired = true // the answer is not that of the decision
	write(t, "cors.xml", appRules)
	p.load(t, "oss_cors cors.xml {\ndialect s3\ndebug_header\ndebug_preflights\n}")
	r := p.preflight(t, fromApp, acrm+"PUT", acrh+"x-foo,content-type")
	r.expect(t, 200, allowedPreflight("https://app.example.com", "content-type")...)
	if r.Header.Get("Vary") != s3VaryValue || r.Header.Get("X-Amz-Request-Id") == "" || !strings.HasPrefix(r.Header.Get(debugHeader), "denied; reason=header") {
		t.Errorf("got %v", r.Header)
	}
	p.load(t, "oss_cors {\ndialect s3\nrule {\norigin https://app.example.com\nmethod PATCH GET\n}\n}")
	p.preflight(t, fromApp, acrm+"PATCH").expect(t, 200, "Allow-Methods: PATCH, GET", "Allow-Origin: https://app.example.com")
	p.preflight(t, fromStranger, acrm+"PATCH").expectS3Error(t, recordedRefusal("PATCH", "OBJECT"))
	p.preflight(t, fromApp, acrm+"PROPFIND").expectS3Error(t, s3Invalid("PROPFIND"))
}

// The dialect is one of two words in JSON, too.
func TestDialectInJSON(t *testing.T) {
	newProxy(t)
	write(t, "cors.xml", appRules)
	err := loadHandler(t, `{"rules": {"source": "file", "path": "cors.xml"}, "dialect": "gcs"}`)
	if err == nil || !strings.Contains(err.Error(), `the dialect is "gcs": write oss or s3`) {
		t.Errorf("got %v", err)
	}
}

// A request to the bucket API that nobody signed gets the dialect's error.
func TestS3UnsignedBucketAPI(t *testing.T) {
	p := newProxy(t)
	const api = "oss_cors {\nrules storage\nbucket path\nbucket_api {\naccess_key id secret *\n}\n"
	p.load(t, api+"dialect s3\n}")
	r := p.ask(t, "GET /bucket?cors HTTP/1.1")
	r.expect(t, 403)
	r.expectS3Error(t, recordedError{Code: "AccessDenied", Message: "Access Denied"})
	p.load(t, api+"}")
	if r := p.ask(t, "GET /bucket?cors HTTP/1.1"); r.StatusCode != 403 || r.Header.Get("X-Oss-Request-Id") == "" {
		t.Errorf("dialect oss: %d, %v", r.StatusCode, r.Header)
	}
}
