package corsrules

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// publicSuffixRules returns all rules of the public suffix list that package publicsuffix
// was built from: its own tests have them.
func publicSuffixRules(t *testing.T) []string {
	t.Helper()
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "golang.org/x/net").Output()
	if err != nil {
		t.Fatalf("go list, which says where golang.org/x/net is: %v", err)
	}
	table, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), "publicsuffix", "table_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	_, list, _ := strings.Cut(string(table), "var rules = [...]string{\n")
	list, _, _ = strings.Cut(list, "\n}")
	var rules []string
	for line := range strings.Lines(list) {
		rules = append(rules, strings.Trim(line, "\t\n\","))
	}
	if len(rules) < 5000 {
		t.Fatalf("only %d rules: the list has about 10000", len(rules))
	}
	return rules
}

// Each rule of both parts of the list, with the * of a pattern in each place above it.
func TestAnybodyUnderPublicSuffixes(t *testing.T) {
	rules := publicSuffixRules(t)
	for _, rule := range rules {
		exception, isException := strings.CutPrefix(rule, "!")
		if isException {
			if anybodyUnder(exception) {
				t.Errorf("%s: one owner has all names under %s", rule, exception)
			}
			continue
		}
		domain := strings.TrimPrefix(rule, "*.")
		if domain == "home.arpa" { // RFC 8375: each home network's own
			continue
		}
		for {
			if !anybodyUnder(domain) {
				t.Errorf("%s: anybody can have a name under %s", rule, domain)
			}
			if problem := checkCredentialedOrigin("https://*." + strings.ToUpper(domain) + ":8443"); !strings.Contains(problem, "anybody") {
				t.Errorf("%s: allow_credentials takes https://*.%s: %q", rule, domain, problem)
			}
			_, parent, ok := strings.Cut(domain, ".")
			if !ok {
				break
			}
			domain = parent
		}
		team := "team." + strings.Replace(rule, "*", "any", 1)
		if anybodyUnder(team) && !strings.Contains(suffixParents, "\n"+team+"\n") {
			t.Errorf("%s: whoever has %s has all names under it", rule, team)
		}
	}
}

func TestAnybodyUnder(t *testing.T) {
	for _, c := range []struct {
		domain string
		want   bool
	}{
		{"com", true},
		{"com.", true},
		{"CO.UK", true},
		{"vercel.app", true},
		{"github.io", true},
		{"pages.dev", true},
		{"kawasaki.jp", true},   // *.kawasaki.jp
		{"a.kawasaki.jp", true}, // which this is by that rule
		{"ck", true},            // *.ck
		{"amazonaws.com", true}, // s3.amazonaws.com
		{"windows.net", true},   // blob.core.windows.net
		{"brand-new", true},     // on no list: a top-level domain that came later
		{"", true},
		{".com", true},
		{"a..com", true},
		{"2.3.4", true}, // of any 1.2.3.4

		{"example.com", false},
		{"example.com.", false},
		{"example.co.uk", false},
		{"myteam.vercel.app", false},
		{"city.kawasaki.jp", false}, // !city.kawasaki.jp
		{"example.a.kawasaki.jp", false},
		{"www.ck", false}, // !www.ck
		{"localhost", false},
		{"app.localhost", false},
		{"internal", false},
		{"home.arpa", false},
	} {
		if got := anybodyUnder(c.domain); got != c.want {
			t.Errorf("%q: got %t, want %t", c.domain, got, c.want)
		}
	}
}

// What lint says of an origin and what allow_credentials refuses go together.
func TestWideOriginsAndCredentials(t *testing.T) {
	for _, origin := range []string{
		"https://*.vercel.app", "https://*.co.uk", "https://*.kawasaki.jp", "https://*.city.kawasaki.jp", "https://*.com",
		"https://*.example.com", "https://*.myteam.vercel.app", "https://*example.com", "https://*", "null",
		"http://localhost:*", "https://*.2.3.4", "https://*.brand-new", "https://app.*", "https://app.example.com*",
	} {
		wide := false
		for _, f := range lintOf(t, &Configuration{Rules: []CORSRule{{AllowedOrigins: []string{origin}, AllowedMethods: []string{"GET"}}}}) {
			wide = wide || slices.Contains([]string{LintWideOrigin, LintGluedWildcard, LintNullOrigin}, f.Code)
		}
		if refused := checkCredentialedOrigin(origin) != ""; refused != wide {
			t.Errorf("%s: lint finds it wide %t, allow_credentials refuses it %t", origin, wide, refused)
		}
	}
}

var update = flag.Bool("update", false, "write the files anew that tests compare with")

// TestSuffixParents fails where golang.org/x/net has a newer list. "go test -run
// TestSuffixParents -update ./corsrules" writes the file.
func TestSuffixParents(t *testing.T) {
	var parents []string
	for _, rule := range publicSuffixRules(t) {
		if strings.HasPrefix(rule, "!") {
			continue
		}
		_, parent, ok := strings.Cut(strings.TrimPrefix(rule, "*."), ".")
		for ; ok; _, parent, ok = strings.Cut(parent, ".") {
			if !isPublicSuffix(parent) && !isPublicSuffix("any."+parent) {
				parents = append(parents, parent)
			}
		}
	}
	slices.Sort(parents)
	want := "\n" + strings.Join(slices.Compact(parents), "\n") + "\n"
	if *update {
		if err := os.WriteFile("suffix_parents.txt", []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if suffixParents != want {
		t.Error("suffix_parents.txt is not what golang.org/x/net's list says: run this test with -update")
	}
}
