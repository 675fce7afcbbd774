package soak

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/harness"
)

// fuzzTargets are all fuzz targets, with the input that each one tests.
var fuzzTargets = []struct{ target, dir, meets string }{
	{"FuzzParse", "corsrules", "tenants' and operators' XML documents"},
	{"FuzzDialects", "corsrules", "tenants' documents, as OSS and as S3 take them"},
	{"FuzzCures", "corsrules", "origins as people write them, and what lint says to write instead"},
	{"FuzzPreflight", "corsrules", "browsers' Origin, Access-Control-Request-Method and -Headers, on any document"},
	{"FuzzDifferential", "corsrules", "the same, made to nearly match; compared with a second, simple implementation"},
	{"FuzzBucket", ".", "Host, path and placeholder that a bucket's name is taken from"},
	{"FuzzDirective", ".", "operators' Caddyfiles"},
	{"FuzzBucketContent", "rulesource", "tenants' documents, and what lint finds in them"},
	{"FuzzReadSnippet", "rulesource", "candidate rule blocks that the console sends"},
	{"FuzzIsRequest", "bucketapi", "queries that may be the bucket API's"},
	{"FuzzAuthorization", "bucketapi", "Authorization, query and headers of requests that nobody signed"},
	{"FuzzPut", "bucketapi", "body and Content-MD5 of a signed PutBucketCors"},
	{"FuzzS3Put", "bucketapi", "body, and any header, of a put that S3's clients sign"},
	{"FuzzError", "internal/ossresponse", "what an error's document quotes of a request"},
	{"FuzzReadPaste", "internal/explain", "cURL commands, fetch() calls, HARs and console lines that people paste"},
	{"FuzzDenied", "metrics", "Origin, as a label of metrics"},
}

// TestFuzzTargets fails if fuzzTargets lacks a target of the module.
func TestFuzzTargets(t *testing.T) {
	var found, listed []string
	err := fs.WalkDir(os.DirFS(harness.RepoRoot), ".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (path == "test" || strings.HasPrefix(d.Name(), ".") && path != "."):
			return fs.SkipDir
		case !strings.HasSuffix(path, "_test.go"):
			return nil
		}
		text, err := os.ReadFile(filepath.Join(harness.RepoRoot, path))
		for _, match := range fuzzFunction.FindAllSubmatch(text, -1) {
			found = append(found, filepath.Dir(path)+" "+string(match[1]))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range fuzzTargets {
		listed = append(listed, f.dir+" "+f.target)
	}
	slices.Sort(found)
	slices.Sort(listed)
	if !slices.Equal(found, listed) {
		t.Errorf("fuzzTargets has\n%q\nand the packages have\n%q", listed, found)
	}
}

var fuzzFunction = regexp.MustCompile(`(?m)^func (Fuzz\w+)\(`)
