package corsrules

import "testing"

// What is refused with credentials, and what to write.
func TestCredentialedOriginSaysWhatToWrite(t *testing.T) {
	for origin, want := range map[string]string{
		"*://example.com":     "a * cannot stand for the scheme; write https://example.com",
		"http*://example.com": "a * cannot stand for the scheme; write https://example.com",
		"*://":                "a * cannot stand for the scheme; write an origin such as https://app.example.com",
		"*.example.com":       "it has no scheme; write https://*.example.com",
		"app.example.com":     "it has no scheme; write https://app.example.com",
		"*.vercel.app":        "it has no scheme; write an origin such as https://app.example.com",
		"http*":               "it has no scheme; write an origin such as https://app.example.com",
	} {
		if got := checkCredentialedOrigin(origin); got != `"`+origin+`" is not allowed with allow_credentials: `+want {
			t.Errorf("%s: %s", origin, got)
		}
	}
}

func TestAdviceWhereRulesCannotBeRead(t *testing.T) {
	d := Unavailable.Decide(actual(lines("https://app.example.com"), "GET"))
	if got := d.Advice(); got != "fix the error in Caddy's log: the rules cannot be read" {
		t.Error(got)
	}
}
