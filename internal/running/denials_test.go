package running

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestDenials(t *testing.T) {
	before := time.Now()
	const n = MaxDenials + 10
	for range n {
		AddDenial(Denial{Origin: "https://evil.example", Path: "/a?Signature=secret"})
	}
	denials := Denials()
	total := latest.total // other tests may have added some
	if len(denials) != MaxDenials {
		t.Fatalf("%d denials are kept", len(denials))
	}
	for i, d := range denials {
		if d.Number != total-uint64(i) || d.Time.Before(before) || d.Origin != "https://evil.example" || d.Path != "/a" {
			t.Fatalf("%d: %+v", i, d)
		}
	}
}

func TestDenialIsBounded(t *testing.T) {
	long := strings.Repeat("é", 10_000)
	AddDenial(Denial{Value: long, Origin: long, Method: long, Headers: long, Path: long + "?", Client: long, RequestID: long})
	d := Denials()[0]
	for _, text := range []string{d.Value, d.Origin, d.Method, d.Path, d.Client, d.RequestID} {
		if len(text) != maxText+len("…") || !strings.HasSuffix(text, "…") || !utf8.ValidString(text) {
			t.Errorf("%d bytes: %s", len(text), text)
		}
	}
	if len(d.Headers) != maxHeaders+len("…") {
		t.Errorf("%d bytes of headers", len(d.Headers))
	}
}
