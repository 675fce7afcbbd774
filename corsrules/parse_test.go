package corsrules

import (
	_ "embed"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

// inRule puts elements into a rule that is complete without them, in line 6.
func inRule(elements string) string {
	return inConfiguration("<CORSRule>\n    <AllowedOrigin>https://a</AllowedOrigin>\n    <AllowedMethod>GET</AllowedMethod>\n    " +
		elements + "\n  </CORSRule>")
}

// inConfiguration puts elements into a root, in line 3.
func inConfiguration(elements string) string {
	return xmlDeclaration + "<CORSConfiguration>\n  " + elements + "\n</CORSConfiguration>\n"
}

const (
	xmlDeclaration = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
	plainRule      = "<CORSRule><AllowedOrigin>https://a</AllowedOrigin><AllowedMethod>GET</AllowedMethod></CORSRule>"
)

// padded returns an acceptable document of size bytes.
func padded(size int) string {
	doc := inConfiguration(plainRule)
	return doc + strings.Repeat(" ", size-len(doc))
}

type acceptedCase struct {
	desc   string
	picked bool
	doc    string
	opts   Options
	want   *Configuration
}

// acceptedCases are documents that are taken (docs/oss-behaviour.md, section 1).
var acceptedCases = func() []acceptedCase {
	plain := configuration(ruleSpec{origins: "https://a", methods: "GET"})
	rule := func(r CORSRule) *Configuration {
		r.AllowedOrigins, r.AllowedMethods = lines("https://a"), lines("GET")
		return &Configuration{Rules: []CORSRule{r}}
	}
	vary := func(cfg *Configuration) *Configuration {
		return &Configuration{Rules: cfg.Rules, ResponseVary: true}
	}
	rules := func(n int) *Configuration {
		specs := make([]ruleSpec, n)
		for i := range specs {
			specs[i] = ruleSpec{origins: "https://a", methods: "GET"}
		}
		return configuration(specs...)
	}
	return []acceptedCase{
		{desc: "every element", doc: `<?xml version="1.0" encoding="UTF-8"?>
<CORSConfiguration>
  <CORSRule>
    <ID>web</ID>
    <AllowedOrigin>https://app.example.com</AllowedOrigin>
    <AllowedOrigin>https://*.example.net</AllowedOrigin>
    <AllowedMethod>PUT</AllowedMethod>
    <AllowedMethod>GET</AllowedMethod>
    <AllowedHeader>x-oss-*</AllowedHeader>
    <AllowedHeader>Content-Type</AllowedHeader>
    <ExposeHeader>ETag</ExposeHeader>
    <ExposeHeader>x-oss-request-id</ExposeHeader>
    <MaxAgeSeconds>600</MaxAgeSeconds>
  </CORSRule>
  <CORSRule>
    <AllowedOrigin>*</AllowedOrigin>
    <AllowedMethod>HEAD</AllowedMethod>
  </CORSRule>
  <ResponseVary>true</ResponseVary>
</CORSConfiguration>
`, want: vary(configuration(
			ruleSpec{
				id: "web", origins: "https://app.example.com https://*.example.net", methods: "PUT GET",
				headers: "x-oss-* content-type", expose: "ETag x-oss-request-id", maxAge: seconds(600),
			},
			ruleSpec{origins: "*", methods: "HEAD"},
		))},
		{desc: "the least", doc: "<CORSConfiguration>" + plainRule + "</CORSConfiguration>", want: plain},
		{desc: "elements in any order", picked: true, doc: inConfiguration("<ResponseVary>true</ResponseVary><CORSRule><MaxAgeSeconds>1</MaxAgeSeconds>" +
			"<AllowedMethod>GET</AllowedMethod><ID>a</ID><AllowedHeader>x-a</AllowedHeader><AllowedMethod>PUT</AllowedMethod><AllowedOrigin>https://a</AllowedOrigin></CORSRule>"),
			want: vary(configuration(ruleSpec{id: "a", origins: "https://a", methods: "GET PUT", headers: "x-a", maxAge: seconds(1)}))},

		// Values.
		{desc: "values are trimmed", doc: inConfiguration("<CORSRule><AllowedOrigin>\r\n\t https://a \t\r\n</AllowedOrigin><AllowedMethod> GET\n</AllowedMethod>" +
			"<AllowedHeader> x-a </AllowedHeader><ExposeHeader>\tx-b\t</ExposeHeader><MaxAgeSeconds>\n5\n</MaxAgeSeconds><ID> a b </ID></CORSRule><ResponseVary> true </ResponseVary>"),
			want: vary(&Configuration{Rules: []CORSRule{{
				ID: "a b", AllowedOrigins: lines("https://a"), AllowedMethods: lines("GET"),
				AllowedHeaders: lines("x-a"), ExposeHeaders: lines("x-b"), MaxAgeSeconds: seconds(5),
			}}})},
		{desc: "values are trimmed of carriage returns that an entity made", picked: true, doc: inRule("<AllowedOrigin>&#13;https://b&#13;</AllowedOrigin>"),
			want: configuration(ruleSpec{origins: "https://a https://b", methods: "GET"})},
		{desc: "order and duplicates are kept", doc: inRule("<AllowedOrigin>https://b</AllowedOrigin><AllowedOrigin>https://a</AllowedOrigin><AllowedMethod>PUT</AllowedMethod>" +
			"<AllowedMethod>GET</AllowedMethod><AllowedHeader>x-b</AllowedHeader><AllowedHeader>x-a</AllowedHeader><AllowedHeader>X-B</AllowedHeader>" +
			"<ExposeHeader>b</ExposeHeader><ExposeHeader>a</ExposeHeader><ExposeHeader>b</ExposeHeader>"),
			want: configuration(ruleSpec{origins: "https://a https://b https://a", methods: "GET PUT GET", headers: "x-b x-a x-b", expose: "b a b"})},
		{desc: "AllowedHeader is lower-cased, ExposeHeader is not", doc: inRule("<AllowedHeader>X-OSS-*</AllowedHeader><ExposeHeader>X-Oss-Meta-A</ExposeHeader>"),
			want: rule(CORSRule{AllowedHeaders: lines("x-oss-*"), ExposeHeaders: lines("X-Oss-Meta-A")})},
		{desc: "every byte of a token", doc: inRule("<AllowedHeader>!#$%&amp;'+-.^_`|~09azAZ*</AllowedHeader><ExposeHeader>!#$%+-.^_`|~09azAZ</ExposeHeader>"),
			want: rule(CORSRule{AllowedHeaders: lines("!#$%&'+-.^_`|~09azaz*"), ExposeHeaders: lines("!#$%+-.^_`|~09azAZ")})},
		{desc: "lone star for a header", doc: inRule("<AllowedHeader>*</AllowedHeader>"), want: rule(CORSRule{AllowedHeaders: lines("*")})},
		{desc: "all five methods", doc: inRule("<AllowedMethod>PUT</AllowedMethod><AllowedMethod>DELETE</AllowedMethod><AllowedMethod>POST</AllowedMethod><AllowedMethod>HEAD</AllowedMethod>"),
			want: configuration(ruleSpec{origins: "https://a", methods: "GET PUT DELETE POST HEAD"})},
		{desc: "origins: a star, every https one, null, no scheme, upper case, a path", picked: true, doc: inConfiguration("<CORSRule><AllowedOrigin>*</AllowedOrigin><AllowedOrigin>https://*</AllowedOrigin>" +
			"<AllowedOrigin>null</AllowedOrigin><AllowedOrigin>www.example.com</AllowedOrigin><AllowedOrigin>HTTPS://A/</AllowedOrigin><AllowedOrigin>https://bücher.example</AllowedOrigin><AllowedMethod>GET</AllowedMethod></CORSRule>"),
			want: configuration(ruleSpec{origins: "* https://* null www.example.com HTTPS://A/ https://bücher.example", methods: "GET"})},
		{desc: "MaxAgeSeconds 0", doc: inRule("<MaxAgeSeconds>0</MaxAgeSeconds>"), want: rule(CORSRule{MaxAgeSeconds: seconds(0)})},
		{desc: "the largest MaxAgeSeconds", doc: inRule("<MaxAgeSeconds>999999999</MaxAgeSeconds>"), want: rule(CORSRule{MaxAgeSeconds: seconds(999999999)})},
		{desc: "MaxAgeSeconds with leading zeros", picked: true, doc: inRule("<MaxAgeSeconds>00000000000000000000600</MaxAgeSeconds>"), want: rule(CORSRule{MaxAgeSeconds: seconds(600)})},
		{desc: "ResponseVary false", doc: inConfiguration(plainRule + "<ResponseVary>false</ResponseVary>"), want: plain},
		{desc: "S3's ID", picked: true, doc: inRule("<ID>web</ID>"), want: rule(CORSRule{ID: "web"})},
		{desc: "an ID that is not a name", picked: true, doc: inRule("<ID>a &lt;b&gt; &amp; c</ID>"), want: rule(CORSRule{ID: "a <b> & c"})},
		{desc: "the same ID twice in the document", picked: true, doc: inConfiguration(strings.Repeat("<CORSRule><ID>a</ID><AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod></CORSRule>", 2)),
			want: configuration(ruleSpec{id: "a", origins: "*", methods: "GET"}, ruleSpec{id: "a", origins: "*", methods: "GET"})},
		{desc: "an empty ID is none", picked: true, doc: inRule("<ID/>"), want: plain},
		{desc: "entities and CDATA", picked: true, doc: inRule("<AllowedOrigin>&#104;ttps://<![CDATA[b]]></AllowedOrigin>"), want: configuration(ruleSpec{origins: "https://a https://b", methods: "GET"})},

		// Around the document.
		{desc: "byte order mark", doc: utf8BOM + inConfiguration(plainRule), want: plain},
		{desc: "byte order mark, no declaration", doc: utf8BOM + "<CORSConfiguration>" + plainRule + "</CORSConfiguration>", want: plain},
		{desc: "utf-8 in lower case", doc: `<?xml version="1.0" encoding="utf-8"?><CORSConfiguration>` + plainRule + "</CORSConfiguration>", want: plain},
		{desc: "declaration in single quotes, without encoding", doc: `<?xml version='1.0'?><CORSConfiguration>` + plainRule + "</CORSConfiguration>", want: plain},
		{desc: "declaration with standalone", doc: `<?xml version="1.0" encoding="UTF-8" standalone="yes"?><CORSConfiguration>` + plainRule + "</CORSConfiguration>", want: plain},
		{desc: "comments between elements", picked: true, doc: "<!-- a --><CORSConfiguration><!-- b -->" +
			"<CORSRule><!-- c --><AllowedOrigin>https://a</AllowedOrigin><!-- d --><AllowedMethod>GET</AllowedMethod><!-- e --></CORSRule><!-- f --></CORSConfiguration><!-- g -->\n", want: plain},
		{desc: "S3's namespace", picked: true, doc: `<CORSConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">` + plainRule + "</CORSConfiguration>", want: plain},
		{desc: "OSS's namespace", picked: true, doc: `<CORSConfiguration xmlns="http://doc.oss-cn-hangzhou.aliyuncs.com">` + plainRule + "</CORSConfiguration>", want: plain},
		{desc: "an empty namespace", picked: true, doc: `<CORSConfiguration xmlns="">` + plainRule + "</CORSConfiguration>", want: plain},
		{desc: "white space around the root", doc: "\n\t <CORSConfiguration>" + plainRule + "</CORSConfiguration>\r\n", want: plain},

		// Limits.
		{desc: "10 rules", doc: inConfiguration(strings.Repeat(plainRule, 10)), want: rules(10)},
		{desc: "20 rules, where max_rules is 20", doc: inConfiguration(strings.Repeat(plainRule, 20)), opts: Options{MaxRules: 20}, want: rules(20)},
		{desc: "1 rule, where max_rules is 1", doc: inConfiguration(plainRule), opts: Options{MaxRules: 1}, want: plain},
		{desc: "a max_rules below 1 is the default", doc: inConfiguration(strings.Repeat(plainRule, 10)), opts: Options{MaxRules: -1}, want: rules(10)},
		{desc: "16 KB", doc: padded(16384), want: plain},
		{desc: "16 KB, the byte order mark included", picked: true, doc: utf8BOM + padded(16384-3), want: plain},
	}
}()

func TestParse(t *testing.T) {
	for _, c := range acceptedCases {
		t.Run(caseName(c.desc, c.picked), func(t *testing.T) {
			got, err := Parse([]byte(c.doc), c.opts)
			if err != nil {
				t.Fatalf("got faults:\n%v", err)
			}
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("got  %+v\nwant %+v", got, c.want)
			}
		})
	}
}

// wantFault is what a table says of a fault. The place is in the document.
type wantFault struct {
	code, ec   string
	name, text string // ArgumentName and ArgumentValue
}

// OSS's Codes and ECs, each written down once more: they are what clients see.
func malformed() wantFault    { return wantFault{code: "MalformedXML", ec: "0031-00000001"} }
func noRule() wantFault       { return wantFault{code: "MalformedXML", ec: "0034-00000002"} }
func wrongRoot() wantFault    { return wantFault{code: "MalformedXML", ec: "0034-00000003"} }
func wrongVary() wantFault    { return wantFault{code: "MalformedXML", ec: "0034-00000004"} }
func tooManyRules() wantFault { return wantFault{code: "CORSRuleBeyondLimit", ec: "0034-00000006"} }

// withoutEC is MalformedXML of which no EC is known.
func withoutEC() wantFault { return wantFault{code: "MalformedXML"} }

// tooWide is an origin that OSS takes and allow_credentials does not.
func tooWide() wantFault { return wantFault{} }

func wrongOrigin(text string) wantFault {
	return wantFault{"InvalidArgument", "0034-00000009", "AllowedOrigin", text}
}

func wrongMethod(text string) wantFault {
	return wantFault{"InvalidArgument", "0034-00000011", "AllowedMethod", text}
}

func wrongHeader(text string) wantFault {
	return wantFault{"InvalidArgument", "0034-00000012", "AllowedHeader", text}
}

func wrongExpose(text string) wantFault {
	return wantFault{"InvalidArgument", "0034-00000013", "ExposeHeader", text}
}

func wrongMaxAge(text string) wantFault {
	return wantFault{"InvalidArgument", "0034-00000014", "MaxAgeSeconds", text}
}

// mark stands in a table's document before each place that a fault names; for two
// faults in one place it stands there twice.
const mark = "▸"

// marked takes the marks out of doc and returns where they were, as line:column.
func marked(doc string) (string, []string) {
	parts := strings.Split(doc, mark)
	var places []string
	before := ""
	for _, part := range parts[:len(parts)-1] {
		before += part
		text := strings.TrimPrefix(before, utf8BOM)
		line := strings.Count(text, "\n") + 1
		column := len(text[strings.LastIndex(text, "\n")+1:]) + 1
		places = append(places, fmt.Sprintf("%d:%d", line, column))
	}
	return strings.Join(parts, ""), places
}

type faultCase struct {
	desc   string
	picked bool
	doc    string
	opts   Options
	want   []wantFault
}

// faultCases are the table of faults, row by row (docs/oss-behaviour.md, section 1).
var faultCases = func() []faultCase {
	one := func(f wantFault) []wantFault { return []wantFault{f} }
	origin := func(text string) string {
		return inConfiguration("<CORSRule><AllowedMethod>GET</AllowedMethod><AllowedOrigin>" + text + "</AllowedOrigin></CORSRule>")
	}
	method := func(text string) string { return inRule("<AllowedMethod>" + text + "</AllowedMethod>") }
	header := func(text string) string { return inRule("<AllowedHeader>" + text + "</AllowedHeader>") }
	expose := func(text string) string { return inRule("<ExposeHeader>" + text + "</ExposeHeader>") }
	maxAge := func(text string) string { return inRule("<MaxAgeSeconds>" + text + "</MaxAgeSeconds>") }
	credentials := Options{Credentials: true}

	return []faultCase{
		// An empty body.
		{desc: "empty", doc: "▸", want: one(malformed())},
		{desc: "a byte order mark alone", doc: utf8BOM + "▸", want: one(malformed())},
		{desc: "white space alone", doc: "▸ \n", want: one(malformed())},
		{desc: "a declaration alone", doc: "▸" + xmlDeclaration, want: one(malformed())},
		{desc: "a comment alone", doc: "▸<!-- nothing -->", want: one(malformed())},

		// Not well-formed, wrong nesting.
		{desc: "no end", doc: "<CORSConfiguration>" + plainRule + "▸", want: one(malformed())},
		{desc: "no end, within a value", doc: "<CORSConfiguration><CORSRule><AllowedOrigin>ht▸", want: one(malformed())},
		{desc: "no end, within ResponseVary", doc: "<CORSConfiguration>" + plainRule + "<ResponseVary>tr▸", want: one(malformed())},
		{desc: "no end, within a tag", doc: "<CORSConfiguration><CORSRule▸", want: one(malformed())},
		{desc: "no end, within an unknown element", doc: "<CORSConfiguration>▸<Unknown><a>▸", want: []wantFault{malformed(), malformed()}},
		{desc: "no end, within a wrong root", doc: "▸<Configuration><a>▸", want: []wantFault{wrongRoot(), malformed()}},
		{desc: "wrong end", doc: inConfiguration("<CORSRule><AllowedOrigin>*</AllowedMethod>▸</CORSRule>"), want: one(malformed())},
		{desc: "wrong nesting", doc: inConfiguration("<CORSRule><AllowedOrigin>*</CORSRule>▸</AllowedOrigin>"), want: one(malformed())},
		{desc: "an unknown entity", doc: header("&nbsp;▸"), want: one(malformed())},
		{desc: "a bare ampersand", doc: origin("a&b▸"), want: one(malformed())},
		{desc: "a control character", doc: origin("a\x01b▸"), want: one(malformed())},
		{desc: "no UTF-8", doc: origin("a\xff▸"), want: one(malformed())},
		{desc: "no XML at all", doc: "▸rules: []", want: one(malformed())},
		{desc: "another encoding", picked: true, doc: `▸<?xml version="1.0" encoding="ISO-8859-1"?><CORSConfiguration>` + plainRule + "</CORSConfiguration>", want: one(malformed())},
		{desc: "another encoding, spaced", picked: true, doc: `▸<?xml version="1.0" encoding = "ISO-8859-1"?><CORSConfiguration>` + plainRule + "</CORSConfiguration>", want: one(malformed())},
		{desc: "another version, spaced", picked: true, doc: `▸<?xml version = "1.1"?><CORSConfiguration>` + plainRule + "</CORSConfiguration>", want: one(malformed())},
		{desc: "a declaration without version", picked: true, doc: `▸<?xml encoding="UTF-8"?><CORSConfiguration>` + plainRule + "</CORSConfiguration>", want: one(malformed())},
		{desc: "a declaration of nothing", picked: true, doc: `▸<?xml?><CORSConfiguration>` + plainRule + "</CORSConfiguration>", want: one(malformed())},
		{desc: "a prefix that is the namespace", picked: true, doc: `<CORSConfiguration xmlns="p">` + plainRule + `▸<p:CORSRule></p:CORSRule></CORSConfiguration>`, want: one(malformed())},
		{desc: "ASCII is another encoding", picked: true, doc: `▸<?xml version="1.0" encoding="US-ASCII"?><CORSConfiguration>` + plainRule + "</CORSConfiguration>", want: one(malformed())},
		{desc: "UTF-16", picked: true, doc: "▸\xff\xfe<\x00C\x00O\x00", want: one(malformed())},
		{desc: "UTF-16, the other way round", picked: true, doc: "▸\xfe\xff\x00<\x00C\x00O", want: one(malformed())},
		{desc: "UTF-16 without a byte order mark", picked: true, doc: "▸<\x00C\x00O\x00", want: one(malformed())},
		{desc: "a second declaration, of another version", picked: true, doc: xmlDeclaration + `▸<?xml version="1.1"?>`, want: one(malformed())},
		{desc: "XML 1.1", picked: true, doc: `▸<?xml version="1.1"?><CORSConfiguration>` + plainRule + "</CORSConfiguration>", want: one(malformed())},

		// Unknown elements. [picked]: a misspelt one must not be skipped.
		{desc: "unknown in the root", picked: true, doc: inConfiguration("▸<CorsRule></CorsRule>" + plainRule), want: one(malformed())},
		{desc: "unknown in a rule", picked: true, doc: inRule("▸<AllowedOrigins>*</AllowedOrigins>"), want: one(malformed())},
		{desc: "wrong case", picked: true, doc: inRule("▸<maxAgeSeconds>1</maxAgeSeconds>"), want: one(malformed())},
		{desc: "ID in the root", picked: true, doc: inConfiguration("▸<ID>a</ID>" + plainRule), want: one(malformed())},
		{desc: "ResponseVary in a rule", picked: true, doc: inRule("▸<ResponseVary>true</ResponseVary>"), want: one(malformed())},
		{desc: "a rule in a rule", picked: true, doc: inRule("▸" + plainRule), want: one(malformed())},
		{desc: "what is in an unknown element is skipped", picked: true, doc: inRule("▸<Rule><AllowedMethod>TRACE</AllowedMethod>text<a b='c'/></Rule>"), want: one(malformed())},
		{desc: "an element in a value", picked: true, doc: origin("https://▸<b>x</b>a"), want: one(malformed())},
		{desc: "an element in a value that is empty next to it", picked: true, doc: inRule("▸<AllowedHeader>▸<b>x</b></AllowedHeader>"), want: []wantFault{wrongHeader(""), malformed()}},
		{desc: "a comment in a value", picked: true, doc: origin("https://▸<!-- x -->a"), want: one(malformed())},
		{desc: "another namespace on a child", picked: true, doc: inConfiguration(plainRule + `▸▸<CORSRule xmlns="urn:x"><AllowedMethod>x</AllowedMethod></CORSRule>`), want: []wantFault{malformed(), malformed()}},
		{desc: "a prefix on a child", picked: true, doc: inRule("▸<x:AllowedHeader>x-a</x:AllowedHeader>"), want: one(malformed())},

		// Attributes.
		{desc: "an attribute of a rule", picked: true, doc: inConfiguration(`▸<CORSRule id="a">` + strings.TrimPrefix(plainRule, "<CORSRule>")), want: one(malformed())},
		{desc: "an attribute of a value", picked: true, doc: inRule(`▸<AllowedHeader lang="en">x-a</AllowedHeader>`), want: one(malformed())},
		{desc: "an attribute of ResponseVary", picked: true, doc: inConfiguration(plainRule + `▸<ResponseVary a="">true</ResponseVary>`), want: one(malformed())},
		{desc: "two attributes", picked: true, doc: inRule(`▸▸<ID a="1" b="2">x</ID>`), want: []wantFault{malformed(), malformed()}},
		{desc: "an attribute of the root", picked: true, doc: `▸<CORSConfiguration version="1">` + plainRule + "</CORSConfiguration>", want: one(malformed())},
		{desc: "a second attribute of the root", picked: true, doc: `▸<CORSConfiguration xmlns="urn:x" a="">` + plainRule + "</CORSConfiguration>", want: one(malformed())},
		{desc: "an attribute xmlns in a namespace", picked: true, doc: `▸<CORSConfiguration a:xmlns="">` + plainRule + "</CORSConfiguration>", want: one(malformed())},
		{desc: "xmlns twice", picked: true, doc: `▸<CORSConfiguration xmlns="urn:x" xmlns="urn:x">` + plainRule + "</CORSConfiguration>", want: one(malformed())},
		{desc: "a prefix on the root", picked: true, doc: `▸▸<s:CORSConfiguration xmlns:s="urn:x"><s:CORSRule><s:AllowedOrigin>*</s:AllowedOrigin><s:AllowedMethod>GET</s:AllowedMethod></s:CORSRule></s:CORSConfiguration>`, want: []wantFault{malformed(), malformed()}},
		{desc: "a prefix on the root, declared nowhere", picked: true, doc: `▸<s:CORSConfiguration><s:CORSRule><s:AllowedOrigin>*</s:AllowedOrigin><s:AllowedMethod>GET</s:AllowedMethod></s:CORSRule></s:CORSConfiguration>`, want: one(malformed())},

		// Text.
		{desc: "text in the root", picked: true, doc: inConfiguration("▸x" + plainRule), want: one(malformed())},
		{desc: "text in a rule, its place the first letter", picked: true, doc: inRule("\n\n   ▸x\n<ID>a</ID>"), want: one(malformed())},
		{desc: "text before the root", picked: true, doc: "▸x<CORSConfiguration>" + plainRule + "</CORSConfiguration>", want: one(malformed())},
		{desc: "text after the root", picked: true, doc: "<CORSConfiguration>" + plainRule + "</CORSConfiguration>\n ▸x", want: one(malformed())},
		{desc: "CDATA in the root", picked: true, doc: inConfiguration(plainRule + "▸<![CDATA[x]]>"), want: one(malformed())},
		{desc: "a no-break space is text", picked: true, doc: inConfiguration(plainRule + "▸\u00a0"), want: one(malformed())},

		// Declarations.
		{desc: "DOCTYPE", picked: true, doc: "▸<!DOCTYPE CORSConfiguration>\n<CORSConfiguration>" + plainRule + "</CORSConfiguration>", want: one(malformed())},
		{desc: "DOCTYPE with entities, which stay unknown", picked: true, doc: "▸<!DOCTYPE x [<!ENTITY o \"*\">]><CORSConfiguration><CORSRule><AllowedOrigin>&o;▸</AllowedOrigin></CORSRule></CORSConfiguration>", want: []wantFault{malformed(), malformed()}},
		{desc: "DOCTYPE in the root", picked: true, doc: inConfiguration("▸<!DOCTYPE x>" + plainRule), want: one(malformed())},
		{desc: "a processing instruction", picked: true, doc: "▸<?xml-stylesheet href=\"a\"?><CORSConfiguration>" + plainRule + "</CORSConfiguration>", want: one(malformed())},
		{desc: "a processing instruction in a value", picked: true, doc: origin("▸<?x y?>https://a"), want: one(malformed())},
		{desc: "a declaration after white space", picked: true, doc: "\n▸" + inConfiguration(plainRule), want: one(malformed())},
		{desc: "a second declaration", picked: true, doc: xmlDeclaration + "▸" + inConfiguration(plainRule), want: one(malformed())},

		// Roots.
		{desc: "a second root", picked: true, doc: "<CORSConfiguration>" + plainRule + "</CORSConfiguration>▸<CORSConfiguration>" + plainRule + "</CORSConfiguration>", want: one(malformed())},
		{desc: "a second and a third root", picked: true, doc: "<CORSConfiguration>" + plainRule + "</CORSConfiguration>▸<a/>▸<b/>", want: []wantFault{malformed(), malformed()}},
		{desc: "another root", doc: xmlDeclaration + "▸<BucketCors>" + plainRule + "</BucketCors>", want: one(wrongRoot())},
		{desc: "a rule for a root", doc: "▸" + plainRule, want: one(wrongRoot())},
		{desc: "the root in wrong case", doc: "▸<CorsConfiguration>" + plainRule + "</CorsConfiguration>", want: one(wrongRoot())},
		{desc: "another root, and a second", doc: "▸<a/>▸<CORSConfiguration/>", want: []wantFault{wrongRoot(), malformed()}},

		// No rule.
		{desc: "no rule", doc: xmlDeclaration + "▸<CORSConfiguration></CORSConfiguration>", want: one(noRule())},
		{desc: "no rule, an empty root", doc: "▸<CORSConfiguration/>", want: one(noRule())},
		{desc: "no rule but ResponseVary", doc: xmlDeclaration + "▸<CORSConfiguration>\n  <ResponseVary>true</ResponseVary>\n</CORSConfiguration>", want: one(noRule())},
		{desc: "no rule but a misspelt one", doc: "<CORSConfiguration>\n  ▸<CORSrule/></CORSConfiguration>", want: one(noRule())},

		// ResponseVary.
		{desc: "ResponseVary yes", doc: inConfiguration(plainRule + "<ResponseVary>▸yes</ResponseVary>"), want: one(wrongVary())},
		{desc: "ResponseVary TRUE", doc: inConfiguration(plainRule + "<ResponseVary> ▸TRUE </ResponseVary>"), want: one(wrongVary())},
		{desc: "ResponseVary 1", doc: inConfiguration(plainRule + "<ResponseVary>▸1</ResponseVary>"), want: one(wrongVary())},
		{desc: "ResponseVary empty", doc: inConfiguration(plainRule + "▸<ResponseVary/>"), want: one(wrongVary())},
		{desc: "ResponseVary twice", picked: true, doc: inConfiguration(plainRule + "<ResponseVary>true</ResponseVary>▸<ResponseVary>true</ResponseVary>"), want: one(malformed())},
		{desc: "ResponseVary three times", picked: true, doc: inConfiguration(plainRule + "<ResponseVary>true</ResponseVary>▸<ResponseVary>true</ResponseVary>▸<ResponseVary>true</ResponseVary>"), want: []wantFault{malformed(), malformed()}},
		{desc: "ResponseVary twice, the second wrong", picked: true, doc: inConfiguration(plainRule + "<ResponseVary>true</ResponseVary>▸<ResponseVary>▸no</ResponseVary>"), want: []wantFault{malformed(), wrongVary()}},
		{desc: "ID twice", picked: true, doc: inRule("<ID>a</ID>▸<ID>b</ID>"), want: one(malformed())},
		{desc: "ID twice, the first empty", picked: true, doc: inRule("<ID/>▸<ID>b</ID>"), want: one(malformed())},

		// Too many rules. One fault, at the first rule too many.
		{desc: "11 rules", doc: inConfiguration(strings.Repeat(plainRule, 10) + "▸" + plainRule), want: one(tooManyRules())},
		{desc: "13 rules", doc: inConfiguration(strings.Repeat(plainRule, 10) + "▸" + strings.Repeat(plainRule, 3)), want: one(tooManyRules())},
		{desc: "21 rules, where max_rules is 20", doc: inConfiguration(strings.Repeat(plainRule, 20) + "▸" + plainRule), opts: Options{MaxRules: 20}, want: one(tooManyRules())},
		{desc: "11 rules, where max_rules is below 1", doc: inConfiguration(strings.Repeat(plainRule, 10) + "▸" + plainRule), opts: Options{MaxRules: -1}, want: one(tooManyRules())},
		{desc: "2 rules, where max_rules is 1", doc: inConfiguration(plainRule + "▸" + plainRule), opts: Options{MaxRules: 1}, want: one(tooManyRules())},
		{desc: "a rule too many is checked too", doc: inConfiguration(plainRule + "▸<CORSRule><AllowedOrigin>*</AllowedOrigin><AllowedMethod>▸put</AllowedMethod></CORSRule>"), opts: Options{MaxRules: 1}, want: []wantFault{tooManyRules(), wrongMethod("put")}},

		// AllowedOrigin.
		{desc: "no AllowedOrigin", doc: inConfiguration("▸<CORSRule><AllowedMethod>GET</AllowedMethod></CORSRule>"), want: one(withoutEC())},
		{desc: "AllowedOrigin empty", doc: inConfiguration("<CORSRule><AllowedMethod>GET</AllowedMethod>▸<AllowedOrigin></AllowedOrigin></CORSRule>"), want: one(wrongOrigin(""))},
		{desc: "AllowedOrigin empty, self-closed", doc: inConfiguration("<CORSRule><AllowedMethod>GET</AllowedMethod>▸<AllowedOrigin/></CORSRule>"), want: one(wrongOrigin(""))},
		{desc: "AllowedOrigin of white space", doc: inConfiguration("<CORSRule><AllowedMethod>GET</AllowedMethod>▸<AllowedOrigin> \n </AllowedOrigin></CORSRule>"), want: one(wrongOrigin(""))},
		{desc: "AllowedOrigin empty next to another", doc: inRule("▸<AllowedOrigin/>"), want: one(wrongOrigin(""))},
		{desc: "AllowedOrigin with two stars", doc: origin("▸https://*.*.com"), want: one(wrongOrigin("https://*.*.com"))},
		{desc: "AllowedOrigin of two stars", doc: origin("▸**"), want: one(wrongOrigin("**"))},
		{desc: "AllowedOrigin, two in one", doc: origin("▸https://a https://b"), want: one(wrongOrigin("https://a https://b"))},
		{desc: "AllowedOrigin, trimmed before it is shown", doc: origin("\n\t▸a b\n"), want: one(wrongOrigin("a b"))},
		{desc: "AllowedOrigin, trimmed of Windows line ends", doc: origin("\r\n\r\n\t▸a b\r\n"), want: one(wrongOrigin("a b"))},
		{desc: "AllowedOrigin with a tab", doc: origin("▸https://a\tb"), want: one(wrongOrigin("https://a\tb"))},
		{desc: "AllowedOrigin with a line feed", doc: origin("▸https://a\nb"), want: one(wrongOrigin("https://a\nb"))},
		{desc: "AllowedOrigin with a carriage return", doc: origin("▸https://a&#13;b"), want: one(wrongOrigin("https://a\rb"))},
		{desc: "AllowedOrigin with a no-break space", doc: origin("▸https://a\u00a0"), want: one(wrongOrigin("https://a\u00a0"))},
		{desc: "AllowedOrigin with DEL", doc: origin("▸https://a\x7f"), want: one(wrongOrigin("https://a\x7f"))},
		{desc: "AllowedOrigin with a C1 control", doc: origin("▸https://a\u0085b"), want: one(wrongOrigin("https://a\u0085b"))},

		// AllowedMethod.
		{desc: "no AllowedMethod", doc: inConfiguration("▸<CORSRule><AllowedOrigin>*</AllowedOrigin></CORSRule>"), want: one(withoutEC())},
		{desc: "neither AllowedOrigin nor AllowedMethod", doc: inConfiguration("▸▸<CORSRule/>"), want: []wantFault{withoutEC(), withoutEC()}},
		{desc: "AllowedMethod empty", doc: inRule("▸<AllowedMethod> </AllowedMethod>"), want: one(wrongMethod(""))},
		{desc: "AllowedMethod empty is not missing too", doc: inConfiguration("<CORSRule><AllowedOrigin>*</AllowedOrigin>▸<AllowedMethod/></CORSRule>"), want: one(wrongMethod(""))},
		{desc: "AllowedMethod in lower case", doc: method("▸get"), want: one(wrongMethod("get"))},
		{desc: "AllowedMethod OPTIONS", doc: method("▸OPTIONS"), want: one(wrongMethod("OPTIONS"))},
		{desc: "AllowedMethod PATCH", doc: method("▸PATCH"), want: one(wrongMethod("PATCH"))},
		{desc: "AllowedMethod *", doc: method("▸*"), want: one(wrongMethod("*"))},
		{desc: "AllowedMethod, two in one", doc: method("▸GET,PUT"), want: one(wrongMethod("GET,PUT"))},

		// AllowedHeader.
		{desc: "AllowedHeader empty", doc: inRule("▸<AllowedHeader></AllowedHeader>"), want: one(wrongHeader(""))},
		{desc: "AllowedHeader with two stars", doc: header("▸x-*-*"), want: one(wrongHeader("x-*-*"))},
		{desc: "AllowedHeader, two in one", doc: header("▸X-A, x-b"), want: one(wrongHeader("X-A, x-b"))},
		{desc: "AllowedHeader with a colon", doc: header("▸x-a:"), want: one(wrongHeader("x-a:"))},
		{desc: "AllowedHeader not ASCII", doc: header("▸x-é"), want: one(wrongHeader("x-é"))},
		{desc: "AllowedHeader with a star and no token", doc: header("▸x *"), want: one(wrongHeader("x *"))},
		{desc: "AllowedHeader keeps its case in the fault", doc: header("▸X Y"), want: one(wrongHeader("X Y"))},

		// ExposeHeader: a token, and none of the signs that OSS names.
		{desc: "ExposeHeader empty", doc: inRule("▸<ExposeHeader/>"), want: one(wrongExpose(""))},
		{desc: "ExposeHeader *", doc: expose("▸*"), want: one(wrongExpose("*"))},
		{desc: "ExposeHeader with a star", doc: expose("▸x-*"), want: one(wrongExpose("x-*"))},
		{desc: "ExposeHeader with <", doc: expose("▸a&lt;b"), want: one(wrongExpose("a<b"))},
		{desc: "ExposeHeader with >", doc: expose("▸a>b"), want: one(wrongExpose("a>b"))},
		{desc: "ExposeHeader with &", doc: expose("▸a&amp;b"), want: one(wrongExpose("a&b"))},
		{desc: "ExposeHeader with '", doc: expose("▸a'b"), want: one(wrongExpose("a'b"))},
		{desc: "ExposeHeader with \"", doc: expose("▸a\"b"), want: one(wrongExpose("a\"b"))},
		{desc: "ExposeHeader with a line end", doc: expose("▸a\nb"), want: one(wrongExpose("a\nb"))},
		{desc: "ExposeHeader, two in one", doc: expose("▸ETag, x-a"), want: one(wrongExpose("ETag, x-a"))},
		{desc: "ExposeHeader not ASCII", doc: expose("▸é"), want: one(wrongExpose("é"))},

		// MaxAgeSeconds.
		{desc: "MaxAgeSeconds -1", doc: maxAge("▸-1"), want: one(wrongMaxAge("-1"))},
		{desc: "MaxAgeSeconds +1", doc: maxAge("▸+1"), want: one(wrongMaxAge("+1"))},
		{desc: "MaxAgeSeconds 1.5", doc: maxAge("▸1.5"), want: one(wrongMaxAge("1.5"))},
		{desc: "MaxAgeSeconds 0x10", doc: maxAge("▸0x10"), want: one(wrongMaxAge("0x10"))},
		{desc: "MaxAgeSeconds 1_0", doc: maxAge("▸1_0"), want: one(wrongMaxAge("1_0"))},
		{desc: "MaxAgeSeconds 1 0", doc: maxAge("▸1 0"), want: one(wrongMaxAge("1 0"))},
		{desc: "MaxAgeSeconds in other digits", doc: maxAge("▸٣"), want: one(wrongMaxAge("٣"))},
		{desc: "MaxAgeSeconds empty", doc: inRule("▸<MaxAgeSeconds></MaxAgeSeconds>"), want: one(wrongMaxAge(""))},
		{desc: "MaxAgeSeconds 1000000000", doc: maxAge("▸1000000000"), want: one(wrongMaxAge("1000000000"))},
		{desc: "MaxAgeSeconds past 64 bits", doc: maxAge("▸99999999999999999999"), want: one(wrongMaxAge("99999999999999999999"))},
		{desc: "MaxAgeSeconds that would wrap to 0", doc: maxAge("▸18446744073709551616"), want: one(wrongMaxAge("18446744073709551616"))},
		{desc: "MaxAgeSeconds twice", doc: inRule("<MaxAgeSeconds>1</MaxAgeSeconds>▸<MaxAgeSeconds>2</MaxAgeSeconds>"), want: one(wrongMaxAge("2"))},
		{desc: "MaxAgeSeconds twice, the first wrong", doc: inRule("<MaxAgeSeconds>▸x</MaxAgeSeconds>▸<MaxAgeSeconds>2</MaxAgeSeconds>"), want: []wantFault{wrongMaxAge("x"), wrongMaxAge("2")}},
		{desc: "MaxAgeSeconds twice, the second wrong", doc: inRule("<MaxAgeSeconds>1</MaxAgeSeconds>▸<MaxAgeSeconds>▸x</MaxAgeSeconds>"), want: []wantFault{wrongMaxAge("x"), wrongMaxAge("x")}},

		// Size. The place is the first byte too many.
		{desc: "16 KB and a byte", picked: true, doc: padded(16384) + "▸ ", want: one(withoutEC())},
		{desc: "16 KB and a byte, the byte order mark included", picked: true, doc: utf8BOM + padded(16384-3) + "▸ ", want: one(withoutEC())},
		{desc: "of a document too large nothing else is said", picked: true, doc: strings.Repeat("<", 16384) + "▸<<<", want: one(withoutEC())},

		// What allow_credentials refuses, and OSS takes.
		{desc: "credentials: a star", doc: origin("▸*"), opts: credentials, want: one(tooWide())},
		{desc: "credentials: null", doc: origin("▸null"), opts: credentials, want: one(tooWide())},
		{desc: "credentials: NULL, which matches null", doc: origin("▸NULL"), opts: credentials, want: one(tooWide())},
		{desc: "credentials: no scheme", doc: origin("▸www.example.com"), opts: credentials, want: one(tooWide())},
		{desc: "credentials: an empty scheme", doc: origin("▸://example.com"), opts: credentials, want: one(tooWide())},
		{desc: "credentials: a star for the scheme", doc: origin("▸*://example.com"), opts: credentials, want: one(tooWide())},
		{desc: "credentials: a star in the scheme", doc: origin("▸http*://example.com"), opts: credentials, want: one(tooWide())},
		{desc: "credentials: every https origin", doc: origin("▸https://*"), opts: credentials, want: one(tooWide())},
		{desc: "credentials: a star for a top-level domain's names", doc: origin("▸https://*.com"), opts: credentials, want: one(tooWide())},
		{desc: "credentials: the same with a dot at its end", doc: origin("▸https://*.com."), opts: credentials, want: one(tooWide())},
		{desc: "credentials: an empty label", doc: origin("▸https://*..com"), opts: credentials, want: one(tooWide())},
		{desc: "credentials: a star under a country's suffix", doc: origin("▸https://*.co.uk"), opts: credentials, want: one(tooWide())},
		{desc: "credentials: a star under a hosting service", doc: origin("▸https://*.vercel.app"), opts: credentials, want: one(tooWide())},
		{desc: "credentials: a star under a hosting service, upper case", doc: origin("▸HTTPS://*.GitHub.IO:8443"), opts: credentials, want: one(tooWide())},
		{desc: "credentials: a star for part of a label under a hosting service", doc: origin("▸https://app-*.vercel.app"), opts: credentials, want: one(tooWide())},
		{desc: "credentials: a star above suffixes that the list gives with a star", doc: origin("▸https://*.kawasaki.jp"), opts: credentials, want: one(tooWide())},
		{desc: "credentials: a star above suffixes that the list gives one by one", doc: origin("▸https://*.amazonaws.com"), opts: credentials, want: one(tooWide())},
		{desc: "credentials: a star before one label", doc: origin("▸http://*.localhost:3000"), opts: credentials, want: one(tooWide())},
		{desc: "credentials: a star without a dot", doc: origin("▸https://*example.com"), opts: credentials, want: one(tooWide())},
		{desc: "credentials: a star for part of a label", doc: origin("▸https://a*.example.com"), opts: credentials, want: one(tooWide())},
		{desc: "credentials: a star for the second label", doc: origin("▸https://a.*.example.com"), opts: credentials, want: one(tooWide())},
		{desc: "credentials: a star for the last label", doc: origin("▸https://example.*"), opts: credentials, want: one(tooWide())},
		{desc: "credentials: a star at the end", doc: origin("▸https://example.com*"), opts: credentials, want: one(tooWide())},
		{desc: "credentials: a star in the port", doc: origin("▸http://localhost:8*"), opts: credentials, want: one(tooWide())},
		{desc: "credentials: a port without a host", doc: origin("▸http://:*"), opts: credentials, want: one(tooWide())},
		{desc: "credentials: a star in an IPv6 address", doc: origin("▸http://[::*]"), opts: credentials, want: one(tooWide())},
		{desc: "credentials: two stars", doc: origin("▸https://*.example.com:*"), opts: credentials, want: one(wrongOrigin("https://*.example.com:*"))},
	}
}()

func TestParseFaults(t *testing.T) {
	for _, c := range faultCases {
		t.Run(caseName(c.desc, c.picked), func(t *testing.T) {
			doc, places := marked(c.doc)
			if len(places) != len(c.want) {
				t.Fatalf("%d marks for %d faults", len(places), len(c.want))
			}
			cfg, err := Parse([]byte(doc), c.opts)
			checkFaults(t, []byte(doc), cfg, err)
			var got, want []string
			for _, f := range err.(Faults) {
				got = append(got, fmt.Sprintf("%d:%d %+v", f.Line, f.Column, wantFault{f.Code, f.EC, f.ArgumentName, f.ArgumentValue}))
			}
			for i, f := range c.want {
				want = append(want, fmt.Sprintf("%s %+v", places[i], f))
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got  %q\nwant %q\n%v", got, want, err)
			}
		})
	}
}

// What allow_credentials leaves alone.
func TestParseCredentials(t *testing.T) {
	for _, origin := range []string{
		"https://app.example.com",
		"https://app.example.com:8443",
		"http://localhost",
		"http://localhost:*",
		"http://[::1]:3000",
		"http://[::1]:*",
		"http://[::1]",
		"https://*.example.com",
		"https://*.a.example.com.",
		"https://*.example.com:8443",
		"https://*.example.co.uk",
		"https://*.myteam.vercel.app",
		"https://*.city.kawasaki.jp",
		"capacitor://localhost",
	} {
		t.Run(origin, func(t *testing.T) {
			doc := inConfiguration("<CORSRule><AllowedOrigin>" + origin + "</AllowedOrigin><AllowedMethod>GET</AllowedMethod></CORSRule>")
			if _, err := Parse([]byte(doc), Options{Credentials: true}); err != nil {
				t.Error(err)
			}
		})
	}
}

//go:embed testdata/many-faults.xml
var manyFaults []byte

// TestManyFaults pins the whole text that a user reads: every fault of a document at
// once, in its order.
func TestManyFaults(t *testing.T) {
	const golden = "testdata/many-faults.golden"
	_, err := Parse(manyFaults, Options{File: "many-faults.xml", MaxRules: 4, Credentials: true})
	got := err.Error() + "\n"
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got:\n%s\nwant:\n%s\nif that is right, run the test with -update", got, want)
	}
}

func TestFaultError(t *testing.T) {
	cases := []struct {
		desc  string
		fault Fault
		want  string
	}{
		{"Code and EC", Fault{File: "a.xml", Line: 3, Column: 14, Message: "wrong", Code: "MalformedXML", EC: "0031-00000001"}, "a.xml:3:14: wrong (MalformedXML, EC 0031-00000001)"},
		{"no EC", Fault{File: "a.xml", Line: 1, Column: 2, Message: "wrong", Code: "MalformedXML"}, "a.xml:1:2: wrong (MalformedXML)"},
		{"neither", Fault{File: "a.xml", Line: 1, Column: 2, Message: "wrong"}, "a.xml:1:2: wrong"},
	}
	for _, c := range cases {
		t.Run(c.desc, func(t *testing.T) {
			if got := c.fault.Error(); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
	if got, want := (Faults{&cases[1].fault, &cases[2].fault}).Error(), cases[1].want+"\n"+cases[2].want; got != want {
		t.Errorf("Faults: got %q, want %q", got, want)
	}
}

// However many faults a document has, what is said of them is short.
func TestFaultsAreBounded(t *testing.T) {
	faulty := []byte("<CORSConfiguration>" + strings.Repeat("<a/>", 4080) + "</CORSConfiguration>")
	_, err := Parse(faulty, Options{})
	all := err.(Faults)
	for _, c := range []struct {
		desc   string
		err    error
		shown  int // faults
		faults int
	}{
		{"an error of many", all, 100, len(all)},
		{"an error of 101", all[:101], 100, 101},
		{"an error of 100", all[:100], 100, 100},
		{"brief of many", all.Brief(), 10, len(all)},
		{"brief of 11", all[:11].Brief(), 10, 11},
		{"brief of 10", all[:10].Brief(), 10, 10},
	} {
		var faults Faults
		if !errors.As(c.err, &faults) || faults[0] != all[0] {
			t.Fatalf("%s: %T is not an error of Faults", c.desc, c.err)
		}
		lines := strings.Split(c.err.Error(), "\n")
		last := lines[c.shown-1]
		if c.shown < c.faults {
			last = fmt.Sprintf("and %d more", c.faults-c.shown)
		}
		if want := min(c.faults, c.shown+1); len(lines) != want || !strings.HasPrefix(lines[len(lines)-1], last) {
			t.Errorf("%s: got %d lines, the last %q; want %d and %q", c.desc, len(lines), lines[len(lines)-1], want, last)
		}
	}
}

func TestFaultFile(t *testing.T) {
	_, err := Parse(nil, Options{})
	if got := err.(Faults)[0].File; got != "cors.xml" {
		t.Errorf("got %q, want the default, cors.xml", got)
	}
	_, err = Parse(nil, Options{File: "b.xml"})
	if got := err.(Faults)[0].File; got != "b.xml" {
		t.Errorf("got %q, want b.xml", got)
	}
}

// A value can be 16 KB of anything, and a message stands in a log: it is quoted, and
// cut between characters. The ArgumentValue is whole.
func TestFaultMessageIsShort(t *testing.T) {
	value := strings.Repeat("é ", 2000) + "."
	_, err := Parse([]byte(inRule("<AllowedOrigin>x"+value+"</AllowedOrigin>")), Options{})
	f := err.(Faults)[0]
	if len(f.Message) > 400 || !strings.Contains(f.Message, "…") || !utf8.ValidString(f.Message) || strings.ContainsAny(f.Message, "\ufffd\\") {
		t.Errorf("Message: %q", f.Message)
	}
	if f.ArgumentValue != "x"+value {
		t.Errorf("ArgumentValue has %d bytes, want %d", len(f.ArgumentValue), len(value)+1)
	}
}
