package bucketapi

import (
	"context"
	"crypto/md5"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/caddy-oss-cors/caddy-oss-cors/corsrules"
)

var testTime = time.Date(2026, 11, 21, 11, 51, 9, 0, time.UTC)

const (
	goodRules = `<CORSConfiguration><!-- mine --><CORSRule><AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod>` +
		`<AllowedHeader>X-A</AllowedHeader><MaxAgeSeconds>0</MaxAgeSeconds></CORSRule></CORSConfiguration>`
	goodRulesReadBack = `<?xml version="1.0" encoding="UTF-8"?>
<CORSConfiguration>
  <CORSRule>
    <AllowedOrigin>*</AllowedOrigin>
    <AllowedMethod>GET</AllowedMethod>
    <AllowedHeader>x-a</AllowedHeader>
    <MaxAgeSeconds>0</MaxAgeSeconds>
  </CORSRule>
  <ResponseVary>false</ResponseVary>
</CORSConfiguration>
`
)

// memory is a Store. Where err is set, every method fails with it.
type memory struct {
	docs map[string]string
	err  error
}

func (m *memory) Load(_ context.Context, bucket string) ([]byte, error) {
	if m.err != nil {
		return nil, m.err
	}
	if doc, ok := m.docs[bucket]; ok {
		return []byte(doc), nil
	}
	return nil, fmt.Errorf("memory: %w", fs.ErrNotExist)
}

func (m *memory) Store(_ context.Context, bucket string, doc []byte) error {
	if m.err == nil {
		m.docs[bucket] = string(doc)
	}
	return m.err
}

func (m *memory) Delete(_ context.Context, bucket string) error {
	if _, ok := m.docs[bucket]; !ok && m.err == nil {
		return fs.ErrNotExist
	}
	delete(m.docs, bucket)
	return m.err
}

// errorDocument is what clients read of an error.
type errorDocument struct {
	XMLName                                 xml.Name `xml:"Error"`
	Code, Message, RequestId, HostId, EC    string
	ArgumentName, ArgumentValue             string
	OSSAccessKeyId, StringToSign            string
	SignatureProvided, ServerTime           string
	RequestTime, MaxAllowedSkewMilliseconds string
	BucketName, StringToSignBytes           string
	ErrorDetail                             string
}

// serve serves a request and checks what every answer has.
func serve(t *testing.T, store Store, r *http.Request, bucket string) (*httptest.ResponseRecorder, Result, errorDocument) {
	t.Helper()
	w := httptest.NewRecorder()
	result := at(t, testTime, store).Serve(w, r, bucket)
	var doc errorDocument
	if w.Code >= 400 {
		if err := xml.Unmarshal(w.Body.Bytes(), &doc); err != nil {
			t.Fatalf("%v in\n%s", err, w.Body)
		}
		if doc.RequestId != result.RequestID || doc.HostId != r.Host || doc.EC != w.Header().Get("X-Oss-Ec") || result.Err == nil {
			t.Errorf("got %v, %+v and\n%s", w.Header(), result, w.Body)
		}
	} else if result.Err != nil {
		t.Errorf("%d, but %v", w.Code, result.Err)
	}
	if len(result.RequestID) != 24 || w.Header().Get("X-Oss-Request-Id") != result.RequestID ||
		w.Header().Get("X-Oss-Server-Time") == "" || result.Status != w.Code || result.Operation != operations[r.Method] || result.Bucket != bucket {
		t.Errorf("got %d, %v and %+v", w.Code, w.Header(), result)
	}
	return w, result, doc
}

func put(body string, headers ...string) *http.Request {
	r := signed(true, "PUT", "/examplebucket/?cors", testTime, func(r *http.Request) {
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
	})
	r.Body = io.NopCloser(strings.NewReader(body))
	return r
}

func TestPutGetDelete(t *testing.T) {
	for _, v4 := range []bool{false, true} {
		store := &memory{docs: map[string]string{}}
		request := func(method string) *http.Request {
			r := signed(v4, method, "/examplebucket/?cors", testTime, nil)
			r.Body = io.NopCloser(strings.NewReader(goodRules))
			return r
		}
		w, result, _ := serve(t, store, request("PUT"), testBucket)
		if w.Code != 200 || w.Body.Len() != 0 || w.Header().Get("Content-Length") != "0" || w.Header().Get("Content-Type") != "" || result.KeyID != testKey.ID {
			t.Errorf("put: got %d, %v and %+v", w.Code, w.Header(), result)
		}
		if store.docs[testBucket] != goodRules {
			t.Errorf("put: not stored as it came: %q", store.docs)
		}
		w, _, _ = serve(t, store, request("GET"), testBucket)
		if w.Code != 200 || w.Body.String() != goodRulesReadBack || w.Header().Get("Content-Type") != "application/xml" {
			t.Errorf("get: got %d, %v and\n%s", w.Code, w.Header(), w.Body)
		}
		for range 2 {
			w, _, _ = serve(t, store, request("DELETE"), testBucket)
			if w.Code != 204 || w.Body.Len() != 0 || len(store.docs) != 0 {
				t.Errorf("delete: got %d, %v", w.Code, w.Header())
			}
		}
		w, _, doc := serve(t, store, request("GET"), testBucket)
		if w.Code != 404 || doc.Code != "NoSuchCORSConfiguration" || doc.EC != "0034-00000001" || doc.Message != "The CORS Configuration does not exist." {
			t.Errorf("get after delete: got %d, %+v", w.Code, doc)
		}
	}
}

// The clients' own requests, bodies included, from end to end.
func TestRequestsOfClients(t *testing.T) {
	for name, request := range captured(t, "*") {
		if strings.Contains(name, "other-operation") {
			continue
		}
		r := request()
		store := &memory{docs: map[string]string{testBucket: goodRules}}
		w := httptest.NewRecorder()
		if !IsRequest(r, "") {
			t.Errorf("%s: not seen as a request of this API", name)
		}
		at(t, when(t, r), store).Serve(w, r, testBucket)
		want := map[string]int{"PUT": 200, "GET": 200, "DELETE": 204}[r.Method]
		if w.Code != want || r.Method == "PUT" && store.docs[testBucket] == goodRules {
			t.Errorf("%s: got %d\n%s", name, w.Code, w.Body)
		}
	}
}

// unread is a body that must not be read.
type unread struct{ t *testing.T }

func (b unread) Read([]byte) (int, error) {
	b.t.Error("the body was read")
	return 0, io.EOF
}

func (unread) Close() error { return nil }

// Requests that are refused by their header; their bodies are not read.
func TestRefusals(t *testing.T) {
	long := strings.Repeat("a", maxSignedBytes)
	for _, c := range []struct {
		desc     string
		v4       bool
		change   func(*http.Request) // before r is signed
		tamper   func(*http.Request) // after
		bucket   string
		status   int
		code, ec string
	}{
		{desc: "no bucket", bucket: "", status: 400, code: "InvalidBucketName", ec: "0015-00000001"},
		{desc: "unsigned", tamper: func(r *http.Request) { r.Header.Del("Authorization") }, bucket: testBucket,
			status: 403, code: "AccessDenied", ec: "0003-00001201"},
		{desc: "signed in the query", tamper: func(r *http.Request) {
			r.Header.Del("Authorization")
			r.URL.RawQuery += "&OSSAccessKeyId=" + testKey.ID + "&Expires=1795261869&Signature=abc&x-oss-credential=abc&x-oss-signature=abc"
		}, bucket: testBucket, status: 403, code: "AccessDenied", ec: "0003-00001201"},
		{desc: "another scheme", tamper: func(r *http.Request) { r.Header.Set("Authorization", "Basic YTpi") }, bucket: testBucket,
			status: 400, code: "InvalidArgument", ec: "0002-00000061"},
		{desc: "malformed V1", tamper: func(r *http.Request) { r.Header.Set("Authorization", "OSS id") }, bucket: testBucket,
			status: 400, code: "InvalidArgument", ec: "0002-00000062"},
		{desc: "malformed V4", tamper: func(r *http.Request) { r.Header.Set("Authorization", "OSS4-HMAC-SHA256 Credential=id,Signature=abc") }, bucket: testBucket,
			status: 400, code: "InvalidArgument", ec: "0002-00000213"},
		{desc: "unknown key", tamper: func(r *http.Request) { r.Header.Set("Authorization", "OSS nobody:abc") }, bucket: testBucket,
			status: 403, code: "InvalidAccessKeyId", ec: "0002-00000902"},
		{desc: "no key", tamper: func(r *http.Request) { r.Header.Set("Authorization", "OSS :abc") }, bucket: testBucket,
			status: 400, code: "InvalidArgument", ec: "0002-00000063"},
		{desc: "no date", tamper: func(r *http.Request) { r.Header.Del("X-Oss-Date") }, bucket: testBucket,
			status: 403, code: "AccessDenied", ec: "0002-00000503"},
		{desc: "a bad date", tamper: func(r *http.Request) { r.Header.Set("X-Oss-Date", "today") }, bucket: testBucket,
			status: 403, code: "AccessDenied", ec: "0002-00000502"},
		{desc: "skewed V1", change: func(r *http.Request) { setTime(r, testTime.Add(-16*time.Minute)) }, bucket: testBucket,
			status: 403, code: "RequestTimeTooSkewed", ec: "0002-00000504"},
		{desc: "skewed V4", v4: true, change: func(r *http.Request) { setTime(r, testTime.Add(16*time.Minute)) }, bucket: testBucket,
			status: 403, code: "RequestTimeTooSkewed", ec: "0002-00000504"},
		{desc: "another day in the scope", v4: true, tamper: func(r *http.Request) {
			r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), "20261121", "20261120", 1))
		}, bucket: testBucket, status: 400, code: "InvalidArgument", ec: "0002-00000212"},
		{desc: "a hash of the body", v4: true, change: func(r *http.Request) { r.Header.Set("X-Oss-Content-Sha256", "78a0df") }, bucket: testBucket,
			status: 400, code: "InvalidArgument", ec: "0002-00000214"},
		{desc: "wrong V1 signature", tamper: func(r *http.Request) { r.Header.Set("Authorization", "OSS "+testKey.ID+":abc") }, bucket: testBucket,
			status: 403, code: "SignatureDoesNotMatch", ec: "0002-00000040"},
		{desc: "wrong V4 signature", v4: true, tamper: func(r *http.Request) { r.Header.Set("X-Oss-Meta", "abc") }, bucket: testBucket,
			status: 403, code: "SignatureDoesNotMatch", ec: "0002-00000201"},
		{desc: "replayed on another bucket", v4: true, bucket: "example-other",
			status: 403, code: "SignatureDoesNotMatch", ec: "0002-00000201"},
		{desc: "endless headers", change: nil, tamper: func(r *http.Request) { r.Header.Set("X-Oss-Meta", long) }, bucket: testBucket,
			status: 400, code: "InvalidArgument"},
		{desc: "an endless query", v4: true, tamper: func(r *http.Request) { r.URL.RawQuery += "&" + long }, bucket: testBucket,
			status: 400, code: "InvalidArgument"},
	} {
		for _, method := range []string{"PUT", "GET", "DELETE"} {
			r := signed(c.v4, method, "/examplebucket/?cors", testTime, c.change)
			if c.tamper != nil {
				c.tamper(r)
			}
			r.Body = unread{t}
			store := &memory{docs: map[string]string{testBucket: goodRules}}
			w, result, doc := serve(t, store, r, c.bucket)
			if w.Code != c.status || doc.Code != c.code || doc.EC != c.ec || result.KeyID != "" || store.docs[testBucket] != goodRules {
				t.Errorf("%s: %s: got %d, %+v and %+v, want %d %s EC %s", c.desc, method, w.Code, doc, result, c.status, c.code, c.ec)
			}
			if strings.Contains(w.Body.String()+result.Err.Error(), testKey.Secret) {
				t.Errorf("%s: the secret is told", c.desc)
			}
		}
	}
}

// A key acts on its own buckets only, however well it signs.
func TestForeignBucket(t *testing.T) {
	r := signed(true, "PUT", "/?cors", testTime, nil)
	a, _ := parseAuthorization(r.Header["Authorization"])
	sign(r, a, "other")
	r.Body = unread{t}
	w, result, doc := serve(t, &memory{}, r, "other")
	if w.Code != 403 || doc.Code != "AccessDenied" || doc.EC != "0003-00000905" || result.KeyID != testKey.ID {
		t.Errorf("got %d, %+v and %+v", w.Code, doc, result)
	}
}

// What helps a client that is refused.
func TestDetailsOfRefusals(t *testing.T) {
	r := signed(false, "GET", "/examplebucket/?cors", testTime, nil)
	r.Header.Set("Content-Type", "a<b")
	r.Header.Set("Authorization", "OSS "+testKey.ID+":abc")
	_, _, doc := serve(t, &memory{}, r, testBucket)
	want := "GET\n\na<b\n20261121T115109Z\nx-oss-date:20261121T115109Z\n/examplebucket/?cors"
	if doc.StringToSign != want || doc.OSSAccessKeyId != testKey.ID || doc.SignatureProvided != "abc" ||
		!strings.HasPrefix(doc.StringToSignBytes, "47 45 54 0A 0A 61 3C 62 0A 32") || len(doc.StringToSignBytes) != 3*len(want)-1 {
		t.Errorf("got %+v, want %q", doc, want)
	}
	for target, name := range map[string]string{"/No_Bucket/?cors": "No_Bucket", "http://No_Bucket.oss.test/?cors": "No_Bucket"} {
		_, _, doc = serve(t, &memory{}, httptest.NewRequest("GET", target, nil), "")
		if doc.Code != "InvalidBucketName" || doc.BucketName != name {
			t.Errorf("%s: got %+v", target, doc)
		}
	}
	r = signed(true, "GET", "/examplebucket/?cors", testTime.Add(-time.Hour), nil)
	_, _, doc = serve(t, &memory{}, r, testBucket)
	if doc.RequestTime != "2026-11-21T10:51:09.000Z" || doc.ServerTime != "2026-11-21T11:51:09.000Z" || doc.MaxAllowedSkewMilliseconds != "900000" {
		t.Errorf("got %+v", doc)
	}
}

func TestBodiesThatAreRefused(t *testing.T) {
	rule := func(s string) string {
		return "<CORSConfiguration><CORSRule><AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod>" + s + "</CORSRule></CORSConfiguration>"
	}
	const malformed = "The XML you provided was not well-formed or did not validate against our published schema."
	eleven := "<CORSConfiguration>" + strings.Repeat("<CORSRule><AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod></CORSRule>", 11) + "</CORSConfiguration>"
	for _, c := range []struct {
		desc, body, code, ec, message, name, value string
	}{
		{"empty", "", "MalformedXML", "0031-00000001", malformed, "", ""},
		{"JSON", `[{"AllowedOrigins": ["*"], "AllowedMethods": ["GET"]}]`, "MalformedXML", "0031-00000001", malformed, "", ""},
		{"not XML", "{}", "MalformedXML", "0031-00000001", malformed, "", ""},
		{"unknown element", rule("<AllowOrigin>x</AllowOrigin>"), "MalformedXML", "0031-00000001", malformed, "", ""},
		{"no rule", "<CORSConfiguration/>", "MalformedXML", "0034-00000002", malformed, "", ""},
		{"wrong root", "<BucketInfo/>", "MalformedXML", "0034-00000003", malformed, "", ""},
		{"ResponseVary", strings.Replace(rule(""), "</CORSC", "<ResponseVary>yes</ResponseVary></CORSC", 1), "MalformedXML", "0034-00000004", malformed, "", ""},
		{"too many rules", eleven, "CORSRuleBeyondLimit", "0034-00000006", "The CORS Rules num is beyond limit.", "", ""},
		{"origin", strings.Replace(rule(""), ">*<", ">*.*<", 1), "InvalidArgument", "0034-00000009", "", "AllowedOrigin", "*.*"},
		{"method", strings.Replace(rule(""), ">GET<", ">get<", 1), "InvalidArgument", "0034-00000011", "", "AllowedMethod", "get"},
		{"header", rule("<AllowedHeader>a b</AllowedHeader>"), "InvalidArgument", "0034-00000012", "", "AllowedHeader", "a b"},
		{"expose header", rule("<ExposeHeader>*</ExposeHeader>"), "InvalidArgument", "0034-00000013", "", "ExposeHeader", "*"},
		{"max age", rule("<MaxAgeSeconds>-1</MaxAgeSeconds>"), "InvalidArgument", "0034-00000014", "", "MaxAgeSeconds", "-1"},
		{"two faults", rule("<MaxAgeSeconds>&lt;1</MaxAgeSeconds><AllowedHeader>a b</AllowedHeader>"), "InvalidArgument", "0034-00000014", "", "MaxAgeSeconds", "<1"},
		{"too long", goodRules + strings.Repeat(" ", corsrules.MaxDocumentBytes), "MalformedXML", "", malformed, "", ""},
	} {
		store := &memory{docs: map[string]string{testBucket: "before"}}
		w, result, doc := serve(t, store, put(c.body), testBucket)
		if w.Code != 400 || doc.Code != c.code || doc.EC != c.ec || doc.ArgumentName != c.name || doc.ArgumentValue != c.value ||
			doc.Message == "" || c.message != "" && doc.Message != c.message {
			t.Errorf("%s: got %d %+v", c.desc, w.Code, doc)
		}
		var faults corsrules.Faults
		if c.message != "" && (!strings.HasPrefix(doc.ErrorDetail, "1:") || !strings.Contains(result.Err.Error(), doc.ErrorDetail)) ||
			c.message == "" && doc.ErrorDetail != "" {
			t.Errorf("%s: the client is not told where: %q", c.desc, doc.ErrorDetail)
		}
		if !errors.As(result.Err, &faults) || !strings.HasPrefix(result.Err.Error(), "examplebucket:1:") {
			t.Errorf("%s: the log would not say where: %v", c.desc, result.Err)
		}
		if store.docs[testBucket] != "before" {
			t.Errorf("%s: changed what is stored", c.desc)
		}
	}
}

// A document of nothing but faults does not flood the log.
func TestManyFaults(t *testing.T) {
	doc := "<CORSConfiguration>" + strings.Repeat("<a/>", 4000) + "</CORSConfiguration>"
	_, result, _ := serve(t, &memory{}, put(doc), testBucket)
	if lines := strings.Count(result.Err.Error(), "\n"); lines != 10 || !strings.HasSuffix(result.Err.Error(), "\nand 3991 more") {
		t.Errorf("%d lines:\n%v", lines, result.Err)
	}
}

func TestMaxRules(t *testing.T) {
	eleven := "<CORSConfiguration>" + strings.Repeat("<CORSRule><AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod></CORSRule>", 11) + "</CORSConfiguration>"
	store := &memory{docs: map[string]string{}}
	api := at(t, testTime, store)
	api.maxRules = 11
	if result := api.Serve(httptest.NewRecorder(), put(eleven), testBucket); result.Status != 200 {
		t.Errorf("got %+v", result)
	}
}

func TestContentMD5(t *testing.T) {
	sum := md5.Sum([]byte(goodRules))
	good := base64.StdEncoding.EncodeToString(sum[:])
	for sent, want := range map[string]int{
		good: 200, "": 200, "1B2M2Y8AsgTpgAmY7PhCfg==": 400, "not base64": 400, fmt.Sprintf("%x", sum): 400, good[:len(good)-1]: 400,
	} {
		store := &memory{docs: map[string]string{}}
		w, _, doc := serve(t, store, put(goodRules, "Content-Md5", sent), testBucket)
		if w.Code != want || (len(store.docs) == 0) == (want == 200) {
			t.Errorf("%q: got %d, want %d", sent, w.Code, want)
		}
		if want == 400 && (doc.Code != "InvalidDigest") {
			t.Errorf("%q: got %+v", sent, doc)
		}
	}
}

// counted counts how much of an endless body is read.
type counted struct{ n int }

func (c *counted) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	c.n += len(p)
	return len(p), nil
}

func TestEndlessBody(t *testing.T) {
	body := new(counted)
	r := put("", "Content-Md5", "1B2M2Y8AsgTpgAmY7PhCfg==")
	r.Body = io.NopCloser(body)
	if _, _, doc := serve(t, &memory{}, r, testBucket); doc.Code != "MalformedXML" || body.n > corsrules.MaxDocumentBytes+1 {
		t.Errorf("got %+v after %d bytes", doc, body.n)
	}
}

func TestBrokenBody(t *testing.T) {
	store := &memory{docs: map[string]string{}}
	r := put("")
	r.Body = io.NopCloser(io.MultiReader(strings.NewReader(goodRules), iotest.ErrReader(io.ErrUnexpectedEOF)))
	w, result, doc := serve(t, store, r, testBucket)
	if w.Code != 400 || doc.Code != "IncompleteBody" || !errors.Is(result.Err, io.ErrUnexpectedEOF) || len(store.docs) != 0 {
		t.Errorf("got %d, %+v, %v", w.Code, doc, result.Err)
	}
}

func TestStoreFails(t *testing.T) {
	full := errors.New("no space left on device")
	for _, c := range []struct {
		err    error
		status int
		code   string
	}{
		{full, 500, "InternalError"},
		{fmt.Errorf("redis: %w", context.DeadlineExceeded), 503, "ServiceUnavailable"},
		{fs.ErrPermission, 500, "InternalError"},
	} {
		for _, method := range []string{"PUT", "GET", "DELETE"} {
			r := signed(true, method, "/examplebucket/?cors", testTime, nil)
			r.Body = io.NopCloser(strings.NewReader(goodRules))
			w, result, doc := serve(t, &memory{docs: map[string]string{}, err: c.err}, r, testBucket)
			if w.Code != c.status || doc.Code != c.code || !errors.Is(result.Err, c.err) || strings.Contains(w.Body.String(), c.err.Error()) {
				t.Errorf("%s, %v: got %d, %v and\n%s", method, c.err, w.Code, result.Err, w.Body)
			}
		}
	}
}

func TestDamagedDocument(t *testing.T) {
	for _, stored := range []string{"", "<CORSConfiguration>", goodRules[:40], strings.Repeat("a", 1<<20)} {
		r := signed(true, "GET", "/examplebucket/?cors", testTime, nil)
		w, result, doc := serve(t, &memory{docs: map[string]string{testBucket: stored}}, r, testBucket)
		if w.Code != 500 || doc.Code != "InternalError" || !strings.Contains(doc.Message, "damaged") || !errors.As(result.Err, new(corsrules.Faults)) {
			t.Errorf("got %d, %+v, %v", w.Code, doc, result.Err)
		}
	}
}

// The store is given a deadline.
func TestDeadline(t *testing.T) {
	store := deadlines{t}
	for _, method := range []string{"PUT", "GET", "DELETE"} {
		r := signed(true, method, "/examplebucket/?cors", testTime, nil)
		r.Body = io.NopCloser(strings.NewReader(goodRules))
		at(t, testTime, store).Serve(httptest.NewRecorder(), r, testBucket)
	}
}

type deadlines struct{ t *testing.T }

func (s deadlines) check(ctx context.Context) error {
	if deadline, ok := ctx.Deadline(); !ok || time.Until(deadline) > storeTimeout {
		s.t.Error("no deadline")
	}
	return nil
}

func (s deadlines) Load(ctx context.Context, _ string) ([]byte, error) {
	return []byte(goodRules), s.check(ctx)
}
func (s deadlines) Store(ctx context.Context, _ string, _ []byte) error { return s.check(ctx) }
func (s deadlines) Delete(ctx context.Context, _ string) error          { return s.check(ctx) }
