package osscors

import (
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddy-oss-cors/caddy-oss-cors/corsrules"
)

// Every series is there at 0 before the first request, so that a rule that nobody hits,
// and the first increment, show.
func TestSeriesFromTheStart(t *testing.T) {
	p := newProxy(t)
	write(t, "cors.xml", appRules)
	p.load(t, "oss_cors cors.xml")
	want := series{
		of("rules", "cors.xml"):                          2,
		of("rules_last_load_successful", "cors.xml"):     1,
		of("upstream_headers_removed_total", "cors.xml"): 0,
		of("cache_unsafe_responses_total", "cors.xml"):   0,
	}
	for _, kind := range []string{"preflight", "actual"} {
		want[hits("cors.xml", "app", kind)] = 0
		want[hits("cors.xml", "2", kind)] = 0
	}
	for _, reason := range corsrules.PreflightReasons {
		want[denials("cors.xml", "preflight", reason.String())] = 0
	}
	for _, reason := range corsrules.ActualReasons {
		want[denials("cors.xml", "actual", reason.String())] = 0
	}
	got := p.series(t)
	loaded := of("rules_last_load_success_timestamp_seconds", "cors.xml")
	if age := float64(time.Now().UnixMilli())/1000 - got[loaded]; age < 0 || age > 60 {
		t.Errorf("%s is %v seconds ago", loaded, age)
	}
	delete(got, loaded)
	if !maps.Equal(got, want) {
		t.Errorf("series:\n got %v\nwant %v", got, want)
	}
}

func TestCounts(t *testing.T) {
	p := newProxy(t)
	write(t, "cors.xml", appRules)
	p.load(t, "oss_cors cors.xml\nrespond served")
	const own = "Host: bucket.example.com"
	for _, test := range []struct {
		desc, method string
		lines        []string
		want         string // the one series that grows; empty: none
	}{
		{"an allowed preflight", "OPTIONS", []string{fromApp, acrm + "PUT"}, hits("cors.xml", "app", "preflight")},
		{"an allowed request", "PUT", []string{fromApp}, hits("cors.xml", "app", "actual")},
		{"a rule without an ID counts as its number", "GET", []string{"Origin: https://plain.example.com"}, hits("cors.xml", "2", "actual")},
		{"a preflight without origin", "OPTIONS", []string{acrm + "PUT"}, denials("cors.xml", "preflight", "missing_origin")},
		{"a preflight without method", "OPTIONS", []string{fromApp}, denials("cors.xml", "preflight", "missing_method")},
		{"a malformed preflight", "OPTIONS", []string{fromApp, acrm + "PUT,GET"}, denials("cors.xml", "preflight", "malformed")},
		{"a preflight of a strange origin", "OPTIONS", []string{fromStranger, acrm + "PUT"}, denials("cors.xml", "preflight", "origin")},
		{"a preflight for a method", "OPTIONS", []string{fromApp, acrm + "POST"}, denials("cors.xml", "preflight", "method")},
		{"a preflight for a header", "OPTIONS", []string{fromApp, acrm + "PUT", acrh + "x-foo"}, denials("cors.xml", "preflight", "header")},
		{"a strange origin", "GET", []string{fromStranger}, denials("cors.xml", "actual", "origin")},
		{"a method", "POST", []string{fromApp}, denials("cors.xml", "actual", "method")},
		{"two origins", "GET", []string{fromApp, fromApp}, denials("cors.xml", "actual", "malformed")},
		{"the null origin", "GET", []string{"Origin: null"}, denials("cors.xml", "actual", "origin")},
		{"no origin", "GET", nil, ""},
		{"an empty origin", "GET", []string{"Origin:"}, ""},
		{"OPTIONS that is not a preflight", "OPTIONS", nil, ""},

		{"a same-origin post", "POST", []string{own, "Origin: https://bucket.example.com"}, ""},
		{"a same-origin post, in other case", "POST", []string{own, "Origin: https://BUCKET.example.com"}, ""},
		{"a same-origin post to the default port", "POST", []string{own + ":443", "Origin: https://bucket.example.com"}, ""},
		{"a same-origin post to http's default port", "POST", []string{own + ":80", "Origin: http://bucket.example.com"}, ""},
		{"a same-origin post to a port", "POST", []string{own + ":8443", "Origin: https://bucket.example.com:8443"}, ""},
		{"a same-origin post to an IPv6 address", "POST", []string{"Host: [::1]:8080", "Origin: http://[::1]:8080"}, ""},
		{"the same host at another port", "POST", []string{own + ":8443", "Origin: https://bucket.example.com"}, denials("cors.xml", "actual", "origin")},
		{"the same host at the other scheme's port", "POST", []string{own + ":443", "Origin: http://bucket.example.com"}, denials("cors.xml", "actual", "origin")},
		{"a host that begins with ours", "POST", []string{own, "Origin: https://bucket.example.com.evil.example"}, denials("cors.xml", "actual", "origin")},
		{"our host without a scheme", "POST", []string{own, "Origin: bucket.example.com"}, denials("cors.xml", "actual", "origin")},
		{"a same-origin preflight is one all the same", "OPTIONS", []string{own, "Origin: https://bucket.example.com", acrm + "PUT"}, denials("cors.xml", "preflight", "origin")},

		{"a form post", "POST", []string{fromStranger, "Sec-Fetch-Mode: navigate"}, ""},
		{"a fetch without CORS", "POST", []string{fromStranger, "Sec-Fetch-Mode: no-cors"}, ""},
		{"a WebSocket by mode", "GET", []string{fromStranger, "Sec-Fetch-Mode: websocket"}, ""},
		{"a fetch with CORS", "GET", []string{fromStranger, "Sec-Fetch-Mode: cors"}, denials("cors.xml", "actual", "origin")},
		{"a fetch within its origin, behind a proxy that rewrites Host", "POST", []string{fromStranger, "Sec-Fetch-Mode: cors", "Sec-Fetch-Site: same-origin"}, ""}, // [picked]
		{"a fetch from another site", "POST", []string{fromStranger, "Sec-Fetch-Mode: cors", "Sec-Fetch-Site: cross-site"}, denials("cors.xml", "actual", "origin")},
		{"an empty mode", "GET", []string{fromStranger, "Sec-Fetch-Mode:"}, denials("cors.xml", "actual", "origin")},
		{"an upgrade", "GET", []string{fromStranger, "Upgrade: websocket"}, ""},
		{"a request to upgrade to HTTPS is none", "GET", []string{fromStranger, "Upgrade-Insecure-Requests: 1"}, denials("cors.xml", "actual", "origin")},

		{"a match counts on a form post", "PUT", []string{fromApp, "Sec-Fetch-Mode: navigate"}, hits("cors.xml", "app", "actual")},
		{"a match counts on an upgrade", "GET", []string{fromApp, "Upgrade: websocket"}, hits("cors.xml", "app", "actual")},
		{"a match counts on a same-origin post", "PUT", []string{"Host: app.example.com", fromApp}, hits("cors.xml", "app", "actual")},
	} {
		t.Run(test.desc, func(t *testing.T) {
			want := p.series(t).counters()
			got := p.ask(t, test.method+" /key HTTP/1.1", test.lines...)
			if test.want != "" {
				want[test.want]++
			}
			expectCounters(t, p, want)
			if allowed := strings.HasPrefix(test.want, "rule_hits"); allowed != (len(cors(got.Header)) > 0) {
				t.Errorf("Access-Control headers are %q", cors(got.Header))
			}
		})
	}
}

func TestSitesOfOneNameCountTogether(t *testing.T) {
	p := newProxy(t)
	write(t, "cors.xml", appRules)
	write(t, "other.xml", document(plainRule))
	for _, test := range []struct {
		desc, first, second, label string
	}{
		{"one file", "oss_cors cors.xml", "oss_cors cors.xml", "cors.xml"},
		{"one name", "oss_cors cors.xml {\nname cdn\n}", "oss_cors other.xml {\nname cdn\n}", "cdn"},
		{"one site, two places", "handle /a* {\noss_cors cors.xml\n}\nhandle {\noss_cors cors.xml\n}", "respond served", "cors.xml"},
	} {
		t.Run(test.desc, func(t *testing.T) {
			p.stop(t) // so that counts begin anew
			p.load(t, test.first, test.second)
			p.ask(t, "GET /a HTTP/1.1", fromStranger)
			p.ask(t, "GET /b HTTP/1.1", fromStranger)
			want := 2.0
			if !strings.HasPrefix(test.second, "respond") {
				askAt(t, p.addrs[1], "GET / HTTP/1.1", fromStranger)
				want++
			}
			expectCounters(t, p, series{denials(test.label, "actual", "origin"): want})
			if n := p.series(t)[of("rules_last_load_successful", test.label)]; n != 1 {
				t.Errorf("rules_last_load_successful is %v", n)
			}
		})
	}
}

// Where instances nest, the outer one decides, and a request counts once.
func TestNestedInstances(t *testing.T) {
	p := newProxy(t)
	write(t, "app.xml", withVary(document(appRule)))
	write(t, "plain.xml", document(plainRule))
	origin := upstream(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
	})
	p.load(t, "oss_cors app.xml\nroute {\noss_cors plain.xml\nreverse_proxy "+origin+"\n}\nhandle_errors {\noss_cors plain.xml\nrespond page\n}")
	const plain = "Origin: https://plain.example.com"

	p.get(t, fromApp).expect(t, 200, appGranted...)
	got := p.get(t, plain) // which the inner rules would allow
	got.expect(t, 200)
	if vary := got.Header["Vary"]; len(vary) != 1 || vary[0] != "Origin" {
		t.Errorf("Vary is %q; want the outer rules'", vary)
	}
	p.preflight(t, fromApp, acrm+"PUT").expect(t, 200, appGranted...)
	p.preflight(t, plain, acrm+"GET").expect(t, 403)
	expectCounters(t, p, series{
		hits("app.xml", "app", "actual"):                1,
		hits("app.xml", "app", "preflight"):             1,
		denials("app.xml", "actual", "origin"):          1,
		denials("app.xml", "preflight", "origin"):       1,
		of("upstream_headers_removed_total", "app.xml"): 2,
	})
}

// The instance in handle_errors applies the decision that was made, and counts nothing.
func TestErrorPagesCountNothing(t *testing.T) {
	p := newProxy(t)
	write(t, "app.xml", document(appRule))
	write(t, "plain.xml", document(plainRule))
	p.load(t, "oss_cors app.xml\nuri replace /key /other\nerror oops 503\nhandle_errors {\noss_cors plain.xml\nheader Access-Control-Foo bar\nrespond page\n}",
		"error oops 503\nhandle_errors {\noss_cors app.xml\nrespond page\n}")
	p.get(t, fromApp).expect(t, 503, appGranted...)
	p.get(t, "Origin: https://plain.example.com").expect(t, 503)
	want := series{
		hits("app.xml", "app", "actual"):       1,
		denials("app.xml", "actual", "origin"): 1,
	}
	expectCounters(t, p, want)

	// Alone, it decides.
	askAt(t, p.addrs[1], "GET / HTTP/1.1", fromApp).expect(t, 503, appGranted...)
	want[hits("app.xml", "app", "actual")]++
	expectCounters(t, p, want)
}

// A configuration has one registry for all its handlers, and every configuration a new
// one, which must find nothing wrong with what is collected.
func TestEveryRegistryTakesTheMetrics(t *testing.T) {
	p := newProxy(t)
	write(t, "cors.xml", appRules)
	p.load(t, "oss_cors cors.xml\nrespond served")
	p.get(t, "Origin: https://\xff.example", "X-Long: x")
	p.get(t, "Origin: https://"+strings.Repeat("long.", 500)+"example")
	for range 2 {
		registry := prometheus.NewPedanticRegistry()
		for range 2 {
			if err := registerMetrics(registry); err != nil {
				t.Fatal(err)
			}
		}
		families, err := registry.Gather()
		if err != nil || len(families) == 0 {
			t.Errorf("%d families, %v", len(families), err)
		}
	}
}

// A registry that refuses them for another reason stops the configuration.
func TestMetricsOfTheSameNameAreRefused(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(prometheus.NewCounter(prometheus.CounterOpts{Name: "caddy_oss_cors_rules", Help: "Another."}))
	if err := registerMetrics(registry); err == nil {
		t.Error("no error")
	}
}
