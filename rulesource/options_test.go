package rulesource

import (
	"strings"
	"testing"

	"github.com/caddy-oss-cors/caddy-oss-cors/corsrules"
)

// No document that OSS takes has more rules than max_rules can allow.
func TestMostRules(t *testing.T) {
	const shortest = "<CORSRule><AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod></CORSRule>"
	doc := func(rules int) []byte {
		return []byte("<CORSConfiguration>" + strings.Repeat(shortest, rules) + "</CORSConfiguration>")
	}
	n := 1
	for len(doc(n+1)) <= corsrules.MaxDocumentBytes {
		n++
	}
	if _, err := corsrules.Parse(doc(n), corsrules.Options{MaxRules: MostRules}); err != nil || n > MostRules {
		t.Errorf("a document of %d rules, the most there can be: %v", n, err)
	}
}
