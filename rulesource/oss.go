package rulesource

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/certmagic"
)

func init() {
	caddy.RegisterModule(new(OSS))
}

// OSS fetches the rules that a bucket of OSS has, by GetBucketCors, and again every refresh. A
// bucket without rules does not have CORS. An answer that does not change by itself, such as
// AccessDenied or NoSuchBucket, and a faulty document stop Caddy's start. If OSS cannot be
// reached at a start, the last good rules are in force, which Caddy's storage keeps; if there
// are none, preflights are answered 503 and other requests pass until OSS is back. Trouble
// later leaves the last good rules in force.
//
// Global placeholders such as {env.BUCKET} work in all strings.
type OSS struct {
	// Bucket is the bucket's name. Required.
	Bucket string `json:"bucket,omitempty"`

	// Endpoint is the host of OSS, without the bucket's name. It can have a port, and the
	// scheme https, which is the default, or http. Where it is an IP address or localhost,
	// the bucket is in the path. Default: that of Region, in the public network.
	Endpoint string `json:"endpoint,omitempty"`

	// Region is the ID of the bucket's region, such as cn-hangzhou. Default: the region in
	// Endpoint, if that is of Alibaba Cloud. Without a region, requests are signed by
	// version 1.
	Region string `json:"region,omitempty"`

	// Credentials sign the requests. They need the permission oss:GetBucketCors. Default:
	// those of the environment.
	Credentials OSSCredentials `json:"credentials,omitzero"`

	RefreshOptions

	remote *remote
	client *ossClient
}

// CaddyModule returns the Caddy module information.
func (*OSS) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  Namespace + ".oss",
		New: func() caddy.Module { return new(OSS) },
	}
}

// UnmarshalCaddyfile sets up the source from Caddyfile tokens. Syntax:
//
//	oss <bucket> {
//		endpoint    <host>
//		region      <id>
//		credentials env | static <id> <secret> [<token>] | ecs_role [<name>] | oidc
//		refresh     <duration>
//		max_rules   <n>
//	}
func (s *OSS) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume source name
	if err := oneArgument(d, "rules oss", "the name of the bucket", &s.Bucket); err != nil {
		return err
	}
	options := s.options(d)
	options["credentials"] = func() error { return s.Credentials.unmarshal(d) }
	options["endpoint"] = func() error {
		return oneUnshownArgument(d, "endpoint", "a host such as oss-cn-hangzhou.aliyuncs.com", &s.Endpoint)
	}
	options["region"] = func() error { return oneArgument(d, "region", "an ID such as cn-hangzhou", &s.Region) }
	return eachOption(d, options)
}

// Open implements Source.
func (s *OSS) Open(ctx caddy.Context, opts *Options) error {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	return s.openOn(ctx, ctx.Storage(), transport, opts)
}

func (s *OSS) openOn(ctx context.Context, storage certmagic.Storage, transport *http.Transport, opts *Options) error {
	if s.Refresh == 0 {
		s.Refresh = caddy.Duration(DefaultRemoteRefresh)
	}
	refresh, err := s.check()
	if err != nil {
		return err
	}
	endpoint, err := s.expand()
	if err != nil {
		return fmt.Errorf("rules oss: %w", err)
	}
	s.client, err = newOSSClient(endpoint, cmp.Or(s.Region, regionOf(endpoint.Hostname())), s.Bucket, s.Credentials, transport)
	if err != nil {
		return fmt.Errorf("rules oss: %w", err)
	}
	name := "oss://" + s.Bucket
	document := NewDocument(name, name, s.MaxRules, opts)
	if endpoint.Scheme == "http" {
		document.log().Warn(overHTTP)
	}
	s.remote = newRemote(document, storage, &s.client.http.Client, endpoint, name+" "+endpoint.String(), s.client.fetch)
	if err := s.remote.open(ctx); err != nil {
		return fmt.Errorf("rules oss: %w", err)
	}
	go s.remote.keepCurrent(ctx, refresh)
	return nil
}

// expand expands the placeholders and returns the endpoint.
func (s *OSS) expand() (*url.URL, error) {
	c := &s.Credentials
	var errs []error
	for _, value := range []*string{&s.Bucket, &s.Endpoint, &s.Region, &c.ID, &c.Secret, &c.Token, &c.Role} {
		expanded, err := Expand(*value)
		*value, errs = expanded, append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if !IsBucketName(s.Bucket) {
		return nil, fmt.Errorf("%q is not a bucket's name: that has 3 to 63 of a-z, 0-9 and -, without - at the ends", s.Bucket)
	}
	if strings.Trim(s.Region, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
		return nil, fmt.Errorf("%q is not the ID of a region, such as cn-hangzhou", s.Region)
	}
	return s.endpoint()
}

func (s *OSS) endpoint() (*url.URL, error) {
	written := s.Endpoint
	switch {
	case written == "" && s.Region == "":
		return nil, errors.New("an endpoint or a region is needed: endpoint oss-cn-hangzhou.aliyuncs.com, or region cn-hangzhou")
	case written == "":
		written = "oss-" + s.Region + ".aliyuncs.com"
	}
	if !strings.Contains(written, "://") {
		written = "https://" + written
	}
	u, err := url.Parse(strings.TrimSuffix(written, "/"))
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || u.String() != u.Scheme+"://"+u.Host {
		return nil, errors.New("endpoint is not a host such as oss-cn-hangzhou.aliyuncs.com, with https:// or http:// or without, and nothing after it") // it may have a secret
	}
	if strings.HasPrefix(u.Host, s.Bucket+".") {
		return nil, fmt.Errorf("endpoint %s begins with the bucket's name: leave that out", u.Host)
	}
	return u, nil
}

// regionOf returns the region in the name of an endpoint of Alibaba Cloud; "" without one.
func regionOf(host string) string {
	name, isAlibaba := strings.CutSuffix(host, ".aliyuncs.com")
	region, isDualStack := strings.CutSuffix(name, ".oss")
	if !isDualStack {
		var isOSS bool
		region, isOSS = strings.CutPrefix(strings.TrimSuffix(name, "-internal"), "oss-")
		isAlibaba = isAlibaba && isOSS
	}
	if !isAlibaba || strings.Contains(region, ".") || strings.HasPrefix(region, "accelerate") {
		return ""
	}
	return region
}

// Rules implements Source.
func (s *OSS) Rules(context.Context, string) (*Rules, error) { return s.remote.rules() }

// Reports implements Reporter.
func (s *OSS) Reports() []Report { return []Report{s.remote.document.Report()} }

// Shadow implements Shadower.
func (s *OSS) Shadow(path string) Source {
	return &File{Path: path, RefreshOptions: s.RefreshOptions}
}

// Cleanup implements caddy.CleanerUpper.
func (s *OSS) Cleanup() error {
	if s.remote != nil {
		s.remote.close()
	}
	return nil
}

var (
	_ Reporter              = (*OSS)(nil)
	_ Shadower              = (*OSS)(nil)
	_ caddy.CleanerUpper    = (*OSS)(nil)
	_ caddyfile.Unmarshaler = (*OSS)(nil)
)
