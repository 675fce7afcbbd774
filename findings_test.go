package osscors

import (
	"path/filepath"
	"strings"
	"testing"
)

// Findings of lint are warned of when rules are loaded: once for a content, and the first ten.
func TestFindingsAreLogged(t *testing.T) {
	const message = "CORS rules are valid, and may have mistakes"
	open := document(element("AllowedOrigin", "*") + element("AllowedMethod", "GET"))
	slashes := element("AllowedOrigin", "https://app.example.com/")
	for i := range 12 {
		slashes += element("AllowedOrigin", "https://app"+string(rune('a'+i))+".example.com/")
	}
	many := document(slashes + element("AllowedMethod", "GET"))
	for _, test := range []struct {
		desc, rules, options, want string
	}{
		{"none", withVary(appRules), "", ""},
		{"a cache", open, "", "echo-without-vary"},
		{"a cache, and the handler adds Vary", open, "response_vary", ""},
		{"a cache, and S3's answers have Vary", open, "dialect s3", ""},
		{"more than ten", many, "response_vary", `"findings":13`},
	} {
		t.Run(test.desc, func(t *testing.T) {
			p := newProxy(t)
			write(t, "cors.xml", test.rules)
			log := filepath.Join(t.TempDir(), "log.json")
			p.options = logTo(log)
			p.load(t, "oss_cors {\nrules file cors.xml {\nrefresh 10ms\n}\n"+test.options+"\n}")
			lines := readLog(t, log, message)
			switch {
			case test.want == "" && len(lines) > 0:
				t.Errorf("the log says %q", lines)
			case test.want != "" && (len(lines) != 1 || !strings.Contains(lines[0], test.want) || !strings.Contains(lines[0], `"level":"warn"`)):
				t.Errorf("the log says %q; want %s", lines, test.want)
			}
			if len(lines) > 0 && strings.Count(lines[0], "cors.xml:") > 10 {
				t.Errorf("more than ten findings: %s", lines[0])
			}
		})
	}
}

// The same findings are warned of in rule blocks, by their places in the configuration.
func TestFindingsOfRuleBlocksAreLogged(t *testing.T) {
	p := newProxy(t)
	log := filepath.Join(t.TempDir(), "log.json")
	p.options = logTo(log)
	t.Setenv("TEST_ORIGIN", "https://App.example.com/")
	p.load(t, "oss_cors {\nrule {\norigin https://app.example.com\nmethod GET\n}\nresponse_vary\n}")
	const message = "CORS rules are valid, and may have mistakes"
	if lines := readLog(t, log, message); len(lines) > 0 {
		t.Errorf("the log says %q", lines)
	}
	p.load(t, "oss_cors {\nrule {\norigin {env.TEST_ORIGIN}\nmethod GET PATCH PATCH\n}\n}")
	lines := readLog(t, log, message)
	if len(lines) != 1 {
		t.Fatalf("the log says %q", lines)
	}
	for _, want := range []string{
		`"findings":4`,
		`rules[0].allowed_origins[0]: \"https://App.example.com/\" ends with a slash`,
		`rules[0].allowed_methods[2]: the rule has the method \"PATCH\" already`,
		`without response_vary a cache may`,
	} {
		if !strings.Contains(lines[0], want) {
			t.Errorf("the log lacks %s: %s", want, lines[0])
		}
	}
}

// Files that are never read are warned of at start.
func TestStrayFilesAreLogged(t *testing.T) {
	p := newProxy(t)
	mkdir(t, "rules")
	write(t, "rules/bucket.xml", appRules)
	write(t, "rules/README.md", "")
	log := filepath.Join(t.TempDir(), "log.json")
	p.options = logTo(log)
	const site = "oss_cors {\nrules directory rules\nbucket path\n}"
	p.load(t, site)
	if lines := readLog(t, log, "never read"); len(lines) > 0 {
		t.Errorf("the log says %q", lines)
	}
	write(t, "rules/static.example.com.xml", appRules)
	write(t, "rules/My_Bucket.xml", appRules)
	write(t, "rules/photos.json", "{}")
	write(t, "rules/archive.XML", appRules)
	p.load(t, site)
	if lines := readLog(t, log, "never read"); len(lines) != 1 || !strings.Contains(lines[0], `"first":["My_Bucket.xml","archive.XML","photos.json","static.example.com.xml"]`) {
		t.Errorf("the log says %q", lines)
	}
}

// A rules directory that is missing when Caddy starts, perhaps on purpose, is warned of once.
func TestMissingDirectoryIsLogged(t *testing.T) {
	p := newProxy(t)
	log := filepath.Join(t.TempDir(), "log.json")
	p.options = logTo(log)
	const warning = "the rules directory cannot be read"
	p.load(t, "oss_cors {\nrules directory missing\nbucket path\n}\nrespond ok")
	for range 2 {
		p.ask(t, "OPTIONS /bucket/key HTTP/1.1", fromApp, "Access-Control-Request-Method: GET").expect(t, 503)
		p.ask(t, "GET /bucket/key HTTP/1.1", fromApp).expect(t, 200)
	}
	lines := readLog(t, log, warning)
	if len(lines) != 1 || !strings.Contains(lines[0], `"error":"open missing: no such file or directory"`) || !strings.Contains(lines[0], `"level":"warn"`) {
		t.Errorf("the log says %q", lines)
	}
	mkdir(t, "empty")
	p.load(t, "oss_cors {\nrules directory empty\nbucket path\n}")
	if after := readLog(t, log, warning); len(after) != len(lines) {
		t.Errorf("an empty directory: the log says %q", after)
	}
}
