package command

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-oss-cors/caddy-oss-cors/corsrules"
)

// someOf returns at least so many of values, in random order.
func someOf(random *rand.Rand, least int, values ...string) []string {
	n := least + random.IntN(len(values)-least+1)
	if n == 0 {
		return nil
	}
	var some []string
	for _, i := range random.Perm(len(values))[:n] {
		some = append(some, values[i])
	}
	return some
}

// Rules that are written in a form and read again are the same.
func TestConvertThereAndBack(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		cfg := &corsrules.Configuration{}
		for range 1 + random.IntN(5) {
			r := corsrules.CORSRule{
				ID:             someOf(random, 1, "", "app", `a "b" <c> & \d`, "ü", "a `b`\u00a0\"c\"", "two\nlines", "#1", "<<A", "rule")[0],
				AllowedOrigins: someOf(random, 1, "*", "https://a.example", "https://*.b.example", "null", "http://localhost:*", "https://a.example?x=<&>"),
				AllowedMethods: someOf(random, 1, "GET", "PUT", "POST", "DELETE", "HEAD"),
				AllowedHeaders: someOf(random, 0, "*", "content-type", "x-*", "x&y"),
				ExposeHeaders:  someOf(random, 0, "ETag", "x-a"),
			}
			if random.IntN(2) == 0 {
				r.MaxAgeSeconds = new(random.IntN(3) * random.IntN(4000))
			}
			cfg.Rules = append(cfg.Rules, r)
		}
		for form, write := range forms {
			cfg.ResponseVary = !strings.HasPrefix(form, "s3-") && random.IntN(2) == 0
			doc, err := write(cfg)
			if err != nil {
				t.Fatalf("%s: %v", form, err)
			}
			f, err := parseAnyForm(doc, "result", "")
			if err != nil {
				t.Fatalf("%s: %v\n%s", form, err, doc)
			}
			if again := f.cfg; !reflect.DeepEqual(again.Rules, cfg.Rules) || again.ResponseVary != cfg.ResponseVary {
				t.Fatalf("%s:\ngot  %+v\nwant %+v\n%s", form, again, cfg, doc)
			}
		}
	}
}

// Rules decide alike in all forms: those that convert writes, the array alone that S3's console
// shows, and all of these converted into each other.
func TestFormsDecideAlike(t *testing.T) {
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	for range 200 {
		cfg := randomConfiguration(random)
		want := corsrules.Compile(cfg)
		var requests []corsrules.Request
		for range 50 {
			requests = append(requests, randomRequest(random))
		}
		check := func(how string, doc []byte) *corsrules.Configuration {
			f, err := parseAnyForm(doc, "result", "")
			if err != nil {
				t.Fatalf("seed %d: %s: %v\n%s", seed, how, err, doc)
			}
			rules := corsrules.Compile(f.cfg)
			for _, r := range requests {
				if got, want := inWords(rules.Decide(r)), inWords(want.Decide(r)); got != want {
					t.Fatalf("seed %d: %s: %+v:\n got %s\nwant %s\n%s", seed, how, r, got, want, doc)
				}
			}
			return f.cfg
		}
		for form, write := range forms {
			doc, err := write(cfg)
			if err != nil {
				t.Fatal(seed, form, err)
			}
			read := check(form, doc)
			if form == "s3-json" {
				var object struct{ CORSRules json.RawMessage }
				if err := json.Unmarshal(doc, &object); err != nil {
					t.Fatal(err)
				}
				check("array", object.CORSRules)
			}
			for other, write := range forms {
				doc, err := write(read)
				if err != nil {
					t.Fatal(seed, form, other, err)
				}
				check(form+" to "+other, doc)
			}
		}
	}
}

// inWords says all of a decision.
func inWords(d corsrules.Decision) string {
	rule := "no rule"
	if d.Rule != nil {
		rule = d.Rule.Name()
	}
	var headers []string
	for name, value := range d.Headers(corsrules.Policy{}) {
		headers = append(headers, name+": "+value)
	}
	return fmt.Sprint(d.Outcome, " ", rule, " ", d.Reason, " ", d.Value, " ", headers)
}

// randomConfiguration has rules whose values overlap, in upper and lower case.
func randomConfiguration(random *rand.Rand) *corsrules.Configuration {
	cfg := &corsrules.Configuration{}
	for i := range 1 + random.IntN(5) {
		r := corsrules.CORSRule{
			AllowedOrigins: someOf(random, 1, "*", "https://a.example", "https://A.example", "https://*.a.example", "https://*a.example", "http://localhost:*", "null", "https://*"),
			AllowedMethods: someOf(random, 1, corsrules.Methods...),
			AllowedHeaders: someOf(random, 0, "*", "content-type", "Content-Type", "x-*", "X-A-*", "*-a"),
			ExposeHeaders:  someOf(random, 0, "ETag", "etag", "X-A"),
		}
		if random.IntN(2) == 0 {
			r.ID = fmt.Sprintf(`rule "%d" of <many> & \more`, i)
		}
		if random.IntN(2) == 0 {
			r.MaxAgeSeconds = new(random.IntN(3) * 600)
		}
		cfg.Rules = append(cfg.Rules, r)
	}
	return cfg
}

// randomRequest is a preflight, or an actual request.
func randomRequest(random *rand.Rand) corsrules.Request {
	header := http.Header{"Origin": someOf(random, 1, "https://a.example", "https://b.a.example", "https://ba.example", "http://localhost:3000", "null", "https://", "HTTPS://A.EXAMPLE", "https://a.example/")[:1]}
	method := someOf(random, 1, append(slices.Clone(corsrules.Methods), "PATCH", "get")...)[0]
	if random.IntN(3) > 0 {
		header.Set("Access-Control-Request-Method", method)
		header.Set("Access-Control-Request-Headers", strings.Join(someOf(random, 0, "content-type", "x-a", "x-a-b", "b-a", "X-A", "other"), ","))
		method = http.MethodOptions
	}
	return corsrules.ReadRequest(&http.Request{Method: method, Header: header})
}

// A document that is nearly in another product's form is not said to be in that form, which convert
// reads.
func TestConvertOfNearlyAnotherForm(t *testing.T) {
	const google, cloudflare = "is nearly JSON of Google Cloud Storage, but ", "is nearly JSON of Cloudflare R2, but "
	for _, c := range []struct{ desc, doc, want string }{
		{"a misspelt field", `[{"origin": ["*"], "method": ["GET"], "responseHeaders": ["ETag"]}]`, google + `has an unknown field "responseHeaders"; write [{"origin": […], `},
		{"seconds in quotes", `[{"origin": ["*"], "method": ["GET"], "maxAgeSeconds": "60"}]`, google + "maxAgeSeconds is of another type, string; write [{"},
		{"one rule", `{"origin": ["*"], "method": ["GET"]}`, google + "the document is of another type, object; write [{"},
		{"what the API has", `{"cors": [{"origin": ["*"], "method": ["GET"]}]}`, google + "the document is of another type, object; write [{"},
		{"a misspelt field of R2", `{"rules": [{"allowed": {"origins": ["*"], "methods": ["GET"], "header": ["*"]}}]}`, cloudflare + `has an unknown field "header"; write {"rules": [{`},
		{"an answer of R2's API", `{"success": true, "result": {"rules": [{"allowed": {"origins": ["*"], "methods": ["GET"]}}]}}`, cloudflare + `has an unknown field "success"; write {"rules": [{`},
		{"a comma too many", `[{"origin": ["*"], "method": ["GET"],}]`, "result:1:38: a comma before }: remove it"},
		{"a rule of S3 with a header of that name", `[{"AllowedOrigins": ["*"], "AllowedMethods": ["get"], "AllowedHeaders": ["origin", "method"]}]`, `AllowedMethods "get" is not one of`},
	} {
		_, err := parseAnyForm([]byte(c.doc), "result", "")
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s:\n got %v\nwant %s", c.desc, err, c.want)
		}
	}
}

// Windows PowerShell writes a byte order mark.
func TestConvertOfAnotherFormWithAByteOrderMark(t *testing.T) {
	f, err := parseAnyForm([]byte("\uFEFF"+`[{"origin": ["https://a.example"], "method": ["GET"]}]`), "result", "")
	if err != nil || !slices.Equal(f.cfg.Rules[0].AllowedOrigins, []string{"https://a.example"}) {
		t.Error(err)
	}
}

// What a rule of another product lacks is not written as null.
func TestConvertOfARuleWithoutMethods(t *testing.T) {
	f, err := parseAnyForm([]byte(`[{"origin": ["https://a.example"]}]`), "cors.json", "")
	if err != nil {
		t.Fatal(err)
	}
	for form, write := range forms {
		if _, err := write(f.cfg); err == nil || !strings.Contains(err.Error(), "the rule has no") {
			t.Errorf("%s: %v", form, err)
		}
	}
}
