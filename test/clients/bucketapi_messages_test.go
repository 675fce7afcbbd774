package clients

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/harness"
)

const notWellFormed = "The XML you provided was not well-formed or did not validate against our published schema."

// badDocuments are documents that clients send, each with the error of the API, and the words
// in the proxy's log. Without those, the message has them.
var badDocuments = []struct {
	desc              string
	rules             func(good ruleFields) []ruleFields
	code, ec, message string
	logged            string
	assertion         string // with which ali-oss refuses to send it; empty: it sends it
}{
	{
		"two `*` in an origin", func(r ruleFields) []ruleFields { r.Origins = []string{"https://*.*"}; return []ruleFields{r} },
		"InvalidArgument", "0034-00000009", `AllowedOrigin "https://*.*" has more than one *: keep one, which stands for any run of characters, dots included`, "", "",
	},
	{
		"`PATCH` as a method", func(r ruleFields) []ruleFields { r.Methods = []string{"PATCH"}; return []ruleFields{r} },
		"InvalidArgument", "0034-00000011", `AllowedMethod "PATCH" cannot be allowed here: OSS's rules know GET, PUT, DELETE, POST and HEAD only; take it out, or write the rules as rule blocks in the Caddyfile (rule { … }), which can have it`, "", "",
	},
	{
		"a list of headers", func(r ruleFields) []ruleFields {
			r.Headers = []string{"content-type, x-oss-date"}
			return []ruleFields{r}
		},
		"InvalidArgument", "0034-00000012", `AllowedHeader "content-type, x-oss-date" is a list: write each name in an AllowedHeader of its own`, "", "",
	},
	{
		"`*` as an exposed header", func(r ruleFields) []ruleFields { r.Expose = []string{"*"}; return []ruleFields{r} },
		"InvalidArgument", "0034-00000013", `ExposeHeader "*" has a *: name each header that scripts may read, in an ExposeHeader of its own`, "", "",
	},
	{
		"seconds below 0", func(r ruleFields) []ruleFields { r.MaxAge = new(-1); return []ruleFields{r} },
		"InvalidArgument", "0034-00000014", `MaxAgeSeconds "-1" is not a whole number of seconds from 0 to 999999999: write digits alone, such as 600`, "", "",
	},
	{
		"11 rules", func(r ruleFields) []ruleFields { return slices.Repeat([]ruleFields{r}, 11) },
		"CORSRuleBeyondLimit", "0034-00000006", "The CORS Rules num is beyond limit.", "rule 11 is one too many: at most 10 are allowed", "",
	},
	{
		"no rule", func(ruleFields) []ruleFields { return nil },
		"MalformedXML", "0034-00000002", notWellFormed, "CORSConfiguration has no CORSRule: at least one is needed", "rules is required",
	},
	{
		"a rule without a method", func(r ruleFields) []ruleFields { r.Methods = nil; return []ruleFields{r} },
		"MalformedXML", "", notWellFormed, "the rule has no AllowedMethod: at least one of GET, PUT, DELETE, POST and HEAD is needed", "allowedMethod is required",
	},
	{
		"more than 16 KB", func(r ruleFields) []ruleFields {
			r.Origins = []string{"https://" + strings.Repeat("a", 16<<10)}
			return []ruleFields{r}
		},
		"MalformedXML", "", notWellFormed, "more than 16384 bytes", "",
	},
}

var (
	requestID = regexp.MustCompile(`\b[0-9A-F]{24}\b`)
	timestamp = regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d`)
)

// stable returns what a client printed, with what differs each time replaced.
func stable(printed, port string) string {
	printed = strings.ReplaceAll(strings.TrimSpace(printed), ":"+port, "")
	printed = requestID.ReplaceAllString(printed, "6B06867F8F7BF1BAD7D73AE1")
	return regexp.MustCompile(` +\n`).ReplaceAllString(timestamp.ReplaceAllString(printed, "2026-11-26 09:00:00"), "\n")
}

// prints returns what each client prints of an error of the API.
func prints(client, code, ec, message string) string {
	v1 := fmt.Sprintf(`oss: service returned error: StatusCode=400, ErrorCode=%s, ErrorMessage="%s", RequestId=6B06867F8F7BF1BAD7D73AE1`, code, message)
	if ec != "" {
		v1 += ", Ec=" + ec
	}
	switch client {
	case "Go SDK v1":
		return v1
	case "ossutil":
		return "error:" + v1 + "\nError: " + v1
	case "Go SDK v2":
		return fmt.Sprintf(`operation error PutBucketCors: Error returned by Service.
Http Status Code: 400.
Error Code: %s.
Request Id: 6B06867F8F7BF1BAD7D73AE1.
Message: %s.
EC: %s.
Timestamp: 2026-11-26 09:00:00 +0000 UTC.
Request Endpoint: PUT http://127.0.0.1/alice-bucket/?cors.`, code, message, ec)
	}
	return code + "Error: " + message
}

// TestBucketAPIMessages lets every client send bad documents, and compares all that it prints.
// docs/oss-behaviour.md shows the same.
func TestBucketAPIMessages(t *testing.T) {
	p := harness.StartAPIProxy(t, harness.APIOptions{})
	config := apiClientConfig{style: "path", port: p.Path, v4: true, id: harness.APIKey, secret: harness.APISecret, bucket: harness.APIBucket}
	page := harness.ReadRepo(t, "docs/oss-behaviour.md")
	good := ruleFields{Origins: []string{"https://app.example.com"}, Methods: []string{"PUT"}, MaxAge: new(300)}
	for _, c := range badDocuments {
		for name, newClient := range apiClients {
			err := newClient(t, config).put(c.rules(good), false)
			if name == "ali-oss" && c.assertion != "" {
				if err == nil || !strings.HasSuffix(err.Error(), c.assertion) {
					t.Errorf("%s, %s: got %v; want %s", c.desc, name, err, c.assertion)
				}
				continue
			}
			var refused *apiError
			if !errors.As(err, &refused) {
				t.Errorf("%s, %s: %v", c.desc, name, err)
				continue
			}
			if got, want := stable(refused.printed, p.Path), prints(name, c.code, c.ec, c.message); got != want {
				t.Errorf("%s, %s:\n got %s\nwant %s", c.desc, name, got, want)
			}
			logged := regexp.MustCompile(`"msg":"bucket API request".*"request_id":"` + refused.requestID + `".*` + regexp.QuoteMeta(c.logged))
			harness.WaitUntil(t, "the log has the fault, "+c.desc, func() bool { return logged.MatchString(p.Log.String()) })
		}
		said := "the same"
		if c.logged != "" {
			said = "`" + c.logged + "`"
		}
		if row := fmt.Sprintf("| %s | `%s` | `%s` | %s |\n", c.desc, c.code, c.message, said); !strings.Contains(page, row) {
			t.Errorf("docs/oss-behaviour.md does not have the row\n%s", row)
		}
	}
	first := badDocuments[0]
	for name := range apiClients {
		if shown := "\n" + prints(name, first.code, first.ec, first.message) + "\n"; !strings.Contains(page, shown) {
			t.Errorf("docs/oss-behaviour.md does not show%s", shown)
		}
	}
}
