package rulesource

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/caddy-oss-cors/caddy-oss-cors/corsrules"
)

func TestHasRuleBlocks(t *testing.T) {
	for text, want := range map[string]bool{
		"rule {\n}":                            true,
		"\uFEFF# ours\n\n\toss_cors @api {\n}": true,
		"{\n\tadmin off\n}\n\n:80 {\n\toss_cors cors.xml\n}": true,
		"{$SITE} {\n\toss_cors {\n\t}\n}":                    true,
		"":                                                   false,
		":80 {\n\trespond \"oss_cors\"\n}":                   false,
		"rules: cors.xml\ntests:\n":                          false,
		"<CORSConfiguration>\nrule\n</CORSConfiguration>":    false,
		"[{\"ID\": \"\nrule\n\"}]":                           false,
		" {\n \"CORSRules\": [\nrule\n]}":                    false,
	} {
		if got := HasRuleBlocks([]byte(text)); got != want {
			t.Errorf("%q: %t", text, got)
		}
	}
}

// A directive is found wherever it stands: in routes, behind matchers, in snippets that are
// imported, in named routes; and not where only its name does.
func TestReadCaddyfile(t *testing.T) {
	const inline = "<CORSConfiguration>\n<CORSRule><AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod></CORSRule></CORSConfiguration>"
	const block = "{\nrule {\norigin https://a.example\nmethod GET\n}\n}\n"
	for _, test := range []struct {
		desc, text string
		sites      string // of the directives, with their lines; empty: an error
		err        string
	}{
		{"in a site", "a.example {\noss_cors " + block + "}", "a.example:2", ""},
		{"a site without braces", "a.example\nrespond ok\noss_cors " + block, "a.example:3", ""},
		{"in a route in a handle", "a.example {\nhandle /x {\nroute {\nrespond oss_cors\noss_cors @m " + block + "}\n}\n}", "a.example:5", ""},
		{"in two sites", "a.example {\noss_cors " + block + "}\nb.example {\noss_cors " + block + "}", "a.example:2 b.example:10", ""},
		{"next to a file", "a.example {\noss_cors cors.xml\n}\nb.example {\noss_cors " + block + "}", "b.example:5", ""},
		{"in a snippet", "(cors) {\noss_cors " + block + "}\na.example {\nimport cors\n}", "a.example:2", ""},
		{"in a named route", "&(cors) {\noss_cors " + block + "}\na.example {\ninvoke cors\n}", "cors:2", ""},
		{"alone", "oss_cors " + block, ":1", ""},
		{"rules inline", "a.example {\noss_cors {\nrules inline <<RULES\n" + inline + "\nRULES\n}\n}", "a.example:2", ""},
		{"rules inline, alone", "oss_cors {\nrules inline `" + inline + "` {\nmax_rules 1\n}\n}", ":1", ""},
		{"only its name", "{\norder oss_cors first\n}\na.example {\nrespond `\noss_cors`\n}", "", "no oss_cors directive has rule blocks or rules inline"},
		{"only files", "a.example {\noss_cors @m cors.xml\n}", "", `no oss_cors directive has rule blocks or rules inline: that at Caddyfile:2 has "cors.xml"; name the document itself`},
		{"not a Caddyfile", "a.example {\noss_cors {\nrule {\n", "", "Caddyfile:3"},
		{"a missing import", "a.example {\nimport missing\noss_cors " + block + "}", "", "missing"},
		{"too long", strings.Repeat("#\n", MaxCaddyfileBytes/2) + "oss_cors " + block, "", "more than 1048576 bytes"},
	} {
		directives, err := ReadCaddyfile([]byte(test.text), "Caddyfile")
		var sites []string
		for _, d := range directives {
			cfg, err := d.Configuration(true, false)
			if err != nil || len(cfg.Rules) != 1 {
				t.Errorf("%s: %+v %v", test.desc, cfg, err)
			}
			sites = append(sites, d.Site+strings.TrimPrefix(d.String(), d.Site+" (Caddyfile"))
		}
		got := strings.ReplaceAll(strings.Join(sites, " "), ")", "")
		if got != test.sites || (err == nil) != (test.err == "") || err != nil && !strings.Contains(err.Error(), test.err) {
			t.Errorf("%s: got %s, %v", test.desc, got, err)
		}
	}
}

// A fault of the directive is said, also where its rules are missing because of that.
func TestReadCaddyfileFaults(t *testing.T) {
	for _, test := range []struct{ desc, text, want string }{
		{"options of a rule", "a.example {\noss_cors / {\norigin *\nmethods GET\n}\n}",
			"Caddyfile:3: unrecognized option 'origin': origin is an option of a rule: write it in rule { … }\nCaddyfile:4: unrecognized option 'methods': method is an option of a rule: write it in rule { … }"},
		{"a misspelt option", "a.example {\noss_cors {\nrulez\n}\n}", "Caddyfile:3: unrecognized option 'rulez': did you mean rule?"},
		{"rules inline without a document", "a.example {\noss_cors {\nrules inline\n}\n}", "Caddyfile:3: rules inline takes exactly one argument: the document; found 0 arguments"},
		{"options that take no argument", "a.example {\noss_cors {\nrule {\norigin https://a.example\nmethod GET\n}\nallow_credentials false\nresponse_vary on\n}\n}",
			"Caddyfile:7: allow_credentials takes no argument; found: false\nCaddyfile:8: response_vary takes no argument; found: on"},
		{"no rules at all", "a.example {\noss_cors {\n}\n}", "Caddyfile: no oss_cors directive has rule blocks or rules inline: that at Caddyfile:2 has no rules; give it rule blocks, or name a document"},
		{"alone", "oss_cors {\norigin *\n}", "Caddyfile:2: unrecognized option 'origin': origin is an option of a rule: write it in rule { … }"},
	} {
		directives, err := ReadCaddyfile([]byte(test.text), "Caddyfile")
		if err == nil {
			_, err = directives[0].Configuration(true, false)
		}
		if err == nil || err.Error() != test.want {
			t.Errorf("%s:\ngot  %v\nwant %s", test.desc, err, test.want)
		}
	}
}

// What is said of a rule's ID has its place.
func TestPlaceOfAnID(t *testing.T) {
	read := func(ids ...string) *Directive {
		text := ""
		for i, id := range ids {
			text += fmt.Sprintf("rule %s {\norigin https://%d.example\nmethod GET\n}\n", id, i)
		}
		directive, err := ReadSnippet([]byte(text), "snippet")
		if err != nil {
			t.Fatal(err)
		}
		return directive
	}
	directive := read("app", "app")
	cfg, err := directive.Configuration(true, false)
	if err != nil {
		t.Fatal(err)
	}
	const want = `snippet:5: id "app" is on 2 rules, so their names in metrics and logs are 1 and 2: give each rule an ID of its own (unused-id)`
	if findings := directive.Lint(cfg); len(findings) == 0 || findings[0].String() != want {
		t.Errorf("got %v\nwant %s", findings, want)
	}
	directive = read("app", "{env.NO_SUCH_VARIABLE}")
	if _, err := directive.Configuration(true, false); err == nil || !strings.HasPrefix(err.Error(), "snippet:5: ") {
		t.Errorf("a placeholder without a value: %v", err)
	}
	if cfg, err = directive.Configuration(false, false); err != nil {
		t.Fatal(err)
	}
	for _, f := range directive.Lint(cfg) {
		if f.Code == corsrules.LintUnusedID {
			t.Errorf("a placeholder that is not expanded: %s", f)
		}
	}
}

// Whatever is sent as rule blocks is read or has faults with places.
func FuzzReadSnippet(f *testing.F) {
	f.Add("oss_cors {\nrule app {\norigin *\nmethod GET\nheader x-*\nexpose ETag\nmax_age 10m\n}\nresponse_vary\n}")
	f.Add("oss_cors {\nrules inline <<X\n<CORSConfiguration></CORSConfiguration>\nX {\nmax_rules 1\n}\ndialect s3\n}")
	f.Add("oss_cors {\nrules inline `[{\"AllowedOrigins\": [\"*\"], \"AllowedMethods\": [\"GET\"]}]`\nresponse_vary\n}")
	f.Add("rule a b {\norigin {\n}\nmax_age x\nmax_age 1s 2s\n}\nrule")
	f.Fuzz(func(t *testing.T, text string) {
		directive, err := ReadSnippet([]byte(text), "candidate")
		if err == nil {
			var cfg *corsrules.Configuration
			if cfg, err = directive.Configuration(false, true); err == nil {
				directive.Lint(cfg)
				return
			}
		}
		var faults corsrules.Faults
		if !errors.As(err, &faults) || len(faults) == 0 {
			t.Fatalf("%T %v", err, err)
		}
		for _, fault := range faults {
			if fault.File != "candidate" {
				t.Errorf("%+v", fault)
			}
		}
	})
}
