package bucketapi

import (
	"bufio"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oss-cors/caddy-oss-cors/internal/ossresponse"
)

// The key and the bucket of all requests in testdata. These are what the clients that
// their names say sent to a server. OSS's: Go SDK v1 3.0.2, Go SDK v2 1.6.1, ossutil 1.7.19
// and ali-oss 6.23.0 for Node. S3's (s3-…): boto3 1.43.11 and 1.26.27, AWS CLI 2.9.19, AWS
// SDK for Go v2 (s3 1.109.1), AWS SDK for JavaScript v3 (3.1169.0), minio-go 7.4.1, mc of
// 13 March 2025, and s3cmd 2.3.0.
var testKey = Key{ID: "LTAI5tExampleKeyId", Secret: "exampleSecretOfTheKey0123456789", Buckets: []string{"example*"}}

const testBucket = "examplebucket"

// captured returns the requests of testdata whose names match the pattern.
func captured(t testing.TB, pattern string) map[string]func() *http.Request {
	t.Helper()
	files, err := filepath.Glob("testdata/" + pattern + ".http")
	if err != nil || len(files) == 0 {
		t.Fatalf("no captured request %q: %v", pattern, err)
	}
	requests := map[string]func() *http.Request{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		requests[strings.TrimSuffix(filepath.Base(file), ".http")] = func() *http.Request {
			r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(string(text))))
			if err != nil {
				t.Fatal(err)
			}
			return r
		}
	}
	return requests
}

// at returns an API over a store, with a clock that stands still.
func at(t testing.TB, now time.Time, store Store, keys ...Key) *API {
	t.Helper()
	if len(keys) == 0 {
		keys = []Key{testKey}
	}
	api, err := New(keys, store, 0)
	if err != nil {
		t.Fatal(err)
	}
	api.now = func() time.Time { return now }
	return api
}

// when returns a captured request's own time.
func when(t testing.TB, r *http.Request) time.Time {
	t.Helper()
	auth, err := parseAuthorization(r.Header["Authorization"])
	if err != nil {
		t.Fatal(err)
	}
	_, now, err := auth.requestTime(r.Header)
	if err != nil {
		t.Fatal(err)
	}
	return now
}

// codeOf returns an error's Code; empty for none.
func codeOf(err error) string {
	var e ossresponse.Error
	if err == nil || !errors.As(err, &e) {
		return ""
	}
	return e.Code
}

func TestSignaturesOfClients(t *testing.T) {
	for name, request := range captured(t, "*") {
		t.Run(name, func(t *testing.T) {
			r := request()
			want := ""
			if strings.Contains(name, "other-operation") {
				r.URL.RawQuery, want = "cors", "SignatureDoesNotMatch"
			}
			api := at(t, when(t, r), nil)
			if _, err := api.authenticate(r, testBucket); codeOf(err) != want {
				t.Errorf("got %v, want %q", err, want)
			}
			r.URL.Path = strings.Replace(r.URL.Path, testBucket, "example-other", 1)
			if _, err := api.authenticate(r, "example-other"); codeOf(err) != "SignatureDoesNotMatch" {
				t.Errorf("on another bucket: got %v", err)
			}
		})
	}
}

// Whatever is signed cannot be changed, in any client's requests.
func TestChangedRequests(t *testing.T) {
	for name, request := range captured(t, "*") {
		if strings.Contains(name, "other-operation") {
			continue
		}
		t.Run(name, func(t *testing.T) {
			auth, err := parseAuthorization(request().Header["Authorization"])
			if err != nil {
				t.Fatal(err)
			}
			api := at(t, when(t, request()), nil)
			refused := func(what string, change func(r *http.Request)) {
				t.Helper()
				r := request()
				change(r)
				if id, err := api.authenticate(r, testBucket); err == nil || id != "" {
					t.Errorf("%s: accepted", what)
				}
			}
			changeMethodTimeAndSignature(request(), auth, refused)
			changeHeaders(request(), auth, refused)
			if auth.v4 != nil {
				changeScopeAndQuery(auth, refused)
			}
		})
	}
}

type refusal func(what string, change func(r *http.Request))

func changeMethodTimeAndSignature(original *http.Request, auth authorization, refused refusal) {
	for _, method := range []string{"GET", "PUT", "DELETE", "POST", "HEAD"} {
		if method != original.Method {
			refused("method "+method, func(r *http.Request) { r.Method = method })
		}
	}
	for _, by := range []time.Duration{time.Second, -time.Minute, 24 * time.Hour} {
		refused("time", func(r *http.Request) {
			_, t, _ := auth.requestTime(r.Header)
			setTime(r, t.Add(by))
		})
	}
	for i := range auth.signature {
		refused(fmt.Sprint("signature, character ", i), func(r *http.Request) {
			changed := auth.signature[:i] + string(auth.signature[i]^1) + auth.signature[i+1:]
			r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), auth.signature, changed, 1))
		})
	}
	refused("no signature", func(r *http.Request) {
		r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), auth.signature, "", 1))
	})
}

func changeHeaders(original *http.Request, auth authorization, refused refusal) {
	added := "X-Oss-Added"
	if auth.v4 == awsV4 {
		added = "X-Amz-Added"
	}
	refused("header added", func(r *http.Request) { r.Header.Set(added, "") })
	for name := range original.Header {
		asHeader := auth.isSigned(strings.ToLower(name))
		if !asHeader && (auth.v4 == awsV4 || !isSignedApart(name, original)) {
			continue
		}
		refused(name+" changed", func(r *http.Request) { r.Header.Set(name, r.Header.Get(name)+"x") })
		refused(name+" removed", func(r *http.Request) { r.Header.Del(name) })
		if asHeader {
			refused(name+" twice", func(r *http.Request) { r.Header.Add(name, "x") })
		}
	}
	if auth.isSigned("host") {
		refused("host", func(r *http.Request) { r.Host = "other" })
	}
}

func changeScopeAndQuery(auth authorization, refused refusal) {
	refused("parameter added", func(r *http.Request) { r.URL.RawQuery += "&acl" })
	refused("parameters removed", func(r *http.Request) { r.URL.RawQuery = "" })
	for _, part := range []string{"/2026", "/" + auth.region, "Credential=LTAI", "/" + auth.v4.product, "/" + auth.v4.terminator} {
		refused("scope "+part, func(r *http.Request) {
			r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), part, part[:len(part)-1], 1))
		})
	}
}

func TestOtherSecrets(t *testing.T) {
	for name, request := range captured(t, "*") {
		if strings.Contains(name, "other-operation") {
			continue
		}
		for _, secret := range []string{"x", testKey.Secret + "x", testKey.Secret[1:]} {
			api := at(t, when(t, request()), nil, Key{ID: testKey.ID, Secret: secret, Buckets: []string{"*"}})
			if _, err := api.authenticate(request(), testBucket); codeOf(err) != "SignatureDoesNotMatch" {
				t.Errorf("%s: with the secret %q: got %v", name, secret, err)
			}
		}
	}
}

// isSignedApart reports whether a header is signed otherwise than as a header.
func isSignedApart(name string, r *http.Request) bool {
	switch name {
	case "Content-Type", "Content-Md5":
		return true
	}
	return name == "Date" && r.Header.Get("X-Oss-Date") == ""
}

// setTime changes when r says that it was made, in the form that it says it in.
func setTime(r *http.Request, now time.Time) {
	name := "Date"
	for _, own := range []string{ossV4.dateHeader, awsV4.dateHeader} {
		if r.Header.Get(own) != "" {
			name = own
		}
	}
	format := timeFormat
	if strings.Contains(r.Header.Get(name), ",") {
		format = http.TimeFormat
	}
	r.Header.Set(name, now.UTC().Format(format))
}

// signed returns a request of this API, signed at a time.
func signed(v4 bool, method, target string, now time.Time, change func(*http.Request)) *http.Request {
	r := httptest.NewRequest(method, target, nil)
	r.Header.Set("X-Oss-Date", now.UTC().Format(timeFormat))
	if change != nil {
		change(r)
	}
	a := authorization{keyID: testKey.ID, date: now.UTC().Format(dayFormat), region: "cn-hangzhou"}
	if v4 {
		a.v4 = ossV4
	}
	sign(r, a, testBucket)
	return r
}

func sign(r *http.Request, a authorization, bucket string) {
	date, _, err := a.requestTime(r.Header)
	if err != nil {
		date = ""
	}
	signed, err := a.signed(r, bucket, date)
	if err != nil {
		panic(err)
	}
	signature := a.sign(testKey.Secret, signed.stringToSign)
	r.Header.Set("Authorization", schemeV1+a.keyID+":"+signature)
	if a.v4 != nil {
		headers := ""
		if len(a.headers) > 0 {
			headers = a.v4.headersField + "=" + strings.Join(a.headers, ";") + ", "
		}
		r.Header.Set("Authorization", a.v4.scheme+" Credential="+a.keyID+"/"+a.scope()+", "+headers+"Signature="+signature)
	}
}

// A request that is signed is accepted, whatever else it has.
func TestSignedRequests(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	text := func(alphabet string) string {
		b := make([]byte, 1+random.IntN(12))
		for i := range b {
			b[i] = alphabet[random.IntN(len(alphabet))]
		}
		return string(b)
	}
	now := time.Date(2026, 11, 21, 23, 59, 59, 0, time.UTC)
	api := at(t, now, nil)
	for range 2000 {
		a := authorization{v4: []*v4{nil, ossV4, awsV4}[random.IntN(3)], keyID: testKey.ID, date: now.Format(dayFormat), region: text("abc-1")}
		query := url.Values{"cors": {""}}
		r := httptest.NewRequest("PUT", "/examplebucket/", nil)
		r.Header.Set("Date", now.Format(http.TimeFormat))
		if a.v4 == awsV4 {
			r.Header.Set("X-Amz-Content-Sha256", unsignedPayload)
			a.headers = []string{"host", "x-amz-content-sha256"}
		}
		for range random.IntN(6) {
			name := text("ab-0")
			r.Header.Add("X-Oss-"+name, text("abc ,:/%é"))
			query.Add(text("ab -=%&+*é"), text("ab -=%&+*é"))
			if a.v4 != nil && random.IntN(2) == 0 {
				r.Header.Add(name, text("abc  "))
				a.headers = append(a.headers, strings.ToLower(name))
			}
		}
		r.URL.RawQuery = query.Encode()
		sign(r, a, testBucket)
		if id, err := api.authenticate(r, testBucket); err != nil || id != testKey.ID {
			t.Fatalf("got %q and %v for %v, %s", id, err, r.Header, r.URL)
		}
	}
}

func TestSkew(t *testing.T) {
	made := time.Date(2026, 11, 21, 23, 50, 0, 0, time.UTC)
	for _, c := range []struct {
		off  time.Duration
		code string
	}{
		{0, ""}, {15 * time.Minute, ""}, {-15 * time.Minute, ""},
		{15*time.Minute + time.Second, "RequestTimeTooSkewed"},
		{-15*time.Minute - time.Second, "RequestTimeTooSkewed"},
		{1e6 * time.Hour, "RequestTimeTooSkewed"},
	} {
		for _, v4 := range []bool{false, true} {
			r := signed(v4, "GET", "/examplebucket/?cors", made, nil)
			if _, err := at(t, made.Add(c.off), nil).authenticate(r, testBucket); codeOf(err) != c.code {
				t.Errorf("off by %v: got %v, want %q", c.off, err, c.code)
			}
		}
	}
}

func TestCanonicalQuery(t *testing.T) {
	for query, want := range map[string]string{
		"cors":                  "cors",
		"cors=":                 "cors",
		"&cors&&":               "cors",
		"x=1&cors":              "cors&x=1",
		"a-b=1&a=2&a.b":         "a=2&a-b=1&a.b",
		"a=x+y%20z&cors":        "a=x%20y%20z&cors",
		"%63ors":                "cors",
		"a=%2f%7e*'()":          "a=%2F~%2A%27%28%29",
		"a=%zz":                 "a=%25zz",
		"b=2&a=1&a=0":           "a=1&a=0&b=2",
		"a=b=c":                 "a=b%3Dc",
		"cors;x":                "cors%3Bx",
		"%E4%BD%A0=%e4%bd%a0":   "%E4%BD%A0=%E4%BD%A0",
		"x-%C3%A4+b=1&cors&a-b": "a-b&cors&x-%C3%A4%20b=1",
	} {
		if got := (&authorization{v4: ossV4}).canonicalQuery(query); got != want {
			t.Errorf("%s: got %s, want %s", query, got, want)
		}
	}
}

// Names are in the order of names, not of lines: "-" comes before ":".
func TestCanonicalHeaders(t *testing.T) {
	r := httptest.NewRequest("GET", "/", nil)
	r.Header = http.Header{
		"X-Oss-Meta-A": {" 1 ", "2"}, "X-Oss-Meta-A-B": {"3"}, "Content-Type": {"t"}, "Content-Md5": {""}, "Accept": {"*/*"}, "X-Os": {"no"},
	}
	a := authorization{v4: ossV4, headers: []string{"accept", "absent", "host"}}
	got, ok := a.canonicalHeaders(r)
	want := "accept:*/*\ncontent-md5:\ncontent-type:t\nhost:example.com\nx-oss-meta-a:1,2\nx-oss-meta-a-b:3\n"
	if got != want || !ok {
		t.Errorf("V4: got\n%s\nwant\n%s", got, want)
	}
	got, _ = new(authorization).canonicalHeaders(r)
	if want := "x-oss-meta-a:1,2\nx-oss-meta-a-b:3\n"; got != want {
		t.Errorf("V1: got\n%s\nwant\n%s", got, want)
	}
}
