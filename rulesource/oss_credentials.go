package rulesource

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"github.com/aliyun/alibabacloud-oss-go-sdk-v2/oss"
	"github.com/aliyun/alibabacloud-oss-go-sdk-v2/oss/credentials"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// OSSCredentials say what requests to OSS are signed with.
type OSSCredentials struct {
	// Provider is one of
	//
	//   - env: OSS_ACCESS_KEY_ID, OSS_ACCESS_KEY_SECRET and, for temporary ones,
	//     OSS_SESSION_TOKEN in Caddy's environment;
	//   - static: ID, Secret and Token;
	//   - ecs_role: those of the RAM role of the ECS instance that Caddy runs on;
	//   - oidc: those of a RAM role, in exchange for a token of Kubernetes (RRSA), by the
	//     environment variables ALIBABA_CLOUD_ROLE_ARN, ALIBABA_CLOUD_OIDC_PROVIDER_ARN and
	//     ALIBABA_CLOUD_OIDC_TOKEN_FILE.
	//
	// Default: env.
	Provider string `json:"provider,omitempty"`

	// ID and Secret are those of an access key, for static. Token is the security token of
	// a temporary one.
	ID     string `json:"id,omitempty"`
	Secret string `json:"secret,omitempty"`
	Token  string `json:"token,omitempty"`

	// Role is the name of the RAM role, for ecs_role. Default: the one that the instance
	// has.
	Role string `json:"role,omitempty"`
}

const credentialsSyntax = "credentials is one of: credentials env, credentials static <id> <secret> [<token>], credentials ecs_role [<name>], credentials oidc"

func (c *OSSCredentials) unmarshal(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	if len(args) == 0 {
		return d.Err(credentialsSyntax)
	}
	c.Provider = args[0]
	switch values := args[1:]; {
	case c.Provider == "static" && (len(values) == 2 || len(values) == 3):
		c.ID, c.Secret = values[0], values[1]
		if len(values) == 3 {
			c.Token = values[2]
		}
	case c.Provider == "ecs_role" && len(values) == 1:
		c.Role = values[0]
	case c.Provider == "static" || len(values) > 0:
		return d.Errf("%s; found %s", credentialsSyntax, ArgumentCount(args)) // some may be secrets
	}
	return nil
}

// provider returns the SDK's provider, whose errors have no secrets. STS is reached by client.
func (c OSSCredentials) provider(client oss.HTTPClient) (credentials.CredentialsProvider, error) {
	switch {
	case c.Provider != "static" && c.ID+c.Secret+c.Token != "":
		return nil, errors.New("credentials: id, secret and token are for the provider static")
	case c.Provider != "ecs_role" && c.Role != "":
		return nil, errors.New("credentials: role is for the provider ecs_role")
	}
	switch c.Provider {
	case "", "env":
		return tellingErrors(credentials.NewEnvironmentVariableCredentialsProvider(), func(error) error {
			return refusal{errors.New("OSS_ACCESS_KEY_ID and OSS_ACCESS_KEY_SECRET are not in Caddy's environment: set them, or choose other credentials")}
		}), nil
	case "static":
		if c.ID == "" || c.Secret == "" {
			return nil, errors.New("credentials static: an ID and a secret are needed")
		}
		return credentials.NewStaticCredentialsProvider(c.ID, c.Secret, c.Token), nil
	case "ecs_role":
		return tellingErrors(credentials.NewEcsRoleCredentialsProvider(credentials.EcsRamRole(c.Role)), ecsError), nil
	case "oidc":
		return credentials.NewCredentialsFetcherProvider(oidc{client}), nil
	}
	return nil, fmt.Errorf("credentials: the provider %q is not known: there are env, static, ecs_role and oidc", c.Provider)
}

// tellingErrors has a provider return other errors than its own.
func tellingErrors(p credentials.CredentialsProvider, tell func(error) error) credentials.CredentialsProvider {
	return credentials.CredentialsProviderFunc(func(ctx context.Context) (credentials.Credentials, error) {
		c, err := p.GetCredentials(ctx)
		if err != nil {
			err = tell(err)
		}
		return c, err
	})
}

// ecsError leaves out the SDK's words, which can quote the answer, and so a secret.
func ecsError(err error) error {
	told := errors.New("the metadata service of ECS gives no credentials: is this an ECS instance, and does it have that RAM role?")
	if errors.As(err, new(*url.Error)) {
		return fmt.Errorf("%w (%w)", told, withoutURL(err))
	}
	return told
}
