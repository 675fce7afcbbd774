package rulesource

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/aliyun/alibabacloud-oss-go-sdk-v2/oss"
	"github.com/aliyun/alibabacloud-oss-go-sdk-v2/oss/credentials"

	"github.com/caddy-oss-cors/caddy-oss-cors/corsrules"
)

// oidc gets temporary credentials of a RAM role in exchange for an OIDC token, which the SDK
// cannot: the operation AssumeRoleWithOIDC of STS. It is configured by the environment
// variables that Alibaba Cloud's other SDKs have, and that ACK sets in a pod (RRSA).
type oidc struct{ client oss.HTTPClient }

// Fetch implements credentials.CredentialsFetcher.
func (o oidc) Fetch(ctx context.Context) (credentials.Credentials, error) {
	form, err := assumeRole(ctx)
	if err != nil {
		return credentials.Credentials{}, refusal{fmt.Errorf("credentials oidc: %w", err)}
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, stsEndpoint(), strings.NewReader(form.Encode()))
	if err != nil {
		return credentials.Credentials{}, err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := o.client.Do(r)
	if err != nil {
		return credentials.Credentials{}, fmt.Errorf("credentials oidc: STS: %w", withoutURL(err))
	}
	defer resp.Body.Close()
	var answer stsAnswer
	if err = json.NewDecoder(resp.Body).Decode(&answer); err == nil && resp.StatusCode == http.StatusOK && answer.Credentials.isWhole() {
		return answer.Credentials.forSDK(), nil
	}
	message := strings.ReplaceAll(answer.Message, form.Get("OIDCToken"), "…") // were it quoted
	err = fmt.Errorf("credentials oidc: STS answers %d, without credentials: %s %s", resp.StatusCode, cut(answer.Code), cut(message))
	if mayPass(resp.StatusCode) || resp.StatusCode == http.StatusOK {
		return credentials.Credentials{}, err
	}
	return credentials.Credentials{}, refusal{err}
}

// assumeRole returns the parameters of the request.
func assumeRole(ctx context.Context) (url.Values, error) {
	role, provider, file := os.Getenv("ALIBABA_CLOUD_ROLE_ARN"), os.Getenv("ALIBABA_CLOUD_OIDC_PROVIDER_ARN"), os.Getenv("ALIBABA_CLOUD_OIDC_TOKEN_FILE")
	if role == "" || provider == "" || file == "" {
		return nil, errors.New("ALIBABA_CLOUD_ROLE_ARN, ALIBABA_CLOUD_OIDC_PROVIDER_ARN and ALIBABA_CLOUD_OIDC_TOKEN_FILE are needed in Caddy's environment")
	}
	token, _, err := regularFile(file).read(ctx) // which is replaced from time to time
	if err == nil && (len(token) == 0 || len(token) > corsrules.MaxDocumentBytes) {
		err = fmt.Errorf("%s is not a token: it is empty or has more than %d bytes", file, corsrules.MaxDocumentBytes)
	}
	if err != nil {
		return nil, err
	}
	return url.Values{
		"Action":          {"AssumeRoleWithOIDC"},
		"Version":         {"2015-04-01"},
		"Format":          {"JSON"},
		"Timestamp":       {time.Now().UTC().Format(time.RFC3339)},
		"RoleArn":         {role},
		"OIDCProviderArn": {provider},
		"OIDCToken":       {string(token)},
		"RoleSessionName": {"caddy-oss-cors"},
		"DurationSeconds": {"3600"}, // what every role allows
	}, nil
}

func stsEndpoint() string {
	region := os.Getenv("ALIBABA_CLOUD_STS_REGION")
	switch {
	case region == "":
		return "https://sts.aliyuncs.com/"
	case strings.EqualFold(os.Getenv("ALIBABA_CLOUD_VPC_ENDPOINT_ENABLED"), "true"):
		return "https://sts-vpc." + region + ".aliyuncs.com/"
	}
	return "https://sts." + region + ".aliyuncs.com/"
}

// stsAnswer is an answer of STS: credentials, or an error.
type stsAnswer struct {
	Code, Message string
	Credentials   stsCredentials
}

type stsCredentials struct {
	ID         string `json:"AccessKeyId"`
	Secret     string `json:"AccessKeySecret"`
	Token      string `json:"SecurityToken"`
	Expiration time.Time
}

func (c stsCredentials) isWhole() bool {
	return c.ID != "" && c.Secret != "" && c.Token != "" && !c.Expiration.IsZero()
}

func (c stsCredentials) forSDK() credentials.Credentials {
	return credentials.Credentials{AccessKeyID: c.ID, AccessKeySecret: c.Secret, SecurityToken: c.Token, Expires: &c.Expiration}
}
