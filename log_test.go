package osscors

import (
	"encoding/json"
	"path/filepath"
	"testing"
)

// A denial's line tells what the client sent, whatever the handlers behind made of it.
func TestDenialIsLoggedAsSent(t *testing.T) {
	p := newProxy(t)
	log := filepath.Join(t.TempDir(), "log.json")
	p.options = logTo(log)
	write(t, "cors.xml", appRules)
	for _, test := range []struct {
		desc, site, origin string
	}{
		{"nothing is changed", "respond served", "https://one.example"},
		{"the URI is rewritten", "uri strip_prefix /prefix\nrespond served", "https://two.example"},
		{"the method is rewritten", "method GET\nrespond served", "https://three.example"},
		{"the origin is taken away", "request_header -Origin\nrespond served", "https://four.example"},
		{"the origin is replaced", "request_header Origin https://app.example.com\nrespond served", "https://five.example"},
		{"the host is replaced", "request_header Host internal.example\nrespond served", "https://seven.example"},
		{"an error restores the request", "uri strip_prefix /prefix\nrequest_header -Origin\nerror oops 500", "https://six.example"},
	} {
		t.Run(test.desc, func(t *testing.T) {
			name := newName()
			p.load(t, "oss_cors cors.xml {\nname "+name+"\n}\n"+test.site)
			p.ask(t, "DELETE /prefix/key?query HTTP/1.1", "Origin: "+test.origin).Body.Close()
			lines := readLog(t, log, "CORS request denied")
			if len(lines) == 0 {
				t.Fatal("no denial is logged")
			}
			var got struct {
				Kind, Origin, Method, Host, Path, Reason, Value, Outcome, Ruleset string
				ClientIP                                                          string `json:"client_ip"`
			}
			if err := json.Unmarshal([]byte(lines[len(lines)-1]), &got); err != nil {
				t.Fatal(err)
			}
			want := got
			want.Kind, want.Origin, want.Method, want.Host, want.Path, want.Reason, want.Value = "actual", test.origin, "DELETE", "bucket.example.com", "/prefix/key", "origin", test.origin
			want.Outcome, want.Ruleset, want.ClientIP = "denied", name, "127.0.0.1"
			if got != want {
				t.Errorf("\n got %+v\nwant %+v", got, want)
			}
		})
	}
}

func TestShouldLog(t *testing.T) {
	logged := map[uint64]bool{1: true, 10: true, 100: true, 1000: true}
	for n := range uint64(1001) {
		if got := shouldLog(n); got != logged[n] {
			t.Errorf("%d: %t", n, got)
		}
	}
}
