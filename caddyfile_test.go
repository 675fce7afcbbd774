package osscors

import (
	"bytes"
	"encoding/json"
	goflag "flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
)

var update = goflag.Bool("update", false, "write the golden files anew")

// Each golden file is a Caddyfile and the JSON that it adapts to.
func TestCaddyfiles(t *testing.T) {
	const divider = "----------\n"
	files, err := filepath.Glob("testdata/*.caddyfiletest")
	if err != nil || len(files) < 8 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			text, want, _ := strings.Cut(string(content), divider)
			config, warnings, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(text), nil)
			if err != nil || len(warnings) > 0 {
				t.Fatalf("%v %v", err, warnings)
			}
			var got bytes.Buffer
			if err := json.Indent(&got, config, "", "\t"); err != nil {
				t.Fatal(err)
			}
			got.WriteByte('\n')
			if *update {
				if err := os.WriteFile(file, []byte(text+divider+got.String()), 0o600); err != nil {
					t.Fatal(err)
				}
			} else if got.String() != want {
				t.Errorf("got:\n%s\nwant:\n%s", &got, want)
			}
		})
	}
}

// A value that is the name of an option is a value.
func TestOptionNamesAsValues(t *testing.T) {
	for _, test := range []struct{ desc, site, want string }{
		{"a ruleset named rules", "oss_cors cors.xml {\nname rules\n}", `"name":"rules"`},
		{"a matcher, and a ruleset named rules", "oss_cors /a cors.xml {\nname rules\n}", `"name":"rules"`},
		{"a candidate file named rules", "oss_cors cors.xml {\nshadow rules\n}", `"shadow":"rules"`},
		{"a bucket named rules", "oss_cors cors.xml {\nbucket name rules\n}", `"bucket":{"name":"rules"}`},
		{"a file named rules", "oss_cors rules", `"path":"rules"`},
		{"a ruleset named name", "oss_cors cors.xml {\nname name\n}", `"name":"name"`},
	} {
		t.Run(test.desc, func(t *testing.T) {
			config, err := adapt(":80 {\n" + test.site + "\n}")
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(config, test.want) || !strings.Contains(config, `"source":"file"`) {
				t.Errorf("want %s in %s", test.want, config)
			}
		})
	}
}

// The directive comes before every other that answers, rewrites or changes headers,
// wherever it stands in the site.
func TestDirectiveOrder(t *testing.T) {
	config, err := adapt(":80 {\nrespond a\nredir /b /c\nrewrite /d /e\nbasic_auth {\nbob $2a$04$zKPjXFmG7zLQcnaMF9A0y.LuYkCDRZ5b7ICDhwR7xSiVPBtsRcCG2\n}\nrequest_body {\nmax_size 1\n}\nheader X-A b\nencode gzip\noss_cors cors.xml\nroot * /srv\n}")
	if err != nil {
		t.Fatal(err)
	}
	var order []string
	for _, part := range strings.Split(config, `"handler":"`)[1:] {
		name, _, _ := strings.Cut(part, `"`)
		order = append(order, name)
	}
	want := []string{"vars", "oss_cors", "headers", "request_body", "static_response", "rewrite", "authentication", "encode", "static_response"}
	if !slices.Equal(order, want) {
		t.Errorf("got %q, want %q", order, want)
	}
}

// A matcher that keeps preflights away is warned of.
func TestMatcherOfMethods(t *testing.T) {
	p := newProxy(t)
	write(t, "cors.xml", appRules)
	log := filepath.Join(t.TempDir(), "log.json")
	p.options = logTo(log)
	p.load(t, "oss_cors cors.xml")
	for _, test := range []struct {
		desc, site string
		warned     bool
	}{
		{"no matcher", "oss_cors cors.xml", false},
		{"a path", "oss_cors /a cors.xml", false},
		{"methods with OPTIONS", "@m method GET OPTIONS\noss_cors @m cors.xml", false},
		{"methods without OPTIONS", "@m method GET PUT\noss_cors @m cors.xml", true},
		{"methods and a path", "@m {\nmethod GET\npath /a\n}\noss_cors @m {\nrules file cors.xml\n}", true},
	} {
		before := len(readLog(t, log, "preflights do not reach oss_cors"))
		if _, err := adapt(":80 {\n" + test.site + "\n}"); err != nil {
			t.Errorf("%s: %v", test.desc, err)
		}
		lines := readLog(t, log, "preflights do not reach oss_cors")
		if got := len(lines) > before; got != test.warned {
			t.Errorf("%s: warned of: %t", test.desc, got)
		} else if got && !strings.Contains(lines[before], `"file":"Caddyfile"`) {
			t.Errorf("%s: the warning does not say where: %s", test.desc, lines[before])
		}
	}
}

// loadHandler loads a configuration whose one handler is given as JSON.
func loadHandler(t *testing.T, handler string) error {
	t.Helper()
	handler = strings.Replace(handler, "{", `{"handler": "oss_cors", `, 1)
	handler = strings.Replace(handler, ", }", "}", 1)
	return caddy.Load([]byte(`{
		"admin": {"disabled": true, "config": {"persist": false}},
		"storage": {"module": "file_system", "root": "`+t.TempDir()+`"},
		"apps": {
			"tls": {"disable_storage_clean": true},
			"http": {"servers": {"s": {
				"listen": ["`+freePorts(t, 1)[0]+`"],
				"automatic_https": {"disable": true},
				"routes": [{"handle": [`+handler+`]}]
			}}}
		}
	}`), true)
}
