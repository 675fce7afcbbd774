package osscors

import (
	"testing"

	"github.com/caddy-oss-cors/caddy-oss-cors/internal/running"
)

// Each denial is kept for the admin API, and nothing else is.
func TestDenialsAreKept(t *testing.T) {
	p := newProxy(t)
	write(t, "cors.xml", appRules)
	name := newName()
	p.load(t, `oss_cors cors.xml {
			name `+name+`
		}
		header /5 X-Request-Id id-5
		respond answered`,
		`oss_cors {
			rules directory .
			bucket path
		}`)
	last := uint64(0)
	if denials := running.Denials(); len(denials) > 0 {
		last = denials[0].Number
	}
	preflight := p.preflight(t, fromApp, acrm+"PUT", acrh+"X-Foo, content-type")
	p.ask(t, "DELETE /5?Signature=secret HTTP/1.1", fromApp)
	p.ask(t, "GET /6 HTTP/1.1", fromApp)
	p.preflight(t, fromApp, acrm+"PUT")
	p.ask(t, "GET /7 HTTP/1.1")
	askAt(t, p.addrs[1], "OPTIONS /bucket-x/key HTTP/1.1", fromApp, acrm+"PUT")

	const origin, client = "https://app.example.com", "127.0.0.1"
	want := []running.Denial{
		{Number: last + 3, Ruleset: "bucket-x", Kind: "preflight", Reason: "no_rules", Origin: origin, Method: "PUT", Path: "/bucket-x/key", Client: client},
		{Number: last + 2, Ruleset: name, Kind: "actual", Reason: "method", Value: "DELETE", Nearest: "app", Origin: origin, Method: "DELETE", Path: "/5", Client: client, RequestID: "id-5"},
		{Number: last + 1, Ruleset: name, Kind: "preflight", Reason: "header", Value: "x-foo", Nearest: "app", Origin: origin, Method: "PUT", Headers: "x-foo, content-type", Path: "/key", Client: client, RequestID: preflight.Header.Get("X-Oss-Request-Id")},
	}
	for i, got := range running.Denials()[:len(want)] {
		if want[i].Ruleset == "bucket-x" {
			want[i].RequestID = got.RequestID
		}
		want[i].Time = got.Time
		if got != want[i] {
			t.Errorf("got  %+v\nwant %+v", got, want[i])
		}
	}
}
