package corsrules

import (
	"strings"
	"testing"
)

// tokenBytes are what a header's name may consist of (RFC 9110, section 5.6.2).
const tokenBytes = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

func TestIsToken(t *testing.T) {
	if !IsToken(tokenBytes) {
		t.Errorf("%q: got false, want true", tokenBytes)
	}
	if IsToken("") {
		t.Error("an empty string is no token")
	}
	for c := range 256 {
		s := string([]byte{'a', byte(c)})
		if got, want := IsToken(s), strings.IndexByte(tokenBytes, byte(c)) >= 0; got != want {
			t.Errorf("%q: got %v, want %v", s, got, want)
		}
	}
}
