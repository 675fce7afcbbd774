package examples

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/harness"
)

// blocks returns the blocks of a language in one of the repository's documents.
func blocks(t *testing.T, document, language string) []string {
	t.Helper()
	found := blocksOf(harness.ReadRepo(t, document), language)
	if len(found) == 0 {
		t.Fatalf("%s has no block of %s", document, language)
	}
	return found
}

func blocksOf(text, language string) (found []string) {
	for _, match := range regexp.MustCompile("(?s)```"+language+"\n(.*?)```").FindAllStringSubmatch(text, -1) {
		found = append(found, match[1])
	}
	return found
}

// TestDocsValidate makes the mistakes whose messages docs/configuration.md shows.
func TestDocsValidate(t *testing.T) {
	const page = "docs/configuration.md"
	dir := t.TempDir()
	rules := blocks(t, page, "xml")[0]
	for right, wrong := range map[string]string{
		"<AllowedMethod>GET<":                         "<AllowedMethod>get<",
		"<AllowedHeader>content-type</AllowedHeader>": "<AllowedHeaders>content-type</AllowedHeaders>",
	} {
		rules = strings.Replace(rules, right, wrong, 1)
	}
	harness.WriteFile(t, filepath.Join(dir, "cors.xml"), rules)
	harness.WriteFile(t, filepath.Join(dir, "Caddyfile"), "{\n\tadmin off\n}\n\nhttp://:0 {\n\toss_cors cors.xml\n}\n")
	validate := exec.Command(harness.CaddyBinary(t), "validate")
	validate.Dir = dir
	printed, err := validate.CombinedOutput() // as JSON, because it is not a terminal
	lines := strings.Split(strings.TrimSpace(string(printed)), "\n")
	var last struct{ Msg string }
	if err == nil || json.Unmarshal([]byte(lines[len(lines)-1]), &last) != nil {
		t.Fatalf("caddy validate: %v\n%s", err, printed)
	}
	const begin = "oss_cors rules:\n"
	_, said, _ := strings.Cut(last.Msg, begin)
	if shown := "$ caddy validate\nERROR … " + begin + said + "\n"; !slices.Contains(blocks(t, page, "console"), shown) {
		t.Errorf("%s does not show\n%s", page, shown)
	}
}

// TestDocsQueries checks every query of docs/metrics.md with promtool.
func TestDocsQueries(t *testing.T) {
	type rule struct {
		Record string `json:"record"`
		Expr   string `json:"expr"`
	}
	var rules []rule
	for i, query := range blocks(t, "docs/metrics.md", "promql") {
		rules = append(rules, rule{fmt.Sprintf("query_%d", i), query})
	}
	file, err := json.Marshal(map[string]any{"groups": []any{map[string]any{"name": "queries", "rules": rules}}})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "queries.yml") // JSON is YAML
	harness.WriteFile(t, path, string(file))
	harness.Promtool(t, "", "", "check", "rules", path)
}

// TestMigrationFromHeader tries what docs/migration.md shows of Caddyfiles and rules.
func TestMigrationFromHeader(t *testing.T) {
	dir := t.TempDir()
	rules, caddyfile := filepath.Join(dir, "cors.xml"), filepath.Join(dir, "Caddyfile")
	harness.WriteFile(t, rules, blocks(t, "docs/migration.md", "xml")[0])
	for _, text := range blocks(t, "docs/migration.md", "caddyfile") {
		harness.WriteFile(t, caddyfile, strings.ReplaceAll(text, "cors.xml", rules))
		harness.CheckCaddyfile(t, caddyfile)
	}
	if out, err := exec.Command(harness.CaddyBinary(t), "oss-cors", "lint", rules).CombinedOutput(); err != nil {
		t.Errorf("lint: %v\n%s", err, out)
	}
}

// TestMigrationFromS3: the output of the AWS CLI can be used as rules, as docs/migration.md says.
func TestMigrationFromS3(t *testing.T) {
	const printed = `{
    "CORSRules": [
        {
            "ID": "app",
            "AllowedHeaders": ["content-type", "x-amz-*"],
            "AllowedMethods": ["PUT", "GET"],
            "AllowedOrigins": ["https://app.example.com", "https://*.example.com"],
            "ExposeHeaders": ["ETag"],
            "MaxAgeSeconds": 3000
        },
        {
            "AllowedMethods": ["GET"],
            "AllowedOrigins": ["*"]
        }
    ]
}
`
	file := filepath.Join(t.TempDir(), "cors.json")
	harness.WriteFile(t, file, printed)
	explain := exec.Command(harness.CaddyBinary(t), "oss-cors", "explain", "--rules", file, "--origin", "https://app.example.com", "--method", "PUT", "--headers", "x-amz-date")
	if out, err := explain.CombinedOutput(); err != nil {
		t.Errorf("explain: %v\n%s", err, out)
	}
}
