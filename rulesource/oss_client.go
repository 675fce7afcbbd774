package rulesource

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/aliyun/alibabacloud-oss-go-sdk-v2/oss"
	"github.com/aliyun/alibabacloud-oss-go-sdk-v2/oss/signer"

	"github.com/caddy-oss-cors/caddy-oss-cors/corsrules"
)

const (
	// ossAttempts is how often a request is sent: again by the server's time, if the clock
	// here is wrong. What else fails is retried by remote.
	ossAttempts = 2

	// maxToldBytes bounds what is told of a server's words.
	maxToldBytes = 300
)

// ossClient gets the rules of one bucket.
type ossClient struct {
	bucket string
	http   boundedClient
	oss    *oss.Client
}

func newOSSClient(endpoint *url.URL, region, bucket string, creds OSSCredentials, transport *http.Transport) (*ossClient, error) {
	transport.MaxResponseHeaderBytes = maxAnswerHeader
	c := &ossClient{bucket: bucket}
	c.http.Client = http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse // OSS has no redirects that a signature would be good for
	}}
	provider, err := creds.provider(&c.http)
	if err != nil {
		return nil, err
	}
	config := oss.NewConfig().
		WithEndpoint(endpoint.String()).
		WithRegion(region).
		WithUsePathStyle(endpoint.Hostname() == "localhost"). // and by itself for an IP address
		WithRetryMaxAttempts(ossAttempts).
		WithCredentialsProvider(provider)
	config.HttpClient = &c.http
	if region == "" {
		config = config.WithSignatureVersion(oss.SignatureVersionV1)
	}
	c.oss = oss.NewClient(config)
	return c, nil
}

// boundedClient reads bodies of at most one byte more than any document may have. It does not say
// that they are JSON: OSS's errors are XML, and the SDK panics where one is the JSON null.
type boundedClient struct{ http.Client }

func (c *boundedClient) Do(r *http.Request) (*http.Response, error) {
	resp, err := c.Client.Do(r)
	if err == nil {
		resp.Header.Del("Content-Type")
		resp.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(resp.Body, corsrules.MaxS3DocumentBytes+1), resp.Body}
	}
	return resp, err
}

// fetch gets the document by the operation GetBucketCors. The SDK's method of that name drops
// the IDs of rules, and all that it does not know.
func (c *ossClient) fetch(ctx context.Context) ([]byte, error) {
	input := &oss.OperationInput{
		OpName:     "GetBucketCors",
		Method:     http.MethodGet,
		Bucket:     &c.bucket,
		Parameters: map[string]string{"cors": ""},
	}
	input.OpMetadata.Set(signer.SubResource, []string{"cors"})
	output, err := c.oss.InvokeOperation(ctx, input)
	if err != nil {
		return nil, ossError(err)
	}
	defer output.Body.Close()
	content, err := corsrules.DialectAny.ReadDocument(output.Body, 0) // Parse knows the dialect
	if err != nil {
		return nil, fmt.Errorf("the document could not be read whole: %w", err)
	}
	return content, nil
}

// ossError returns what is told of an error of the SDK's.
func ossError(err error) error {
	var refused refusal // of credentials
	var answer *oss.ServiceError
	switch {
	case errors.As(err, &refused):
		return refused
	case errors.As(err, &answer):
		return answerError(answer)
	}
	return withoutURL(err)
}

// answerError returns what is told of an answer of OSS's that has no document.
func answerError(answer *oss.ServiceError) error {
	if answer.Code == "NoSuchCORSConfiguration" {
		return errNoDocument
	}
	status := answer.StatusCode
	err := fmt.Errorf("OSS answers %d %s: %s", status, cut(answer.Code), cut(answer.Message))
	if answer.RequestID != "" {
		err = fmt.Errorf("%w (request ID %s)", err, cut(answer.RequestID))
	}
	if cure := cures[answer.Code]; cure != "" {
		err = fmt.Errorf("%w: %s", err, cure)
	}
	if status >= 300 && status < 400 {
		err = fmt.Errorf("the endpoint answers %d, a redirect, which is not followed: check it", status)
	}
	if mayPass(status) || answer.Code == "RequestTimeTooSkewed" {
		return err
	}
	return refusal{err}
}

// cures says what to do about an answer.
var cures = map[string]string{ //nolint:gosec // words about credentials
	"AccessDenied":          "the access key needs the permission oss:GetBucketCors on the bucket, and the endpoint must be that of its region",
	"NoSuchBucket":          "check the bucket's name and the endpoint",
	"SignatureDoesNotMatch": "check the access key's secret",
	"InvalidAccessKeyId":    "check the access key's ID; a temporary one needs its security token",
	"InvalidSecurityToken":  "check the security token",
	"SecurityTokenExpired":  "get a new security token, or use credentials that are renewed: ecs_role or oidc",
	"RequestTimeTooSkewed":  "set this machine's clock",
}

// cut returns a text of a server's, and not more of it than is told.
func cut(text string) string {
	if len(text) > maxToldBytes {
		return text[:maxToldBytes] + "…"
	}
	return text
}
