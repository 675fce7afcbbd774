package clients

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"testing"

	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/harness"

	ossv2 "github.com/aliyun/alibabacloud-oss-go-sdk-v2/oss"
	"github.com/aliyun/alibabacloud-oss-go-sdk-v2/oss/credentials"

	ossv1 "github.com/aliyun/aliyun-oss-go-sdk/oss"
)

// sdkPreflight is a preflight that both SDKs are told to send.
type sdkPreflight struct {
	desc                    string
	bucket                  string // empty: examplebucket
	origin, method, headers string // empty: SDK v1 leaves the header out, SDK v2 sends it empty
	want                    sdkAnswer
}

// sdkAnswer is what an SDK returns: response headers, or the fields of its error.
type sdkAnswer struct {
	allowOrigin, allowMethods, allowHeaders, exposeHeaders, maxAge, vary string

	status            int
	code, message, ec string
}

func (a sdkAnswer) with(allowHeaders string) sdkAnswer {
	a.allowHeaders = allowHeaders
	return a
}

var (
	sdkAllowed = sdkAnswer{
		status:        http.StatusOK,
		allowOrigin:   "http://www.aliyun.com",
		allowMethods:  "PUT, GET",
		exposeHeaders: "x-oss-meta-name, ETag",
		maxAge:        "10001",
		vary:          "Origin",
	}
	sdkNotAllowed = sdkAnswer{status: http.StatusForbidden, code: "AccessForbidden", message: harness.OSSNotAllowed, ec: "0003-00000602"}

	sdkPreflights = []sdkPreflight{
		{desc: "allowed", origin: "http://www.aliyun.com", method: "PUT", want: sdkAllowed},
		{desc: "allowed with headers", origin: "http://www.aliyun.com", method: "GET", headers: "X-Oss-Meta-A,x-oss-meta-b", want: sdkAllowed.with("x-oss-meta-a, x-oss-meta-b")},
		{desc: "another origin", origin: "https://www.aliyun.com", method: "PUT", want: sdkNotAllowed},
		{desc: "another method", origin: "http://www.aliyun.com", method: "POST", want: sdkNotAllowed},
		{desc: "another header", origin: "http://www.aliyun.com", method: "PUT", headers: "x-oss-meta-a,x-oss-acl", want: sdkNotAllowed},
		{desc: "a bucket without rules", bucket: "otherbucket", origin: "http://www.aliyun.com", method: "PUT",
			want: sdkAnswer{status: http.StatusForbidden, code: "AccessForbidden", message: harness.OSSNotEnabled, ec: "0003-00000601"}},
		{desc: "no origin", method: "PUT",
			want: sdkAnswer{status: http.StatusBadRequest, code: "BadRequest", message: harness.OSSMissingOrigin, ec: "0034-00000101"}},
		{desc: "no method", origin: "http://www.aliyun.com",
			want: sdkAnswer{status: http.StatusBadRequest, code: "BadRequest", message: harness.OSSMissingMethod, ec: "0034-00000102"}},
	}
)

// TestSDKOptionObject sends preflights by both of Alibaba Cloud's Go SDKs, which must
// understand the answers: headers as results, refusals as errors with OSS's Code and EC.
func TestSDKOptionObject(t *testing.T) {
	endpoint, passed := startOSSEndpoint(t)
	clients := map[string]func(sdkPreflight) (answer sdkAnswer, requestID string, err error){
		"v1": sdkV1(t, endpoint),
		"v2": sdkV2(endpoint),
	}
	for version, send := range clients {
		for _, c := range sdkPreflights {
			t.Run(version+" "+c.desc, func(t *testing.T) {
				got, requestID, err := send(c)
				if err != nil {
					t.Fatalf("the SDK understands neither success nor failure: %v", err)
				}
				if got != c.want {
					t.Errorf("got  %+v\nwant %+v", got, c.want)
				}
				if !regexp.MustCompile(`^[0-9A-F]{24}$`).MatchString(requestID) {
					t.Errorf("request ID %q", requestID)
				}
			})
		}
	}
	if n := passed.Load(); n > 0 {
		t.Errorf("%d preflights reached the origin server", n)
	}
}

func sdkV1(t *testing.T, endpoint string) func(sdkPreflight) (sdkAnswer, string, error) {
	client, err := ossv1.New(endpoint, "id", "secret")
	if err != nil {
		t.Fatal(err)
	}
	return func(c sdkPreflight) (sdkAnswer, string, error) {
		bucket, err := client.Bucket(cmp.Or(c.bucket, "examplebucket"))
		if err != nil {
			return sdkAnswer{}, "", err
		}
		var options []ossv1.Option
		if c.origin != "" {
			options = append(options, ossv1.Origin(c.origin))
		}
		if c.method != "" {
			options = append(options, ossv1.ACReqMethod(c.method))
		}
		if c.headers != "" {
			options = append(options, ossv1.ACReqHeaders(c.headers))
		}
		header, err := bucket.OptionsMethod("dir/k.txt", options...)
		var refusal ossv1.ServiceError
		if errors.As(err, &refusal) {
			return sdkAnswer{status: refusal.StatusCode, code: refusal.Code, message: refusal.Message, ec: refusal.Ec}, refusal.RequestID, nil
		}
		return fromHeader(http.StatusOK, header), header.Get("X-Oss-Request-Id"), err
	}
}

func sdkV2(endpoint string) func(sdkPreflight) (sdkAnswer, string, error) {
	client := ossv2.NewClient(ossv2.LoadDefaultConfig().
		WithEndpoint(endpoint).
		WithRegion("cn-hangzhou").
		WithCredentialsProvider(credentials.NewStaticCredentialsProvider("id", "secret")).
		WithUsePathStyle(true).
		WithRetryMaxAttempts(1)) // it tries again after BadRequest
	return func(c sdkPreflight) (sdkAnswer, string, error) {
		request := &ossv2.OptionObjectRequest{
			Bucket:                     ossv2.Ptr(cmp.Or(c.bucket, "examplebucket")),
			Key:                        ossv2.Ptr("dir/k.txt"),
			Origin:                     ossv2.Ptr(c.origin),
			AccessControlRequestMethod: ossv2.Ptr(c.method),
		}
		if c.headers != "" {
			request.AccessControlRequestHeaders = ossv2.Ptr(c.headers)
		}
		result, err := client.OptionObject(context.Background(), request)
		var refusal *ossv2.ServiceError
		if errors.As(err, &refusal) {
			if inHeader := refusal.Headers.Get("X-Oss-Request-Id"); inHeader != refusal.RequestID {
				return sdkAnswer{}, "", fmt.Errorf("request ID is %q in the body, %q in the header", refusal.RequestID, inHeader)
			}
			return sdkAnswer{status: refusal.StatusCode, code: refusal.Code, message: refusal.Message, ec: refusal.EC}, refusal.RequestID, nil
		}
		if err != nil {
			return sdkAnswer{}, "", err
		}
		answer := sdkAnswer{
			status:        result.StatusCode,
			allowOrigin:   ossv2.ToString(result.AccessControlAllowOrigin),
			allowMethods:  ossv2.ToString(result.AccessControlAllowMethods),
			allowHeaders:  ossv2.ToString(result.AccessControlAllowHeaders),
			exposeHeaders: ossv2.ToString(result.AccessControlExposeHeaders),
			maxAge:        fmt.Sprint(ossv2.ToInt64(result.AccessControlMaxAge)),
			vary:          result.Headers.Get("Vary"),
		}
		return answer, result.Headers.Get("X-Oss-Request-Id"), nil
	}
}

func fromHeader(status int, h http.Header) sdkAnswer {
	return sdkAnswer{
		status:        status,
		allowOrigin:   h.Get("Access-Control-Allow-Origin"),
		allowMethods:  h.Get("Access-Control-Allow-Methods"),
		allowHeaders:  h.Get("Access-Control-Allow-Headers"),
		exposeHeaders: h.Get("Access-Control-Expose-Headers"),
		maxAge:        h.Get("Access-Control-Max-Age"),
		vary:          h.Get("Vary"),
	}
}
