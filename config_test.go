package osscors

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/caddy-oss-cors/caddy-oss-cors/corsrules"
)

// Every mistake stops the configuration, and the message says where it is and what is
// allowed. None ever means "allow".
func TestBadConfiguration(t *testing.T) {
	p := newProxy(t)
	write(t, "good.xml", appRules)
	write(t, "empty.xml", "")
	write(t, "blank.xml", " \n")
	write(t, "long.xml", appRules+strings.Repeat(" ", corsrules.MaxDocumentBytes))
	write(t, "cut.xml", appRules[:200])
	write(t, "wrong.xml", strings.Replace(appRules, "<AllowedMethod>PUT", "\n<AllowedMethod>put", 1))
	write(t, "norule.xml", "<CORSConfiguration></CORSConfiguration>")
	write(t, "other.xml", "<html></html>")
	write(t, "many.xml", document(strings.Split(strings.Repeat(plainRule+"|", 10)+plainRule, "|")...))
	mkdir(t, "directory.xml")
	if err := syscall.Mkfifo("fifo.xml", 0o600); err != nil {
		t.Fatal(err)
	}
	hung := time.AfterFunc(patience, func() { // let go who waits for a writer
		if f, err := os.OpenFile("fifo.xml", os.O_WRONLY|syscall.O_NONBLOCK, 0); err == nil {
			f.Close()
		}
	})
	defer hung.Stop()
	for _, test := range []struct {
		desc, site string
		want       []string // in the message; "line n": the site's n-th, from 0
	}{
		{"no arguments", "oss_cors", []string{"line 0", "oss_cors cors.xml", "rules file"}},
		{"an empty block", "oss_cors {\n}", []string{"Caddyfile:", "oss_cors cors.xml", "rules file"}},
		{"a block without rules", "oss_cors {\nresponse_vary\n}", []string{"Caddyfile:", "no rules"}},
		{"a lone named matcher", "@m path /a*\noss_cors @m", []string{"line 1", "oss_cors @m cors.xml"}},
		{"a lone matcher and a block without rules", "@m path /a*\noss_cors @m {\nresponse_vary\n}", []string{"Caddyfile:", "no rules"}},
		{"an undefined matcher", "oss_cors @m good.xml", []string{"oss_cors", "@m"}},
		{"a lone star is a file", "oss_cors *", []string{"*", "no such file"}},
		{"two files", "oss_cors good.xml other.xml", []string{"line 0", "one file is allowed, and there are two: good.xml and other.xml; a matcher begins with /, * or @"}},
		{"three arguments", "oss_cors /a good.xml other.xml", []string{"line 0", "too many arguments", "/a good.xml other.xml"}},
		{"a file and rules", "oss_cors good.xml {\nrules file other.xml\n}", []string{"line 0", "the rules are given twice: by good.xml and in the block; remove one"}},
		{"a matcher, a file and rules", "oss_cors /a good.xml {\nrules file other.xml\n}", []string{"line 0", "the rules are given twice: by good.xml and in the block; remove one"}},
		{"an unknown option", "oss_cors good.xml {\nresponse_very\n}", []string{"line 1", "unrecognized option 'response_very': did you mean response_vary?"}},
		{"an option twice", "oss_cors good.xml {\nname a\nname b\n}", []string{"line 2", "name is given twice"}},
		{"rules twice", "oss_cors {\nrules file good.xml\nrules file good.xml\n}", []string{"line 2", "rules is given twice"}},
		{"a flag twice", "oss_cors good.xml {\nresponse_vary\nresponse_vary\n}", []string{"line 2", "response_vary is given twice"}},
		{"a flag with an argument", "oss_cors good.xml {\nresponse_vary off\n}", []string{"line 1", "response_vary takes no argument; found: off"}},
		{"credentials with an argument", "oss_cors good.xml {\nallow_credentials false\n}", []string{"line 1", "allow_credentials takes no argument"}},
		{"name without an argument", "oss_cors good.xml {\nname\n}", []string{"line 1", "name takes exactly one argument"}},
		{"an empty name", "oss_cors good.xml {\nname \"\"\n}", []string{"line 1", "name takes exactly one argument"}},
		{"two names", "oss_cors good.xml {\nname a b\n}", []string{"line 1", "name takes exactly one argument", "found: name a b"}},
		{"a flag with a block", "oss_cors good.xml {\nresponse_vary {\nname a\n}\n}", []string{"line 1", "response_vary does not take a block"}},
		{"shadow without an argument", "oss_cors good.xml {\nshadow\n}", []string{"line 1", "shadow takes exactly one argument"}},
		{"denied_origins without an argument", "oss_cors good.xml {\ndenied_origins\n}", []string{"line 1", "denied_origins takes exactly one argument"}},
		{"denied_origins below 0", "oss_cors good.xml {\ndenied_origins -1\n}", []string{"line 1", "denied_origins -1", "0 for none"}},
		{"rules without a source", "oss_cors {\nrules\n}", []string{"line 1", "rules takes a source", "directory, file, inline, oss, storage"}},
		{"rules of an unknown source", "oss_cors {\nrules fiel good.xml\n}", []string{"line 1", "unknown source of rules 'fiel'", "directory, file, inline, oss, storage"}},
		{"rules file without a path", "oss_cors {\nrules file\n}", []string{"line 1", "exactly one argument"}},
		{"rules file with two paths", "oss_cors {\nrules file good.xml other.xml\n}", []string{"line 1", "exactly one argument"}},
		{"rules inline without a document", "oss_cors {\nrules inline\n}", []string{"line 1", "exactly one argument"}},
		{"rules inline with an empty document", "oss_cors {\nrules inline \"\"\n}", []string{"inline", "no document"}},
		{"an unknown option of a source", "oss_cors {\nrules file good.xml {\nrefrsh 5s\n}\n}", []string{"line 2", "unrecognized option 'refrsh': did you mean refresh?"}},
		{"an option of a source twice", "oss_cors {\nrules file good.xml {\nrefresh 5s\nrefresh 5s\n}\n}", []string{"line 3", "refresh is given twice"}},
		{"refresh without an argument", "oss_cors {\nrules file good.xml {\nrefresh\n}\n}", []string{"line 2", "refresh takes exactly one argument"}},
		{"refresh 0", "oss_cors {\nrules file good.xml {\nrefresh 0\n}\n}", []string{"line 2", "refresh 0", "such as 5s"}},
		{"refresh below 0", "oss_cors {\nrules file good.xml {\nrefresh -5s\n}\n}", []string{"line 2", "refresh -5s", "at least 10ms"}},
		{"too short a refresh", "oss_cors {\nrules file good.xml {\nrefresh 5ns\n}\n}", []string{"line 2", "refresh 5ns", "at least 10ms"}},
		{"refresh without a unit", "oss_cors {\nrules file good.xml {\nrefresh 5\n}\n}", []string{"line 2", "refresh 5", "such as 5s"}},
		{"max_rules 0", "oss_cors {\nrules file good.xml {\nmax_rules 0\n}\n}", []string{"line 2", "max_rules 0", "from 1"}},
		{"max_rules that is not a number", "oss_cors {\nrules file good.xml {\nmax_rules many\n}\n}", []string{"line 2", "max_rules many", "from 1"}},
		{"max_rules beyond all documents", "oss_cors {\nrules file good.xml {\nmax_rules 201\n}\n}", []string{"line 2", "max_rules 201", "from 1 to 200"}},
		{"max_rules of inline rules beyond all documents", "oss_cors {\nrules inline x {\nmax_rules 201\n}\n}", []string{"line 2", "max_rules 201", "from 1 to 200"}},
		{"refresh of inline rules", "oss_cors {\nrules inline x {\nrefresh 5s\n}\n}", []string{"line 2", "unrecognized option 'refresh'", "max_rules"}},
		{"a bucket without a kind", "oss_cors {\nrules directory .\nbucket\n}", []string{"line 2", "bucket path, bucket host"}},
		{"a bucket of no kind", "oss_cors {\nrules directory .\nbucket nonsense\n}", []string{"line 2", "bucket path, bucket host", "found: bucket nonsense"}},
		{"a bucket of the host without a domain", "oss_cors {\nrules directory .\nbucket host\n}", []string{"line 2", "bucket host <domain…>", "found: bucket host"}},
		{"denied_origins with two arguments", "oss_cors good.xml {\ndenied_origins 1 2\n}", []string{"line 1", "found: denied_origins 1 2"}},
		{"a name of many buckets", "oss_cors {\nrules directory .\nbucket path\nname a\n}", []string{"name a: a name is for rules of one document", "rules directory has those of many buckets"}},
		{"a name of a storage's buckets", "oss_cors {\nrules storage\nbucket path\nname a\n}", []string{"name a: a name is for rules of one document", "rules storage has those of many buckets"}},
		{"all that many buckets cannot have", "oss_cors {\nrules storage\nname a\nshadow good.xml\nallow_credentials\n}", []string{
			"name a: a name is for rules of one document", "shadow good.xml: candidate rules are for a source of one document",
			"allow_credentials needs rules of one document", "rules storage needs bucket",
		}},
		{"many buckets and no bucket", "oss_cors {\nrules directory .\n}", []string{"bucket path", "bucket host"}},

		{"bucket_api with an argument", "oss_cors {\nrules storage\nbucket path\nbucket_api on\n}", []string{"line 3", "access_key <id> <secret> <bucket…>", "found: bucket_api on"}},
		{"bucket_api without a key", "oss_cors {\nrules storage\nbucket path\nbucket_api {\n}\n}", []string{"bucket_api", "no access key"}},
		{"bucket_api with half a key", "oss_cors {\nrules storage\nbucket path\nbucket_api {\naccess_key id secret\n}\n}", []string{"line 4", "access_key <id> <secret> <bucket…>"}},
		{"bucket_api with placeholders without values", "oss_cors {\nrules storage\nbucket path\nbucket_api {\naccess_key {env.NO_SUCH_ID} {env.NO_SUCH_SECRET} *\n}\n}", []string{
			"access_key number 1: {env.NO_SUCH_ID} has no value: set the variable NO_SUCH_ID in Caddy's environment", "{env.NO_SUCH_SECRET} has no value",
		}},
		{"rules oss with placeholders without values", "oss_cors {\nrules oss photos {\nregion cn-hangzhou\ncredentials static {env.NO_SUCH_ID} {env.NO_SUCH_SECRET}\n}\n}", []string{
			"rules oss: {env.NO_SUCH_ID} has no value: set the variable NO_SUCH_ID in Caddy's environment", "{env.NO_SUCH_SECRET} has no value",
		}},
		{"bucket_api over a file", "oss_cors {\nrules file good.xml\nbucket_api {\naccess_key id secret *\n}\n}", []string{"bucket_api", "rules storage"}},

		{"a missing file", "oss_cors missing.xml", []string{"missing.xml", "no such file", "working directory"}},
		{"an empty path", `oss_cors ""`, []string{"rules file", "the path is empty"}},
		{"an undefined placeholder", "oss_cors {env.NO_SUCH_VARIABLE}/cors.xml", []string{"{env.NO_SUCH_VARIABLE}/cors.xml", "{env.NO_SUCH_VARIABLE} has no value: set the variable NO_SUCH_VARIABLE in Caddy's environment"}},
		{"an empty file", "oss_cors empty.xml", []string{"empty.xml:1:1", "at least one CORSRule"}},
		{"a blank file", "oss_cors blank.xml", []string{"blank.xml:1:1", "at least one CORSRule"}},
		{"too long a file", "oss_cors long.xml", []string{"long.xml:", "more than 16384 bytes"}},
		{"a file that is cut off", "oss_cors cut.xml", []string{"cut.xml:2:", "not well-formed"}},
		{"a wrong value", "oss_cors wrong.xml", []string{"wrong.xml:3:16", `"put"`, "GET, PUT, DELETE, POST and HEAD"}},
		{"no rule", "oss_cors norule.xml", []string{"norule.xml:1:1", "at least one is needed"}},
		{"another document", "oss_cors other.xml", []string{"other.xml:1:1", "is a web page"}},
		{"too many rules", "oss_cors many.xml", []string{"many.xml:12:1", "at most 10", "max_rules"}},
		{"more than max_rules", "oss_cors {\nrules file good.xml {\nmax_rules 1\n}\n}", []string{"good.xml:3:1", "at most 1"}},
		{"a directory", "oss_cors directory.xml", []string{"directory.xml is not a regular file"}},
		{"a named pipe", "oss_cors fifo.xml", []string{"fifo.xml is not a regular file"}},
		{"a device", "oss_cors /dev/zero", []string{"/dev/zero is not a regular file"}},
		{"a bad inline document", "oss_cors {\nrules inline <<RULES\n<CORSConfiguration>\n</CORSConfiguration>\nRULES\n}", []string{"inline:1:1", "no CORSRule"}},
		{"a bad shadow", "oss_cors good.xml {\nshadow norule.xml\n}", []string{"norule.xml:1:1"}},
	} {
		t.Run(test.desc, func(t *testing.T) {
			err := p.tryLoad(t, test.site)
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range test.want {
				var n int
				if _, err := fmt.Sscanf(want, "line %d", &n); err == nil {
					want = fmt.Sprint("at Caddyfile:", p.firstLine()+n)
				}
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the message lacks %q:\n%v", want, err)
				}
			}
		})
	}
}

// All faults of a document are told at once.
func TestAllFaultsAtOnce(t *testing.T) {
	p := newProxy(t)
	write(t, "cors.xml", document(element("AllowedOrigin", "https://*.*")+element("AllowedMethod", "PATCH"), element("MaxAgeSeconds", "-1")))
	err := p.tryLoad(t, "oss_cors cors.xml")
	if err == nil || strings.Count(err.Error(), "\ncors.xml:") != 5 {
		t.Errorf("want 5 faults, each on a line: %v", err)
	}
}

// What JSON can say and a Caddyfile cannot is refused as well.
func TestBadJSON(t *testing.T) {
	newProxy(t)
	write(t, "good.xml", appRules)
	for _, test := range []struct {
		desc, handler, want string
	}{
		{"no rules", `{}`, "no rules"},
		{"null rules", `{"rules": null}`, "rules"},
		{"rules without a source", `{"rules": {"path": "good.xml"}}`, "source"},
		{"an unknown source", `{"rules": {"source": "fiel"}}`, "http.oss_cors.rules.fiel"},
		{"no path", `{"rules": {"source": "file"}}`, "rules file"},
		{"no document", `{"rules": {"source": "inline"}}`, "no document"},
		{"a misspelt field", `{"rules": {"source": "file", "path": "good.xml"}, "respons_vary": true}`, "respons_vary"},
		{"a misspelt field of a source", `{"rules": {"source": "file", "pth": "good.xml"}}`, "pth"},
		{"max_rules below 0", `{"rules": {"source": "file", "path": "good.xml", "max_rules": -1}}`, "max_rules is -1"},
		{"max_rules beyond all documents", `{"rules": {"source": "file", "path": "good.xml", "max_rules": 201}}`, "max_rules is 201: a whole number from 1 to 200"},
		{"max_rules of inline rules beyond all documents", `{"rules": {"source": "inline", "xml": "x", "max_rules": 201}}`, "max_rules is 201"},
		{"max_rules of buckets beyond all documents", `{"rules": {"source": "storage", "max_rules": 201}, "bucket": {"path": true}}`, "max_rules is 201"},
		{"refresh below 0", `{"rules": {"source": "file", "path": "good.xml", "refresh": -1}}`, "at least 10ms"},
		{"a bucket of two kinds", `{"rules": {"source": "directory", "path": "."}, "bucket": {"path": true, "name": "a"}}`, "one of path, host and name; found 2 of them: name, path"},
		{"a bucket of no kind", `{"rules": {"source": "directory", "path": "."}, "bucket": {}}`, "one of path, host and name; found 0 of them"},
		{"an empty domain", `{"rules": {"source": "directory", "path": "."}, "bucket": {"host": ["a.example", ""]}}`, `bucket host "" is not a domain`},
		{"no path of a directory", `{"rules": {"source": "directory"}, "bucket": {"path": true}}`, "rules directory: the path is empty"},
		{"no URL", `{"rules": {"source": "url"}}`, `rules url: the scheme is "" and the host ""`},
		{"no rules of a configuration", `{"rules": {"source": "config"}}`, "put at least one into rules"},
		{"denied_origins below 0", `{"rules": {"source": "file", "path": "good.xml"}, "denied_origins": -1}`, "denied_origins is -1: a whole number is needed"},
		{"a reserved name", `{"rules": {"source": "file", "path": "good.xml"}, "name": "_other"}`, "name _other is reserved"},
		{"a number for a flag", `{"rules": {"source": "file", "path": "good.xml"}, "response_vary": 1}`, "response_vary"},
	} {
		t.Run(test.desc, func(t *testing.T) {
			err := loadHandler(t, test.handler)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("want an error with %q: %v", test.want, err)
			}
		})
	}
}

func TestOriginsTooWideForCredentials(t *testing.T) {
	p := newProxy(t)
	for _, test := range []struct {
		origin string
		ok     bool
	}{
		{"https://app.example.com", true},
		{"https://*.example.com", true},
		{"https://*.a.b.example.com:8443", true},
		{"http://localhost:*", true},
		{"https://[::1]:*", true},
		{"capacitor://localhost", true},
		{"*", false},
		{"null", false},
		{"NULL", false},
		{"app.example.com", false},
		{"*.example.com", false},
		{"https://*", false},
		{"https://*:443", false},
		{"https://*.com", false},
		{"https://*.localhost", false},
		{"https://*example.com", false},
		{"https://app*.example.com", false},
		{"https://app-*.example.com", false},
		{"https://app.example.*", false},
		{"https://app.*.com", false},
		{"https://app.example.com*", false},
		{"https://app.example.com:8*", false},
		{"http*://app.example.com", false},
		{"*://app.example.com", false},
		{"http://:*", false},
		{"https://*.", false},
		{"https://*..com", false},
		{"https://*.com.", false},
	} {
		t.Run(test.origin, func(t *testing.T) {
			write(t, "cors.xml", document(element("AllowedOrigin", test.origin)+element("AllowedMethod", "GET")))
			if err := p.tryLoad(t, "oss_cors cors.xml"); err != nil {
				t.Fatalf("without credentials: %v", err)
			}
			err := p.tryLoad(t, "oss_cors cors.xml {\nallow_credentials\n}")
			switch {
			case test.ok && err != nil:
				t.Error(err)
			case !test.ok && err == nil:
				t.Error("no error")
			case !test.ok && !strings.Contains(err.Error(), "cors.xml:2:26: AllowedOrigin "):
				t.Errorf("the message does not say where: %v", err)
			}
		})
	}
}

// Tenants write the rules of buckets: they could allow themselves credentials.
func TestCredentialsOfManyBuckets(t *testing.T) {
	p := newProxy(t)
	for _, source := range []string{"directory .", "storage"} {
		err := p.tryLoad(t, "oss_cors {\nrules "+source+"\nbucket path\nallow_credentials\n}")
		if err == nil || !strings.Contains(err.Error(), "allow_credentials") {
			t.Errorf("rules %s: %v", source, err)
		}
	}
}

// firstLine is the number of the Caddyfile's line on which the first site's body begins.
func (p *proxy) firstLine() int {
	const marker = "# the body"
	before, _, _ := strings.Cut(p.caddyfile(make([]string, 2), []string{marker}), marker)
	return 1 + strings.Count(before, "\n")
}
