package corsrules

import (
	"errors"
	"strings"
	"testing"
)

// Documents in the way that people bring them, each with what is said first and what to do
// next. The place is line:column.
func TestReports(t *testing.T) {
	rule := func(elements string) string {
		return "<CORSConfiguration><CORSRule>\n" + elements + "\n</CORSRule><ResponseVary>true</ResponseVary></CORSConfiguration>"
	}
	origin := func(text string) string {
		return rule("<AllowedMethod>GET</AllowedMethod><AllowedOrigin>" + text + "</AllowedOrigin>")
	}
	method := func(text string) string {
		return rule("<AllowedOrigin>https://app.example.com</AllowedOrigin><AllowedMethod>" + text + "</AllowedMethod>")
	}
	more := func(elements string) string {
		return rule("<AllowedOrigin>https://app.example.com</AllowedOrigin><AllowedMethod>GET</AllowedMethod>\n" + elements)
	}
	for _, c := range []struct {
		desc, doc string
		said      string // "" if nothing is
	}{
		// Another product's document.
		{"AWS's JSON", `{"CORSRules": [{"AllowedOrigins": ["*"], "AllowedMethods": ["GET"]}]}`,
			"1:36: a response to a request without Origin has no Access-Control-Allow-Origin, and without ResponseVary a cache may give it to a page that needs one: add response_vary to the oss_cors directive (echo-without-vary)"},
		{"AWS's JSON, the bare array", "\n[\n {\"AllowedHeaders\": [\"*\"], \"AllowedMethods\": [\"PUT\"], \"AllowedOrigins\": [\"*\"]}\n]",
			"3:74: a response to a request without Origin has no Access-Control-Allow-Origin"},
		{"ossutil 2's JSON", `{"CORSRule": {"AllowedOrigin": "*", "AllowedMethod": "GET"}, "ResponseVary": false}`,
			`1:32: a response to a request without Origin has no Access-Control-Allow-Origin, and without ResponseVary a cache may give it to a page that needs one: add "ResponseVary": true to the document`},
		{"Google's JSON", `[{"origin": ["https://app.example.com"], "method": ["GET"], "responseHeader": ["Content-Type"], "maxAgeSeconds": 3600}]`,
			"1:1: the document is JSON as Google Cloud Storage has it: caddy oss-cors convert --to s3-json rewrites it"},
		{"other JSON", `{"cors": true}`, `1:2: unknown field "cors" in the document: did you mean "CORSRules"?`},
		{"Google's XML", "<CorsConfig><Cors><Origins><Origin>*</Origin></Origins></Cors></CorsConfig>",
			"1:1: the root element is <CorsConfig>, as Google Cloud Storage has it: write <CORSConfiguration>, with an AllowedOrigin for each Origin"},
		{"Azure's XML", "<Cors><CorsRule><AllowedOrigins>*</AllowedOrigins></CorsRule></Cors>",
			"1:1: the root element is <Cors>, as Azure Storage has it: write <CORSConfiguration>, with an element of its own for each item of Azure's lists"},
		{"rule blocks", "rule app {\n\torigin *\n\tmethod GET\n}\n", "1:1: the document is rule blocks: import it in the Caddyfile, or let caddy oss-cors convert --to oss-xml rewrite it"},
		{"Cloudflare's JSON", `{"rules": [{"allowed": {"origins": ["https://app.example.com"], "methods": ["GET"]}, "maxAgeSeconds": 3600}]}`, `1:1: the document is JSON as Cloudflare's wrangler has it: caddy oss-cors convert --to s3-json rewrites it`},
		{"Backblaze's JSON", `[{"corsRuleName": "download", "allowedOrigins": ["https"], "allowedOperations": ["s3_get"], "maxAgeSeconds": 3600}]`, `1:1: the document is JSON as Backblaze's own API has it: write it as S3 has it, an array of rules with AllowedOrigins, AllowedMethods and so on`},
		{"CloudFormation's JSON", `{"CorsConfiguration": {"CorsRules": [{"AllowedOrigins": ["*"], "AllowedMethods": ["GET"], "MaxAge": 3600}]}}`, `1:1: the document is JSON as AWS CloudFormation has it: write {"CORSRules": …} with the value of CorsRules, and rename ExposedHeaders to ExposeHeaders, MaxAge to MaxAgeSeconds and Id to ID`},
		{"the parameters of an SDK", `{"Bucket": "photos", "CORSConfiguration": {"CORSRules": [{"AllowedOrigins": ["*"], "AllowedMethods": ["GET"]}]}}`, `1:1: the document is JSON with a "CORSConfiguration" around the rules: write only its value`},
		{"the names of a Python or Ruby SDK", `{"cors_rules": [{"allowed_origins": ["*"], "allowed_methods": ["GET"]}]}`, `1:2: unknown field "cors_rules" in the document: did you mean "CORSRules"?`},
		{"one rule in JSON", `{"AllowedOrigins": ["*"], "AllowedMethods": ["GET"]}`, `1:1: the document is one rule in JSON: write [ and ] around it`},
		{"rules under another name", `{"rules": [{"AllowedOrigins": ["*"], "AllowedMethods": ["GET"]}]}`, `1:2: unknown field "rules" in the document: it may have CORSRules`},
		{"rules under nearly the name", `{"corsRules": [{"AllowedOrigins": ["*"], "AllowedMethods": ["GET"]}]}`, `1:2: unknown field "corsRules" in the document: did you mean "CORSRules"?`},
		{"headers that are names of Google's", `[{"AllowedOrigins": ["*"], "AllowedMethods": ["GET"], "AllowedHeaders": ["origin", "method", "x y"]}]`, `1:94: AllowedHeaders "x y" is a list`},
		{"credentials in JSON", `[{"AllowedOrigins": ["*"], "AllowedMethods": ["GET"], "AllowCredentials": true}]`, `1:55: unknown field "AllowCredentials" in a rule: remove it, and write allow_credentials in the oss_cors directive if pages send cookies`},
		{"a rule in JSON for each field", `[{"AllowedOrigins": ["*"]}, {"AllowedMethods": ["GET"]}]`, `1:2: the rule has no AllowedMethods: at least one of GET, PUT, DELETE, POST and HEAD is needed, between the rule's own { and }`},
		{"a text in place of a list", `[{"AllowedOrigins": "*", "AllowedMethods": ["GET"]}]`, `1:21: AllowedOrigins is not an array of strings: write [ and ] around its values`},
		{"seconds in quotes", `[{"AllowedOrigins": ["*"], "AllowedMethods": ["GET"], "MaxAgeSeconds": "600"}]`, `1:72: MaxAgeSeconds is text: write 600 without quotation marks`},
		{"an hour in quotes", `[{"AllowedOrigins": ["*"], "AllowedMethods": ["GET"], "MaxAgeSeconds": "1h"}]`, `1:72: MaxAgeSeconds is not a number: write digits without quotation marks, such as 600`},
		{"a comma too many", `[{"AllowedOrigins": ["*"], "AllowedMethods": ["GET"],}]`, `1:54: a comma before }: remove it`},
		{"a comma after the last rule", `[{"AllowedOrigins": ["*"], "AllowedMethods": ["GET"]},]`, `1:55: a comma before ]: remove it`},
		{"two commas", `[{"AllowedOrigins": ["*"],, "AllowedMethods": ["GET"]}]`, `1:27: a comma too many: remove it`},
		{"a comma too few", `[{"AllowedOrigins": ["*"], "AllowedMethods": ["GET" "PUT"]}]`, `1:53: a comma is missing between two values: write one`},
		{"no comma between fields", `[{"AllowedOrigins": ["*"] "AllowedMethods": ["GET"]}]`, `1:27: a comma is missing between two values: write one`},
		{"no colon", `[{"AllowedOrigins" ["*"]}]`, `1:20: a colon is missing between a name and its value: write one`},
		{"another bracket", `[{"AllowedOrigins": ["*"], "AllowedMethods": ["GET"]}}`, `1:54: not well-formed JSON: invalid character '}' after array element: end each { with }, and each [ with ]`},
		{"a bracket too many", `[{"AllowedOrigins": ["*"], "AllowedMethods": ["GET"]}]]`, `1:55: text after the end of the document: remove it`},
		{"text after JSON", `[{"AllowedOrigins": ["*"], "AllowedMethods": ["GET"]}] foo`, `1:56: text after the end of the document: remove it`},
		{"names without quotation marks", `{CORSRules: []}`, `1:2: a name or a text in JSON is not in quotation marks: write " before and after it`},
		{"a name without quotation marks", `[{"AllowedOrigins": ["*"], AllowedMethods: ["GET"]}]`, `1:28: a name or a text in JSON is not in quotation marks: write " before and after it`},
		{"other quotes in the middle", `[{"AllowedOrigins": [“*”]}]`, `1:22: “ is not the quotation mark of JSON: write " in place of each`},
		{"other quotes at the beginning", `{“CORSRules”: []}`, `1:2: “ is not the quotation mark of JSON: write " in place of each`},
		{"another quote at the end of a text", `[{"AllowedOrigins": ["https://a.example”], "AllowedMethods": ["GET"]}]`, `1:40: ” is not the quotation mark of JSON: write " in place of each`},
		{"another quote at the end of a line", "[{\"AllowedOrigins\": [\"https://a.example”],\n\"AllowedMethods\": [\"GET\"]}]", `1:40: ” is not the quotation mark of JSON: write " in place of each`},
		{"another quote at the end of the last text", `[{"AllowedMethods": ["GET"], "AllowedOrigins": ["https://a.example”]}]`, `1:67: ” is not the quotation mark of JSON: write " in place of each`},
		{"another quote at the end of a name", `[{"AllowedOrigins”: ["*"]}]`, `1:18: ” is not the quotation mark of JSON: write " in place of each`},
		{"other quotes that belong to a name", `[{"ID": "the “app”", "AllowedOrigins": ["*"] "AllowedMethods": ["GET"]}]`, `1:50: a comma is missing between two values: write one`},
		{"single quotes in the middle", `[{"AllowedOrigins": ['*']}]`, `1:22: single quotation marks: write " in place of each '`},
		{"single quotes behind a line's end", "{\n 'CORSRules': []}", `2:2: single quotation marks: write " in place of each '`},
		{"Python's words", `{"CORSRule": [{"AllowedOrigin": "*", "AllowedMethod": "GET"}], "ResponseVary": True}`, `1:80: True is not a word of JSON: write true`},
		{"Python's null", `[{"AllowedOrigins": ["*"], "AllowedMethods": ["GET"], "ExposeHeaders": None}]`, `1:72: None is not a word of JSON: leave the field out`},
		{"the spaces of a web page", "[\n\u00a0 {\"AllowedOrigins\": [\"*\"], \"AllowedMethods\": [\"GET\"]}]", `2:1: a white space that JSON does not have (U+00A0): write a space, or nothing, in place of each`},
		{"JSON for a shell", `{\"CORSRules\": []}`, `1:2: the document is escaped, as for a shell or a program: write " in place of each \"`},
		{"a variable for a list", `[{"AllowedOrigins": [$ORIGINS], "AllowedMethods": ["GET"]}]`, `1:22: placeholders are not expanded in a rules document; write the values themselves`},
		{"a template for a list", `[{"AllowedOrigins": [{{ origins }}]}]`, `1:23: placeholders are not expanded in a rules document; write the values themselves`},
		{"a conflict in JSON", "[{\n<<<<<<< HEAD\n\"AllowedOrigins\": [\"*\"],\n=======\n>>>>>>> a\n}]", `2:1: a conflict marker of git: resolve the conflict`},
		{"a conflict in XML", "<CORSConfiguration>\n<<<<<<< HEAD\n<CORSRule/>\n=======\n>>>>>>> a\n</CORSConfiguration>", `2:1: a conflict marker of git: resolve the conflict`},
		{"every method, without quotes", `[{"AllowedMethods": [*]}]`, `1:22: a name or a text in JSON is not in quotation marks: write " before and after it`},
		{"dots for the rest", `[{"AllowedOrigins": [...]}]`, `1:22: not well-formed JSON: invalid character '.' looking for beginning of value: remove it`},
		{"JSON that is cut off at once", "{", `1:2: not well-formed JSON: the document ends before its last value does, as if it were cut off`},
		{"JSON that is cut off before the rules", `{"CORSRules":`, `1:14: not well-formed JSON: the document ends before its last value does, as if it were cut off`},
		{"a leading zero", `[{"AllowedOrigins": ["*"], "AllowedMethods": ["GET"], "MaxAgeSeconds": 0600}]`, `1:73: not a number: write digits alone, such as 600, the first not 0`},
		{"a unit", `[{"AllowedOrigins": ["*"], "AllowedMethods": ["GET"], "MaxAgeSeconds": 10m}]`, `1:74: not a number: write digits alone, such as 600, the first not 0`},
		{"no comma before a number", `[{"AllowedOrigins": ["*" 0]}]`, `1:26: a comma is missing between two values: write one`},
		{"no comma after a number", `[{"MaxAgeSeconds": 600 "ID": "a"}]`, `1:24: a comma is missing between two values: write one`},
		{"no comma before a word", `[{"AllowedOrigins": ["*"] true}]`, `1:27: a comma is missing between two values: write one`},
		{"a word", `[{"AllowedOrigins": [tru]}]`, `1:22: a name or a text in JSON is not in quotation marks: write " before and after it`},
		{"a line end in a text", "[{\"AllowedOrigins\": [\"*\n\"]}]", `1:22: not well-formed JSON: invalid character '\n' in string literal: write \n for the end of a line, \\ for a \, and " at the end of the text`},
		{"JSON in Python's quotes", `[{'AllowedOrigins': ['*']}]`, `1:1: the document is JSON with single quotes: write " in place of '`},
		{"JSON with a comment", "// for uploads\n[]", `1:1: JSON cannot have comments: remove them`},
		{"JSON with a comment after its {", "{ // our rules\n\"CORSRules\": []}", `1:3: JSON cannot have comments: remove them`},
		{"JSON with a comment of a script", "[ # our rules\n]", `1:3: JSON cannot have comments: remove them`},
		{"JSON with a comment in the middle", "[{\"AllowedOrigins\": [\"*\"], /* all */\n\"AllowedMethods\": [\"GET\"]}]", `1:28: JSON cannot have comments: remove them`},
		{"a file name", "cors.xml", `1:1: cors.xml looks like a file name: write rules file cors.xml`},
		{"a path", "./rules/CORS.JSON\n", `1:1: ./rules/CORS.JSON looks like a file name: write rules file ./rules/CORS.JSON`},
		{"plain text", "hello world", `1:1: the document is neither XML nor JSON, for it begins with "hello world": write a CORSConfiguration in XML`},
		{"a web page without its beginning", "<!-- cached -->\n<head><meta charset=utf-8></head><body><p>404<br></body>", `1:1: the document is a web page`},
		{"XHTML", "<?xml version=\"1.0\"?>\n<!DOCTYPE html PUBLIC \"-//W3C//DTD XHTML 1.0 Strict//EN\">\n<html><br></html>", `1:1: the document is a web page`},
		{"Terraform", "cors_rule {\n  allowed_origins = [\"*\"]\n}", `1:1: the document is neither XML nor JSON, for it begins with "cors_rule {": write a CORSConfiguration in XML; of a Caddyfile, the directive oss_cors with its rules is read`},
		{"a web page", "<!DOCTYPE html>\n<html><body>Not Found</body></html>", `1:1: the document is a web page, perhaps an error page that was saved in place of the rules: fetch the rules again`},
		{"a conflict of git", "<<<<<<< HEAD\n<CORSConfiguration/>\n=======", `1:1: the document begins with a conflict marker of git: resolve the conflict`},
		{"a command with its document", "cat > cors.xml <<EOF\n<CORSConfiguration/>\nEOF", `1:1: text "cat > cors.xml" outside CORSConfiguration: remove it`},
		{"escaped XML", "&lt;CORSConfiguration&gt;", `1:1: the document is escaped: write < in place of &lt;, and > in place of &gt;`},
		{"gzip", "\x1f\x8b\x08\x00", `1:1: the document is compressed by gzip: decompress it`},
		{"an empty file", "", `1:1: the document has no element: it needs a CORSConfiguration with at least one CORSRule`},
		{"a root in lower case", "<corsconfiguration/>", `1:1: the root element is <corsconfiguration>, and upper and lower case count: write <CORSConfiguration>`},
		{"a saved error answer", "<Error><Code>NoSuchCORSConfiguration</Code></Error>", "1:1: the root element is <Error>, so this is a store's error answer, saved in place of its rules: fetch the rules again"},
		{"a rule without the root", "<CORSRule><AllowedOrigin>*</AllowedOrigin></CORSRule>", "1:1: the root element is <CORSRule>, which belongs inside <CORSConfiguration>"},
		{"nginx", "map $http_origin $cors { default \"\"; }", `1:1: the document is neither XML nor JSON, for it begins with "map $http_origin $cors { default \"\"; }": write a CORSConfiguration in XML`},
		{"a variable for the document", "$RULES", `1:1: the document begins with "$RULES", and placeholders are not expanded in a rules document: write the document itself`},
		{"YAML", "cors:\n  - https://app.example.com", `1:1: the document is neither XML nor JSON, for it begins with "cors:": write a CORSConfiguration in XML`},
		{"a placeholder for the document", "{env.CORS_RULES}", `1:1: the document begins with "{env.CORS_RULES}", and placeholders are not expanded in a rules document: write the document itself`},

		// Encodings.
		{"UTF-16, as PowerShell writes it", "\xff\xfe<\x00C\x00", "1:1: the document is in UTF-16, as Windows PowerShell's > writes it: save it as UTF-8"},
		{"Latin-1", `<?xml version="1.0" encoding="ISO-8859-1"?>` + origin("*"), `1:1: the XML declaration is not <?xml version="1.0" encoding="UTF-8"?>: write that, and save the document as UTF-8; or leave the declaration out`},
		{"utf8 without the hyphen", `<?xml version="1.0" encoding="utf8"?>` + origin("*"), `1:1: the XML declaration is not <?xml version="1.0" encoding="UTF-8"?>`},
		{"XML 1.1", `<?xml version="1.1"?>` + origin("*"), `1:1: the XML declaration is not <?xml version="1.0" encoding="UTF-8"?>`},
		{"Latin-1 undeclared", origin("caf\xe9"), "2:54: not well-formed XML: invalid UTF-8: save the document as UTF-8"},
		{"an empty line before the declaration", "\n<?xml version=\"1.0\"?>" + origin("https://app.example.com"), `2:1: the XML declaration is not at the very beginning: remove what stands before it, or the declaration`},
		{"cut off", "<CORSConfiguration><CORSRule>", "1:30: not well-formed XML: unexpected EOF: the document ends before its last element does, as if it were cut off"},
		{"a bare &", origin("a&b"), "2:53: not well-formed XML: invalid character entity &b (no semicolon): write &amp; for an &"},

		// Elements.
		{"AllowedHeaders", more("<AllowedHeaders>*</AllowedHeaders>"), "3:1: unknown element <AllowedHeaders> in CORSRule: did you mean <AllowedHeader>?"},
		{"AllowedMethods", more("<AllowedMethods>GET</AllowedMethods>"), "3:1: unknown element <AllowedMethods> in CORSRule: did you mean <AllowedMethod>?"},
		{"ExposedHeader", more("<ExposedHeader>ETag</ExposedHeader>"), "3:1: unknown element <ExposedHeader> in CORSRule: did you mean <ExposeHeader>?"},
		{"AllowHeader", more("<AllowHeader>*</AllowHeader>"), "3:1: unknown element <AllowHeader> in CORSRule: did you mean <AllowedHeader>?"},
		{"MaxAge", more("<MaxAge>600</MaxAge>"), "3:1: unknown element <MaxAge> in CORSRule: did you mean <MaxAgeSeconds>?"},
		{"maxAgeSeconds", more("<maxAgeSeconds>600</maxAgeSeconds>"), "3:1: unknown element <maxAgeSeconds> in CORSRule: did you mean <MaxAgeSeconds>?"},
		{"Id", more("<Id>a</Id>"), "3:1: unknown element <Id> in CORSRule: did you mean <ID>?"},
		{"credentials", more("<AllowCredentials>true</AllowCredentials>"), "3:1: unknown element <AllowCredentials> in CORSRule: remove it, and write allow_credentials in the oss_cors directive if pages send cookies"},
		{"what .NET adds", `<CORSConfiguration xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"/>`, "1:1: attribute xmlns:xsi on <CORSConfiguration>: remove it, only one xmlns is allowed"},
		{"ResponseVary in the rule", more("<ResponseVary>true</ResponseVary>"), "3:1: element <ResponseVary> in CORSRule: it belongs in CORSConfiguration, after </CORSRule>"},
		{"an origin outside a rule", "<CORSConfiguration><AllowedOrigin>*</AllowedOrigin></CORSConfiguration>", "1:20: element <AllowedOrigin> in CORSConfiguration: it belongs in a CORSRule"},
		{"a rule in another namespace", `<CORSConfiguration xmlns="urn:a"><x:CORSRule xmlns:x="urn:b"/></CORSConfiguration>`, "1:34: attribute xmlns:x on <CORSRule>: remove it, the element may have none"},
		{"a prefixed element", more(`<s3:AllowedHeader>*</s3:AllowedHeader>`), "3:1: element <AllowedHeader> in CORSRule has a prefix or an xmlns of its own: write <AllowedHeader>, without either"},
		{"a rule without a method", rule("<AllowedOrigin>*</AllowedOrigin>"), "1:20: the rule has no AllowedMethod: at least one of GET, PUT, DELETE, POST and HEAD is needed"},
		{"an empty rule", "<CORSConfiguration><CORSRule/></CORSConfiguration>", `1:20: the rule has no AllowedOrigin: at least one is needed`},
		{"lists as Java's SDK has them", rule("<AllowedOrigins><AllowedOrigin>*</AllowedOrigin></AllowedOrigins><AllowedMethod>GET</AllowedMethod>"), `2:1: unknown element <AllowedOrigins> in CORSRule: did you mean <AllowedOrigin>?`},
		{"CORSRules", "<CORSConfiguration><CORSRules><CORSRule/></CORSRules></CORSConfiguration>", `1:20: unknown element <CORSRules> in CORSConfiguration: did you mean <CORSRule>?`},
		{"an end that is misspelt", rule("<AllowedMethod>GET</AllowedMethods>"), `2:36: not well-formed XML: element <AllowedMethod> closed by </AllowedMethods>: end it with </AllowedMethod>`},
		{"an end that is forgotten", rule("<AllowedMethod>GET<AllowedMethod>"), `2:19: <AllowedMethod> inside <AllowedMethod>, where only text is allowed: remove it, or end the outer one with </AllowedMethod> before it`},
		{"what a template has for a value", origin("https://<your-domain>"), `2:58: <your-domain> inside <AllowedOrigin>, where only text is allowed: write the value itself in its place`},
		{"the same with spaces", origin("<your domain>"), `2:63: not well-formed XML: attribute name without = in element: write the value itself in place of <…>, or &lt; for a < that begins no element`},
		{"a comment in a value", origin("https://app.example.com<!-- production -->"), `2:73: a comment inside <AllowedOrigin>: put it between elements`},
		{"-- in a comment", "<!-- uploads -- see the wiki -->" + origin("https://app.example.com"), `1:17: not well-formed XML: invalid sequence "--" not allowed in comments: write a single - in comments`},
		{"two documents in one file", origin("https://app.example.com") + origin("https://app.example.com"), `3:65: a second root element <CORSConfiguration>: put all rules into one CORSConfiguration`},
		{"ResponseVary yes", strings.Replace(origin("https://app.example.com"), ">true<", ">yes<", 1), `3:26: ResponseVary is "yes": write true or false`},
		{"11 rules", "<CORSConfiguration>" + strings.Repeat("<CORSRule><AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod></CORSRule>", 11) + "</CORSConfiguration>", `1:890: rule 11 is one too many: at most 10 are allowed. Remove rules, or set max_rules (up to 200) in the oss_cors directive, and --max-rules for a command (CORSRuleBeyondLimit, EC 0034-00000006)`},

		// Methods.
		{"OPTIONS", method("OPTIONS"), `2:70: AllowedMethod "OPTIONS" is not needed: preflights are answered without it; take it out`},
		{"every method", method("*"), `2:70: AllowedMethod "*" is not a method: list GET, PUT, DELETE, POST and HEAD, each in an AllowedMethod of its own`},
		{"PATCH", method("PATCH"), `2:70: AllowedMethod "PATCH" cannot be allowed here: OSS's rules know GET, PUT, DELETE, POST and HEAD only; take it out, or write the rules as rule blocks in the Caddyfile (rule { … }), which can have it`},
		{"ALL", method("ALL"), `2:70: AllowedMethod "ALL" is not a method: list GET, PUT, DELETE, POST and HEAD, each in an AllowedMethod of its own`},
		{"a method with a comma", method("GET,"), `2:70: AllowedMethod "GET," has quotes, a comma or other signs around it: write GET`},
		{"a method in quotes", method(`"GET"`), `2:70: AllowedMethod "\"GET\"" has quotes, a comma or other signs around it: write GET`},
		{"a method with what nobody sees", method("GET\u200b"), `2:70: AllowedMethod "GET\u200b" has quotes, a comma or other signs around it: write GET`},
		{"TRACE", method("TRACE"), `2:70: AllowedMethod "TRACE" cannot be used by scripts in browsers: take it out`},
		{"methods between bars", method("GET|HEAD"), `2:70: AllowedMethod "GET|HEAD" is a list: write each method in an AllowedMethod of its own`},
		{"get", method("get"), `2:70: AllowedMethod "get" is not one of GET, PUT, DELETE, POST and HEAD: write GET, in upper case`},
		{"a list of methods", method("GET, PUT"), `2:70: AllowedMethod "GET, PUT" is a list: write each method in an AllowedMethod of its own`},

		// Headers and seconds.
		{"a list of headers", more("<AllowedHeader>Content-Type, Authorization</AllowedHeader>"), `3:16: AllowedHeader "Content-Type, Authorization" is a list: write each name in an AllowedHeader of its own`},
		{"a header with a semicolon", more("<AllowedHeader>Content-Type;</AllowedHeader>"), `3:16: AllowedHeader "Content-Type;" has quotes, a comma or other signs around it: write Content-Type`},
		{"every header, in quotes", more(`<AllowedHeader>"*"</AllowedHeader>`), `3:16: AllowedHeader "\"*\"" has quotes, a comma or other signs around it: write *`},
		{"a header with a letter of another language", more("<AllowedHeader>x-é</AllowedHeader>"), `3:16: AllowedHeader "x-é" is not a header name: write letters, digits and -`},
		{"a header with its value", more("<AllowedHeader>Content-Type: text/plain</AllowedHeader>"), `3:16: AllowedHeader "Content-Type: text/plain" is not a header name: write what stands before the colon`},
		{"every header exposed", more("<ExposeHeader>*</ExposeHeader>"), `3:15: ExposeHeader "*" has a *: name each header that scripts may read, in an ExposeHeader of its own`},
		{"a header that no script can set", more("<AllowedHeader>Accept-Encoding</AllowedHeader>"), `3:16: no browser asks for accept-encoding: scripts cannot set it: remove it (forbidden-header)`},
		{"a cookie exposed", more("<ExposeHeader>Set-Cookie</ExposeHeader>"), `3:15: no browser shows Set-Cookie to scripts, exposed or not: remove it (hidden-header)`},
		{"a list of exposed headers", more("<ExposeHeader>ETag, x-oss-request-id</ExposeHeader>"), `3:15: ExposeHeader "ETag, x-oss-request-id" is a list: write each name in an ExposeHeader of its own`},
		{"a pattern of exposed headers", more("<ExposeHeader>x-oss-meta-*</ExposeHeader>"), `3:15: ExposeHeader "x-oss-meta-*" has a *: name each header that scripts may read, in an ExposeHeader of its own`},
		{"a header next to *", more("<AllowedHeader>*</AllowedHeader><AllowedHeader>content-type</AllowedHeader>"), `3:48: AllowedHeader "*" matches all that "content-type" does: remove "content-type", or "*" if that is too wide (covered-header)`},
		{"a year", more("<MaxAgeSeconds>31536000</MaxAgeSeconds>"), `3:16: no browser keeps a preflight's answer for 31536000 seconds: Firefox stops at 86400, Chromium at 7200, Safari at 600: write 86400 or less (max-age-beyond-browsers)`},
		{"no seconds", more("<MaxAgeSeconds/>"), `3:1: MaxAgeSeconds is empty: write a whole number of seconds, such as 600`},
		{"an hour", more("<MaxAgeSeconds>1h</MaxAgeSeconds>"), `3:16: MaxAgeSeconds "1h" is not a whole number of seconds from 0 to 999999999: write digits alone, such as 600`},
		{"a placeholder for seconds", more("<MaxAgeSeconds>{env.AGE}</MaxAgeSeconds>"), `3:16: MaxAgeSeconds "{env.AGE}" has a placeholder: placeholders are not expanded in a rules document; write the value itself`},

		// Origins: faults first, then findings.
		{"two origins in one element", origin("https://a.example.com https://b.example.com"), "2:50: AllowedOrigin \"https://a.example.com https://b.example.com\" has a white space or control character (U+0020), which no origin has: write each origin in an AllowedOrigin of its own"},
		{"two wildcards", origin("https://*.example.com:*"), `2:50: AllowedOrigin "https://*.example.com:*" has more than one *: keep one, which stands for any run of characters, dots included`},
		{"a space from a web page", origin("https://app.example.com\u00a0"), `2:50: AllowedOrigin "https://app.example.com\u00a0" has a white space or control character (U+00A0), which no origin has: remove it`},
		{"a variable of the shell", origin("$ORIGIN"), `2:50: "$ORIGIN" matches no browser's origin: placeholders are not expanded in a rules document: write the origin itself, such as https://app.example.com (placeholder)`},
		{"quotes", origin(`"https://app.example.com"`), `2:50: "\"https://app.example.com\"" has quotes or other signs around it, which browsers do not send: write https://app.example.com (unmatchable-origin)`},
		{"a path", origin("https://app.example.com/login"), `2:50: "https://app.example.com/login" has a path: browsers send scheme, host and port alone: write https://app.example.com (path-in-origin)`},
		{"upper case", origin("https://App.Example.com"), `2:50: "https://App.Example.com" has upper-case letters, which browsers never send and other stores compare exactly: write https://app.example.com (upper-case-origin)`},
		{"an umlaut", origin("https://bücher.example"), `2:50: "https://bücher.example" matches no request: an Origin header has ASCII characters only: write https://xn--bcher-kva.example (unmatchable-origin)`},
		{"one slash", origin("https:/app.example.com"), `2:50: "https:/app.example.com" does not have :// between its scheme and its host: write https://app.example.com (no-scheme)`},
		{"a * without a scheme", origin("*.example.com"), `2:50: "*.example.com" has no scheme: its * stands for that too, so that pages over plain http match: write https://*.example.com (no-scheme)`},
		{"every top-level domain", origin("https://example.*"), `2:50: "https://example.*" matches anybody's site, such as https://example.evil.example: name your sites, such as https://*.example.com (wide-origin)`},
		{"null", origin("null"), `2:50: "null" lets every site in: any page can send the null origin, from a sandboxed frame: serve the page from an origin of its own, local files from http://localhost, and list that origin (null-origin)`},
		{"* and a site", rule("<AllowedMethod>GET</AllowedMethod><AllowedOrigin>*</AllowedOrigin><AllowedOrigin>https://app.example.com</AllowedOrigin>"), `2:82: AllowedOrigin "*" matches all that "https://app.example.com" does: remove "https://app.example.com", or "*" if that is too wide (covered-origin)`},
		{"a rule behind one for everybody", strings.Replace(origin("*"), "</CORSRule>", "</CORSRule><CORSRule><AllowedOrigin>https://app.example.com</AllowedOrigin><AllowedMethod>GET</AllowedMethod></CORSRule>", 1), `3:12: no request can reach rule 2: rule 1 matches all of its requests first: remove the rule, or put it above rule 1 (unreachable-rule)`},
		{"a list", origin("https://a.example.com,https://b.example.com"), `2:50: "https://a.example.com,https://b.example.com" is a list, which is compared as one origin: write https://a.example.com and https://b.example.com, each in an AllowedOrigin of its own (unmatchable-origin)`},
		{"a trailing slash", origin("https://app.example.com/"), `2:50: "https://app.example.com/" ends with a slash, which browsers do not send: write https://app.example.com (path-in-origin)`},
		{"no scheme", origin("app.example.com"), `2:50: "app.example.com" matches no browser's origin: an origin begins with its scheme: write https://app.example.com (no-scheme)`},
		{"the default port", origin("https://app.example.com:443"), `2:50: "https://app.example.com:443" matches no browser's origin: the port 443 is left out of an origin: write https://app.example.com (default-port)`},
		{"a regular expression", origin(`https://.*\.example\.com`), `2:50: "https://.*\\.example\\.com" is a regular expression: rules compare text, with one * for any run of characters: write https://*.example.com (unmatchable-origin)`},
		{"a placeholder", origin("https://{env.DOMAIN}"), `2:50: "https://{env.DOMAIN}" matches no browser's origin: placeholders are not expanded in a rules document: write the origin itself, such as https://app.example.com (placeholder)`},
		{"a WebSocket", origin("wss://app.example.com"), `2:50: "wss://app.example.com" matches no browser's origin: no page has an origin with the scheme wss: write https://app.example.com (unmatchable-origin)`},
		{"previews of a hosting service", origin("https://myapp-*.vercel.app"), `2:50: "https://myapp-*.vercel.app" matches anybody's site: anybody can have a name under vercel.app: list each of your sites, or serve them under a domain of your own, such as https://*.example.com (wide-origin)`},
		{"a * glued to the domain", origin("https://*example.com"), `2:50: "https://*example.com" matches other sites whose names end like it, such as https://evilexample.com: write https://*.example.com and https://example.com, each in an AllowedOrigin of its own (glued-wildcard)`},
		{"every https origin", origin("https://*"), `2:50: "https://*" matches anybody's site, such as https://evil.example, and OSS may refuse it: name your sites, such as https://*.example.com (wide-origin)`},
		{"a lone * without ResponseVary", "<CORSConfiguration><CORSRule><AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod></CORSRule></CORSConfiguration>",
			"1:45: a response to a request without Origin has no Access-Control-Allow-Origin, and without ResponseVary a cache may give it to a page that needs one: add <ResponseVary>true</ResponseVary> to CORSConfiguration, or response_vary to the oss_cors directive (echo-without-vary)"},
		{"all is well", origin("https://app.example.com"), ""},
	} {
		findings, err := Lint([]byte(c.doc), Options{})
		said := ""
		var faults Faults
		switch {
		case errors.As(err, &faults):
			said = faults[0].Error()
			if strings.HasSuffix(c.said, "in its place") && len(faults) != 1 {
				t.Errorf("%s: want one fault, got:\n%v", c.desc, faults)
			}
			if isOther := strings.Contains(said, " the document ") || strings.Contains(said, "JSON") || strings.Contains(said, "file name"); isOther && len(faults) != 1 {
				t.Errorf("%s: want one fault, got:\n%v", c.desc, faults)
			}
		case len(findings) > 0:
			said = findings[0].String()
		}
		if said = strings.TrimPrefix(said, "cors.xml:"); !strings.HasPrefix(said, c.said) || c.said == "" && said != "" {
			t.Errorf("%s:\n got %s\nwant %s", c.desc, said, c.said)
		}
	}
}
