package corsrules

import (
	"errors"
	"reflect"
	"strings"
	"testing"
)

// jsonCases are documents in JSON: what they say, or the places and beginnings of all faults.
var jsonCases = []struct {
	desc, doc string
	want      *Configuration
	faults    []string
}{
	{desc: "AWS's form", doc: `{"CORSRules": [{"ID": "app", "AllowedHeaders": ["Content-Type", "x-*"], "AllowedMethods": ["PUT", "GET"], "AllowedOrigins": ["https://a", "https://*.b"], "ExposeHeaders": ["ETag"], "MaxAgeSeconds": 600}]}`,
		want: inForm(FormS3JSON, ruleSpec{id: "app", origins: "https://a https://*.b", methods: "PUT GET", headers: "content-type x-*", expose: "ETag", maxAge: seconds(600)})},
	{desc: "the bare array", doc: " [\n{\"AllowedMethods\":[\"GET\"],\"AllowedOrigins\":[\"*\"]},{\"AllowedMethods\":[\"HEAD\"],\"AllowedOrigins\":[\"https://a\"],\"MaxAgeSeconds\":0}]\n",
		want: inForm(FormS3JSON, ruleSpec{origins: "*", methods: "GET"}, ruleSpec{origins: "https://a", methods: "HEAD", maxAge: seconds(0)})},
	{desc: "ossutil 2's form", doc: `{"CORSRule": [{"AllowedOrigin": ["https://a"], "AllowedMethod": ["GET", "PUT"], "AllowedHeader": "*", "ExposeHeader": ["ETag"], "MaxAgeSeconds": 10}], "ResponseVary": true}`,
		want: withResponseVary(inForm(FormOSSJSON, ruleSpec{origins: "https://a", methods: "GET PUT", headers: "*", expose: "ETag", maxAge: seconds(10)}))},
	{desc: "the same, made of XML", doc: `{"CORSRule": {"AllowedOrigin": "*", "AllowedMethod": "GET", "MaxAgeSeconds": "10"}, "ResponseVary": "false"}`,
		want: inForm(FormOSSJSON, ruleSpec{origins: "*", methods: "GET", maxAge: seconds(10)})},
	{desc: "a byte order mark and escapes", doc: "\uFEFF" + `[{"AllowedMethods": ["\u0047ET"], "AllowedOrigins": ["https:\/\/a"]}]`,
		want: inForm(FormS3JSON, ruleSpec{origins: "https://a", methods: "GET"})},

	{desc: "no rules", doc: `{"CORSRules": []}`, faults: []string{`1:15: the list of rules is empty: at least one rule is needed`}},
	{desc: "no rules in ossutil 2's form", doc: `{"CORSRule": []}`, faults: []string{`1:14: the list of rules is empty: at least one rule is needed`}},
	{desc: "nothing", doc: `[]`, faults: []string{"1:1: the list of rules is empty: at least one rule is needed"}},
	{desc: "an empty object", doc: `{}`, faults: []string{`1:1: the document has no rule: "CORSRules" with at least one is needed`}},
	{desc: "an empty rule", doc: `[{}]`, faults: []string{"1:2: the rule has no AllowedOrigins", "1:2: the rule has no AllowedMethods"}},
	{desc: "values", doc: `[{
 "AllowedOrigins": ["https://*.*", 1, null, ["https://a"]],
 "AllowedMethods": ["get", "PATCH"],
 "AllowedHeaders": "*",
 "ExposeHeaders": ["x-*", "a\u0000"],
 "MaxAgeSeconds": 1.5,
 "ID": {"a": [1]}
}]`, faults: []string{
		`2:21: AllowedOrigins "https://*.*" has more than one *`,
		`2:36: AllowedOrigins is not made of strings`,
		`2:39: AllowedOrigins is null`,
		`2:45: AllowedOrigins is not made of strings`,
		`3:21: AllowedMethods "get" is not one of GET, PUT, DELETE, POST and HEAD: write GET`,
		`3:28: AllowedMethods "PATCH" cannot be allowed`,
		`4:20: AllowedHeaders is not an array of strings`,
		`5:20: ExposeHeaders "x-*" has a *: name each header that scripts may read, as a string of its own`,
		`5:27: ExposeHeaders "a\x00" is not a header name`,
		`6:19: MaxAgeSeconds "1.5" is not a whole number`,
		`7:8: ID is not a string`,
	}},
	{desc: "fields", doc: `{"CORSRules": [{"AllowedOrigins": ["*"], "AllowedMethods": ["GET"], "AllowedOrigin": ["*"], "AllowedMethods": ["PUT"], "Foo": {"a": [{}]}}], "ResponseVary": true, "CORSRules": []}`,
		faults: []string{
			`1:69: unknown field "AllowedOrigin" in a rule: did you mean "AllowedOrigins"?`,
			`1:93: a second "AllowedMethods" in a rule`,
			`1:120: unknown field "Foo" in a rule: it may have ID, AllowedOrigins, AllowedMethods, AllowedHeaders, ExposeHeaders and MaxAgeSeconds`,
			`1:142: S3's form does not have ResponseVary: remove it, and write response_vary in the oss_cors directive`,
			`1:164: a second "CORSRules" in the document`,
		}},
	{desc: "rules of another type", doc: `{"CORSRules": {"AllowedOrigins": ["*"]}}`, faults: []string{"1:15: the rules are not an array"}},
	{desc: "a rule of another type", doc: `["a", [], {"AllowedOrigins": ["*"], "AllowedMethods": ["GET"]}]`, faults: []string{"1:2: a rule is not an object", "1:7: a rule is not an object"}},
	{desc: "ResponseVary of another type", doc: `{"CORSRule": [{"AllowedOrigin": "*", "AllowedMethod": "GET"}], "ResponseVary": 1}`, faults: []string{"1:80: ResponseVary is not true or false"}},
	{desc: "a fault and a cut", doc: `[{"AllowedOrigins": [""]`, faults: []string{"1:22: AllowedOrigins is empty", "1:25: not well-formed JSON: the document ends before its last value does"}},
	{desc: "a comma too many", doc: `[{"AllowedOrigins": ["*"], "AllowedMethods": ["GET"],}]`, faults: []string{"1:54: a comma before }: remove it"}},
	{desc: "a comment", doc: "[{\"AllowedOrigins\": [\"*\"], // all\n\"AllowedMethods\": [\"GET\"]}]", faults: []string{"1:28: JSON cannot have comments: remove them"}},
	{desc: "text behind", doc: `[{"AllowedOrigins": ["*"], "AllowedMethods": ["GET"]}] []`, faults: []string{"1:56: text after the end of the document"}},
	{desc: "invalid UTF-8", doc: "[{\"ID\": \"\xff\"}]", faults: []string{"1:10: not well-formed JSON: invalid UTF-8"}},
	{desc: "11 rules", doc: "[" + strings.Repeat(`{"AllowedOrigins": ["*"], "AllowedMethods": ["GET"]},`, 10) + "\n" + `{"AllowedOrigins": ["*"], "AllowedMethods": ["GET"]}]`, faults: []string{"2:1: rule 11 is one too many: at most 10 are allowed. Remove rules, or set max_rules (up to 200)"}},
}

func inForm(form Form, specs ...ruleSpec) *Configuration {
	cfg := configuration(specs...)
	cfg.Form = form
	return cfg
}

func withResponseVary(cfg *Configuration) *Configuration {
	cfg.ResponseVary = true
	return cfg
}

func TestParseJSON(t *testing.T) {
	for _, c := range jsonCases {
		t.Run(c.desc, func(t *testing.T) {
			cfg, err := Parse([]byte(c.doc), Options{})
			if !reflect.DeepEqual(cfg, c.want) {
				t.Errorf("got %+v, want %+v", cfg, c.want)
			}
			var faults Faults
			errors.As(err, &faults)
			if len(faults) != len(c.faults) {
				t.Fatalf("%d faults, want %d:\n%v", len(faults), len(c.faults), err)
			}
			for i, f := range faults {
				if !strings.HasPrefix(f.Error(), "cors.xml:"+c.faults[i]) {
					t.Errorf("got %v\nwant %s", f, c.faults[i])
				}
			}
		})
	}
}

// A fault of the form of a document in JSON has none of the codes that OSS has for XML.
func TestJSONFaultsHaveNoCodeOfXML(t *testing.T) {
	docs := []string{
		`[{"origin": ["*"], "method": ["GET"]}]`, `{'CORSRules': []}`, `[{'AllowedOrigins': ['*']}]`, "// ours\n[]", "{ # ours\n}", "{ // ours\n}", `{CORSRules: []}`,
	}
	for _, c := range jsonCases {
		docs = append(docs, c.doc)
	}
	for _, doc := range docs {
		_, err := Parse([]byte(doc), Options{})
		if err != nil && strings.Contains(err.Error(), CodeMalformedXML) {
			t.Errorf("%s: %v", doc, err)
		}
	}
}

// A store's API takes XML only.
func TestXMLOnly(t *testing.T) {
	for _, dialect := range []Dialect{DialectOSS, DialectS3} {
		_, err := Parse([]byte(jsonCases[0].doc), Options{Dialect: dialect, XMLOnly: true})
		if err == nil || !strings.Contains(err.Error(), "the document is JSON: write a CORSConfiguration in XML (MalformedXML") {
			t.Errorf("dialect %d: %v", dialect, err)
		}
	}
}

// A web page without its usual beginning is XML with another root to OSS, and a store's API
// answers as OSS does.
func TestXMLOnlyAnswersAsOSSDoes(t *testing.T) {
	for _, doc := range []string{"<h1>404</h1>", "<!-- cached --><html></html>"} {
		_, err := Parse([]byte(doc), Options{XMLOnly: true})
		if err == nil || !strings.Contains(err.Error(), ecWrongRoot) {
			t.Errorf("%s: %v", doc, err)
		}
		if _, err = Parse([]byte(doc), Options{}); err == nil || !strings.Contains(err.Error(), "is a web page") {
			t.Errorf("%s: %v", doc, err)
		}
	}
}

// Advice and findings use the names of the form.
func TestWordsOfJSON(t *testing.T) {
	const doc = `{"CORSRules": [{"ID": "app", "AllowedOrigins": ["https://a.example"], "AllowedMethods": ["GET"]}]}`
	cfg, err := Parse([]byte(doc), Options{})
	if err != nil {
		t.Fatal(err)
	}
	d := Compile(cfg).Decide(preflight(lines("https://b.example"), lines("GET"), nil))
	if got, want := d.Advice(), `add "https://b.example" to AllowedOrigins of the rule that is meant for it`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	findings, err := Lint([]byte(doc), Options{})
	if err != nil || len(findings) != 1 || findings[0].Advice != "add response_vary to the oss_cors directive" || findings[0].Column != 49 {
		t.Errorf("got %+v, %v", findings, err)
	}
}

// A good document is not taken for another product's, whatever its values are.
func TestJSONThatNamesOtherForms(t *testing.T) {
	for _, id := range []string{"origin", "method", "allowed", "origins", "CorsRules", "CORSConfiguration", "corsRuleName", "<html>"} {
		doc := `[{"ID": "` + id + `", "AllowedOrigins": ["*"], "AllowedMethods": ["GET"], "AllowedHeaders": ["origin", "method", "origins", "allowed"]}]`
		if _, err := Parse([]byte(doc), Options{}); err != nil {
			t.Error(err)
		}
	}
}
