package clients

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"testing"

	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/harness"

	ossv2 "github.com/aliyun/alibabacloud-oss-go-sdk-v2/oss"
	"github.com/aliyun/alibabacloud-oss-go-sdk-v2/oss/credentials"

	ossv1 "github.com/aliyun/aliyun-oss-go-sdk/oss"
)

// apiClient is one of the real clients of the bucket API, set up for one bucket. Errors
// that the server answered are *apiError.
type apiClient interface {
	put(rules []ruleFields, vary bool) error

	// get's vary is nil if the client does not return it.
	get() (rules []ruleFields, vary *bool, err error)
	delete() error

	// createBucket is an operation of OSS that the bucket API does not have.
	createBucket() error
}

// ruleFields are the fields of a rule as clients have them.
type ruleFields struct {
	Origins []string `json:"origins"`
	Methods []string `json:"methods"`
	Headers []string `json:"headers"`
	Expose  []string `json:"expose"`
	MaxAge  *int     `json:"maxAge"`
}

// apiClientConfig is how a client reaches the proxy.
type apiClientConfig struct {
	style, port string // path, host or cname
	v4          bool
	id, secret  string
	bucket      string
}

// apiClients are all clients by their names.
var apiClients = map[string]func(*testing.T, apiClientConfig) apiClient{
	"Go SDK v2": newSDKv2,
	"Go SDK v1": newSDKv1,
	"ossutil":   newOssutil,
	"ali-oss":   newAliOSS,
}

// url returns the URL of an object, and the Host to send.
func (c apiClientConfig) url(key string) (url, host string) {
	switch c.style {
	case "path":
		return "http://127.0.0.1:" + c.port + "/" + c.bucket + "/" + key, ""
	case "host":
		return "http://127.0.0.1:" + c.port + "/" + key, c.bucket + "." + harness.APIDomain
	default:
		return "http://127.0.0.1:" + c.port + "/" + key, "cdn.test"
	}
}

// endpoint returns the host that a client is given, with its port.
func (c apiClientConfig) endpoint() string {
	return net.JoinHostPort(map[string]string{"path": "127.0.0.1", "host": harness.APIDomain, "cname": "cdn.test"}[c.style], c.port)
}

// httpClient returns an HTTP client that resolves every name to this machine.
func (c apiClientConfig) httpClient(t *testing.T) *http.Client {
	transport := &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, "127.0.0.1:"+c.port)
	}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

type sdkV2Client struct {
	*ossv2.Client
	bucket *string
}

func newSDKv2(t *testing.T, c apiClientConfig) apiClient {
	config := ossv2.LoadDefaultConfig().
		WithEndpoint("http://" + c.endpoint()).WithRegion(harness.APIRegion).
		WithCredentialsProvider(credentials.NewStaticCredentialsProvider(c.id, c.secret)).
		WithUseCName(c.style == "cname").
		WithRetryMaxAttempts(1).
		WithHttpClient(c.httpClient(t))
	if !c.v4 {
		config = config.WithSignatureVersion(ossv2.SignatureVersionV1)
	}
	return &sdkV2Client{ossv2.NewClient(config), ossv2.Ptr(c.bucket)}
}

func (c *sdkV2Client) put(rules []ruleFields, vary bool) error {
	config := &ossv2.CORSConfiguration{ResponseVary: ossv2.Ptr(vary)}
	for _, r := range rules {
		rule := ossv2.CORSRule{AllowedOrigins: r.Origins, AllowedMethods: r.Methods, AllowedHeaders: r.Headers, ExposeHeaders: r.Expose}
		if r.MaxAge != nil {
			rule.MaxAgeSeconds = ossv2.Ptr(int64(*r.MaxAge))
		}
		config.CORSRules = append(config.CORSRules, rule)
	}
	_, err := c.PutBucketCors(context.Background(), &ossv2.PutBucketCorsRequest{Bucket: c.bucket, CORSConfiguration: config})
	return sdkV2Error(err)
}

func (c *sdkV2Client) get() (rules []ruleFields, vary *bool, err error) {
	result, err := c.GetBucketCors(context.Background(), &ossv2.GetBucketCorsRequest{Bucket: c.bucket})
	if err != nil {
		return nil, nil, sdkV2Error(err)
	}
	for _, r := range result.CORSConfiguration.CORSRules {
		rule := ruleFields{Origins: r.AllowedOrigins, Methods: r.AllowedMethods, Headers: r.AllowedHeaders, Expose: r.ExposeHeaders}
		if r.MaxAgeSeconds != nil {
			rule.MaxAge = new(int(*r.MaxAgeSeconds))
		}
		rules = append(rules, rule)
	}
	return rules, result.CORSConfiguration.ResponseVary, nil
}

func (c *sdkV2Client) delete() error {
	_, err := c.DeleteBucketCors(context.Background(), &ossv2.DeleteBucketCorsRequest{Bucket: c.bucket})
	return sdkV2Error(err)
}

func (c *sdkV2Client) createBucket() error {
	_, err := c.PutBucket(context.Background(), &ossv2.PutBucketRequest{Bucket: c.bucket})
	return sdkV2Error(err)
}

func sdkV2Error(err error) error {
	var e *ossv2.ServiceError
	if !errors.As(err, &e) {
		return err
	}
	return &apiError{e.StatusCode, e.Code, e.EC, e.RequestID, err.Error()}
}

type sdkV1Client struct {
	*ossv1.Client
	bucket string
}

func newSDKv1(t *testing.T, c apiClientConfig) apiClient {
	options := []ossv1.ClientOption{ossv1.HTTPClient(c.httpClient(t)), ossv1.UseCname(c.style == "cname")}
	if c.v4 {
		options = append(options, ossv1.AuthVersion(ossv1.AuthV4), ossv1.Region(harness.APIRegion))
	}
	client, err := ossv1.New("http://"+c.endpoint(), c.id, c.secret, options...)
	if err != nil {
		t.Fatal(err)
	}
	return &sdkV1Client{client, c.bucket}
}

func (c *sdkV1Client) put(rules []ruleFields, vary bool) error {
	config := ossv1.PutBucketCORS{ResponseVary: &vary}
	for _, r := range rules {
		config.CORSRules = append(config.CORSRules, ossv1.CORSRule{AllowedOrigin: r.Origins, AllowedMethod: r.Methods,
			AllowedHeader: r.Headers, ExposeHeader: r.Expose, MaxAgeSeconds: *r.MaxAge})
	}
	return sdkV1Error(c.SetBucketCORSV2(c.bucket, config))
}

func (c *sdkV1Client) get() (rules []ruleFields, vary *bool, err error) {
	result, err := c.GetBucketCORS(c.bucket)
	for _, r := range result.CORSRules {
		rules = append(rules, ruleFields{r.AllowedOrigin, r.AllowedMethod, r.AllowedHeader, r.ExposeHeader, &r.MaxAgeSeconds})
	}
	return rules, result.ResponseVary, sdkV1Error(err)
}

func (c *sdkV1Client) delete() error       { return sdkV1Error(c.DeleteBucketCORS(c.bucket)) }
func (c *sdkV1Client) createBucket() error { return sdkV1Error(c.CreateBucket(c.bucket)) }

func sdkV1Error(err error) error {
	var e ossv1.ServiceError
	if !errors.As(err, &e) {
		return err
	}
	return &apiError{e.StatusCode, e.Code, e.Ec, e.RequestID, err.Error()}
}

// apiError is an error response as a client reports it.
type apiError struct {
	status    int
	code, ec  string
	requestID string
	printed   string // all that the client says
}

func (e *apiError) Error() string { return fmt.Sprintf("%d %s %s", e.status, e.code, e.ec) }
