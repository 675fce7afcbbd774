package clients

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"testing"

	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/harness"
)

// aliOSSClient runs clients/alioss/client.js in Node. It drops ResponseVary.
type aliOSSClient struct {
	options map[string]any
	bucket  string
	dir     string
}

// aliOSSDir returns the directory with the SDK for JavaScript.
func aliOSSDir(t *testing.T) string {
	t.Helper()
	return harness.NodePackages(t, "test/clients/alioss")
}

func newAliOSS(t *testing.T, c apiClientConfig) apiClient {
	options := map[string]any{
		"accessKeyId": c.id, "accessKeySecret": c.secret, "bucket": c.bucket,
		"region": "oss-" + harness.APIRegion, "endpoint": "http://" + c.endpoint(),
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
		Printed                      string
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
		return nil, &apiError{r.Status, r.Code, r.EC, r.RequestID, r.Printed}
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
