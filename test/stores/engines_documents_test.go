package stores

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/harness"
)

// engineCORSDocuments are rules that one engine may take and the other refuse. Where they
// differ, docs/compatibility.md lists the name.
var engineCORSDocuments = []struct {
	name        string
	document    string
	here, there bool // whether it is taken
}{
	{"plain", inConfiguration(inRule("")), true, true},
	{"s3-namespace", strings.Replace(inConfiguration(inRule("")), ">", ` xmlns="http://s3.amazonaws.com/doc/2006-03-01/">`, 1), true, true},
	{"id", inConfiguration(inRule("<ID>first</ID>")), true, true},
	{"expose-not-a-token", inConfiguration(inRule("<ExposeHeader>e tag</ExposeHeader>")), false, false},
	{"method-lower-case", inConfiguration(inRule("<AllowedMethod>get</AllowedMethod>")), false, false},
	{"method-patch", inConfiguration(inRule("<AllowedMethod>PATCH</AllowedMethod>")), false, false},
	{"origin-two-stars", inConfiguration(inRule("<AllowedOrigin>https://*.*</AllowedOrigin>")), false, false},
	{"no-rule", inConfiguration(""), false, false},
	{"no-method", inConfiguration("<CORSRule><AllowedOrigin>*</AllowedOrigin></CORSRule>"), false, false},
	{"max-age-no-number", inConfiguration(inRule("<MaxAgeSeconds>1h</MaxAgeSeconds>")), false, false},

	{"unknown-element", inConfiguration(inRule("<AllowedHeaders>x-a</AllowedHeaders>")), false, true},
	{"more-than-10-rules", inConfiguration(strings.Repeat(inRule(""), 11)), false, true},
	{"over-16-kb", inConfiguration(inRule(strings.Repeat("<AllowedHeader>x-amz-meta-author</AllowedHeader>", 400))), false, true},
	{"header-two-stars", inConfiguration(inRule("<AllowedHeader>x-*-*</AllowedHeader>")), false, true},
	{"expose-star", inConfiguration(inRule("<ExposeHeader>*</ExposeHeader>")), false, true},
	{"empty-value", inConfiguration(inRule("<AllowedHeader></AllowedHeader>")), false, true},
	{"max-age-negative", inConfiguration(inRule("<MaxAgeSeconds>-1</MaxAgeSeconds>")), false, true},
	{"max-age-twice", inConfiguration(inRule("<MaxAgeSeconds>1</MaxAgeSeconds><MaxAgeSeconds>2</MaxAgeSeconds>")), false, true},
	{"white-space", inConfiguration(inRule("<AllowedMethod>\n  PUT\n</AllowedMethod>")), true, false},
}

func inConfiguration(content string) string {
	return "<CORSConfiguration>" + content + "</CORSConfiguration>"
}

func inRule(more string) string {
	return "<CORSRule><AllowedOrigin>https://app.example.com</AllowedOrigin><AllowedMethod>GET</AllowedMethod>" + more + "</CORSRule>"
}

// TestEngineDocuments gives documents to both engines, and compares which they accept.
func TestEngineDocuments(t *testing.T) {
	port := harness.FreePorts(t, 1)[0]
	harness.StartVersitygw(t, port, []string{"bucket"})
	dir := t.TempDir()
	write := func(name, content string) {
		t.Helper()
		harness.WriteFile(t, filepath.Join(dir, name), content)
	}
	write("Caddyfile", "{\n\tadmin off\n}\n\nhttp://:8080 {\n\toss_cors cors.xml\n}\n")
	var differing []string
	for _, c := range engineCORSDocuments {
		write("cors.xml", c.document)
		cmd := exec.Command(harness.CaddyBinary(t), "validate", "--config", "Caddyfile")
		cmd.Dir = dir
		out, refusal := cmd.CombinedOutput()
		if here := refusal == nil; here != c.here {
			t.Errorf("%s: taken by oss_cors: %v; want %v\n%s", c.name, here, c.here, out)
		}
		if refusal != nil && !strings.Contains(string(out), "oss_cors rules") {
			t.Errorf("%s: refused for another reason: %s", c.name, out)
		}
		refusal = putBucketCORS(port, "bucket", c.document)
		if there := refusal == nil; there != c.there {
			t.Errorf("%s: taken by versitygw: %v; want %v\n%v", c.name, there, c.there, refusal)
		}
		if c.here != c.there {
			differing = append(differing, c.name)
		}
	}
	if listed := listedClasses(t, "Documents"); !sameElements(listed, differing) {
		t.Errorf("docs/compatibility.md lists %v; want %v", listed, differing)
	}
}
