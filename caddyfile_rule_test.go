package osscors

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// blocks returns a site with rule blocks of these options, one option a line.
func blocks(rules ...string) string {
	return "oss_cors {\nrule {\n" + strings.Join(rules, "\n}\nrule {\n") + "\n}\n}"
}

const goodBlock = "origin https://app.example.com\nmethod GET"

// All faults of rule blocks are reported at once, each with its line. Those of the whole
// site are counted from its first line, 0: "n:" is the n-th.
func TestBadRuleBlocks(t *testing.T) {
	p := newProxy(t)
	write(t, "good.xml", appRules)
	for _, test := range []struct {
		desc, site string
		want       []string
	}{
		{"an empty rule", "oss_cors {\nrule {\n}\n}", []string{"1: the rule has no origin", "1: the rule has no method"}},
		{"a rule without a block", "oss_cors {\nrule app\n}", []string{"1: the rule has no origin", "1: the rule has no method"}},
		{"two names", "oss_cors {\nrule a b {\n" + goodBlock + "\n}\n}", []string{"1: rule has 2 names"}},
		{"an unknown option", blocks("vary\n" + goodBlock), []string{"2: unrecognized option 'vary': rule takes origin, method, header, expose, max_age"}},
		{"a name in the block", blocks("id app\n"+goodBlock, "name app\n"+goodBlock), []string{
			"2: unrecognized option 'id': write the rule's name before its block: rule <name> { … }",
			"7: unrecognized option 'name': write the rule's name before its block",
		}},
		{"misspelt options", blocks("origins https://app.example.com\nmethods GET\nheaders x-a\nexposed x-b\nmaxage 10m"), []string{
			"2: unrecognized option 'origins': did you mean origin?",
			"3: unrecognized option 'methods': did you mean method?",
			"4: unrecognized option 'headers': did you mean header?",
			"5: unrecognized option 'exposed': did you mean expose?",
			"6: unrecognized option 'maxage': did you mean max_age?",
		}},
		{"a document's names", blocks("AllowedOrigin https://app.example.com\nallowed_methods GET\nallowed_headers x-a\nexpose_headers x-b\nMaxAgeSeconds 10m"), []string{
			"2: unrecognized option 'AllowedOrigin': did you mean origin?",
			"3: unrecognized option 'allowed_methods': did you mean method?",
			"4: unrecognized option 'allowed_headers': did you mean header?",
			"5: unrecognized option 'expose_headers': did you mean expose?",
			"6: unrecognized option 'MaxAgeSeconds': did you mean max_age?",
		}},
		{"a misspelt option with a wrong value", blocks("origin https://app.example.com\nmethods get"), []string{
			"3: unrecognized option 'methods': did you mean method?",
			`3: method "get" has lower-case letters`,
		}},
		{"a misspelt option without a value", blocks("origins\nmethod GET"), []string{
			"2: unrecognized option 'origins': did you mean origin?", "2: origin is empty",
		}},
		{"options without values", blocks(goodBlock + "\norigin\nmethod\nheader\nexpose\nmax_age"),
			[]string{"4: origin is empty: give an origin such as", "5: method is empty: give a method", "6: header is empty: give a header name", "7: expose is empty: give a header name", "8: max_age takes exactly one argument"}},
		{"an option with a block", blocks(goodBlock + "\nheader {\nx-a\n}"), []string{"4: header is empty", "5: 'x-a' is in a block"}},
		{"commas", blocks("origin https://a.example\nmethod GET, PUT\nheader Content-Type, X-A\nexpose ETag, X-B"), []string{
			`3: method "GET," has quotes, a comma or other signs around it: write GET`,
			`4: header "Content-Type," has quotes, a comma or other signs around it: write Content-Type`,
			`5: expose "ETag," has quotes, a comma or other signs around it: write ETag`,
		}},
		{"options whose variables are empty", blocks("origin {$NO_SUCH_VARIABLE}\nmethod {$NO_SUCH_VARIABLE}"), []string{"2: origin is empty", "3: method is empty"}},
		{"options of the directive", blocks(goodBlock + "\nallow_credentials\nresponse_vary\ndialect s3\ndebug_header"), []string{
			"4: allow_credentials is an option of oss_cors: write it outside of the rule", "5: response_vary is an option of oss_cors",
			"6: dialect is an option of oss_cors", "7: debug_header is an option of oss_cors",
		}},
		{"faults of every option", blocks("origin https://a.example https://*.*\norigin \"https://b.example https://c.example\"\nmethod GET,PUT get OPTIONS TRACE * \"\" G@T\nheader x-*-* x-a:\nexpose x-* \"\"\nmax_age 10"),
			[]string{
				`2: origin "https://*.*" has more than one *`,
				`3: origin "https://b.example https://c.example" has a white space`,
				`4: method "GET,PUT" is a list: write each method as an argument of its own`,
				`4: method "get" has lower-case letters, and methods are case-sensitive: write GET`,
				`4: method "OPTIONS" is not needed`,
				`4: method "TRACE" cannot be used by scripts in browsers`,
				`4: method "*" is not a method`,
				`4: method is empty`,
				`4: method "G@T" is not a method`,
				`5: header "x-*-*" has more than one *`,
				`5: header "x-a:" is not a header name`,
				`6: expose "x-*" has a *: name each header that scripts may read, as an argument of its own`,
				`6: expose is empty`,
				`7: max_age 10: a duration such as 10m is needed`,
			}},
		{"faults of two rules", blocks(goodBlock+"\nmax_age 1500ms", "origin *\nmethod patch\nmax_age -1s"),
			[]string{"4: max_age 1.5s: whole seconds are needed", `8: method "patch"`, `9: max_age "-1" is not a whole number of seconds from 0 to 999999999`}},
		{"max_age twice", blocks(goodBlock + "\nmax_age 1s\nmax_age 1s"), []string{"5: max_age is given twice"}},
		{"too long a max_age", blocks(goodBlock + "\nmax_age 1000000000s"), []string{"4: max_age"}},
		{"21 rules", blocks(strings.Split(strings.Repeat(goodBlock+"|", 20)+goodBlock, "|")...), []string{"81: rule number 21: at most 20 are allowed"}},
		{"too much of all", blocks(goodBlock + "\norigin https://" + strings.Repeat("a", 1<<14) + ".example"), []string{"1: the values of all rules have"}},
		{"an origin too wide for credentials", "oss_cors {\nrule {\n" + goodBlock + "\norigin null\n}\nallow_credentials\n}", []string{`4: origin "null" is not allowed with allow_credentials`}},
	} {
		t.Run(test.desc, func(t *testing.T) {
			err := p.tryLoad(t, test.site)
			if err == nil {
				t.Fatal("no error")
			}
			lines := strings.Split(err.Error(), "\n")[1:]
			if len(lines) != len(test.want) {
				t.Errorf("%d faults, want %d:\n%v", len(lines), len(test.want), err)
			}
			for i := range min(len(lines), len(test.want)) {
				var n int
				_, _ = fmt.Sscanf(test.want[i], "%d:", &n)
				_, text, _ := strings.Cut(test.want[i], ":")
				if want := fmt.Sprintf("Caddyfile:%d:%s", p.firstLine()+n, text); !strings.HasPrefix(lines[i], want) {
					t.Errorf("got  %s\nwant %s", lines[i], want)
				}
			}
		})
	}
}

// Rules come from one place.
func TestRuleBlocksAndAnotherSource(t *testing.T) {
	p := newProxy(t)
	for _, test := range []struct{ desc, site, want string }{
		{"rule and rules", "oss_cors {\nrule {\n" + goodBlock + "\n}\nrules file good.xml\n}", "rule blocks and another source of rules"},
		{"a file and rule", "oss_cors good.xml {\nrule {\n" + goodBlock + "\n}\n}", "the rules are given twice: by good.xml and in the block; remove one"},
		{"rules config", "oss_cors {\nrules config\n}", "in a Caddyfile write rule blocks"},
	} {
		if err := p.tryLoad(t, test.site); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", test.desc, err)
		}
	}
}

// A fault of an imported rule is where it is written.
func TestFaultOfImportedRule(t *testing.T) {
	p := newProxy(t)
	file := filepath.Join(t.TempDir(), "rule.caddy")
	write(t, file, "rule {\norigin {args[0]}\nmethod patch\n}\n")
	err := p.tryLoad(t, "oss_cors {\nimport "+file+" https://*.*\n}")
	if err == nil || !strings.Contains(err.Error(), `rule.caddy:2: origin "https://*.*"`) || !strings.Contains(err.Error(), `rule.caddy:3: method "patch"`) {
		t.Error(err)
	}
}

// Rule blocks decide as a document does, with any method.
func TestRuleBlocks(t *testing.T) {
	p := newProxy(t)
	p.load(t, `oss_cors {
		rule app {
			origin https://app.example.com
			origin https://*.preview.example.com
			method GET PATCH
			method PROPFIND
			header Content-Type x-*
			expose ETag X-B
			max_age 10m
		}
		rule {
			origin *
			method GET
			max_age 0
		}
		response_vary
	}
	respond ok`)
	granted := []string{"Allow-Methods: GET, PATCH, PROPFIND", "Allow-Origin: https://app.example.com", "Expose-Headers: ETag, X-B", "Max-Age: 600"}
	p.preflight(t, fromApp, "Access-Control-Request-Method: PATCH", "Access-Control-Request-Headers: content-type,x-a").
		expect(t, 200, append([]string{"Allow-Headers: content-type, x-a"}, granted...)...)
	p.ask(t, "PROPFIND /key HTTP/1.1", fromApp).expect(t, 200, granted...)
	p.preflight(t, fromApp, "Access-Control-Request-Method: PUT").expect(t, 403)
	p.preflight(t, fromApp, "Access-Control-Request-Method: patch").expect(t, 403)
	p.get(t, fromStranger).expect(t, 200, "Allow-Methods: GET", "Allow-Origin: *", "Max-Age: 0")
	expectCounters(t, p, series{
		hits("config", "app", "preflight"):       1,
		hits("config", "app", "actual"):          1,
		hits("config", "2", "actual"):            1,
		denials("config", "preflight", "method"): 2,
	})
}

// Placeholders are expanded when the configuration is loaded. What they stand for is checked
// like what is written, and all faults are reported at once.
func TestPlaceholdersInRuleBlocks(t *testing.T) {
	p := newProxy(t)
	file := filepath.Join(t.TempDir(), "origin")
	write(t, file, "https://app.example.com\n")
	t.Setenv("TEST_METHOD", "PATCH")
	t.Setenv("TEST_WIDE", "*")
	p.load(t, blocks("origin {file."+file+"}\nmethod {env.TEST_METHOD}\nheader {env.TEST_METHOD}-x"))
	p.preflight(t, fromApp, "Access-Control-Request-Method: PATCH", "Access-Control-Request-Headers: patch-x").
		expect(t, 200, "Allow-Headers: patch-x", "Allow-Methods: PATCH", "Allow-Origin: https://app.example.com")

	err := p.tryLoad(t, "oss_cors {\nrule {\norigin https://{env.NO_SUCH_VARIABLE} {env.TEST_WIDE}\nmethod {http.request.method} {env.TEST_WIDE}\nheader {file./no/such/file}\n}\nallow_credentials\n}")
	for _, want := range []string{
		`rules[0].allowed_origins[0]: {env.NO_SUCH_VARIABLE} has no value: set the variable NO_SUCH_VARIABLE in Caddy's environment`,
		`rules[0].allowed_origins[1]: origin "*" is not allowed with allow_credentials`,
		`rules[0].allowed_methods[0]: {http.request.method} cannot be used here: only global placeholders can, such as {env.ORIGIN} and {file./run/origin}`,
		`rules[0].allowed_headers[0]: {file./no/such/file} has no value: the file /no/such/file is empty or cannot be read`,
		`rules[0].allowed_methods[1]: method "*" is not a method`,
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the message lacks %q: %v", want, err)
		}
	}
}

// What JSON can say of rules, and a Caddyfile cannot, is refused as well.
func TestBadRulesInJSON(t *testing.T) {
	newProxy(t)
	for _, test := range []struct{ desc, rules, want string }{
		{"no rules", `[]`, "there are none"},
		{"a misspelt field", `[{"allowed_origin": ["*"], "allowed_methods": ["GET"]}]`, "allowed_origin"},
		{"no method", `[{"allowed_origins": ["*"]}]`, "rules[0]: the rule has no method"},
		{"a wrong header", `[{"allowed_origins": ["*"], "allowed_methods": ["GET"], "expose_headers": ["a", "*"]}]`, `rules[0].expose_headers[1]: expose "*" has a *`},
		{"half a second", `[{"allowed_origins": ["*"], "allowed_methods": ["GET"], "max_age": "500ms"}]`, "rules[0].max_age: max_age 500ms"},
	} {
		err := loadHandler(t, `{"rules": {"source": "config", "rules": `+test.rules+`}}`)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: want an error with %q: %v", test.desc, test.want, err)
		}
	}
}

// Candidate rules from a document stand next to rule blocks.
func TestShadowOfRuleBlocks(t *testing.T) {
	p := newProxy(t)
	write(t, "candidate.xml", openRules)
	p.load(t, "oss_cors {\nrule {\n"+goodBlock+"\n}\nshadow candidate.xml\nname api\n}\nrespond ok")
	p.get(t, fromStranger).expect(t, 200)
	if n := p.series(t)[`shadow_changes_total{kind="actual",live="denied",ruleset="api",shadow="allowed"}`]; n != 1 {
		t.Errorf("%v changes, want 1", n)
	}
}

// Next to rule blocks, candidate rules can be blocks as well, which can allow any method.
// Their faults stop the start, or leave the last good ones in force.
func TestShadowOfRuleBlocksInRuleBlocks(t *testing.T) {
	p := newProxy(t)
	t.Setenv("TEST_ORIGIN", "https://app.example.com")
	write(t, "candidate.caddyfile", "oss_cors {\nrule {\norigin {env.TEST_ORIGIN}\nmethod GET PATCH\n}\n}\n")
	const site = "oss_cors {\nrule {\n" + goodBlock + "\n}\nshadow candidate.caddyfile\nname api\n}\nrespond ok"
	p.load(t, site)
	p.preflight(t, fromApp, "Access-Control-Request-Method: PATCH").expect(t, 403)
	if n := p.series(t)[`shadow_changes_total{kind="preflight",live="denied",ruleset="api",shadow="allowed"}`]; n != 1 {
		t.Errorf("%v changes, want 1", n)
	}
	write(t, "candidate.caddyfile", "rule {\norigin https://*.*\nmethod GET\n}\n")
	if err := p.tryLoad(t, site); err == nil || !strings.Contains(err.Error(), `candidate.caddyfile:2: origin "https://*.*" has more than one *`) {
		t.Error(err)
	}
	write(t, "cors.xml", "rule {\norigin *\nmethod GET\n}\n")
	if err := p.tryLoad(t, "oss_cors cors.xml"); err == nil || !strings.Contains(err.Error(), "cors.xml:1:1: ") {
		t.Errorf("rules file takes rule blocks: %v", err)
	}
}

func TestRuleBlocksAreFormatted(t *testing.T) {
	site := ":80 {\n\toss_cors {\n\t\trule app {\n\t\t\torigin https://app.example.com\n\t\t\tmethod GET PATCH\n\t\t\tmax_age 10m\n\t\t}\n\t}\n}\n"
	if got := string(caddyfile.Format([]byte(site))); got != site {
		t.Errorf("caddy fmt writes\n%s", got)
	}
}

// What "caddy oss-cors convert" writes as rule blocks decides as the document that it read.
func TestConvertedCaddyfile(t *testing.T) {
	rules := docsRules(t)
	converted, status := runShown(t, "caddy oss-cors convert --to caddyfile cors.xml", "")
	if status != 0 {
		t.Fatal(converted)
	}
	if formatted := string(caddyfile.Format([]byte(converted))); formatted != converted {
		t.Errorf("caddy fmt writes\n%s", formatted)
	}
	p := newProxy(t)
	write(t, "cors.xml", rules)
	p.load(t, "oss_cors cors.xml\nrespond ok", converted+"respond ok")
	for _, origin := range []string{fromApp, "Origin: https://a.preview.example.com", fromStranger} {
		for _, method := range []string{"GET", "PUT", "DELETE"} {
			for _, headers := range []string{"content-type, x-oss-date", "x-foo"} {
				lines := []string{origin, "Access-Control-Request-Method: " + method, "Access-Control-Request-Headers: " + headers}
				want := askAt(t, p.addrs[0], "OPTIONS /key HTTP/1.1", lines...)
				got := askAt(t, p.addrs[1], "OPTIONS /key HTTP/1.1", lines...)
				got.expect(t, want.StatusCode, cors(want.Header)...)
			}
		}
		want := askAt(t, p.addrs[0], "GET /key HTTP/1.1", origin)
		askAt(t, p.addrs[1], "GET /key HTTP/1.1", origin).expect(t, want.StatusCode, cors(want.Header)...)
	}
}
