package hostile

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/harness"
)

// TestSecurityDocument: the limits, metrics and tests that SECURITY.md names exist.
func TestSecurityDocument(t *testing.T) {
	document, err := os.ReadFile(filepath.Join(harness.RepoRoot, "SECURITY.md"))
	if err != nil {
		t.Fatal(err)
	}
	code, tests := goSource(t)
	named := map[string]bool{}
	for _, match := range regexp.MustCompile("`([A-Za-z][A-Za-z0-9_]*)`").FindAllStringSubmatch(string(document), -1) {
		named[match[1]] = true
	}
	isTest, isConstant := regexp.MustCompile(`^(Test|Benchmark)`), regexp.MustCompile(`^([Mm]ax|Default|load|sketch)[A-Z]`)
	found := 0
	for name := range named {
		switch {
		case isTest.MatchString(name):
			if !strings.Contains(tests, "\nfunc "+name+"(") {
				t.Errorf("there is no %s", name)
			}
		case isConstant.MatchString(name):
			if !regexp.MustCompile(`(?m)^\s*(const )?` + name + `\s+=`).MatchString(code) {
				t.Errorf("there is no constant %s", name)
			}
		case strings.HasPrefix(name, "caddy_oss_cors_"):
			if !strings.Contains(code, `"`+strings.TrimPrefix(name, "caddy_oss_cors_")+`"`) {
				t.Errorf("there is no metric %s", name)
			}
		default:
			continue
		}
		found++
	}
	if found < 40 {
		t.Errorf("found only %d names", found)
	}
}

// goSource returns the repository's Go code, and its tests.
func goSource(t *testing.T) (code, tests string) {
	t.Helper()
	var product, proof strings.Builder
	err := filepath.WalkDir(harness.RepoRoot, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (entry.Name() == "node_modules" || entry.Name() == ".git"):
			return fs.SkipDir
		case !strings.HasSuffix(path, ".go"):
			return nil
		}
		content, err := os.ReadFile(path)
		if strings.HasSuffix(path, "_test.go") || strings.HasPrefix(path, filepath.Join(harness.RepoRoot, "test")) {
			proof.Write(content)
		} else {
			product.Write(content)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return product.String(), proof.String()
}
