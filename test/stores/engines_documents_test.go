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
	name           string
	document       string
	oss, s3, there bool // whether it is taken, in each dialect and by versitygw
}{
	{"plain", inConfiguration(inRule("")), true, true, true},
	{"s3-namespace", strings.Replace(inConfiguration(inRule("")), ">", ` xmlns="http://s3.amazonaws.com/doc/2006-03-01/">`, 1), true, true, true},
	{"id", inConfiguration(inRule("<ID>first</ID>")), true, true, true},
	{"expose-not-a-token", inConfiguration(inRule("<ExposeHeader>e tag</ExposeHeader>")), false, true, false},
	{"method-lower-case", inConfiguration(inRule("<AllowedMethod>get</AllowedMethod>")), false, false, false},
	{"method-patch", inConfiguration(inRule("<AllowedMethod>PATCH</AllowedMethod>")), false, false, false},
	{"origin-two-stars", inConfiguration(inRule("<AllowedOrigin>https://*.*</AllowedOrigin>")), false, false, false},
	{"no-rule", inConfiguration(""), false, false, false},
	{"no-method", inConfiguration("<CORSRule><AllowedOrigin>*</AllowedOrigin></CORSRule>"), false, false, false},
	{"max-age-no-number", inConfiguration(inRule("<MaxAgeSeconds>1h</MaxAgeSeconds>")), false, false, false},

	{"unknown-element", inConfiguration(inRule("<AllowedHeaders>x-a</AllowedHeaders>")), false, false, true},
	{"more-than-10-rules", inConfiguration(strings.Repeat(inRule(""), 11)), false, true, true},
	{"over-16-kb", inConfiguration(inRule(strings.Repeat("<AllowedHeader>x-amz-meta-author</AllowedHeader>", 400))), false, true, true},
	{"header-two-stars", inConfiguration(inRule("<AllowedHeader>x-*-*</AllowedHeader>")), false, false, true},
	{"expose-star", inConfiguration(inRule("<ExposeHeader>*</ExposeHeader>")), false, false, true},
	{"empty-origin", inConfiguration(inRule("<AllowedOrigin></AllowedOrigin>")), false, true, true},
	{"empty-header", inConfiguration(inRule("<AllowedHeader></AllowedHeader>")), false, false, true},
	{"max-age-negative", inConfiguration(inRule("<MaxAgeSeconds>-1</MaxAgeSeconds>")), false, false, true},
	{"max-age-twice", inConfiguration(inRule("<MaxAgeSeconds>1</MaxAgeSeconds><MaxAgeSeconds>2</MaxAgeSeconds>")), false, false, true},
	{"white-space", inConfiguration(inRule("<AllowedMethod>\n  PUT\n</AllowedMethod>")), true, true, false},
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
	var differing []string
	for _, c := range engineCORSDocuments {
		for dialect, want := range map[string]bool{"oss": c.oss, "s3": c.s3} {
			if out, taken := validates(t, dialect, c.document); taken != want {
				t.Errorf("%s: taken by oss_cors with dialect %s: %v; want %v\n%s", c.name, dialect, taken, want, out)
			}
		}
		refusal := putBucketCORS(port, "bucket", c.document)
		if there := refusal == nil; there != c.there {
			t.Errorf("%s: taken by versitygw: %v; want %v\n%v", c.name, there, c.there, refusal)
		}
		if c.oss != c.there || c.s3 != c.there {
			differing = append(differing, c.name)
		}
	}
	if listed := listedClasses(t, "Documents"); !sameElements(listed, differing) {
		t.Errorf("docs/compatibility.md lists %v; want %v", listed, differing)
	}
}

// validates reports whether Caddy takes rules in a dialect.
func validates(t *testing.T, dialect, document string) (out string, taken bool) {
	t.Helper()
	dir := t.TempDir()
	harness.WriteFile(t, filepath.Join(dir, "cors.xml"), document)
	harness.WriteFile(t, filepath.Join(dir, "Caddyfile"), "{\n\tadmin off\n}\n\nhttp://:8080 {\n\toss_cors cors.xml {\n\t\tdialect "+dialect+"\n\t}\n}\n")
	cmd := exec.Command(harness.CaddyBinary(t), "validate", "--config", "Caddyfile")
	cmd.Dir = dir
	text, refusal := cmd.CombinedOutput()
	if refusal != nil && !strings.Contains(string(text), "oss_cors rules") {
		t.Errorf("refused for another reason: %s", text)
	}
	return string(text), refusal == nil
}
