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
		{"other JSON", `{"cors": true}`, `1:1: the document has no rule: "CORSRules" with at least one is needed`},
		{"Google's XML", "<CorsConfig><Cors><Origins><Origin>*</Origin></Origins></Cors></CorsConfig>",
			"1:1: the root element is <CorsConfig>, as Google Cloud Storage has it: write <CORSConfiguration>, with an AllowedOrigin for each Origin"},
		{"Azure's XML", "<Cors><CorsRule><AllowedOrigins>*</AllowedOrigins></CorsRule></Cors>",
			"1:1: the root element is <Cors>, as Azure Storage has it: write <CORSConfiguration>, with an element of its own for each item of Azure's lists"},
		{"a saved error answer", "<Error><Code>NoSuchCORSConfiguration</Code></Error>", "1:1: the root element is <Error>, so this is a store's error answer, saved in place of its rules: fetch the rules again"},
		{"a rule without the root", "<CORSRule><AllowedOrigin>*</AllowedOrigin></CORSRule>", "1:1: the root element is <CORSRule>, which belongs inside <CORSConfiguration>"},
		{"YAML", "cors:\n  - https://app.example.com", `1:1: text "cors:\n  - https://app.example.com" outside CORSConfiguration: remove it`},
		{"a placeholder for the document", "{env.CORS_RULES}", `1:1: text "{env.CORS_RULES}" outside CORSConfiguration: placeholders are not expanded in a rules document`},

		// Encodings.
		{"UTF-16, as PowerShell writes it", "\xff\xfe<\x00C\x00", "1:1: the document is in UTF-16, as Windows PowerShell's > writes it: save it as UTF-8"},
		{"Latin-1", `<?xml version="1.0" encoding="ISO-8859-1"?>` + origin("*"), `1:1: the XML declaration is not <?xml version="1.0" encoding="UTF-8"?>: write that, and save the document as UTF-8; or leave the declaration out`},
		{"utf8 without the hyphen", `<?xml version="1.0" encoding="utf8"?>` + origin("*"), `1:1: the XML declaration is not <?xml version="1.0" encoding="UTF-8"?>`},
		{"XML 1.1", `<?xml version="1.1"?>` + origin("*"), `1:1: the XML declaration is not <?xml version="1.0" encoding="UTF-8"?>`},
		{"Latin-1 undeclared", origin("caf\xe9"), "2:54: not well-formed XML: invalid UTF-8: save the document as UTF-8"},
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
		{"credentials", more("<AllowCredentials>true</AllowCredentials>"), "3:1: unknown element <AllowCredentials> in CORSRule: it may have ID, AllowedOrigin, AllowedMethod, AllowedHeader, ExposeHeader and MaxAgeSeconds"},
		{"ResponseVary in the rule", more("<ResponseVary>true</ResponseVary>"), "3:1: element <ResponseVary> in CORSRule: it belongs in CORSConfiguration, after </CORSRule>"},
		{"an origin outside a rule", "<CORSConfiguration><AllowedOrigin>*</AllowedOrigin></CORSConfiguration>", "1:1: CORSConfiguration has no CORSRule: at least one is needed"},
		{"a rule in another namespace", `<CORSConfiguration xmlns="urn:a"><x:CORSRule xmlns:x="urn:b"/></CORSConfiguration>`, "1:1: CORSConfiguration has no CORSRule"},
		{"a prefixed element", more(`<s3:AllowedHeader>*</s3:AllowedHeader>`), "3:1: element <AllowedHeader> in CORSRule has a prefix or an xmlns of its own: write <AllowedHeader>, without either"},
		{"a rule without a method", rule("<AllowedOrigin>*</AllowedOrigin>"), "1:20: the rule has no AllowedMethod: at least one of GET, PUT, DELETE, POST and HEAD is needed"},

		// Methods.
		{"OPTIONS", method("OPTIONS"), `2:70: AllowedMethod "OPTIONS" is not needed: preflights are answered without it; take it out`},
		{"every method", method("*"), `2:70: AllowedMethod "*" is not a method: list GET, PUT, DELETE, POST and HEAD, each in an AllowedMethod of its own`},
		{"PATCH", method("PATCH"), `2:70: AllowedMethod "PATCH" cannot be allowed here: OSS's rules know GET, PUT, DELETE, POST and HEAD only; take it out, or write the rules as rule blocks in the Caddyfile (rule { … }), which can have it`},
		{"get", method("get"), `2:70: AllowedMethod "get" is not one of GET, PUT, DELETE, POST and HEAD: write GET, in upper case`},
		{"a list of methods", method("GET, PUT"), `2:70: AllowedMethod "GET, PUT" is a list: write each method in an AllowedMethod of its own`},

		// Headers and seconds.
		{"a list of headers", more("<AllowedHeader>Content-Type, Authorization</AllowedHeader>"), `3:16: AllowedHeader "Content-Type, Authorization" is a list: write each name in an AllowedHeader of its own`},
		{"a header with its value", more("<AllowedHeader>Content-Type: text/plain</AllowedHeader>"), `3:16: AllowedHeader "Content-Type: text/plain" is not a header name: write what stands before the colon`},
		{"every header exposed", more("<ExposeHeader>*</ExposeHeader>"), `3:15: ExposeHeader "*" has a *: name each header that scripts may read, in an ExposeHeader of its own`},
		{"an hour", more("<MaxAgeSeconds>1h</MaxAgeSeconds>"), `3:16: MaxAgeSeconds "1h" is not a whole number of seconds from 0 to 999999999: write digits alone, such as 600`},
		{"a placeholder for seconds", more("<MaxAgeSeconds>{env.AGE}</MaxAgeSeconds>"), `3:16: MaxAgeSeconds "{env.AGE}" has a placeholder: placeholders are not expanded in a rules document; write the value itself`},

		// Origins: faults first, then findings.
		{"two origins in one element", origin("https://a.example.com https://b.example.com"), "2:50: AllowedOrigin \"https://a.example.com https://b.example.com\" has a white space or control character (U+0020), which no origin has: write each origin in an AllowedOrigin of its own"},
		{"two wildcards", origin("https://*.example.com:*"), `2:50: AllowedOrigin "https://*.example.com:*" has more than one *: keep one, which stands for any run of characters, dots included`},
		{"a list", origin("https://a.example.com,https://b.example.com"), `2:50: "https://a.example.com,https://b.example.com" is a list, which is compared as one origin: write https://a.example.com and https://b.example.com, each in an AllowedOrigin of its own (unmatchable-origin)`},
		{"a trailing slash", origin("https://app.example.com/"), `2:50: "https://app.example.com/" ends with a slash, which browsers do not send: write https://app.example.com (path-in-origin)`},
		{"no scheme", origin("app.example.com"), `2:50: "app.example.com" matches no browser: an origin begins with its scheme: write https://app.example.com (no-scheme)`},
		{"the default port", origin("https://app.example.com:443"), `2:50: "https://app.example.com:443" matches no browser: the port 443 is left out of an origin: write https://app.example.com (default-port)`},
		{"a regular expression", origin(`https://.*\.example\.com`), `2:50: "https://.*\\.example\\.com" is a regular expression: rules compare text, with one * for any run of characters: write https://*.example.com (unmatchable-origin)`},
		{"a placeholder", origin("https://{env.DOMAIN}"), `2:50: "https://{env.DOMAIN}" matches no browser: placeholders are not expanded in a rules document: write the origin itself, such as https://app.example.com (placeholder)`},
		{"a WebSocket", origin("wss://app.example.com"), `2:50: "wss://app.example.com" matches no browser: no page has an origin with the scheme wss: write https://app.example.com (unmatchable-origin)`},
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
		case len(findings) > 0:
			said = findings[0].String()
		}
		if said = strings.TrimPrefix(said, "cors.xml:"); !strings.HasPrefix(said, c.said) || c.said == "" && said != "" {
			t.Errorf("%s:\n got %s\nwant %s", c.desc, said, c.said)
		}
	}
}
