package remote

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/harness"
)

const (
	app   = "https://app.example.com"
	other = "https://other.example.com"
)

const caddyfile = `{
	admin 127.0.0.1:%s
	auto_https off
	persist_config off
	default_bind 127.0.0.1
	storage file_system %s
	storage_clean_interval off
}

http://:%s {
	handle /metrics {
		metrics
	}
	handle {
		oss_cors {
			%s
			shadow candidate.xml
		}
		respond served
	}
}
`

func documentFor(origin string) string {
	return `<CORSConfiguration><CORSRule><AllowedOrigin>` + origin + `</AllowedOrigin><AllowedMethod>PUT</AllowedMethod></CORSRule><ResponseVary>true</ResponseVary></CORSConfiguration>`
}

// proxy is a Caddy whose rules another server has. It can be started again.
type proxy struct {
	*harness.Process
	dir, admin, port string
	storage          string // the directory of Caddy's storage
	env              []string
}

// newProxy prepares a proxy whose rules are a source, as written in a Caddyfile.
func newProxy(t *testing.T, rules string, env ...string) *proxy {
	t.Helper()
	ports := harness.FreePorts(t, 2)
	p := &proxy{dir: t.TempDir(), admin: ports[0], port: ports[1], storage: t.TempDir(), env: env}
	harness.WriteFile(t, filepath.Join(p.dir, "Caddyfile"), fmt.Sprintf(caddyfile, p.admin, p.storage, p.port, rules))
	harness.WriteFile(t, filepath.Join(p.dir, "candidate.xml"), documentFor(app))
	return p
}

func (p *proxy) start(t *testing.T) {
	t.Helper()
	p.Process = harness.StartCaddy(t, p.dir, "Caddyfile", p.env, []string{p.port})
}

// expectRefused fails the test unless Caddy does not start, and says why.
func (p *proxy) expectRefused(t *testing.T, want string) {
	t.Helper()
	cmd := exec.Command(harness.CaddyBinary(t), "run", "--config", "Caddyfile")
	cmd.Dir = p.dir
	cmd.Env = append(cmd.Environ(), append(p.env, "HOME="+p.dir)...)
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), want) {
		t.Errorf("started, or did not say %q: %v\n%s", want, err, out)
	}
	if strings.Contains(string(out), harness.APISecret) {
		t.Errorf("told a secret: %s", out)
	}
}

// preflight returns the answer to a preflight: its status, and what it allows or the code and
// message of the error.
func (p *proxy) preflight(t *testing.T, origin string) string {
	t.Helper()
	r, err := http.NewRequest(http.MethodOptions, "http://127.0.0.1:"+p.port+"/key", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Header = harness.PreflightHeader(origin, "PUT", "")
	answer, err := harness.FreshClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	body, err := harness.ReadAll(answer)
	if err != nil {
		t.Fatal(err)
	}
	message := answer.Header.Get("Access-Control-Allow-Origin")
	if _, rest, ok := strings.Cut(body, "<Message>"); ok {
		message, _, _ = strings.Cut(rest, "</Message>")
	}
	return fmt.Sprintf("%d %s", answer.StatusCode, message)
}

const (
	allowed     = "200 " + app
	notEnabled  = "403 CORSResponse: CORS is not enabled for this bucket."
	unavailable = "503"
)

func (p *proxy) waitFor(t *testing.T, origin, answer string) {
	t.Helper()
	harness.WaitUntil(t, "a preflight from "+origin+" is answered "+answer, func() bool { return strings.HasPrefix(p.preflight(t, origin), answer) })
}

// status is what the admin API says of the rules.
type status struct {
	Name, Source, Document string
	Loaded                 time.Time
	LastError              string `json:"last_error"`
	Unavailable            bool
	Shadow                 *status
}

func (p *proxy) status(t *testing.T) status {
	t.Helper()
	var all []status
	text := harness.Get(t, "http://127.0.0.1:"+p.admin+"/oss_cors/rulesets")
	if err := json.Unmarshal([]byte(text), &all); err != nil || len(all) != 1 || all[0].Shadow == nil {
		t.Fatalf("%v: %s", err, text)
	}
	return all[0]
}

// successful reports whether the metrics say that the rules in force are the newest.
func (p *proxy) successful(t *testing.T) bool {
	t.Helper()
	_, gauge, _ := strings.Cut(harness.Get(t, "http://127.0.0.1:"+p.port+"/metrics"), "\ncaddy_oss_cors_rules_last_load_successful{")
	_, gauge, _ = strings.Cut(gauge, "} ")
	return strings.HasPrefix(gauge, "1\n")
}

// front is a server that answers as it is told.
type front struct {
	*httptest.Server
	mu     sync.Mutex
	answer http.HandlerFunc
	seen   []http.Header // of requests
}

func newFront(t *testing.T, answer http.HandlerFunc) *front {
	t.Helper()
	f := &front{answer: answer}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		answer := f.answer
		f.seen = append(f.seen, r.Header.Clone())
		f.mu.Unlock()
		answer(w, r)
	}))
	t.Cleanup(f.Server.Close)
	return f
}

func (f *front) answers(answer http.HandlerFunc) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answer = answer
}

// requests returns the headers of the requests since the last call.
func (f *front) requests() []http.Header {
	f.mu.Lock()
	defer f.mu.Unlock()
	seen := f.seen
	f.seen = nil
	return seen
}

func says(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}
}

func hang(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

func drip(w http.ResponseWriter, r *http.Request) {
	for _, b := range []byte(documentFor(app)) {
		_, _ = w.Write([]byte{b})
		_ = http.NewResponseController(w).Flush()
		select {
		case <-r.Context().Done():
			return
		case <-time.After(time.Second):
		}
	}
}

func truncate(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Length", "500")
	_, _ = w.Write([]byte(documentFor(app)[:50]))
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}

// gigabyte sends spaces as long as anybody reads them.
func gigabyte(w http.ResponseWriter, _ *http.Request) {
	spaces := []byte(strings.Repeat(" ", 1<<20))
	for range 1 << 10 {
		if _, err := w.Write(spaces); err != nil {
			return
		}
	}
}

// inAllTrouble has the server answer badly in every way, one after another, and fails the test
// unless the rules stay in force, the metrics and the admin API tell, and both end with the
// trouble. The time of the last load is that of the rules in force throughout.
func (p *proxy) inAllTrouble(t *testing.T, f *front, good http.HandlerFunc, troubles map[string]http.HandlerFunc) {
	t.Helper()
	for name, trouble := range troubles {
		loaded := p.status(t).Loaded
		f.answers(trouble)
		harness.WaitUntil(t, name+" is told", func() bool { return !p.successful(t) })
		if answer := p.preflight(t, app); answer != allowed {
			t.Errorf("%s: answered %s", name, answer)
		}
		if s := p.status(t); s.LastError == "" || !s.Loaded.Equal(loaded) {
			t.Errorf("%s: the status is %+v, and was loaded %s", name, s, loaded)
		}
		f.answers(good)
		harness.WaitUntil(t, "all is well after "+name, func() bool { return p.successful(t) })
	}
}

// stop stops the proxy once Caddy's storage has its rules.
func (p *proxy) stop(t *testing.T) {
	t.Helper()
	harness.WaitUntil(t, "the rules are kept in Caddy's storage", func() bool {
		kept, err := filepath.Glob(filepath.Join(p.storage, "oss_cors", "last_good", "*"))
		return err == nil && len(kept) == 1 && filepath.Ext(kept[0]) == ""
	})
	p.Stop()
}

// restartsWithout starts the proxy again while the server is away, and fails the test unless the
// earlier rules are in force, as of the time at which they were loaded.
func (p *proxy) restartsWithout(t *testing.T, f *front, good http.HandlerFunc) {
	t.Helper()
	loaded := p.status(t).Loaded
	p.stop(t)
	f.answers(hang)
	restarted := time.Now()
	p.start(t)
	if answer := p.preflight(t, app); answer != allowed {
		t.Errorf("after a restart without the server: answered %s", answer)
	}
	s := p.status(t)
	if s.LastError == "" || s.Loaded.After(restarted) || s.Loaded.IsZero() {
		t.Errorf("after a restart without the server: the status is %+v, before it was loaded %s", s, loaded)
	}
	if !strings.Contains(p.Log.String(), "these CORS rules were kept in Caddy's storage") {
		t.Error("the log does not say that the rules may be out of date")
	}
	f.answers(good)
	harness.WaitUntil(t, "all is well when the server is back", func() bool { return p.successful(t) })
}
