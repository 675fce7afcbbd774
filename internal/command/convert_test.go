package command

import (
	"math/rand/v2"
	"reflect"
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
				ID:             someOf(random, 1, "", "app", `a "b" <c> & \d`, "ü")[0],
				AllowedOrigins: someOf(random, 1, "*", "https://a.example", "https://*.b.example", "null", "http://localhost:*", "https://a.example?x=<&>"),
				AllowedMethods: someOf(random, 1, "GET", "PUT", "POST", "DELETE", "HEAD"),
				AllowedHeaders: someOf(random, 0, "*", "content-type", "x-*", "x&y"),
				ExposeHeaders:  someOf(random, 0, "ETag", "x-a"),
			}
			if random.IntN(2) == 0 {
				r.MaxAgeSeconds = new(random.IntN(1000))
			}
			cfg.Rules = append(cfg.Rules, r)
		}
		for form, write := range forms {
			cfg.ResponseVary = !strings.HasPrefix(form, "s3-") && random.IntN(2) == 0
			doc, err := write(cfg)
			if err != nil {
				t.Fatalf("%s: %v", form, err)
			}
			if form == "caddyfile" {
				continue // see TestConvertedCaddyfile
			}
			again, err := readForm(doc, "result")
			if err != nil {
				t.Fatalf("%s: %v\n%s", form, err, doc)
			}
			if !reflect.DeepEqual(again.Rules, cfg.Rules) || again.ResponseVary != cfg.ResponseVary {
				t.Fatalf("%s:\ngot  %+v\nwant %+v\n%s", form, again, cfg, doc)
			}
		}
	}
}

func TestCaddyfileToken(t *testing.T) {
	for value, want := range map[string]string{
		"https://*.a.example": "https://*.a.example",
		"a name":              "`a name`",
		`a "b"`:               "`a \"b\"`",
		"{env.X}":             "",
		"` `":                 "",
	} {
		got, err := caddyfileToken(value)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: got %q, %v; want %q", value, got, err, want)
		}
	}
}
