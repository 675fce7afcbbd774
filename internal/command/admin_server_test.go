package command

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/caddy-oss-cors/caddy-oss-cors/corsrules"
	"github.com/caddy-oss-cors/caddy-oss-cors/internal/explain"
)

const runningRulesets = `[
  {"name": "cors.xml", "source": "file", "document": "cors.xml", "number_of_rules": 2, "loaded": "2026-01-02T03:04:05Z",
   "rules": [{"name": "app", "hits": {"preflight": 3, "actual": 4}}, {"name": "2", "hits": {"preflight": 0, "actual": 0}}],
   "denied": {"preflight": {"origin": 5, "method": 0}, "actual": {"method": 1}}},
  {"name": "bucket-b", "source": "directory", "document": "b.xml", "number_of_rules": 0, "rules": [], "last_error": "b.xml:1:1: bad\u001b[31m"},
  {"name": "_other", "source": "storage", "number_of_rules": 0, "rules": [], "last_error": "storage: no answer", "unavailable": true},
  {"name": "photos", "source": "url", "document": "https://cdn.example.com/cors.xml", "number_of_rules": 0, "rules": [], "last_error": "no answer", "unavailable": true},
  {"name": "none", "source": "oss", "document": "oss://none", "number_of_rules": 0, "rules": [], "last_error": "no answer"},
  {"name": "kept", "source": "file", "document": "kept.xml", "number_of_rules": 1, "loaded": "2026-01-02T03:04:05Z", "rules": [{"name": "1"}], "last_error": "kept.xml:1:1: bad"}
]`

const runningDenial = `{"number": %d, "time": "2026-01-02T03:04:0%[1]dZ", "ruleset": "cors.xml", "kind": "preflight", "reason": "header", "value": "x-foo",
  "nearest": "app", "origin": "https://app.example.com", "method": "PUT", "headers": "x-foo", "path": "/a\u001b", "client": "192.0.2.1", "request_id": "5DEC"}`

// newAdminServer answers as the admin API of a running Caddy does. Each time that it is asked
// for denials there is one more.
func newAdminServer(t *testing.T) (address string) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /oss_cors/rulesets", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, runningRulesets) })
	var polls sync.Map
	mux.HandleFunc("GET /oss_cors/denials", func(w http.ResponseWriter, r *http.Request) {
		client, _ := polls.LoadOrStore(r.RemoteAddr, new(atomic.Int64)) // each command has a connection of its own
		var denials []string
		for number := client.(*atomic.Int64).Add(1); number > 0; number-- {
			denials = append(denials, fmt.Sprintf(runningDenial, number))
		}
		_, _ = io.WriteString(w, `{"origins": [], "latest": [`+strings.Join(denials, ",")+`]}`)
	})
	mux.HandleFunc("POST /oss_cors/explain", func(w http.ResponseWriter, r *http.Request) {
		var q explain.Request
		if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
			t.Error(err)
		}
		if q.Ruleset != "cors.xml" {
			w.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(w, `{"error": "no rule set is named \"other.xml\": there are cors.xml"}`)
			return
		}
		rules := corsrules.Compile(&corsrules.Configuration{Rules: []corsrules.CORSRule{
			{ID: "app", AllowedOrigins: []string{"https://app.example.com"}, AllowedMethods: []string{"PUT"}},
		}})
		_ = explain.WriteJSON(w, explain.New(rules, corsrules.Policy{}, q))
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

// watch shows each denial once, also if Caddy restarts and counts from the beginning.
func TestNewDenials(t *testing.T) {
	numbered := func(numbers ...uint64) (denials []deniedRequest) {
		for _, n := range numbers {
			denials = append(denials, deniedRequest{Number: n})
		}
		return denials
	}
	for _, c := range []struct {
		desc   string
		latest []deniedRequest
		last   uint64
		first  bool
		want   []deniedRequest
	}{
		{"none", nil, 0, true, nil},
		{"at the start, the last ten", numbered(12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1), 0, true, numbered(3, 4, 5, 6, 7, 8, 9, 10, 11, 12)},
		{"new ones", numbered(14, 13, 12, 11), 12, false, numbered(13, 14)},
		{"no new ones", numbered(12, 11), 12, false, nil},
		{"more than are kept", numbered(300, 299), 12, false, numbered(299, 300)},
		{"after a restart", numbered(2, 1), 12, false, numbered(1, 2)},
	} {
		if got := newDenials(c.latest, c.last, c.first); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v", c.desc, got, c.want)
		}
	}
}
