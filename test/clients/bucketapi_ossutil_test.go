package clients

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/harness"
)

// ossutilClient runs ossutil. It drops ResponseVary. It reaches names other than IP addresses
// through a proxy, with requests in absolute form.
type ossutilClient struct {
	program, dir string
	options      []string
	bucket       string
}

func newOssutil(t *testing.T, c apiClientConfig) apiClient {
	dir := t.TempDir()
	options := []string{"--config-file", filepath.Join(dir, "config")}
	if c.v4 {
		options = append(options, "--sign-version", "v4", "--region", harness.APIRegion)
	}
	endpoint := "endpoint = http://" + c.endpoint() + "\n"
	if c.style == "cname" {
		endpoint = "[Bucket-Cname]\n" + c.bucket + " = http://" + c.endpoint() + "\n"
	}
	if c.style != "path" {
		options = append(options, "--proxy-host", "http://127.0.0.1:"+c.port)
	}
	config := fmt.Sprintf("[Credentials]\naccessKeyID = %s\naccessKeySecret = %s\n%s", c.id, c.secret, endpoint)
	harness.WriteFile(t, filepath.Join(dir, "config"), config)
	return &ossutilClient{harness.Tool(t, "ossutil"), dir, options, c.bucket}
}

var ossutilFailure = regexp.MustCompile(`StatusCode=(\d+), ErrorCode=(\w+), (?s:.*)RequestId=(\w+)(?:, Ec=([0-9-]+))?`)

func (c *ossutilClient) run(args ...string) (printed []byte, err error) {
	cmd := exec.Command(c.program, append(args, c.options...)...)
	cmd.Dir, cmd.Env = c.dir, append(os.Environ(), "HOME="+c.dir)
	printed, err = cmd.CombinedOutput()
	if found := ossutilFailure.FindSubmatch(printed); err != nil && found != nil {
		status, _ := strconv.Atoi(string(found[1]))
		return nil, &apiError{status, string(found[2]), string(found[4]), string(found[3]), string(printed)}
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
