package clients

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awscredentials "github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/cors"
	miniocredentials "github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/harness"
)

// s3Client is one of S3's real clients, set up for one bucket. Its errors contain S3's Code.
type s3Client interface {
	put(rules []s3Rule) error
	get() ([]s3Rule, error)
	delete() error
}

// s3Rule is a rule as AWS writes it in JSON; in XML, s3cmd shows it.
type s3Rule struct {
	ID             string   `xml:"ID"`
	AllowedOrigins []string `xml:"AllowedOrigin"`
	AllowedMethods []string `xml:"AllowedMethod"`
	AllowedHeaders []string `json:",omitempty" xml:"AllowedHeader,omitempty"`
	ExposeHeaders  []string `json:",omitempty" xml:"ExposeHeader,omitempty"`
	MaxAgeSeconds  int      `xml:"MaxAgeSeconds"`
}

// s3Configuration is a document of S3's, as a client writes it.
type s3Configuration struct {
	XMLName xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ CORSConfiguration"`
	Rules   []s3Rule `xml:"CORSRule"`
}

// s3Clients are all clients by their names. Only those written in Go can be told how to find
// a bucket's host.
var s3Clients = map[string]func(*testing.T, apiClientConfig) s3Client{
	"AWS SDK for Go":         newAWSSDK,
	"minio-go":               newMinioGo,
	"boto3":                  newBoto3,
	"AWS SDK for JavaScript": newAWSJS,
	"AWS CLI":                newAWSCLI,
	"s3cmd":                  newS3cmd,
	"mc":                     newMC,
}

type awsSDKClient struct {
	*s3.Client
	bucket *string
}

func newAWSSDK(t *testing.T, c apiClientConfig) s3Client {
	return &awsSDKClient{s3.New(s3.Options{
		Region:           "eu-west-1",
		BaseEndpoint:     aws.String("http://" + c.endpoint()),
		UsePathStyle:     c.style == "path",
		Credentials:      awscredentials.NewStaticCredentialsProvider(c.id, c.secret, ""),
		HTTPClient:       c.httpClient(t),
		RetryMaxAttempts: 1,
	}), &c.bucket}
}

func (c *awsSDKClient) put(rules []s3Rule) error {
	config := new(types.CORSConfiguration)
	for _, r := range rules {
		config.CORSRules = append(config.CORSRules, types.CORSRule{ID: aws.String(r.ID), AllowedOrigins: r.AllowedOrigins,
			AllowedMethods: r.AllowedMethods, AllowedHeaders: r.AllowedHeaders, ExposeHeaders: r.ExposeHeaders,
			MaxAgeSeconds: aws.Int32(int32(r.MaxAgeSeconds))})
	}
	_, err := c.PutBucketCors(context.Background(), &s3.PutBucketCorsInput{Bucket: c.bucket, CORSConfiguration: config})
	return err
}

func (c *awsSDKClient) get() (rules []s3Rule, err error) {
	result, err := c.GetBucketCors(context.Background(), &s3.GetBucketCorsInput{Bucket: c.bucket})
	if err != nil {
		return nil, err
	}
	for _, r := range result.CORSRules {
		rules = append(rules, s3Rule{aws.ToString(r.ID), r.AllowedOrigins, r.AllowedMethods, r.AllowedHeaders, r.ExposeHeaders, int(aws.ToInt32(r.MaxAgeSeconds))})
	}
	return rules, nil
}

func (c *awsSDKClient) delete() error {
	_, err := c.DeleteBucketCors(context.Background(), &s3.DeleteBucketCorsInput{Bucket: c.bucket})
	return err
}

type minioGoClient struct {
	*minio.Client
	bucket string
}

func newMinioGo(t *testing.T, c apiClientConfig) s3Client {
	lookup := minio.BucketLookupPath
	if c.style == "host" {
		lookup = minio.BucketLookupDNS
	}
	client, err := minio.New(c.endpoint(), &minio.Options{
		Creds: miniocredentials.NewStaticV4(c.id, c.secret, ""), Region: "eu-west-1",
		BucketLookup: lookup, Transport: c.httpClient(t).Transport, MaxRetries: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	return &minioGoClient{client, c.bucket}
}

func (c *minioGoClient) put(rules []s3Rule) error {
	var list []cors.Rule
	for _, r := range rules {
		list = append(list, cors.Rule{ID: r.ID, AllowedOrigin: r.AllowedOrigins, AllowedMethod: r.AllowedMethods,
			AllowedHeader: r.AllowedHeaders, ExposeHeader: r.ExposeHeaders, MaxAgeSeconds: r.MaxAgeSeconds})
	}
	return minioError(c.SetBucketCors(context.Background(), c.bucket, cors.NewConfig(list)))
}

func (c *minioGoClient) get() (rules []s3Rule, err error) {
	config, err := c.GetBucketCors(context.Background(), c.bucket)
	switch {
	case err != nil:
		return nil, minioError(err)
	case config == nil: // which is what this client makes of the error
		return nil, errors.New("NoSuchCORSConfiguration")
	}
	for _, r := range config.CORSRules {
		rules = append(rules, s3Rule{r.ID, r.AllowedOrigin, r.AllowedMethod, r.AllowedHeader, r.ExposeHeader, r.MaxAgeSeconds})
	}
	return rules, nil
}

func (c *minioGoClient) delete() error {
	return minioError(c.SetBucketCors(context.Background(), c.bucket, nil))
}

func minioError(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", minio.ToErrorResponse(err).Code, err)
}

// scriptClient runs a script in another language, with one call in JSON as its argument.
type scriptClient struct {
	config  apiClientConfig
	command []string
	dir     string
}

func newBoto3(_ *testing.T, c apiClientConfig) s3Client {
	return &scriptClient{c, []string{"python3", "client.py"}, filepath.Join(harness.RepoRoot, "test/clients/boto3")}
}

func newAWSJS(t *testing.T, c apiClientConfig) s3Client {
	return &scriptClient{c, []string{"node", "cors.js"}, harness.NodePackages(t, "test/stores/aws")}
}

func (c *scriptClient) run(op string, rules []s3Rule) (string, error) {
	call, err := json.Marshal(map[string]any{"endpoint": "http://" + c.config.endpoint(), "id": c.config.id,
		"secret": c.config.secret, "bucket": c.config.bucket, "op": op, "rules": rules})
	if err != nil {
		return "", err
	}
	return runClient(c.dir, nil, c.command[0], append(c.command[1:], string(call))...)
}

func (c *scriptClient) put(rules []s3Rule) error { return errorOf(c.run("put", rules)) }
func (c *scriptClient) delete() error            { return errorOf(c.run("delete", nil)) }

func (c *scriptClient) get() (rules []s3Rule, err error) {
	out, err := c.run("get", nil)
	if err != nil {
		return nil, err
	}
	return rules, json.Unmarshal([]byte(out), &rules)
}

type awsCLIClient struct{ config apiClientConfig }

func newAWSCLI(_ *testing.T, c apiClientConfig) s3Client { return awsCLIClient{c} }

func (c awsCLIClient) run(op string, args ...string) (string, error) {
	args = append([]string{"--endpoint-url", "http://" + c.config.endpoint(), "s3api", op, "--bucket", c.config.bucket}, args...)
	return runClient("", []string{"AWS_ACCESS_KEY_ID=" + c.config.id, "AWS_SECRET_ACCESS_KEY=" + c.config.secret,
		"AWS_DEFAULT_REGION=eu-west-1", "AWS_MAX_ATTEMPTS=1", "AWS_PAGER="}, "aws", args...)
}

func (c awsCLIClient) put(rules []s3Rule) error {
	config, err := json.Marshal(map[string]any{"CORSRules": rules})
	if err != nil {
		return err
	}
	return errorOf(c.run("put-bucket-cors", "--cors-configuration", string(config)))
}

func (c awsCLIClient) get() ([]s3Rule, error) {
	out, err := c.run("get-bucket-cors")
	if err != nil {
		return nil, err
	}
	var config struct{ CORSRules []s3Rule }
	return config.CORSRules, json.Unmarshal([]byte(out), &config)
}

func (c awsCLIClient) delete() error { return errorOf(c.run("delete-bucket-cors")) }

type s3cmdClient struct {
	config apiClientConfig
	dir    string
}

func newS3cmd(t *testing.T, c apiClientConfig) s3Client { return s3cmdClient{c, t.TempDir()} }

func (c s3cmdClient) run(args ...string) (string, error) {
	args = append([]string{"--config=/dev/null", "--access_key=" + c.config.id, "--secret_key=" + c.config.secret, "--no-ssl",
		"--host=" + c.config.endpoint(), "--host-bucket=" + c.config.endpoint(), "--region=eu-west-1"}, args...)
	return runClient(c.dir, nil, "s3cmd", append(args, "s3://"+c.config.bucket)...)
}

// writeS3Rules writes rules as XML, for a client that reads them from a file.
func writeS3Rules(dir string, rules []s3Rule) (file string, err error) {
	doc, err := xml.Marshal(s3Configuration{Rules: rules})
	if err != nil {
		return "", err
	}
	file = filepath.Join(dir, "rules.xml")
	return file, os.WriteFile(file, doc, 0o600)
}

func (c s3cmdClient) put(rules []s3Rule) error {
	file, err := writeS3Rules(c.dir, rules)
	if err != nil {
		return err
	}
	return errorOf(c.run("setcors", file))
}

// get reads what s3cmd prints of the document, among other things that it asks for.
func (c s3cmdClient) get() ([]s3Rule, error) {
	out, err := c.run("info")
	if err != nil {
		return nil, err
	}
	begin, end := strings.Index(out, "<CORSConfiguration"), strings.Index(out, "</CORSConfiguration>")
	if begin < 0 {
		if strings.Contains(out, "CORS:      none") { // which is what this client makes of the error
			return nil, errors.New("NoSuchCORSConfiguration")
		}
		return nil, errors.New(out)
	}
	var config s3Configuration
	err = xml.Unmarshal([]byte(out[begin:end+len("</CORSConfiguration>")]), &config)
	return config.Rules, err
}

func (c s3cmdClient) delete() error { return errorOf(c.run("delcors")) }

type mcClient struct {
	config       apiClientConfig
	program, dir string
}

func newMC(t *testing.T, c apiClientConfig) s3Client {
	return mcClient{c, harness.MinIOTool(t, "mc"), t.TempDir()}
}

// run runs a command on the bucket's rules. On an error mc prints it as its result.
func (c mcClient) run(op string, args ...string) (result struct {
	Status string
	CORS   struct{ CORSRules json.RawMessage }
}, err error,
) {
	args = append([]string{"--config-dir", c.dir, "--json", "cors", op, "store/" + c.config.bucket}, args...)
	cmd := exec.Command(c.program, args...)
	cmd.Env = append(os.Environ(), "MC_HOST_store=http://"+c.config.id+":"+c.config.secret+"@"+c.config.endpoint())
	out, err := cmd.Output()
	if err != nil {
		return result, fmt.Errorf("mc: %w\n%s", err, out)
	}
	return result, json.Unmarshal(out, &result)
}

func (c mcClient) put(rules []s3Rule) error {
	file, err := writeS3Rules(c.dir, rules)
	if err != nil {
		return err
	}
	return errorOf(c.run("set", file))
}

func (c mcClient) get() (rules []s3Rule, err error) {
	result, err := c.run("get")
	if err != nil {
		return nil, err
	}
	if result.Status == "not found" { // which is what this client makes of the error
		return nil, errors.New("NoSuchCORSConfiguration")
	}
	var found []struct {
		ID                                                        string
		AllowedOrigin, AllowedMethod, AllowedHeader, ExposeHeader []string
		MaxAgeSeconds                                             int
	}
	err = json.Unmarshal(result.CORS.CORSRules, &found)
	for _, r := range found {
		rules = append(rules, s3Rule{r.ID, r.AllowedOrigin, r.AllowedMethod, r.AllowedHeader, r.ExposeHeader, r.MaxAgeSeconds})
	}
	return rules, err
}

func (c mcClient) delete() error { return errorOf(c.run("remove")) }

// runClient runs a program and returns what it printed. The error has what it printed as
// errors.
func runClient(dir string, env []string, program string, args ...string) (string, error) {
	cmd := exec.Command(program, args...)
	cmd.Dir, cmd.Env = dir, append(cmd.Environ(), env...)
	var log bytes.Buffer
	cmd.Stderr = &log
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w\n%s\ninstall the programs that the tests need with: make deps", program, err, log.Bytes())
	}
	return string(out), nil
}
