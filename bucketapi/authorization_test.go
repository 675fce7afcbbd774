package bucketapi

import (
	"errors"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oss-cors/caddy-oss-cors/internal/ossresponse"
)

const v4Example = "OSS4-HMAC-SHA256 Credential=id/20261121/cn-hangzhou/oss/aliyun_v4_request,AdditionalHeaders=Host;date,Signature=abc"

const awsV4Example = "AWS4-HMAC-SHA256 Credential=id/20261121/eu-west-1/s3/aws4_request,SignedHeaders=host;X-Amz-Date,Signature=abc"

func TestParseAuthorization(t *testing.T) {
	a, err := parseAuthorization([]string{v4Example})
	if err != nil || a.v4 != ossV4 || a.keyID != "id" || a.date != "20261121" || a.region != "cn-hangzhou" || a.signature != "abc" ||
		!slices.Equal(a.headers, []string{"host", "date"}) {
		t.Errorf("V4: got %+v, %v", a, err)
	}
	a, err = parseAuthorization([]string{awsV4Example})
	if err != nil || a.v4 != awsV4 || a.keyID != "id" || a.date != "20261121" || a.region != "eu-west-1" || a.signature != "abc" ||
		!slices.Equal(a.headers, []string{"host", "x-amz-date"}) {
		t.Errorf("AWS V4: got %+v, %v", a, err)
	}
	a, err = parseAuthorization([]string{"OSS id:abc="})
	if err != nil || a.v4 != nil || a.keyID != "id" || a.signature != "abc=" {
		t.Errorf("V1: got %+v, %v", a, err)
	}
}

func TestAuthorizationsThatAreRefused(t *testing.T) {
	const ofV1 = "OSS <AccessKeyId>:<signature>"
	for _, c := range []struct {
		desc, ec, detail string
		lines            []string
	}{
		{"two", "", "more than one", []string{v4Example, v4Example}},
		{"an endless one", "", "longer", []string{"OSS id:" + strings.Repeat("a", maxAuthorizationBytes)}},
		{"another scheme", "0002-00000061", "must begin", []string{"Bearer abc"}},
		{"V2", "0002-00000061", "must begin", []string{"OSS2 AccessKeyId:id,Signature:abc"}},
		{"V1 and nothing", "0002-00000061", "must begin", []string{"OSS"}},
		{"V1 without a colon", "0002-00000062", ofV1, []string{"OSS id"}},
		{"V1 without a key", "0002-00000063", ofV1, []string{"OSS :abc"}},
		{"V1 with an impossible key", "0002-00000064", ofV1, []string{"OSS i d:abc"}},
		{"V1 without a signature", "0002-00000065", ofV1, []string{"OSS id:"}},
		{"V4 without Credential", "", "must have a Credential", []string{"OSS4-HMAC-SHA256 Signature=abc"}},
		{"V4 without Signature", "", "must have a Credential", []string{v4Example[:strings.LastIndex(v4Example, ",")]}},
		{"V4 with two Signatures", "", "more than one Signature", []string{v4Example + ",Signature=abd"}},
		{"V4 with something else", "", "may have only", []string{v4Example + ",SignedHeaders=host"}},
		{"V4 for another product", "0002-00000213", "Credential must read", []string{strings.Replace(v4Example, "/oss/", "/oss-cloudbox/", 1)}},
		{"V4 with a short scope", "0002-00000213", "Credential must read", []string{strings.Replace(v4Example, "/oss/", "/", 1)}},
		{"V4 with AWS's end", "0002-00000213", "Credential must read", []string{strings.Replace(v4Example, "aliyun_v4", "aws4", 1)}},
		{"V4 with a thousand headers", "", "more than 32", []string{strings.Replace(v4Example, "Host", strings.Repeat("a;", 1000), 1)}},
	} {
		_, err := parseAuthorization(c.lines)
		var e ossresponse.Error
		if !errors.As(err, &e) || e.Code != "InvalidArgument" || e.Message != "Authorization header is invalid." || e.EC != c.ec {
			t.Errorf("%s: got %+v, want EC %s", c.desc, err, c.ec)
		}
		if last := e.Details[len(e.Details)-1]; last.Element != "ErrorDetail" || !strings.Contains(last.Text, c.detail) {
			t.Errorf("%s: got %+v, want %s", c.desc, last, c.detail)
		}
	}
}

func TestUnsigned(t *testing.T) {
	for _, lines := range [][]string{nil, {""}} {
		if _, err := parseAuthorization(lines); codeOf(err) != "AccessDenied" || !strings.Contains(err.Error(), "Anonymous") {
			t.Errorf("%q: got %v", lines, err)
		}
	}
}

// No header that was not made with the secret is let in, and none makes us panic.
func FuzzAuthorization(f *testing.F) {
	for _, seed := range []string{
		"", "OSS ", "OSS :", "OSS id:abc=", v4Example, "OSS4-HMAC-SHA256 ", "OSS4-HMAC-SHA256 ,,=", "OSS4-HMAC-SHA256 Credential=////",
		"OSS " + testKey.ID + ":abc", strings.Replace(v4Example, "id", testKey.ID, 1),
		strings.Replace(strings.Replace(v4Example, "id", testKey.ID, 1), "Host", strings.Repeat("x-oss-;", 30), 1),
		awsV4Example, strings.Replace(awsV4Example, "id", testKey.ID, 1), "AWS id:abc",
	} {
		f.Add(seed, "cors", "x-oss-a: 1")
	}
	now := time.Date(2026, 11, 21, 11, 51, 9, 0, time.UTC)
	api := at(f, now, nil)
	f.Fuzz(func(t *testing.T, header, query, value string) {
		a, err := parseAuthorization([]string{header})
		if len(a.headers) > maxNamedHeaders && err == nil {
			t.Errorf("%d signed headers", len(a.headers))
		}
		if err != nil && codeOf(err) == "" {
			t.Errorf("%v is not a response", err)
		}
		r := httptest.NewRequest("GET", "/", nil)
		r.URL.RawQuery = query
		r.Header.Set("Authorization", header)
		r.Header.Set("X-Oss-Date", now.Format(timeFormat))
		r.Header.Set("X-Oss-Value", value)
		r.Header.Set("X-Amz-Date", now.Format(timeFormat))
		r.Header.Set("X-Amz-Content-Sha256", unsignedPayload)
		if id, err := api.authenticate(r, testBucket); err == nil || id != "" {
			t.Errorf("%q is let in", header)
		}
	})
}
