package test

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	ossv2 "github.com/aliyun/alibabacloud-oss-go-sdk-v2/oss"
	"github.com/aliyun/alibabacloud-oss-go-sdk-v2/oss/credentials"
	ossv1 "github.com/aliyun/aliyun-oss-go-sdk/oss"
)

// apiClient is one of the real clients of the bucket API, set up for one bucket. Errors
// that the server answered are *apiError.
type apiClient interface {
	put(rules []ruleFields, vary bool) error

	// get's vary is nil where the client does not tell.
	get() (rules []ruleFields, vary *bool, err error)
	delete() error

	// createBucket is an operation of OSS that is not this API's.
	createBucket() error
}

// ruleFields are a rule's, as clients know them.
type ruleFields struct {
	Origins []string `json:"origins"`
	Methods []string `json:"methods"`
	Headers []string `json:"headers"`
	Expose  []string `json:"expose"`
	MaxAge  *int     `json:"maxAge"`
}

// apiClientConfig says how a client is to talk to the proxy.
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

// url returns an object's, and the Host to ask for it.
func (c apiClientConfig) url(key string) (url, host string) {
	switch c.style {
	case "path":
		return "http://127.0.0.1:" + c.port + "/" + c.bucket + "/" + key, ""
	case "host":
		return "http://127.0.0.1:" + c.port + "/" + key, c.bucket + "." + apiDomain
	default:
		return "http://127.0.0.1:" + c.port + "/" + key, "cdn.test"
	}
}

// endpoint returns the host that a client is given, with its port.
func (c apiClientConfig) endpoint() string {
	return net.JoinHostPort(map[string]string{"path": "127.0.0.1", "host": apiDomain, "cname": "cdn.test"}[c.style], c.port)
}

const apiRegion = "cn-hangzhou"

// httpClient returns one that takes every name for this machine.
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
		WithEndpoint("http://" + c.endpoint()).WithRegion(apiRegion).
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
	return &apiError{e.StatusCode, e.Code, e.EC, e.RequestID}
}

type sdkV1Client struct {
	*ossv1.Client
	bucket string
}

func newSDKv1(t *testing.T, c apiClientConfig) apiClient {
	options := []ossv1.ClientOption{ossv1.HTTPClient(c.httpClient(t)), ossv1.UseCname(c.style == "cname")}
	if c.v4 {
		options = append(options, ossv1.AuthVersion(ossv1.AuthV4), ossv1.Region(apiRegion))
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
	return &apiError{e.StatusCode, e.Code, e.Ec, e.RequestID}
}

// ossutilClient runs ossutil. It drops ResponseVary, and every other name than an IP
// address's it reaches by a proxy, with requests that have the whole URL.
type ossutilClient struct {
	program, dir string
	options      []string
	bucket       string
}

func newOssutil(t *testing.T, c apiClientConfig) apiClient {
	dir := t.TempDir()
	options := []string{"--config-file", filepath.Join(dir, "config")}
	if c.v4 {
		options = append(options, "--sign-version", "v4", "--region", apiRegion)
	}
	endpoint := "endpoint = http://" + c.endpoint() + "\n"
	if c.style == "cname" {
		endpoint = "[Bucket-Cname]\n" + c.bucket + " = http://" + c.endpoint() + "\n"
	}
	if c.style != "path" {
		options = append(options, "--proxy-host", "http://127.0.0.1:"+c.port)
	}
	config := fmt.Sprintf("[Credentials]\naccessKeyID = %s\naccessKeySecret = %s\n%s", c.id, c.secret, endpoint)
	if err := os.WriteFile(filepath.Join(dir, "config"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	return &ossutilClient{tool(t, "ossutil"), dir, options, c.bucket}
}

var ossutilFailure = regexp.MustCompile(`StatusCode=(\d+), ErrorCode=(\w+), (?s:.*)RequestId=(\w+)(?:, Ec=([0-9-]+))?`)

func (c *ossutilClient) run(args ...string) (printed []byte, err error) {
	cmd := exec.Command(c.program, append(args, c.options...)...)
	cmd.Dir, cmd.Env = c.dir, append(os.Environ(), "HOME="+c.dir)
	printed, err = cmd.CombinedOutput()
	if found := ossutilFailure.FindSubmatch(printed); err != nil && found != nil {
		status, _ := strconv.Atoi(string(found[1]))
		return nil, &apiError{status, string(found[2]), string(found[4]), string(found[3])}
	}
	if err != nil {
		err = fmt.Errorf("ossutil %s: %w\n%s", strings.Join(args, " "), err, printed)
	}
	return printed, err
}

func (c *ossutilClient) cors(method string, args ...string) ([]byte, error) {
	return c.run(append([]string{"cors", "--method", method, "oss://" + c.bucket}, args...)...)
}

// xmlRules is the document as ossutil reads and prints it.
type xmlRules struct {
	XMLName struct{}  `xml:"CORSConfiguration"`
	Rules   []xmlRule `xml:"CORSRule"`
	Vary    *bool     `xml:"ResponseVary,omitempty"`
}

type xmlRule struct {
	Origins []string `xml:"AllowedOrigin"`
	Methods []string `xml:"AllowedMethod"`
	Headers []string `xml:"AllowedHeader"`
	Expose  []string `xml:"ExposeHeader"`
	MaxAge  *int     `xml:"MaxAgeSeconds,omitempty"`
}

func (c *ossutilClient) put(rules []ruleFields, _ bool) error {
	var doc xmlRules
	for _, r := range rules {
		doc.Rules = append(doc.Rules, xmlRule(r))
	}
	content, err := xml.Marshal(doc)
	if err != nil {
		return err
	}
	file := filepath.Join(c.dir, "rules.xml")
	if err := os.WriteFile(file, content, 0o600); err != nil {
		return err
	}
	_, err = c.cors("put", file)
	return err
}

func (c *ossutilClient) get() (rules []ruleFields, vary *bool, err error) {
	printed, err := c.cors("get")
	if err != nil {
		return nil, nil, err
	}
	var doc xmlRules
	printed, _, _ = bytes.Cut(printed, []byte("\n\n"))
	if err := xml.Unmarshal(printed, &doc); err != nil {
		return nil, nil, fmt.Errorf("%w in %s", err, printed)
	}
	for _, r := range doc.Rules {
		rules = append(rules, ruleFields(r))
	}
	return rules, doc.Vary, nil
}

func (c *ossutilClient) delete() error {
	_, err := c.cors("delete")
	return err
}

func (c *ossutilClient) createBucket() error {
	_, err := c.run("mb", "oss://"+c.bucket)
	return err
}

// aliOSSClient runs clients/alioss/client.js in Node. It drops ResponseVary.
type aliOSSClient struct {
	options map[string]any
	bucket  string
	dir     string
}

// aliOSSInstalled makes all tests install the SDK for JavaScript once.
var aliOSSInstalled struct {
	once sync.Once
	err  error
}

// aliOSSDir returns the directory with the SDK for JavaScript, which stays there for the
// next run.
func aliOSSDir(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(repoRoot, "test/clients/alioss")
	aliOSSInstalled.once.Do(func() { aliOSSInstalled.err = installPackages(dir) })
	if aliOSSInstalled.err != nil {
		t.Fatalf("no ali-oss: %v\nit needs Node and its npm: apt-get install nodejs npm", aliOSSInstalled.err)
	}
	return dir
}

// installPackages installs what a directory's package-lock.json says, unless it is there.
func installPackages(dir string) error {
	want, err := os.Stat(filepath.Join(dir, "package-lock.json"))
	if err != nil {
		return err
	}
	installed, err := os.Stat(filepath.Join(dir, "node_modules/.package-lock.json"))
	if err == nil && !installed.ModTime().Before(want.ModTime()) {
		return nil
	}
	cmd := exec.Command("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("npm ci: %w\n%s", err, out)
	}
	return nil
}

func newAliOSS(t *testing.T, c apiClientConfig) apiClient {
	options := map[string]any{
		"accessKeyId": c.id, "accessKeySecret": c.secret, "bucket": c.bucket,
		"region": "oss-" + apiRegion, "endpoint": "http://" + c.endpoint(),
		"authorizationV4": c.v4, "sldEnable": c.style == "path", "cname": c.style == "cname",
	}
	return &aliOSSClient{options, c.bucket, aliOSSDir(t)}
}

func (c *aliOSSClient) run(call map[string]any) ([]ruleFields, error) {
	arg, err := json.Marshal(map[string]any{"client": c.options, "bucket": c.bucket, "calls": []any{call}})
	if err != nil {
		return nil, err
	}
	cmd := exec.Command("node", "client.js", string(arg))
	cmd.Dir = c.dir
	var log bytes.Buffer
	cmd.Stderr = &log
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("node client.js: %w\n%s", err, log.Bytes())
	}
	var results []struct {
		Status                       int
		Code, EC, RequestID, Message string
		Rules                        []ruleFields
	}
	if err := json.Unmarshal(out, &results); err != nil {
		return nil, fmt.Errorf("%w in %s", err, out)
	}
	switch r := results[0]; {
	case r.Code == "" && r.Status/100 == 2:
		return r.Rules, nil
	case r.Status <= 0:
		return nil, errors.New(r.Code + ": " + r.Message)
	default:
		return nil, &apiError{r.Status, r.Code, r.EC, r.RequestID}
	}
}

func (c *aliOSSClient) put(rules []ruleFields, _ bool) error {
	var list []any
	for _, r := range rules {
		list = append(list, map[string]any{"allowedOrigin": r.Origins, "allowedMethod": r.Methods,
			"allowedHeader": r.Headers, "exposeHeader": r.Expose, "maxAgeSeconds": strconv.Itoa(*r.MaxAge)})
	}
	_, err := c.run(map[string]any{"op": "put", "rules": list})
	return err
}

func (c *aliOSSClient) get() ([]ruleFields, *bool, error) {
	rules, err := c.run(map[string]any{"op": "get"})
	return rules, nil, err
}

func (c *aliOSSClient) delete() error {
	_, err := c.run(map[string]any{"op": "delete"})
	return err
}

func (c *aliOSSClient) createBucket() error {
	_, err := c.run(map[string]any{"op": "createBucket"})
	return err
}
