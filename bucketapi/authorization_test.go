package bucketapi

import (
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
)

const v4Example = "OSS4-HMAC-SHA256 Credential=id/20261121/cn-hangzhou/oss/aliyun_v4_request,AdditionalHeaders=Host;date,Signature=abc"

func TestParseAuthorization(t *testing.T) {
	a, err := parseAuthorization([]string{v4Example})
	if err != nil || !a.v4 || a.keyID != "id" || a.date != "20261121" || a.region != "cn-hangzhou" || a.signature != "abc" ||
		!slices.Equal(a.additional, []string{"host", "date"}) {
		t.Errorf("V4: got %+v, %v", a, err)
	}
	a, err = parseAuthorization([]string{"OSS id:abc="})
	if err != nil || a.v4 || a.keyID != "id" || a.signature != "abc=" {
		t.Errorf("V1: got %+v, %v", a, err)
	}
}

func TestAuthorizationsThatAreRefused(t *testing.T) {
	for _, c := range []struct {
		desc, code, message string
		lines               []string
	}{
		{"none", "AccessDenied", "Anonymous", nil},
		{"an empty one", "AccessDenied", "Anonymous", []string{""}},
		{"two", "InvalidArgument", "more than once", []string{v4Example, v4Example}},
		{"an endless one", "InvalidArgument", "too long", []string{"OSS id:" + strings.Repeat("a", maxAuthorizationBytes)}},
		{"another scheme", "AccessDenied", "neither", []string{"Bearer abc"}},
		{"V2", "AccessDenied", "neither", []string{"OSS2 AccessKeyId:id,Signature:abc"}},
		{"AWS's", "AccessDenied", "neither", []string{strings.Replace(v4Example, "OSS4", "AWS4", 1)}},
		{"V1 without a colon", "InvalidArgument", "OSS <AccessKeyId>:<signature>", []string{"OSS id"}},
		{"V1 and nothing", "AccessDenied", "neither", []string{"OSS"}},
		{"V4 without Credential", "InvalidArgument", "must have a Credential", []string{"OSS4-HMAC-SHA256 Signature=abc"}},
		{"V4 without Signature", "InvalidArgument", "must have a Credential", []string{v4Example[:strings.LastIndex(v4Example, ",")]}},
		{"V4 with two Signatures", "InvalidArgument", "Signature is there more than once", []string{v4Example + ",Signature=abd"}},
		{"V4 with something else", "InvalidArgument", "nothing else", []string{v4Example + ",SignedHeaders=host"}},
		{"V4 for another product", "InvalidArgument", "Credential must read", []string{strings.Replace(v4Example, "/oss/", "/oss-cloudbox/", 1)}},
		{"V4 with a short scope", "InvalidArgument", "Credential must read", []string{strings.Replace(v4Example, "/oss/", "/", 1)}},
		{"V4 with AWS's end", "InvalidArgument", "Credential must read", []string{strings.Replace(v4Example, "aliyun_v4", "aws4", 1)}},
		{"V4 with a thousand headers", "InvalidArgument", "too many", []string{strings.Replace(v4Example, "Host", strings.Repeat("a;", 1000), 1)}},
	} {
		_, err := parseAuthorization(c.lines)
		if codeOf(err) != c.code || !strings.Contains(err.Error(), c.message) {
			t.Errorf("%s: got %v, want %s, %s", c.desc, err, c.code, c.message)
		}
	}
}

// No header that was not made with the secret is let in, and none makes us panic.
func FuzzAuthorization(f *testing.F) {
	for _, seed := range []string{
		"", "OSS ", "OSS :", "OSS id:abc=", v4Example, "OSS4-HMAC-SHA256 ", "OSS4-HMAC-SHA256 ,,=", "OSS4-HMAC-SHA256 Credential=////",
		"OSS " + testKey.ID + ":abc", strings.Replace(v4Example, "id", testKey.ID, 1),
		strings.Replace(strings.Replace(v4Example, "id", testKey.ID, 1), "Host", strings.Repeat("x-oss-;", 30), 1),
	} {
		f.Add(seed, "cors", "x-oss-a: 1")
	}
	now := time.Date(2026, 11, 21, 11, 51, 9, 0, time.UTC)
	api := at(f, now, nil)
	f.Fuzz(func(t *testing.T, header, query, value string) {
		a, err := parseAuthorization([]string{header})
		if len(a.additional) > maxAdditionalHeaders && err == nil {
			t.Errorf("%d additional headers", len(a.additional))
		}
		if err != nil && codeOf(err) == "" {
			t.Errorf("%v is no answer", err)
		}
		r := httptest.NewRequest("GET", "/", nil)
		r.URL.RawQuery = query
		r.Header.Set("Authorization", header)
		r.Header.Set("X-Oss-Date", now.Format(timeFormat))
		r.Header.Set("X-Oss-Value", value)
		if id, err := api.authenticate(r, testBucket); err == nil || id != "" {
			t.Errorf("%q is let in", header)
		}
	})
}
