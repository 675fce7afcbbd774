package osscors

import (
	"encoding/xml"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// What S3 answered to others, by the name that they recorded it under: the table of a test
// that was run against AWS. The rules are as in its source, and so are the requests, but for
// the bucket's name, which is not in the path.
type recordedAnswer struct {
	name    string
	request string
	lines   []string

	status int
	cors   []string // as reply.expect takes them
	err    recordedError
}

// recordedError is the document of a denied preflight.
type recordedError struct{ Code, Message, Method, ResourceType string }

// recordedRules are rules that were in force while answers were recorded.
type recordedRules struct {
	desc, rules string
	options     string // of oss_cors
	answers     []recordedAnswer
}

const (
	s3NotAllowedMessage = "CORSResponse: This CORS request is not allowed. This is usually because the evalution of Origin, request method / Access-Control-Request-Method or Access-Control-Request-Headers are not whitelisted by the resource's CORS spec."
	s3VaryValue         = "Origin, Access-Control-Request-Headers, Access-Control-Request-Method"

	fromLocal = "Origin: https://localhost:4200"
	fromBare  = "Origin: localhost:4566"
)

func recordedRefusal(method, resource string) recordedError {
	return recordedError{Code: "AccessForbidden", Message: s3NotAllowedMessage, Method: method, ResourceType: resource}
}

// localstack are the records of LocalStack's tests/aws/services/s3/test_s3_cors.py, which
// test_s3_cors.snapshot.json has (31 July 2023 to 17 March 2025). Those without rules and for
// PutBucketCors are in other tests.
var localstack = []recordedRules{
	{
		desc:    "test_cors_match_origins",
		rules:   `[{"AllowedOrigins": ["https://localhost:4200"], "AllowedMethods": ["GET", "PUT"], "MaxAgeSeconds": 3000, "AllowedHeaders": ["*"]}]`,
		options: "allow_credentials",
		answers: []recordedAnswer{
			{name: "opt-no-origin", request: "OPTIONS /test-cors-123", status: 400, err: recordedError{Code: "BadRequest", Message: noOriginMessage}},
			{name: "get-no-origin", request: "GET /test-cors-123", status: 200},
			{name: "opt-referer", request: "OPTIONS /test-cors-123", lines: []string{"Referer: https://localhost:4200", acrm + "PUT"}, status: 400, err: recordedError{Code: "BadRequest", Message: noOriginMessage}},
			{name: "get-referer", request: "GET /test-cors-123", lines: []string{"Referer: https://localhost:4200"}, status: 200},
			{name: "opt-right-origin", request: "OPTIONS /test-cors-123", lines: []string{fromLocal, acrm + "PUT"}, status: 200, cors: []string{"Allow-Credentials: true", "Allow-Methods: GET, PUT", "Allow-Origin: https://localhost:4200", "Max-Age: 3000"}},
			{name: "get-right-origin", request: "GET /test-cors-123", lines: []string{fromLocal}, status: 200, cors: []string{"Allow-Credentials: true", "Allow-Methods: GET, PUT", "Allow-Origin: https://localhost:4200", "Max-Age: 3000"}},
			{name: "opt-wrong-origin", request: "OPTIONS /test-cors-123", lines: []string{"Origin: http://localhost:4200", acrm + "PUT"}, status: 403, err: recordedRefusal("PUT", "OBJECT")},
			{name: "get-wrong-origin", request: "GET /test-cors-123", lines: []string{"Origin: http://localhost:4200"}, status: 200},
		},
	}, {
		desc:  "test_cors_match_origins, a lone wildcard",
		rules: `[{"AllowedOrigins": ["*"], "AllowedMethods": ["GET", "PUT"], "MaxAgeSeconds": 3000, "AllowedHeaders": ["*"]}]`,
		answers: []recordedAnswer{
			{name: "opt-random-wildcard-origin", request: "OPTIONS /test-cors-123", lines: []string{"Origin: http://random:1234", acrm + "PUT"}, status: 200, cors: []string{"Allow-Methods: GET, PUT", "Allow-Origin: *", "Max-Age: 3000"}},
			{name: "get-random-wildcard-origin", request: "GET /test-cors-123", lines: []string{"Origin: http://random:1234"}, status: 200, cors: []string{"Allow-Methods: GET, PUT", "Allow-Origin: *", "Max-Age: 3000"}},
		},
	}, {
		desc:    "test_cors_options_match_partial_origin, test_cors_options_fails_partial_origin",
		rules:   `[{"AllowedOrigins": ["http://*.origin.com"], "AllowedMethods": ["GET", "PUT"], "MaxAgeSeconds": 3000, "AllowedHeaders": ["*"]}]`,
		options: "allow_credentials",
		answers: []recordedAnswer{
			{name: "options_match_partial_origin", request: "OPTIONS /", lines: []string{"Origin: http://test.origin.com", acrm + "GET"}, status: 200, cors: []string{"Allow-Credentials: true", "Allow-Methods: GET, PUT", "Allow-Origin: http://test.origin.com", "Max-Age: 3000"}},
			{name: "options_fails_partial_origin", request: "OPTIONS /", lines: []string{"Origin: http://test.origin.com/", acrm + "GET"}, status: 403, err: recordedRefusal("GET", "BUCKET")},
		},
	}, {
		desc:    "test_cors_match_methods; test_cors_match_headers, any header",
		rules:   `[{"AllowedOrigins": ["https://localhost:4200"], "AllowedMethods": ["GET"], "MaxAgeSeconds": 3000, "AllowedHeaders": ["*"]}]`,
		options: "allow_credentials",
		answers: []recordedAnswer{
			{name: "methods/opt-get", request: "OPTIONS /test-cors-method", lines: []string{fromLocal, acrm + "GET"}, status: 200, cors: localGranted("")},
			{name: "methods/get-wrong-op", request: "GET /test-cors-method", lines: []string{fromLocal, acrm + "PUT"}, status: 200},
			{name: "methods/get-op", request: "GET /test-cors-method", lines: []string{fromLocal}, status: 200, cors: localGranted("")},
			{name: "methods/opt-put", request: "OPTIONS /test-cors-methodnew", lines: []string{fromLocal, acrm + "PUT"}, status: 403, err: recordedRefusal("PUT", "OBJECT")},
			{name: "methods/put-op", request: "PUT /test-cors-methodnew", lines: []string{fromLocal}, status: 200},
			{name: "headers/opt-get", request: "OPTIONS /test-cors-method", lines: []string{fromLocal, acrm + "GET", acrh + "x-amz-request-payer"}, status: 200, cors: localGranted("x-amz-request-payer")},
			{name: "headers/opt-get-two", request: "OPTIONS /test-cors-method", lines: []string{fromLocal, acrm + "GET", acrh + "x-amz-request-payer, x-amz-expected-bucket-owner"}, status: 200, cors: localGranted("x-amz-request-payer, x-amz-expected-bucket-owner")},
			{name: "headers/get-op", request: "GET /test-cors-method", lines: []string{fromLocal, "x-amz-request-payer: requester"}, status: 200, cors: localGranted("")},
		},
	}, {
		desc:    "test_cors_match_headers, three headers",
		rules:   `[{"AllowedOrigins": ["https://localhost:4200"], "AllowedMethods": ["GET"], "MaxAgeSeconds": 3000, "AllowedHeaders": ["x-amz-expected-bucket-owner", "x-amz-server-side-encryption-customer-algorithm", "x-AMZ-server-SIDE-encryption"]}]`,
		options: "allow_credentials",
		answers: []recordedAnswer{
			{name: "opt-get-non-allowed", request: "OPTIONS /test-cors-method", lines: []string{fromLocal, acrm + "GET", acrh + "x-amz-request-payer"}, status: 403, err: recordedRefusal("GET", "OBJECT")},
			{name: "opt-get-allowed", request: "OPTIONS /test-cors-method", lines: []string{fromLocal, acrm + "GET", acrh + "x-amz-expected-bucket-owner"}, status: 200, cors: localGranted("x-amz-expected-bucket-owner")},
			{name: "opt-get-allowed-diff-casing", request: "OPTIONS /test-cors-method", lines: []string{fromLocal, acrm + "GET", acrh + "x-AMZ-expected-BUCKET-owner, x-amz-server-side-encryption"}, status: 200, cors: localGranted("x-amz-expected-bucket-owner, x-amz-server-side-encryption")},
			{name: "get-non-allowed-with-acl", request: "GET /test-cors-method", lines: []string{fromLocal, acrh + "x-amz-request-payer"}, status: 200},
			{name: "get-non-allowed", request: "GET /test-cors-method", lines: []string{fromLocal, "x-amz-request-payer: requester"}, status: 200, cors: localGranted("")},
		},
	}, {
		desc:  "test_put_cors_default_values",
		rules: `[{"AllowedOrigins": ["*"], "AllowedMethods": ["GET"]}]`,
		answers: []recordedAnswer{
			{name: "opt-get", request: "OPTIONS /test-cors-default", lines: []string{fromBare, acrm + "GET"}, status: 200, cors: []string{"Allow-Methods: GET", "Allow-Origin: *"}},
			{name: "opt-get-headers", request: "OPTIONS /test-cors-default", lines: []string{fromBare, acrm + "GET", acrh + "x-amz-request-payer"}, status: 403, err: recordedRefusal("GET", "OBJECT")},
		},
	}, {
		desc:  "test_cors_expose_headers",
		rules: `[{"AllowedOrigins": ["*"], "AllowedMethods": ["GET"], "ExposeHeaders": ["x-amz-id-2", "x-amz-request-id", "x-amz-request-payer"]}]`,
		answers: []recordedAnswer{
			{name: "opt-get", request: "OPTIONS /test-cors-expose", lines: []string{fromBare, acrm + "GET"}, status: 200, cors: []string{"Allow-Methods: GET", "Allow-Origin: *", "Expose-Headers: x-amz-id-2, x-amz-request-id, x-amz-request-payer"}},
		},
	},
}

// localGranted are the headers of most of LocalStack's records.
func localGranted(headers string) []string {
	lines := []string{"Allow-Credentials: true", "Allow-Methods: GET", "Allow-Origin: https://localhost:4200", "Max-Age: 3000"}
	if headers != "" {
		lines = slices.Insert(lines, 1, "Allow-Headers: "+headers)
	}
	return lines
}

// s3tests are the vectors of test_cors_* in ceph/s3-tests. They compare the status and two
// headers; no credentials, for rules as these are refused with allow_credentials.
var s3tests = []recordedRules{
	{
		desc: "test_cors_origin_response",
		rules: `[{"AllowedMethods": ["GET"], "AllowedOrigins": ["*suffix"]}, {"AllowedMethods": ["GET"], "AllowedOrigins": ["start*end"]},
			{"AllowedMethods": ["GET"], "AllowedOrigins": ["prefix*"]}, {"AllowedMethods": ["PUT"], "AllowedOrigins": ["*.put"]}]`,
		answers: slices.Concat(
			[]recordedAnswer{{name: "no origin", request: "GET /", status: 200}},
			vectors("GET /", 200, "GET", "foo.suffix", "startend", "start1end", "start12end", "prefix", "prefix.suffix"),
			vectors("GET /", 200, "", "foo.bar", "foo.suffix.get", "0start12end", "bla.prefix"),
			vectors("GET /bar", 404, "GET", "foo.suffix"),
			[]recordedAnswer{
				vector("PUT /bar", "foo.suffix", "GET", 403, "GET"),
				vector("PUT /bar", "foo.suffix", "PUT", 403, ""),
				vector("PUT /bar", "foo.suffix", "DELETE", 403, ""),
				vector("PUT /bar", "foo.suffix", "", 403, ""),
				vector("PUT /bar", "foo.put", "", 403, "PUT"),
				{name: "OPTIONS without anything", request: "OPTIONS /", status: 400, err: recordedError{Code: "BadRequest", Message: noOriginMessage}},
				vector("OPTIONS /", "foo.suffix", "", 400, ""),
				vector("OPTIONS /", "bla", "", 400, ""),
				vector("OPTIONS /bar", "foo.suffix", "GET", 200, "GET"),
				vector("OPTIONS /", "foo.bar", "GET", 403, ""),
				vector("OPTIONS /", "foo.suffix.get", "GET", 403, ""),
				vector("OPTIONS /", "startend", "GET", 200, "GET"),
				vector("OPTIONS /", "start1end", "GET", 200, "GET"),
				vector("OPTIONS /", "start12end", "GET", 200, "GET"),
				vector("OPTIONS /", "0start12end", "GET", 403, ""),
				vector("OPTIONS /", "prefix", "GET", 200, "GET"),
				vector("OPTIONS /", "prefix.suffix", "GET", 200, "GET"),
				vector("OPTIONS /", "bla.prefix", "GET", 403, ""),
				vector("OPTIONS /", "foo.put", "GET", 403, ""),
				vector("OPTIONS /", "foo.put", "PUT", 200, "PUT"),
			}),
	}, {
		desc:  "test_cors_origin_wildcard",
		rules: `[{"AllowedMethods": ["GET"], "AllowedOrigins": ["*"]}]`,
		answers: []recordedAnswer{
			{name: "no origin", request: "GET /", status: 200},
			{name: "example.origin", request: "GET /", lines: []string{"Origin: example.origin"}, status: 200, cors: []string{"Allow-Methods: GET", "Allow-Origin: *"}},
		},
	}, {
		desc:  "test_cors_header_option",
		rules: `[{"AllowedMethods": ["GET"], "AllowedOrigins": ["*"], "ExposeHeaders": ["x-amz-meta-header1"]}]`,
		answers: []recordedAnswer{
			{name: "example.origin", request: "OPTIONS /bar", lines: []string{"Origin: example.origin", acrm + "GET", acrh + "x-amz-meta-header2"}, status: 403, err: recordedRefusal("GET", "OBJECT")},
		},
	},
}

// vector is a request of s3-tests with an origin and, unless it is empty, an
// Access-Control-Request-Method. The methods are those of the rule that matches.
func vector(request, origin, asked string, status int, methods string) recordedAnswer {
	a := recordedAnswer{name: strings.Join([]string{request, origin, asked}, " "), request: request, lines: []string{"Origin: " + origin}, status: status}
	if asked != "" {
		a.lines = append(a.lines, acrm+asked)
	}
	resource := "OBJECT"
	if strings.HasSuffix(request, " /") {
		resource = "BUCKET"
	}
	preflight := strings.HasPrefix(request, "OPTIONS ")
	switch {
	case methods != "":
		a.cors = []string{"Allow-Methods: " + methods, "Allow-Origin: " + origin}
	case preflight && asked == "":
		a.err = recordedError{Code: "BadRequest", Message: "Invalid Access-Control-Request-Method: null"}
	case preflight:
		a.err = recordedRefusal(asked, resource)
	}
	return a
}

// vectors are GET requests from origins, and the methods that they all get; "" for none.
func vectors(request string, status int, methods string, origins ...string) (answers []recordedAnswer) {
	for _, origin := range origins {
		answers = append(answers, vector(request, origin, "", status, methods))
	}
	return answers
}

// cloudserver are vectors of corsPreflight.js and corsHeaders.js, which are below
// tests/functional/aws-node-sdk/test/object in scality/cloudserver, that the others do not
// have. They were run against AWS in 2016 and 2017.
var cloudserver = []recordedRules{
	{
		desc: "CORS response access-control-allow-origin header value",
		rules: `[{"AllowedMethods": ["GET"], "AllowedOrigins": ["http://www.allowedwebsite.com", "http://www.originwith*.com"]},
			{"AllowedMethods": ["GET"], "AllowedOrigins": ["*"]}]`,
		answers: []recordedAnswer{
			vector("OPTIONS /", "http://www.allowedwebsite.com", "GET", 200, "GET"),
			vector("OPTIONS /", "http://www.originwithtest.com", "GET", 200, "GET"),
			{name: "another origin", request: "OPTIONS /", lines: []string{"Origin: http://www.anotherorigin.com", acrm + "GET"}, status: 200, cors: []string{"Allow-Methods: GET", "Allow-Origin: *"}},
		},
	}, {
		desc: "CORS response Access-Control-Allow-Headers header value",
		rules: `[{"AllowedMethods": ["GET"], "AllowedOrigins": ["*"], "AllowedHeaders": ["Content-Type", "amz-*", "Expires"]},
			{"AllowedMethods": ["GET"], "AllowedOrigins": ["*"], "AllowedHeaders": ["*"]}]`,
		answers: []recordedAnswer{
			asking("amz-meta-header-test, content-type", "amz-meta-header-test, content-type"),
			asking("Content-Type", "content-type"),
			asking("content-type,,expires", "content-type, expires"),
			asking("puppies", "puppies"),
		},
	}, {
		desc:    "allow PUT, POST, DELETE, GET methods and allow only one origin",
		rules:   `[{"AllowedMethods": ["PUT", "POST", "DELETE", "GET"], "AllowedOrigins": ["http://www.allowedwebsite.com"]}]`,
		options: "allow_credentials",
		answers: []recordedAnswer{
			fromWebsite("OPTIONS /", "PUT", 200, "PUT, POST, DELETE, GET"),
			fromWebsite("OPTIONS /", "POST", 200, "PUT, POST, DELETE, GET"),
			fromWebsite("OPTIONS /", "DELETE", 200, "PUT, POST, DELETE, GET"),
			fromWebsite("OPTIONS /testobject", "GET", 200, "PUT, POST, DELETE, GET"),
			vector("OPTIONS /", "http://www.forbiddenwebsite.com", "GET", 403, ""),
			{name: "headers", request: "OPTIONS /", lines: []string{fromAllowedWebsite, acrm + "GET", acrh + "Origin, Accept, Content-Type"}, status: 403, err: recordedRefusal("GET", "BUCKET")},
			fromWebsite("GET /", "", 200, "PUT, POST, DELETE, GET"), // corsHeaders.js, as what follows
			fromWebsite("GET /objectKeyName", "", 404, "PUT, POST, DELETE, GET"),
			fromWebsite("PUT /objectKeyName", "", 403, "PUT, POST, DELETE, GET"),
			vector("GET /", "http://www.notallowedwebsite.com", "", 200, ""),
		},
	}, {
		desc:    "allow PUT method and one origin", // corsHeaders.js
		rules:   `[{"AllowedMethods": ["PUT"], "AllowedOrigins": ["http://www.allowedwebsite.com"]}]`,
		answers: []recordedAnswer{vector("GET /", "http://www.allowedwebsite.com", "", 200, "")},
	}, {
		desc:  "CORS allows method GET and origin *.allowedorigin.com",
		rules: `[{"AllowedMethods": ["GET"], "AllowedOrigins": ["*.allowedorigin.com"]}]`,
		answers: []recordedAnswer{
			vector("OPTIONS /", ".allowedorigin.com", "GET", 200, "GET"),
			vector("OPTIONS /", "test.allowedorigin.com", "GET", 200, "GET"),
			vector("OPTIONS /", ".allowedorigin.comtest", "GET", 403, ""),
		},
	}, {
		desc:  "CORS allows method GET and origin http://*.allowedorigin.com",
		rules: `[{"AllowedMethods": ["GET"], "AllowedOrigins": ["http://*.allowedorigin.com"]}]`,
		answers: []recordedAnswer{
			vector("OPTIONS /", "http://.allowedorigin.com", "GET", 200, "GET"),
			vector("OPTIONS /", "http://test.allowedorigin.com", "GET", 200, "GET"),
			vector("OPTIONS /", "http://.allowedorigin.comtest", "GET", 403, ""),
			vector("OPTIONS /", "testhttp://.allowedorigin.com", "GET", 403, ""),
		},
	}, {
		desc:  "CORS allows method GET and origin http://www.allowedorigin.*",
		rules: `[{"AllowedMethods": ["GET"], "AllowedOrigins": ["http://www.allowedorigin.*"]}]`,
		answers: []recordedAnswer{
			vector("OPTIONS /", "http://www.allowedorigin.", "GET", 200, "GET"),
			vector("OPTIONS /", "http://www.allowedorigin.test", "GET", 200, "GET"),
			vector("OPTIONS /", "testhttp://www.allowedorigin.", "GET", 403, ""),
		},
	}, {
		desc:  "CORS and OPTIONS request",
		rules: `[{"AllowedMethods": ["GET"], "AllowedOrigins": ["*"]}]`,
		answers: []recordedAnswer{
			{name: "fake credentials", request: "OPTIONS /", lines: []string{fromAllowedWebsite, acrm + "GET", "Authorization: AWS fakeKey:fakesignature"}, status: 200, cors: []string{"Allow-Methods: GET", "Allow-Origin: *"}},
			{name: "cookies", request: "OPTIONS /", lines: []string{fromAllowedWebsite, acrm + "GET", "Cookie: testcookie=1"}, status: 200, cors: []string{"Allow-Methods: GET", "Allow-Origin: *"}},
		},
	},
}

const fromAllowedWebsite = "Origin: http://www.allowedwebsite.com"

// fromWebsite is an answer that a rule for that origin makes, with credentials.
func fromWebsite(request, asked string, status int, methods string) recordedAnswer {
	a := vector(request, "http://www.allowedwebsite.com", asked, status, methods)
	a.cors = append([]string{"Allow-Credentials: true"}, a.cors...)
	return a
}

func asking(names, allowed string) recordedAnswer {
	return recordedAnswer{
		name: names, request: "OPTIONS /", lines: []string{fromAllowedWebsite, acrm + "GET", acrh + names},
		status: 200, cors: []string{"Allow-Headers: " + allowed, "Allow-Methods: GET", "Allow-Origin: *"},
	}
}

// With dialect s3, requests get the answers that S3 gave, but for credentials, which need
// allow_credentials.
func TestS3RecordedAnswers(t *testing.T) {
	p := newProxy(t)
	// The store's own answers, as LocalStack and s3-tests have them.
	localStack := upstream(t, func(http.ResponseWriter, *http.Request) {})
	private := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodPut:
			w.WriteHeader(http.StatusForbidden)
		case r.URL.Path != "/":
			w.WriteHeader(http.StatusNotFound)
		}
	})
	for _, source := range []struct {
		name, origin string
		recorded     []recordedRules
	}{{"LocalStack", localStack, localstack}, {"s3-tests", private, s3tests}, {"cloudserver", private, cloudserver}} {
		for _, rules := range source.recorded {
			write(t, "cors.json", rules.rules)
			p.load(t, fmt.Sprintf("oss_cors cors.json {\ndialect s3\n%s\n}\nreverse_proxy %s", rules.options, source.origin))
			for _, want := range rules.answers {
				t.Run(source.name+", "+rules.desc+": "+want.name, func(t *testing.T) {
					p.ask(t, want.request+" HTTP/1.1", want.lines...).expectRecorded(t, want)
				})
			}
		}
	}
}

// expectRecorded fails the test unless r is what was recorded.
func (r reply) expectRecorded(t *testing.T, want recordedAnswer) {
	t.Helper()
	r.expect(t, want.status, want.cors...)
	vary := ""
	if len(want.cors) > 0 {
		vary = s3VaryValue
	}
	if got := strings.Join(r.Header["Vary"], " | "); got != vary {
		t.Errorf("Vary is %q; want %q", got, vary)
	}
	if !strings.HasPrefix(want.request, "OPTIONS ") {
		return
	}
	if _, ok := r.Header["Content-Type"]; want.status == 200 && (ok || r.Header.Get("Content-Length") != "0") {
		t.Errorf("Content-Type is %q, and Content-Length %q", r.Header["Content-Type"], r.Header["Content-Length"])
	}
	r.expectS3Error(t, want.err)
}

// expectS3Error fails the test unless the body is this error in S3's form, or empty where it
// is the zero error.
func (r reply) expectS3Error(t *testing.T, want recordedError) {
	t.Helper()
	id, host := r.Header.Get("X-Amz-Request-Id"), r.Header.Get("X-Amz-Id-2")
	if id == "" || host == "" {
		t.Errorf("the ids are %q and %q", id, host)
	}
	for name := range r.Header {
		if strings.HasPrefix(name, "X-Oss-") {
			t.Errorf("there is a %s", name)
		}
	}
	body := ""
	if want.Code != "" {
		details := ""
		if want.Method != "" {
			details = element("Method", want.Method) + element("ResourceType", want.ResourceType)
		}
		body = xml.Header + element("Error", element("Code", want.Code)+element("Message", want.Message)+details+element("RequestId", id)+element("HostId", host))
		if got := r.Header.Get("Content-Type"); got != "application/xml" {
			t.Errorf("Content-Type is %q", got)
		}
	}
	if r.body != body {
		t.Errorf("got\n%s\nwant\n%s", r.body, body)
	}
}
