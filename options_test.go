package osscors

import (
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-oss-cors/caddy-oss-cors/rulesource"
)

// Every wrong usage of an option is refused, and the message says what was found and what is
// allowed, but for what may be a secret.
func TestWrongOptions(t *testing.T) {
	p := newProxy(t)
	write(t, "good.xml", appRules)
	mkdir(t, "rules")
	const (
		file    = "rules file good.xml\n"
		storage = "rules storage\nbucket path\n"
		rule    = "rule {\n" + goodBlock + "\n"
		name    = "name takes exactly one argument: the ruleset label of metrics and logs"
		shadow  = "shadow takes exactly one argument: the path of a document of candidate rules"
		denied  = "denied_origins takes exactly one argument: how many are shown by name, 0 for none"
		bucket  = "bucket is one of: bucket path, bucket host <domain…>, bucket name <name>"
		domain  = "write it without scheme, port, path and *, such as oss.example.com"
		key     = "access_key takes an ID, a secret, and one or more buckets (* for all): access_key <id> <secret> <bucket…>"
		refresh = "refresh takes exactly one argument: a duration such as 5s"
		most    = "max_rules takes exactly one argument: a whole number from 1 to 200"
		age     = "max_age takes exactly one argument: a duration such as 10m"
	)
	wrong := []struct{ option, block, found, allowed string }{
		{"response_vary", file + "response_vary off", "found: off", "response_vary takes no argument"},
		{"response_vary", file + "response_vary {\nname a\n}", "response_vary", "does not take a block"},
		{"allow_credentials", file + "allow_credentials false", "found: false", "allow_credentials takes no argument"},
		{"allow_credentials", storage + "allow_credentials", "many buckets", "allow_credentials needs rules of one document"},
		{"debug_header", file + "debug_header on", "found: on", "debug_header takes no argument"},
		{"debug_preflights", file + "debug_preflights on", "found: on", "debug_preflights takes no argument"},
		{"debug_preflights", file + "debug_preflights\ndebug_preflights", "debug_preflights is given twice", ""},

		{"dialect", file + "dialect", "found: dialect", "dialect takes exactly one argument: oss or s3"},
		{"dialect", file + "dialect oss s3", "found: dialect oss s3", "dialect takes exactly one argument: oss or s3"},
		{"dialect", file + "dialect S3", `the dialect is "S3"`, "write oss or s3"},
		{"dialect", file + "dialect s3\ndialect oss", "dialect is given twice", ""},
		{"dialect", file + "dialect s3 {\noss\n}", "dialect", "does not take a block"},

		{"name", file + "name", "found: name", name},
		{"name", file + "name a b", "found: name a b", name},
		{"name", file + `name ""`, "found: name", name},
		{"name", file + "name a\nname b", "name is given twice", ""},
		{"name", file + "name a {\nb\n}", "name", "does not take a block"},
		{"name", file + "name _other", "name _other is reserved", "choose another"},
		{"name", storage + "name a", "name a: a name is for rules of one document, and rules storage has those of many", "take name out"},
		{"shadow", file + "shadow", "found: shadow", shadow},
		{"shadow", file + "shadow a b", "found: shadow a b", shadow},
		{"shadow", file + "shadow a.xml", "shadow:\nrules file: open a.xml: no such file", "looked for in the working directory"},
		{"shadow", storage + "shadow good.xml", "shadow good.xml", "one document, such as rules file, and rules storage has many"},
		{"denied_origins", file + "denied_origins", "found: denied_origins", denied},
		{"denied_origins", file + "denied_origins 1 2", "found: denied_origins 1 2", denied},
		{"denied_origins", file + "denied_origins many", "denied_origins many", "a whole number is needed, 0 for none"},
		{"denied_origins", file + "denied_origins -1", "denied_origins -1", "a whole number is needed, 0 for none"},

		{"bucket", storage[:14] + "bucket", "found: bucket", bucket},
		{"bucket", storage[:14] + "bucket nonsense", "found: bucket nonsense", bucket},
		{"bucket", storage[:14] + "bucket path x", "found: bucket path x", bucket},
		{"bucket", storage[:14] + "bucket name", "found: bucket name", bucket},
		{"bucket", storage[:14] + "bucket name a b", "found: bucket name a b", bucket},
		{"bucket", storage[:14] + "bucket name My_Bucket", `bucket name "My_Bucket"`, "write 3 to 63 of a-z, 0-9 and -"},
		{"bucket", storage[:14] + "bucket host", "found: bucket host", bucket},
		{"bucket", storage[:14] + "bucket host https://oss.example.com", `bucket host "https://oss.example.com" is not a domain`, domain},
		{"bucket", storage[:14] + "bucket host a.example oss.example.com:8080", `bucket host "oss.example.com:8080" is not a domain`, domain},
		{"bucket", storage[:14] + "bucket host *.example.com", `bucket host "*.example.com" is not a domain`, domain},
		{"bucket", storage[:14] + "bucket path {\nx\n}", "bucket", "does not take a block"},
		{"bucket", storage[:14], "rules storage needs bucket", "bucket path, bucket host <domain…> or bucket name <name>"},

		{"bucket_api", storage + "bucket_api on", "found: bucket_api on", "bucket_api takes a block with access_key <id> <secret> <bucket…>"},
		{"bucket_api", storage + "bucket_api", "no access key", "at least one is needed"},
		{"bucket_api", storage + "bucket_api {\nkey a b c\n}", "unrecognized option 'key'", "bucket_api takes access_key"},
		{"bucket_api", "rules directory rules\nbucket path\nbucket_api {\naccess_key a b c\n}", "found: rules directory", "a source that can be written, rules storage"},
		{"access_key", storage + "bucket_api {\naccess_key a hunter2\n}", "found 2 arguments", key},
		{"access_key", storage + "bucket_api {\naccess_key hunter2\n}", "found 1 argument", key},
		{"access_key", storage + "bucket_api {\naccess_key a hunter2 c {\nd\n}\n}", "access_key", "does not take a block"},
		{"access_key", storage + "bucket_api {\naccess_key a hunter2 My_Bucket\n}", `bucket "My_Bucket" matches no bucket`, "bucket names have only a-z, 0-9 and -"},
		{"access_key", storage + "bucket_api {\naccess_key a=b hunter2 *\n}", `access key "a=b"`, "the ID must be 1 to 128 characters long"},

		{"rules", "rules", "rules takes a source", "there are directory, file, inline, oss, storage"},
		{"rules", "rules fiel good.xml", "unknown source of rules 'fiel'", "there are directory, file, inline, oss, storage"},
		{"rules", "rules config", "rules config is for JSON", "in a Caddyfile write rule blocks, rule { … }"},
		{"rules", file + file, "rules is given twice", ""},
		{"rules", file + rule + "}", "rule blocks and another source of rules", "keep one of them"},
		{"rules", "name a", "oss_cors has no rules", "give it a file (oss_cors cors.xml) or a block with rule { … }"},
		{"rules file", "rules file", "found: rules file", "rules file takes exactly one argument: the path of the document"},
		{"rules file", "rules file a b", "found: rules file a b", "rules file takes exactly one argument: the path of the document"},
		{"rules file", `rules file ""`, "the path is empty", "give that of the document"},
		{"rules file", "rules file a.xml", "open a.xml: no such file", "looked for in the working directory"},
		{"rules file", "rules file good.xml {\nmaxrules 5\n}", "unrecognized option 'maxrules'", "did you mean max_rules?"},
		{"rules directory", "rules directory", "found: rules directory", "rules directory takes exactly one argument: the directory of the documents"},
		{"rules directory", "rules directory a b", "found: rules directory a b", "rules directory takes exactly one argument: the directory of the documents"},
		{"rules directory", "rules directory \"\"\nbucket path", "the path is empty", "give that of the directory of the documents"},
		{"rules directory", "rules directory a {\nmaxrules 5\n}", "unrecognized option 'maxrules'", "did you mean max_rules?"},
		{"rules storage", "rules storage a b c", "found: rules storage a b c", "rules storage takes one argument at most: the prefix of its keys"},
		{"rules storage", "rules storage /a//b\nbucket path", `the prefix "/a//b"`, "a path of names divided by single slashes, such as oss_cors"},
		{"rules inline", "rules inline", "found 0 arguments", "rules inline takes exactly one argument: the document, best as a heredoc"},
		{"rules inline", "rules inline hunter2 b", "found 2 arguments", "rules inline takes exactly one argument: the document, best as a heredoc"},
		{"rules inline", "rules inline a {\nrefresh 5s\n}", "unrecognized option 'refresh'", "this source takes max_rules"},
		{"rules url", "rules url", "found 0 arguments", "rules url takes exactly one argument: the URL of the document"},
		{"rules url", "rules url https://hunter2 b", "found 2 arguments", "rules url takes exactly one argument: the URL of the document"},
		{"rules url", "rules url ftp://rules.example/hunter2", `the scheme is "ftp" and the host "rules.example"`, "a URL of the scheme https or http"},
		{"rules url", "rules url rules.example/cors.xml?hunter2", `the scheme is ""`, "a URL of the scheme https or http"},
		{"rules url", "rules url https://rules.example:hunter2", "cannot be read as a URL", "one of the scheme https or http"},
		{"rules oss", "rules oss", "found: rules oss", "rules oss takes exactly one argument: the name of the bucket"},
		{"rules oss", "rules oss a b", "found: rules oss a b", "rules oss takes exactly one argument: the name of the bucket"},
		{"rules oss", "rules oss Photos {\nregion cn-hangzhou\n}", `"Photos" is not a bucket's name`, "3 to 63 of a-z, 0-9 and -"},
		{"rules oss", "rules oss photos", "an endpoint or a region is needed", "region cn-hangzhou"},
		{"rules oss", "rules oss photos {\nbucket a\n}", "unrecognized option 'bucket'", "this source takes credentials, endpoint, max_rules, refresh, region"},
		{"rules oss", "rules oss photos {\nendpoint https://hunter2@a.test\n}", "endpoint is not a host", "nothing after it"},
		{"rules oss", "rules oss photos {\nregion a b\n}", "found: region a b", "region takes exactly one argument: an ID such as cn-hangzhou"},
		{"rules oss", "rules oss photos {\ncredentials static\n}", "found 1 argument", "credentials static <id> <secret> [<token>]"},
		{"rules oss", "rules oss photos {\ncredentials static hunter2\n}", "found 2 arguments", "credentials static <id> <secret> [<token>]"},
		{"rules oss", "rules oss photos {\nregion a\ncredentials file\n}", `the provider "file" is not known`, "there are env, static, ecs_role and oidc"},
		{"refresh", "rules file good.xml {\nrefresh\n}", "found: refresh", refresh},
		{"refresh", "rules file good.xml {\nrefresh 1s 2s\n}", "found: refresh 1s 2s", refresh},
		{"refresh", "rules file good.xml {\nrefresh 5\n}", "refresh 5:", "a duration such as 5s is needed, of at least 10ms"},
		{"refresh", "rules file good.xml {\nrefresh -5s\n}", "refresh -5s:", "a duration such as 5s is needed, of at least 10ms"},
		{"refresh", "rules file good.xml {\nrefresh 5s {\na\n}\n}", "refresh", "does not take a block"},
		{"refresh", "rules file good.xml {\nrefresh 5s\nrefresh 5s\n}", "refresh is given twice", ""},
		{"max_rules", "rules file good.xml {\nmax_rules\n}", "found: max_rules", most},
		{"max_rules", "rules file good.xml {\nmax_rules 1 2\n}", "found: max_rules 1 2", most},
		{"max_rules", "rules file good.xml {\nmax_rules 0\n}", "max_rules 0:", "a whole number from 1 to 200 is needed"},
		{"max_rules", "rules file good.xml {\nmax_rules 201\n}", "max_rules 201:", "a whole number from 1 to 200 is needed"},
		{"max_rules", "rules file good.xml {\nmax_rules many\n}", "max_rules many:", "a whole number from 1 to 200 is needed"},

		{"rule", "rule a b {\n" + goodBlock + "\n}", "rule has 2 names, a b", "give one, or none"},
		{"rule", rule + "vary\n}", "unrecognized option 'vary'", "rule takes origin, method, header, expose, max_age"},
		{"origin", rule + "origin\n}", "origin is empty", "give an origin"},
		{"origin", rule + "origin {\na\n}\n}", "'a' is in a block", "write the values on one line"},
		{"method", rule + "method\n}", "method is empty", "give a method"},
		{"method", rule + "method GET,PUT\n}", `method "GET,PUT" is a list`, "write each method as an argument of its own"},
		{"header", rule + "header\n}", "header is empty", "give a header name"},
		{"expose", rule + "expose\n}", "expose is empty", "give a header name"},
		{"expose", rule + "expose *\n}", `expose "*" has a *`, "name each header that scripts may read"},
		{"max_age", rule + "max_age\n}", "found: max_age", age},
		{"max_age", rule + "max_age 1s 2s\n}", "found: max_age 1s 2s", age},
		{"max_age", rule + "max_age 10\n}", "max_age 10:", "a duration such as 10m is needed"},
		{"max_age", rule + "max_age 1s\nmax_age 1s\n}", "max_age is given twice", ""},
	}
	tried := map[string]bool{}
	for _, c := range wrong {
		tried[c.option] = true
		err := p.tryLoad(t, "oss_cors {\n"+c.block+"\n}")
		if err == nil {
			t.Errorf("%q is not refused", c.block)
			continue
		}
		for _, want := range []string{c.found, c.allowed} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%q: the message lacks %q:\n%v", c.block, want, err)
			}
		}
		if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: the message has the secret:\n%v", c.block, err)
		}
	}
	for _, option := range allOptions(t, p) {
		if !tried[option] {
			t.Errorf("no wrong usage of %s is tried", option)
		}
	}
}

// The commands and the admin API, which read rule blocks without the rest of the directive,
// know all of its options.
func TestOptionsOfSnippets(t *testing.T) {
	p := newProxy(t)
	write(t, "good.xml", appRules)
	isOption := map[string]bool{}
	for _, option := range optionsInMessage(t, p, "oss_cors good.xml {\nnonsense\n}", "oss_cors takes ") {
		isOption[option] = true
		if option == "rule" || option == "dialect" {
			continue // which need more
		}
		d, err := rulesource.ReadSnippet([]byte("oss_cors {\n"+option+"\nrule {\n"+goodBlock+"\n}\n}"), "snippet")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := d.Configuration(false, false); err != nil {
			t.Errorf("%s: %v", option, err)
		}
	}
	if !isOption["bucket_api"] || !isOption["debug_preflights"] {
		t.Errorf("the options are %v", isOption)
	}
	for snippet, want := range map[string]string{
		"rul app {\norigin *\nmethod GET\n}\n":         "snippet:6: unrecognized option 'rul': oss_cors takes rule, rules, ",
		"origin *\n":                                   "snippet:6: unrecognized option 'origin': origin is an option of a rule: write it in rule { … }",
		"} \noss_cors {\nrule {\norigin *\nmethod GET": "snippet:7: oss_cors is after the oss_cors directive",
	} {
		d, err := rulesource.ReadSnippet([]byte("oss_cors {\nrule {\n"+goodBlock+"\n}\n"+snippet+"}"), "snippet")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := d.Configuration(false, false); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", snippet, err)
		}
	}
}

// allOptions are the names of all options of the directive, of sources and of rule blocks.
func allOptions(t *testing.T, p *proxy) []string {
	t.Helper()
	options := append([]string{"access_key", "refresh", "max_rules"}, optionsInMessage(t, p, "oss_cors {\nrule {\nnonsense\n}\n}", "rule takes ")...)
	for _, module := range caddy.GetModules(rulesource.Namespace) {
		if name := module.ID.Name(); !strings.HasPrefix(name, "test_") && name != "config" {
			options = append(options, "rules "+name)
		}
	}
	return append(options, optionsInMessage(t, p, "oss_cors good.xml {\nnonsense\n}", "oss_cors takes ")...)
}

// optionsInMessage returns the options that the message about a wrong one lists.
func optionsInMessage(t *testing.T, p *proxy, site, before string) []string {
	t.Helper()
	_, list, ok := strings.Cut(p.tryLoad(t, site).Error(), before)
	if !ok {
		t.Fatal("no message lists the options")
	}
	list, _, _ = strings.Cut(list, "\n")
	list, _, _ = strings.Cut(list, ", at ")
	return strings.Split(strings.Replace(list, " and ", ", ", 1), ", ")
}
