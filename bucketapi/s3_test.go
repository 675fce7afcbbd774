package bucketapi

import (
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/xml"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oss-cors/caddy-oss-cors/corsrules"
)

// s3Rules has what S3's clients may put and OSS's may not.
const s3Rules = `<CORSConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><!-- mine --><CORSRule>` +
	`<ID>any text &amp; more</ID><AllowedMethod>PUT</AllowedMethod><AllowedOrigin></AllowedOrigin><AllowedOrigin>https://a.example</AllowedOrigin>` +
	`<AllowedHeader>X-Amz-*</AllowedHeader><MaxAgeSeconds>0</MaxAgeSeconds></CORSRule></CORSConfiguration>`

// s3ErrorDocument is what S3's clients read of an error.
type s3ErrorDocument struct {
	XMLName                                     xml.Name `xml:"Error"`
	Code, Message, RequestId, HostId            string
	BucketName, HeadersNotSigned, ErrorDetail   string
	AWSAccessKeyId, SignatureProvided           string
	StringToSign, StringToSignBytes             string
	CanonicalRequest, CanonicalRequestBytes     string
	ClientComputedContentSHA256                 string
	S3ComputedContentSHA256, ExpectedDigest     string
	CalculatedDigest, MaxMessageLengthBytes     string
	RequestTime, ServerTime, EC, OSSAccessKeyId string
}

// serveS3 serves a request and checks what every one of S3's responses has.
func serveS3(t *testing.T, api *API, r *http.Request) (*httptest.ResponseRecorder, Result, s3ErrorDocument) {
	t.Helper()
	w := httptest.NewRecorder()
	bucket, _, _ := strings.Cut(strings.TrimLeft(r.URL.Path, "/"), "/")
	result := api.Serve(w, r, bucket)
	var doc s3ErrorDocument
	if w.Code >= 400 {
		if err := xml.Unmarshal(w.Body.Bytes(), &doc); err != nil {
			t.Fatalf("%v in\n%s", err, w.Body)
		}
		if doc.RequestId != result.RequestID || doc.HostId != w.Header().Get("X-Amz-Id-2") || doc.EC != "" || doc.OSSAccessKeyId != "" ||
			strings.Count(strings.SplitN(w.Body.String(), "<StringToSign>", 2)[0], "\n") != 1 || strings.HasSuffix(w.Body.String(), "\n") {
			t.Errorf("not S3's form: %v\n%s", w.Header(), w.Body)
		}
	} else if result.Err != nil {
		t.Errorf("%d, but %v", w.Code, result.Err)
	}
	if len(result.RequestID) != 16 || w.Header().Get("X-Amz-Request-Id") != result.RequestID || len(w.Header().Get("X-Amz-Id-2")) != 76 || result.Status != w.Code {
		t.Errorf("got %d, %v and %+v", w.Code, w.Header(), result)
	}
	for name := range w.Header() {
		if strings.HasPrefix(name, "X-Oss") {
			t.Errorf("%s is sent to a client of S3's", name)
		}
	}
	return w, result, doc
}

// s3Request returns a request signed as S3's clients sign. The header can be changed before.
func s3Request(method, target, body string, change ...func(http.Header)) *http.Request {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	hash, sum := sha256.Sum256([]byte(body)), md5.Sum([]byte(body))
	r.Header.Set("X-Amz-Date", testTime.Format(timeFormat))
	r.Header.Set("X-Amz-Content-Sha256", hex.EncodeToString(hash[:]))
	if method == http.MethodPut {
		r.Header.Set("Content-Md5", base64.StdEncoding.EncodeToString(sum[:]))
	}
	for _, f := range change {
		f(r.Header)
	}
	signS3(r)
	return r
}

// signS3 signs all of a request's headers.
func signS3(r *http.Request) {
	a := authorization{v4: awsV4, keyID: testKey.ID, date: testTime.Format(dayFormat), region: "eu-west-1", headers: []string{"host"}}
	for name := range r.Header {
		if name != "Authorization" {
			a.headers = append(a.headers, strings.ToLower(name))
		}
	}
	sign(r, a, "")
}

func set(name, value string) func(http.Header) {
	return func(h http.Header) { h.Set(name, value) }
}

func del(name string) func(http.Header) { return func(h http.Header) { h.Del(name) } }

func TestS3PutGetDelete(t *testing.T) {
	store := &memory{docs: map[string]string{}}
	api := at(t, testTime, store)
	w, result, _ := serveS3(t, api, s3Request("PUT", "/examplebucket?cors", s3Rules))
	if w.Code != 200 || w.Body.Len() != 0 || w.Header().Get("Content-Length") != "0" || result.KeyID != testKey.ID || store.docs[testBucket] != s3Rules {
		t.Errorf("put: got %d, %v, %+v and %q", w.Code, w.Header(), result, store.docs)
	}
	const want = `<?xml version="1.0" encoding="UTF-8"?>
<CORSConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><CORSRule><ID>any text &amp; more</ID>` +
		`<AllowedOrigin></AllowedOrigin><AllowedOrigin>https://a.example</AllowedOrigin><AllowedMethod>PUT</AllowedMethod>` +
		`<AllowedHeader>X-Amz-*</AllowedHeader><MaxAgeSeconds>0</MaxAgeSeconds></CORSRule></CORSConfiguration>`
	if w, _, _ = serveS3(t, api, s3Request("GET", "/examplebucket?cors", "")); w.Code != 200 || w.Body.String() != want || w.Header().Get("Content-Type") != "application/xml" {
		t.Errorf("get: got %d, %v and\n%s", w.Code, w.Header(), w.Body)
	}
	for range 2 {
		if w, _, _ = serveS3(t, api, s3Request("DELETE", "/examplebucket?cors", "")); w.Code != 204 || w.Body.Len() != 0 || len(store.docs) != 0 {
			t.Errorf("delete: got %d, %v", w.Code, w.Header())
		}
	}
	w, result, doc := serveS3(t, api, s3Request("GET", "/examplebucket?cors", ""))
	missing := `<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>NoSuchCORSConfiguration</Code><Message>The CORS configuration does not exist</Message><BucketName>examplebucket</BucketName>` +
		`<RequestId>` + result.RequestID + `</RequestId><HostId>` + doc.HostId + `</HostId></Error>`
	if w.Code != 404 || w.Body.String() != missing {
		t.Errorf("get after delete: got %d and\n%s", w.Code, w.Body)
	}
}

// The document is one, whoever put it.
func TestOneDocumentForBothDialects(t *testing.T) {
	store := &memory{docs: map[string]string{}}
	api := at(t, testTime, store)
	serveS3(t, api, s3Request("PUT", "/examplebucket?cors", s3Rules))
	w, _, _ := serve(t, store, signed(true, "GET", "/examplebucket/?cors", testTime, nil), testBucket)
	if !strings.Contains(w.Body.String(), "<ID>any text &amp; more</ID>") || !strings.Contains(w.Body.String(), "<AllowedHeader>x-amz-*</AllowedHeader>") ||
		!strings.Contains(w.Body.String(), "<ResponseVary>false</ResponseVary>") {
		t.Errorf("put for S3, read for OSS:\n%s", w.Body)
	}
	varies := strings.Replace(goodRules, "</CORSRule>", "</CORSRule><ResponseVary>true</ResponseVary>", 1)
	serve(t, store, put(varies), testBucket)
	w, _, _ = serveS3(t, api, s3Request("GET", "/examplebucket?cors", ""))
	if w.Code != 200 || !strings.Contains(w.Body.String(), "<AllowedHeader>X-A</AllowedHeader>") || strings.Contains(w.Body.String(), "ResponseVary") {
		t.Errorf("put for OSS, read for S3: %d\n%s", w.Code, w.Body)
	}
}

// Requests that are refused by their header; their bodies are not read.
func TestS3Refusals(t *testing.T) {
	long := strings.Repeat("a", maxSignedBytes)
	authorize := func(old, replacement string) func(*http.Request) {
		return func(r *http.Request) {
			r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), old, replacement, 1))
		}
	}
	replace := func(value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("Authorization", value) }
	}
	target := func(target string) func(*http.Request) {
		return func(r *http.Request) {
			changed := httptest.NewRequest(r.Method, target, nil)
			r.URL, r.Host = changed.URL, changed.Host
		}
	}
	header := func(change func(http.Header)) func(*http.Request) { return func(r *http.Request) { change(r.Header) } }
	const malformed, mismatch = "AuthorizationHeaderMalformed", "SignatureDoesNotMatch"
	for _, c := range []struct {
		desc   string
		change func(http.Header)   // before the request is signed
		tamper func(*http.Request) // after
		status int
		code   string
		says   string
	}{
		{desc: "AWS's version 2", tamper: replace("AWS id:abc"), status: 400, code: "InvalidRequest", says: "Please use AWS4-HMAC-SHA256."},
		{desc: "AWS's version 4A", tamper: replace("AWS4-ECDSA-P256-SHA256 Credential=x"), status: 400, code: "InvalidRequest", says: "Please use AWS4-HMAC-SHA256."},
		{desc: "no fields", tamper: replace("AWS4-HMAC-SHA256 "), status: 400, code: malformed},
		{desc: "no SignedHeaders", tamper: replace("AWS4-HMAC-SHA256 Credential=" + testKey.ID + "/20261121/r/s3/aws4_request,Signature=abc"), status: 403, code: "AccessDenied"},
		{desc: "OSS's field", tamper: authorize("SignedHeaders", "AdditionalHeaders"), status: 400, code: malformed},
		{desc: "two lines", tamper: func(r *http.Request) { r.Header.Add("Authorization", r.Header.Get("Authorization")) }, status: 400, code: malformed},
		{desc: "an endless line", tamper: authorize("Signature=", "Signature="+long), status: 400, code: malformed},
		{desc: "another service", tamper: authorize("/s3/", "/iam/"), status: 400, code: malformed},
		{desc: "OSS's product", tamper: authorize("/s3/", "/oss/"), status: 400, code: malformed},
		{desc: "another terminator", tamper: authorize("aws4_request", "aliyun_v4_request"), status: 400, code: malformed},
		{desc: "another day in the scope", tamper: authorize("20261121", "20261120"), status: 400, code: malformed, says: `Invalid credential date "20261120"`},
		{desc: "another region in the scope", tamper: authorize("eu-west-1", "eu-west-2"), status: 403, code: mismatch},
		{desc: "unknown key", tamper: authorize(testKey.ID, "nobody"), status: 403, code: "InvalidAccessKeyId", says: "The AWS Access Key Id"},
		{desc: "no date", change: del("X-Amz-Date"), tamper: header(del("X-Amz-Date")), status: 403, code: "AccessDenied", says: "valid Date or x-amz-date"},
		{desc: "a bad date", tamper: header(set("X-Amz-Date", "today")), status: 403, code: "AccessDenied", says: "valid Date or x-amz-date"},
		{desc: "a slow clock", change: set("X-Amz-Date", testTime.Add(-16*time.Minute).Format(timeFormat)), status: 403, code: "RequestTimeTooSkewed"},
		{desc: "a fast clock", change: set("X-Amz-Date", testTime.Add(16*time.Minute).Format(timeFormat)), status: 403, code: "RequestTimeTooSkewed"},
		{desc: "another time", tamper: header(set("X-Amz-Date", testTime.Add(time.Second).Format(timeFormat))), status: 403, code: mismatch},
		{desc: "two times", tamper: header(func(h http.Header) { h.Add("X-Amz-Date", testTime.Format(timeFormat)) }), status: 403, code: mismatch},
		{desc: "no payload hash", change: del("X-Amz-Content-Sha256"), status: 400, code: "InvalidRequest", says: "x-amz-content-sha256"},
		{desc: "a body in signed chunks", change: set("X-Amz-Content-Sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"), status: 400, code: "InvalidArgument", says: "UNSIGNED-PAYLOAD"},
		{desc: "a body with a trailer", change: set("X-Amz-Content-Sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"), status: 400, code: "InvalidArgument"},
		{desc: "two payload hashes", change: func(h http.Header) { h.Add("X-Amz-Content-Sha256", unsignedPayload) }, status: 400, code: "InvalidArgument"},
		{desc: "another payload hash", tamper: header(set("X-Amz-Content-Sha256", unsignedPayload)), status: 403, code: mismatch},
		{desc: "a header that is not signed", tamper: header(set("X-Amz-Acl", "public-read")), status: 403, code: "AccessDenied", says: "which were not signed"},
		{desc: "Host not signed", tamper: authorize("SignedHeaders=host;", "SignedHeaders="), status: 403, code: "AccessDenied", says: "which were not signed"},
		{desc: "a signed header is removed", change: set("X-Amz-Meta", ""), tamper: header(del("X-Amz-Meta")), status: 403, code: mismatch},
		{desc: "a signed header comes twice", change: set("Content-Type", "a"), tamper: header(func(h http.Header) { h.Add("Content-Type", "b") }), status: 403, code: mismatch},
		{desc: "another bucket", tamper: target("/example-other?cors"), status: 403, code: mismatch},
		{desc: "another host", tamper: target("http://other.test/examplebucket?cors"), status: 403, code: mismatch},
		{desc: "a slash more", tamper: target("/examplebucket/?cors"), status: 403, code: mismatch},
		{desc: "two slashes", tamper: target("//examplebucket?cors"), status: 403, code: mismatch},
		{desc: "an escaped letter", tamper: target("/%65xamplebucket?cors"), status: 403, code: mismatch},
		{desc: "an escaped slash", tamper: target("/examplebucket%2f?cors"), status: 403, code: mismatch},
		{desc: "a parameter more", tamper: target("/examplebucket?cors&acl"), status: 403, code: mismatch},
		{desc: "a parameter that cannot be decoded", tamper: target("/examplebucket?cors&%zz=;"), status: 403, code: mismatch},
		{desc: "the parameter twice", tamper: target("/examplebucket?cors&cors"), status: 403, code: mismatch},
		{desc: "endless headers", tamper: header(set("Content-Type", long)), change: set("Content-Type", ""), status: 400, code: "InvalidArgument"},
		{desc: "an endless query", tamper: target("/examplebucket?cors&" + long), status: 400, code: "InvalidArgument"},
	} {
		for _, method := range []string{"PUT", "GET", "DELETE"} {
			var changes []func(http.Header)
			if c.change != nil {
				changes = append(changes, c.change)
			}
			r := s3Request(method, "/examplebucket?cors", "", changes...)
			if c.tamper != nil {
				c.tamper(r)
			}
			r.Body = unread{t}
			store := &memory{docs: map[string]string{testBucket: goodRules}}
			w, result, doc := serveS3(t, at(t, testTime, store), r)
			if w.Code != c.status || doc.Code != c.code || !strings.Contains(doc.Message, c.says) || result.KeyID != "" || store.docs[testBucket] != goodRules {
				t.Errorf("%s: %s: got %d, %+v and %+v, want %d %s", c.desc, method, w.Code, doc, result, c.status, c.code)
			}
			if strings.Contains(w.Body.String()+result.Err.Error(), testKey.Secret) {
				t.Errorf("%s: the secret is told", c.desc)
			}
		}
	}
}

// A signature for another operation does not match, nor does one in the query count.
func TestS3OtherOperations(t *testing.T) {
	api := at(t, testTime, nil)
	for _, target := range []string{"/examplebucket", "/examplebucket?acl", "/examplebucket?cors=x", "/examplebucket/object?cors"} {
		r := s3Request("GET", target, "")
		r.URL.Path, r.URL.RawQuery = "/examplebucket", "cors"
		if _, err := api.authenticate(r, testBucket); codeOf(err) != "SignatureDoesNotMatch" {
			t.Errorf("%s: got %v", target, err)
		}
	}
	r := s3Request("POST", "/examplebucket?cors", "")
	r.Method = "DELETE"
	if _, err := api.authenticate(r, testBucket); codeOf(err) != "SignatureDoesNotMatch" {
		t.Errorf("another method: got %v", err)
	}
	query := httptest.NewRequest("GET", "/examplebucket?cors&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential="+testKey.ID+
		"%2F20261121%2Feu-west-1%2Fs3%2Faws4_request&X-Amz-Date=20261121T115109Z&X-Amz-Expires=900&X-Amz-SignedHeaders=host&X-Amz-Signature=abc", nil)
	w, _, doc := serve(t, &memory{}, query, testBucket)
	if w.Code != 403 || doc.Code != "AccessDenied" || !strings.Contains(doc.Message, "Anonymous") {
		t.Errorf("signed in the query: got %d, %+v", w.Code, doc)
	}
}

// What a proxy in between may write differently means the same, and is accepted.
func TestS3CanonicalForm(t *testing.T) {
	api := at(t, testTime, nil)
	for _, c := range []struct {
		desc   string
		change func(*http.Request)
	}{
		{"the order of the query", func(r *http.Request) { r.URL.RawQuery = "cors=&b=x+y&a=2&a=1" }},
		{"another escape for a space", func(r *http.Request) { r.URL.RawQuery = "a=1&a=2&b=x%20y&cors" }},
		{"an escaped letter", func(r *http.Request) { r.URL.RawQuery = "a=1&a=2&b=%78+y&cors" }},
		{"white space", func(r *http.Request) { r.Header.Set("Content-Type", "  text/xml;   a ") }},
	} {
		r := s3Request("GET", "/examplebucket?a=1&a=2&b=x+y&cors", "", set("Content-Type", "text/xml; a"))
		c.change(r)
		if _, err := api.authenticate(r, testBucket); err != nil {
			t.Errorf("%s: got %v", c.desc, err)
		}
	}
	r := s3Request("GET", "/examplebucket?cors", "", del("X-Amz-Date"), set("Date", testTime.Format(http.TimeFormat)))
	if _, err := api.authenticate(r, testBucket); err != nil {
		t.Errorf("Date instead of x-amz-date: got %v", err)
	}
}

func TestS3ForeignBucket(t *testing.T) {
	r := s3Request("PUT", "/other?cors", "")
	r.Body = unread{t}
	w, result, doc := serveS3(t, at(t, testTime, &memory{}), r)
	if w.Code != 403 || doc.Code != "AccessDenied" || doc.Message != "Access Denied" || result.KeyID != testKey.ID {
		t.Errorf("got %d, %+v and %+v", w.Code, doc, result)
	}
}

// What helps the author of a client.
func TestS3DetailsOfRefusals(t *testing.T) {
	api := at(t, testTime, &memory{})
	r := s3Request("GET", "/examplebucket?cors", "")
	r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), "Signature=", "Signature=0", 1))
	_, _, doc := serveS3(t, api, r)
	if !strings.HasPrefix(doc.StringToSign, "AWS4-HMAC-SHA256\n20261121T115109Z\n20261121/eu-west-1/s3/aws4_request\n") ||
		!strings.HasPrefix(doc.StringToSignBytes, "41 57 53 34 2d 48") || doc.AWSAccessKeyId != testKey.ID || !strings.HasPrefix(doc.SignatureProvided, "0") ||
		!strings.HasPrefix(doc.CanonicalRequest, "GET\n/examplebucket\ncors=\nhost:example.com\nx-amz-content-sha256:") ||
		len(doc.CanonicalRequestBytes) != 3*len(doc.CanonicalRequest)-1 {
		t.Errorf("got %+v", doc)
	}
	r = s3Request("GET", "/examplebucket?cors", "")
	r.Header.Set("X-Amz-Acl", "x")
	if _, _, doc = serveS3(t, api, r); doc.HeadersNotSigned != "x-amz-acl" {
		t.Errorf("got %+v", doc)
	}
	r = s3Request("GET", "/No_Bucket?cors", "")
	w := httptest.NewRecorder()
	if api.Serve(w, r, ""); w.Code != 400 || !strings.Contains(w.Body.String(), "<Code>InvalidBucketName</Code><Message>The specified bucket is not valid.</Message><BucketName>No_Bucket</BucketName>") {
		t.Errorf("got %d and %s", w.Code, w.Body)
	}
}

func TestS3BodiesThatAreRefused(t *testing.T) {
	const malformed = "The XML you provided was not well-formed or did not validate against our published schema"
	const minimal = "<AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod>"
	rule := func(s string) string { return "<CORSConfiguration><CORSRule>" + s + "</CORSRule></CORSConfiguration>" }
	rules := func(n int) string { return rule(strings.Repeat(minimal+"</CORSRule><CORSRule>", n-1) + minimal) }
	for _, c := range []struct {
		desc, body, code, message string
		change                    func(http.Header)
	}{
		{"empty", "", "MalformedXML", malformed, nil},
		{"no rule", "<CORSConfiguration/>", "MalformedXML", malformed, nil},
		{"JSON", `[{"AllowedOrigins": ["*"], "AllowedMethods": ["GET"]}]`, "MalformedXML", malformed, nil},
		{"an empty rule", rule(""), "MalformedXML", malformed, nil},
		{"no origin", rule("<AllowedMethod>GET</AllowedMethod>"), "MalformedXML", malformed, nil},
		{"no method", rule("<AllowedOrigin>*</AllowedOrigin>"), "MalformedXML", malformed, nil},
		{"unknown element", rule(minimal + "<AllowOrigin>x</AllowOrigin>"), "MalformedXML", malformed, nil},
		{"ResponseVary", strings.Replace(rule(minimal), "</CORSC", "<ResponseVary>true</ResponseVary></CORSC", 1), "MalformedXML", malformed, nil},
		{"a long ID", rule(minimal + "<ID>" + strings.Repeat("a", 256) + "</ID>"), "MalformedXML", malformed, nil},
		{"max age", rule(minimal + "<MaxAgeSeconds>1.5</MaxAgeSeconds>"), "MalformedXML", malformed, nil},
		{"101 rules", rules(101), "InvalidRequest", "The number of CORS rules should not exceed allowed limit of 100 rules.", nil},
		{"method", rule(minimal + "<AllowedMethod>get</AllowedMethod>"), "InvalidRequest", "Found unsupported HTTP method in CORS config. Unsupported method is get", nil},
		{"an empty method", rule(minimal + "<AllowedMethod/>"), "InvalidRequest", "Found unsupported HTTP method in CORS config. Unsupported method is ", nil},
		{"origin", rule(minimal + "<AllowedOrigin>*example*.com</AllowedOrigin>"), "InvalidRequest", `AllowedOrigin "*example*.com" can not have more than one wildcard.`, nil},
		{"header", rule(minimal + "<AllowedHeader>*-*</AllowedHeader>"), "InvalidRequest", `AllowedHeader "*-*" can not have more than one wildcard.`, nil},
		{"expose header", rule(minimal + "<ExposeHeader>x-*</ExposeHeader>"), "InvalidRequest", `ExposeHeader "x-*" contains wildcard. We currently do not support wildcard for ExposeHeader.`, nil},
		{"too long", rule(minimal) + strings.Repeat(" ", corsrules.MaxS3DocumentBytes), "MaxMessageLengthExceeded", "Your request was too big.", nil},
		{"another payload hash", rule(minimal), "XAmzContentSHA256Mismatch", "The provided 'x-amz-content-sha256' header does not match what was computed.",
			set("X-Amz-Content-Sha256", strings.Repeat("0", 64))},
		{"no checksum", rule(minimal), "InvalidRequest", "Missing required header for this request: Content-MD5", del("Content-Md5")},
		{"a bad Content-MD5", rule(minimal), "InvalidDigest", "The Content-MD5 you specified was invalid.", set("Content-Md5", "abc")},
		{"another Content-MD5", rule(minimal), "BadDigest", "The Content-MD5 you specified did not match what we received.", set("Content-Md5", "1B2M2Y8AsgTpgAmY7PhCfg==")},
		{"a bad checksum", rule(minimal), "InvalidRequest", "Value for x-amz-checksum-crc32 header is invalid.", set("X-Amz-Checksum-Crc32", "abc")},
		{"another checksum", rule(minimal), "BadDigest", "The CRC32 you specified did not match the calculated checksum.", set("X-Amz-Checksum-Crc32", "AAAAAA==")},
		{"a checksum that is not known", rule(minimal), "InvalidRequest", "x-amz-checksum-xxhash64 is not supported: send one of CRC32, CRC32C, CRC64NVME, MD5, SHA1, SHA256 and SHA512.",
			set("X-Amz-Checksum-Xxhash64", "AAAAAAAAAAA=")},
		{"two checksums", rule(minimal), "InvalidRequest", "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.",
			func(h http.Header) {
				h.Set("X-Amz-Checksum-Crc32", "AAAAAA==")
				h.Set("X-Amz-Checksum-Crc32c", "AAAAAA==")
			}},
	} {
		store := &memory{docs: map[string]string{testBucket: "before"}}
		change := func(http.Header) {}
		if c.change != nil {
			change = c.change
		}
		w, _, doc := serveS3(t, at(t, testTime, store), s3Request("PUT", "/examplebucket?cors", c.body, change))
		if w.Code != 400 || doc.Code != c.code || doc.Message != c.message || store.docs[testBucket] != "before" {
			t.Errorf("%s: got %d %+v", c.desc, w.Code, doc)
		}
		if c.change == nil && c.desc != "too long" && !strings.HasPrefix(doc.ErrorDetail, "1:") {
			t.Errorf("%s: the client is not told where: %+v", c.desc, doc)
		}
	}
}

// The check values of the algorithms (https://reveng.sourceforge.io/crc-catalogue/), and of
// the hashes, for the nine digits.
func TestS3Checksums(t *testing.T) {
	for algorithm, want := range map[string]string{
		"Crc32": "cbf43926", "Crc32c": "e3069283", "Crc64nvme": "ae8b14860a799888", "Md5": "25f9e794323b453885f5181f1b624d0b",
		"Sha1":   "f7c3bc1d808e04732adf679965ccc34ca7ae3441",
		"Sha256": "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225",
	} {
		sum, _ := hex.DecodeString(want)
		if err := checkS3Checksum(checksumPrefix+algorithm, base64.StdEncoding.EncodeToString(sum), []byte("123456789")); err != nil {
			t.Errorf("%s: %v", algorithm, err)
		}
		if err := checkS3Checksum(checksumPrefix+algorithm, base64.StdEncoding.EncodeToString(sum), []byte("123456780")); codeOf(err) != "BadDigest" {
			t.Errorf("%s: of another body: %v", algorithm, err)
		}
	}
}

// The limits are those of whose signature it is; max_rules is one for both.
func TestLimitsOfDialects(t *testing.T) {
	document := func(n int) string {
		return "<CORSConfiguration>" + strings.Repeat("<CORSRule><AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod></CORSRule>", n) + "</CORSConfiguration>"
	}
	for _, c := range []struct {
		maxRules, rules int
		oss, s3         int
	}{
		{0, 10, 200, 200}, {0, 11, 400, 200}, {0, 100, 400, 200}, {0, 101, 400, 400}, {3, 3, 200, 200}, {3, 4, 400, 400}, {120, 120, 200, 200},
	} {
		api := at(t, testTime, &memory{docs: map[string]string{}})
		api.maxRules = c.maxRules
		if w, _, _ := serveS3(t, api, s3Request("PUT", "/examplebucket?cors", document(c.rules))); w.Code != c.s3 {
			t.Errorf("max_rules %d, %d rules for S3: got %d\n%s", c.maxRules, c.rules, w.Code, w.Body)
		}
		if result := api.Serve(httptest.NewRecorder(), put(document(c.rules)), testBucket); result.Status != c.oss {
			t.Errorf("max_rules %d, %d rules for OSS: got %+v", c.maxRules, c.rules, result)
		}
	}
}

func TestS3EndlessBody(t *testing.T) {
	body := new(counted)
	r := s3Request("PUT", "/examplebucket?cors", "")
	r.Body = io.NopCloser(body)
	if _, _, doc := serveS3(t, at(t, testTime, &memory{}), r); doc.Code != "MaxMessageLengthExceeded" || body.n > corsrules.MaxS3DocumentBytes+1 {
		t.Errorf("got %+v after %d bytes", doc, body.n)
	}
}

// FuzzS3Put: of a signed put, a body is stored as it came, and both stores' clients can read
// it, or it is refused with a document that says why, and nothing is stored.
func FuzzS3Put(f *testing.F) {
	f.Add(s3Rules, "X-Amz-Checksum-Crc32", "AAAAAA==")
	f.Add(goodRules, "X-Amz-Content-Sha256", unsignedPayload)
	f.Add("<CORSConfiguration><CORSRule><AllowedOrigin>a\x00</AllowedOrigin>", "Content-Md5", "x\ty")
	f.Fuzz(func(t *testing.T, body, header, value string) {
		if !corsrules.IsToken(header) || strings.ContainsAny(value, "\r\n\x00") {
			return // no server accepts such a header
		}
		if len(header)+len(value) > 1<<10 || strings.EqualFold(header, "Authorization") || strings.EqualFold(header, "X-Amz-Date") {
			return // what is signed is bounded, and has a time
		}
		store := &memory{docs: map[string]string{}}
		api := at(t, testTime, store)
		w, _, _ := serveS3(t, api, s3Request("PUT", "/examplebucket?cors", body, set(header, value)))
		stored, ok := store.docs[testBucket]
		if ok != (w.Code == http.StatusOK) || ok && stored != body {
			t.Fatalf("%d, and %q is stored", w.Code, stored)
		}
		if !ok {
			return
		}
		if w, _, _ := serveS3(t, api, s3Request("GET", "/examplebucket?cors", "")); w.Code != http.StatusOK {
			t.Errorf("accepted, and damaged when it is read back: %s", w.Body)
		}
		if w, _, _ := serve(t, store, signed(true, http.MethodGet, "/examplebucket/?cors", testTime, nil), testBucket); w.Code != http.StatusOK {
			t.Errorf("accepted, and damaged when OSS's client reads it back: %s", w.Body)
		}
	})
}

// With S3's dialect, requests without a signature get S3's errors, and no change takes place.
func TestUnsignedRequests(t *testing.T) {
	for _, c := range []struct {
		authorization string
		dialect       corsrules.Dialect
		status        int
		code, says    string
		isS3          bool
	}{
		{"", corsrules.DialectOSS, 403, "AccessDenied", "Anonymous access", false},
		{"", corsrules.DialectS3, 403, "AccessDenied", "Access Denied", true},
		{"Basic YTpi", corsrules.DialectOSS, 400, "InvalidArgument", "", false},
		{"Basic YTpi", corsrules.DialectS3, 400, "InvalidRequest", "Please use AWS4-HMAC-SHA256", true},
		{"OSS id:abc", corsrules.DialectS3, 403, "InvalidAccessKeyId", "The OSS Access Key Id", false},
		{"OSS4-HMAC-SHA256 Credential=x", corsrules.DialectS3, 400, "InvalidArgument", "", false},
		{"AWS id:abc", corsrules.DialectOSS, 400, "InvalidRequest", "Please use AWS4-HMAC-SHA256", true},
	} {
		store := &memory{docs: map[string]string{}}
		api := at(t, testTime, store)
		api.Dialect = c.dialect
		r := httptest.NewRequest("PUT", "/examplebucket?cors", strings.NewReader(goodRules))
		if c.authorization != "" {
			r.Header.Set("Authorization", c.authorization)
		}
		w := httptest.NewRecorder()
		result := api.Serve(w, r, testBucket)
		if w.Code != c.status || !strings.Contains(w.Body.String(), "<Code>"+c.code+"</Code>") || !strings.Contains(w.Body.String(), c.says) ||
			(w.Header().Get("X-Amz-Id-2") != "") != c.isS3 || result.KeyID != "" || len(store.docs) > 0 {
			t.Errorf("%q, dialect %d: %d, %v\n%s", c.authorization, c.dialect, w.Code, w.Header(), w.Body)
		}
	}
}
