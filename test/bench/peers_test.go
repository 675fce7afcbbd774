package bench

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/harness"

	"github.com/caddy-oss-cors/caddy-oss-cors/corsrules"
	jub0bs "github.com/jub0bs/cors"
	"github.com/rs/cors"
)

// peerPolicy is what all peers are configured to allow.
type peerPolicy struct {
	origins []string
	rules   int // of which the last allows them; 0: 1
}

var (
	peerMethods = []string{"GET", "PUT"}
	peerHeaders = []string{"authorization", "content-type", "x-oss-date", "x-oss-user-agent"}
	peerExposed = []string{"ETag", "x-oss-request-id"}
)

const peerMaxAge = 600

func exactOrigins(n int) []string {
	origins := make([]string, n)
	for i := range origins {
		origins[i] = fmt.Sprintf("https://app%d.example.com", i)
	}
	return origins
}

// ruleset has the policy's origins in its last rule, and others in those before it.
func (p peerPolicy) ruleset() *corsrules.Ruleset {
	maxAge := peerMaxAge
	cfg := &corsrules.Configuration{ResponseVary: true} // as the peers have it
	for i := range max(p.rules, 1) {
		rule := corsrules.CORSRule{
			AllowedOrigins: p.origins,
			AllowedMethods: peerMethods,
			AllowedHeaders: peerHeaders,
			ExposeHeaders:  peerExposed,
			MaxAgeSeconds:  &maxAge,
		}
		if i < p.rules-1 {
			rule.AllowedOrigins = []string{fmt.Sprintf("https://other%d.example.org", i)}
		}
		cfg.Rules = append(cfg.Rules, rule)
	}
	return corsrules.Compile(cfg)
}

// peers are the engines compared, each as net/http middleware. The libraries are wrapped, so
// that they set the headers that OSS has and they lack: the same work is compared.
var peers = []struct {
	name string
	wrap func(c peerCase, next http.Handler) (http.Handler, error)
}{
	{"oss_cors", func(c peerCase, next http.Handler) (http.Handler, error) {
		return &ruleMiddleware{c.policy.ruleset(), next}, nil
	}},
	{"the floor", func(c peerCase, next http.Handler) (http.Handler, error) {
		return newFloor(c, next), nil
	}},
	{"jub0bs/cors", func(c peerCase, next http.Handler) (http.Handler, error) {
		m, err := jub0bs.NewMiddleware(jub0bs.Config{
			Origins: c.policy.origins, Methods: peerMethods, RequestHeaders: peerHeaders,
			ResponseHeaders: peerExposed, MaxAgeInSeconds: peerMaxAge,
		})
		if err != nil {
			return nil, err
		}
		return withMissing(c, m.Wrap(next)), nil
	}},
	{"rs/cors", func(c peerCase, next http.Handler) (http.Handler, error) {
		m := cors.New(cors.Options{
			AllowedOrigins: c.policy.origins, AllowedMethods: peerMethods, AllowedHeaders: peerHeaders,
			ExposedHeaders: peerExposed, MaxAge: peerMaxAge,
		})
		return withMissing(c, m.Handler(next)), nil
	}},
}

// field is a response header.
type field struct{ name, value string }

// fields are the headers of an allowed response, other than that for the origin.
func (c peerCase) fields() (fields []field) {
	fields = []field{
		{"Access-Control-Allow-Methods", strings.Join(peerMethods, ", ")},
		{"Access-Control-Expose-Headers", strings.Join(peerExposed, ", ")},
		{"Access-Control-Max-Age", strconv.Itoa(peerMaxAge)},
	}
	if c.headers != "" {
		fields = append(fields, field{"Access-Control-Allow-Headers", strings.ReplaceAll(c.headers, ",", ", ")})
	}
	return fields
}

// floor is what somebody writes by hand for one case: it compares the origin once, sets the
// headers of OSS as constants, and checks nothing else.
type floor struct {
	next           http.Handler
	exact          map[string]bool
	prefix, suffix string
	any            bool
	fields         []field
}

func newFloor(c peerCase, next http.Handler) *floor {
	f := &floor{next: next, exact: map[string]bool{}, fields: c.fields()}
	for _, origin := range c.policy.origins {
		if prefix, suffix, isPattern := strings.Cut(origin, "*"); isPattern {
			f.prefix, f.suffix, f.any = prefix, suffix, origin == "*"
		} else {
			f.exact[origin] = true
		}
	}
	return f
}

func (f *floor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h, origin := w.Header(), r.Header.Get("Origin")
	h.Set("Vary", "Origin")
	allowed := f.exact[origin] || f.any || f.suffix != "" && strings.HasPrefix(origin, f.prefix) && strings.HasSuffix(origin, f.suffix)
	if f.any {
		origin = "*"
	}
	if allowed {
		h.Set("Access-Control-Allow-Origin", origin)
		for _, field := range f.fields {
			h.Set(field.name, field.value)
		}
	}
	switch {
	case r.Method != http.MethodOptions:
		f.next.ServeHTTP(w, r)
	case allowed:
		w.WriteHeader(http.StatusOK)
	default:
		w.WriteHeader(http.StatusForbidden)
	}
}

// withMissing adds to an allowed response the headers that a library does not set.
func withMissing(c peerCase, library http.Handler) http.Handler {
	fields := c.fields()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		library.ServeHTTP(w, r)
		h := w.Header()
		if h["Access-Control-Allow-Origin"] == nil {
			return
		}
		for _, field := range fields {
			if h[field.name] == nil {
				h.Set(field.name, field.value)
			}
		}
	})
}

// ruleMiddleware uses corsrules as the handler does, and does nothing else.
// TestPeersDecideTheSame compares its responses with the handler's.
type ruleMiddleware struct {
	rules *corsrules.Ruleset
	next  http.Handler
}

func (m *ruleMiddleware) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	req := corsrules.ReadRequest(r)
	d := m.rules.Decide(req)
	h := w.Header()
	for key := range h {
		if strings.HasPrefix(key, "Access-Control-") {
			delete(h, key)
		}
	}
	room := 1 // for Vary
	if d.Outcome == corsrules.Allowed {
		room += corsrules.MaxAccessControlHeaders
	}
	values := make([]string, 0, room) // the handler, too, allocates once
	for name, value := range d.Headers(corsrules.Policy{}) {
		values = append(values, value)
		h[name] = values[len(values)-1 : len(values) : len(values)]
	}
	switch {
	case req.Kind != corsrules.Preflight:
		m.next.ServeHTTP(w, r)
	case d.Outcome == corsrules.Allowed:
		w.WriteHeader(http.StatusOK)
	default:
		w.WriteHeader(http.StatusForbidden)
	}
}

// peerCase is a request to all peers.
type peerCase struct {
	desc   string
	policy peerPolicy

	method, origin  string
	headers         string // Access-Control-Request-Headers, on a preflight
	allowed         bool
	notAskedOfPeers bool // the peers cannot be configured for it
}

const (
	firstApp   = "https://app0.example.com"
	lastApp    = "https://app99.example.com"
	strangerIn = "https://stranger.example.net"
	sortedList = "authorization,content-type,x-oss-date"
)

func peerCases() (cases []peerCase) {
	one := peerPolicy{origins: exactOrigins(1)}
	hundred := peerPolicy{origins: exactOrigins(100)}
	wildcard := peerPolicy{origins: []string{"https://*.example.com"}}
	open := peerPolicy{origins: []string{"*"}}
	ten := peerPolicy{origins: exactOrigins(1), rules: 10}
	const preflight, actual = http.MethodOptions, http.MethodGet
	return []peerCase{
		{desc: "preflight, 1 origin", policy: one, method: preflight, origin: firstApp, headers: sortedList, allowed: true},
		{desc: "preflight, 1 origin, no headers asked for", policy: one, method: preflight, origin: firstApp, allowed: true},
		{desc: "preflight, 100 origins", policy: hundred, method: preflight, origin: lastApp, headers: sortedList, allowed: true},
		{desc: "preflight, `https://*.example.com`", policy: wildcard, method: preflight, origin: firstApp, headers: sortedList, allowed: true},
		{desc: "preflight, `*`", policy: open, method: preflight, origin: firstApp, headers: sortedList, allowed: true},
		{desc: "preflight, 1 origin, denied", policy: one, method: preflight, origin: strangerIn, headers: sortedList},
		{desc: "preflight, 100 origins, denied", policy: hundred, method: preflight, origin: strangerIn, headers: sortedList},
		{desc: "preflight, unsorted headers", policy: one, method: preflight, origin: firstApp, headers: "x-oss-date,content-type,authorization", allowed: true, notAskedOfPeers: true},
		{desc: "preflight, the tenth of 10 rules", policy: ten, method: preflight, origin: firstApp, headers: sortedList, allowed: true, notAskedOfPeers: true},
		{desc: "actual, 1 origin", policy: one, method: actual, origin: firstApp, allowed: true},
		{desc: "actual, 100 origins", policy: hundred, method: actual, origin: lastApp, allowed: true},
		{desc: "actual, `https://*.example.com`", policy: wildcard, method: actual, origin: firstApp, allowed: true},
		{desc: "actual, `*`", policy: open, method: actual, origin: firstApp, allowed: true},
		{desc: "actual, 1 origin, denied", policy: one, method: actual, origin: strangerIn},
		{desc: "actual, the tenth of 10 rules", policy: ten, method: actual, origin: firstApp, allowed: true, notAskedOfPeers: true},
	}
}

func (c peerCase) header() http.Header {
	h := http.Header{"Origin": {c.origin}}
	if c.method == http.MethodOptions {
		h["Access-Control-Request-Method"] = []string{"PUT"}
		if c.headers != "" {
			h["Access-Control-Request-Headers"] = []string{c.headers}
		}
	}
	return h
}

// quietWriter discards what is written. It is used for one request after another.
type quietWriter struct{ header http.Header }

func (w *quietWriter) Header() http.Header         { return w.header }
func (w *quietWriter) Write(p []byte) (int, error) { return len(p), nil }
func (w *quietWriter) WriteHeader(int)             {}

var quietHandler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })

func (c peerCase) request(t testing.TB) *http.Request {
	r, err := http.NewRequest(c.method, "http://bucket.example/k.txt", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Header = c.header()
	return r
}

// TestPeersDecideTheSame: speeds can be compared only if all peers decide the same, and if
// ruleMiddleware, which is measured in place of the handler, answers as the handler does.
func TestPeersDecideTheSame(t *testing.T) {
	for _, c := range peerCases() {
		t.Run(c.desc, func(t *testing.T) {
			tb := harness.StartTestbed(t, harness.TestbedConfig{Rules: string(c.policy.ruleset().Configuration().Marshal())})
			var lines []string
			for name, values := range c.header() {
				lines = append(lines, name+": "+values[0])
			}
			handler := tb.Exchange(t, c.method, "/k.txt", lines...)
			for _, peer := range peers {
				middleware, err := peer.wrap(c, quietHandler)
				if err != nil {
					t.Fatal(err)
				}
				w := &quietWriter{header: http.Header{}}
				middleware.ServeHTTP(w, c.request(t))
				got := harness.AccessControl(w.header)
				allowed := w.header.Get("Access-Control-Allow-Origin") != ""
				if allowed != c.allowed && (peer.name == "oss_cors" || !c.notAskedOfPeers) {
					t.Errorf("%s: %q", peer.name, got)
				}
				if want := harness.AccessControl(handler.Header); (peer.name == "oss_cors" || peer.name == "the floor") && (!slices.Equal(got, want) || !slices.Equal(w.header["Vary"], handler.Header["Vary"])) {
					t.Errorf("%s: %q, Vary %q; the handler's are %q, Vary %q", peer.name, got, w.header["Vary"], want, handler.Header["Vary"])
				}
			}
		})
	}
}
