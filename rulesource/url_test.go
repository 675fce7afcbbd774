package rulesource

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"
)

const (
	secretURL = "http://user:secret1@rules.example/cors.xml?token=secret2"
	shownURL  = "http://rules.example/cors.xml"
)

// ruleServer serves documents within a synctest bubble. Its answer can be changed.
type ruleServer struct {
	mu     sync.Mutex
	answer http.HandlerFunc
	seen   []*http.Request
	conns  chan net.Conn
}

func newRuleServer(t *testing.T, answer http.HandlerFunc) *ruleServer {
	t.Helper()
	unanswered.Clear() // by earlier tests, in another time
	s := &ruleServer{answer: answer, conns: make(chan net.Conn)}
	server := &http.Server{Handler: s, Protocols: new(http.Protocols)}
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetUnencryptedHTTP2(true)
	ctx, cancel := context.WithCancel(context.Background())
	go func() { _ = server.Serve(pipeListener{s.conns, ctx}) }()
	t.Cleanup(func() {
		cancel()
		_ = server.Close()
	})
	return s
}

func (s *ruleServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	answer := s.answer
	s.seen = append(s.seen, r)
	s.mu.Unlock()
	answer(w, r)
}

func (s *ruleServer) answers(answer http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = answer
}

// requests returns the requests since the last call.
func (s *ruleServer) requests() []*http.Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := s.seen
	s.seen = nil
	return seen
}

// transport connects to the server, whatever the host.
func (s *ruleServer) transport() *http.Transport {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		client, server := net.Pipe()
		select {
		case s.conns <- server:
			return client, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return &http.Transport{DialContext: dial, DialTLSContext: dial} // as if TLS were done
}

type pipeListener struct {
	conns chan net.Conn
	ctx   context.Context
}

func (l pipeListener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.ctx.Done():
		return nil, net.ErrClosed
	}
}

func (l pipeListener) Close() error   { return nil }
func (l pipeListener) Addr() net.Addr { return &net.TCPAddr{} }

func (s *ruleServer) open(t *testing.T, storage certmagic.Storage, opts *Options) (*URL, error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	source := &URL{URL: secretURL}
	err := source.openOn(ctx, storage, s.transport(), opts)
	t.Cleanup(func() {
		cancel()
		_ = source.Cleanup()
	})
	return source, err
}

// versioned serves a document with its ETag and Last-Modified, as net/http does.
func versioned(etag, origin string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", etag)
		http.ServeContent(w, r, "cors.xml", time.Unix(1e9, 0), strings.NewReader(string(documentFor(origin))))
	}
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

func body(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) }
}

func redirect(location string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", location)
		w.WriteHeader(http.StatusFound)
	}
}

func hang(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

// drip sends a good document, one byte a second.
func drip(w http.ResponseWriter, r *http.Request) {
	for _, b := range documentFor(app) {
		if _, err := w.Write([]byte{b}); err != nil {
			return
		}
		_ = http.NewResponseController(w).Flush()
		select {
		case <-time.After(time.Second):
		case <-r.Context().Done():
			return
		}
	}
}

func truncate(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Length", "500")
	_, _ = w.Write(documentFor(app)[:50])
	panic(http.ErrAbortHandler)
}

// gigabyte sends a document that is a gigabyte of spaces, as long as anybody reads it.
func gigabyte(w http.ResponseWriter, _ *http.Request) {
	spaces := []byte(strings.Repeat(" ", 1<<20))
	for range 1 << 10 {
		if _, err := w.Write(spaces); err != nil {
			return
		}
	}
}

// A change is in force within refresh, and what has not changed is not sent again.
func TestURL_refresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, l := newRuleServer(t, versioned(`"1"`, app)), newLogged()
		s, err := server.open(t, newEngine(), l.Options)
		if err != nil {
			t.Fatal(err)
		}
		expect(t, s, "", "", 0)
		first := server.requests()[0]
		if user, password, _ := first.BasicAuth(); user != "user" || password != "secret1" || first.URL.Query().Get("token") != "secret2" {
			t.Errorf("requested %s with %v", first.URL, first.Header)
		}
		time.Sleep(DefaultRemoteRefresh + tick)
		again := server.requests()
		if len(again) != 1 || again[0].Header.Get("If-None-Match") != `"1"` || again[0].Header.Get("If-Modified-Since") == "" {
			t.Errorf("requested again with %v", again)
		}
		server.answers(versioned(`"2"`, other))
		time.Sleep(DefaultRemoteRefresh)
		expect(t, s, "", "origin", 0)
		if err := s.Reports()[0].Status.Err; err != nil {
			t.Error(err)
		}
	})
}

// A document that is older than the one before, as after a rollback, is in force within refresh,
// too, whatever the server has instead of ETags.
func TestURL_olderDocument(t *testing.T) {
	dated := func(unix int64, origin string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			http.ServeContent(w, r, "cors.xml", time.Unix(unix, 0), strings.NewReader(string(documentFor(origin))))
		}
	}
	synctest.Test(t, func(t *testing.T) {
		server := newRuleServer(t, dated(2e9, app))
		s, err := server.open(t, newEngine(), newLogged().Options)
		if err != nil {
			t.Fatal(err)
		}
		for _, step := range []struct {
			desc     string
			answer   http.HandlerFunc
			want     string
			requests int
		}{
			{"unchanged", dated(2e9, app), "", 1},
			{"older", dated(1e9, other), "origin", 2},
			{"unchanged again", dated(1e9, other), "origin", 1},
			{"it is never sent", func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Last-Modified", "Thu, 01 Jan 1970 00:00:01 GMT")
				w.WriteHeader(http.StatusNotModified)
			}, "origin", 2},
		} {
			server.requests()
			server.answers(step.answer)
			time.Sleep(DefaultRemoteRefresh)
			synctest.Wait()
			expect(t, s, "", step.want, 0)
			if requests := len(server.requests()); requests != step.requests {
				t.Errorf("%s: %d requests", step.desc, requests)
			}
		}
		if err := s.Reports()[0].Status.Err; err == nil || !strings.Contains(err.Error(), "304") {
			t.Errorf("reported is %v", err)
		}
	})
}

// The first answer decides whether Caddy starts, and whether there are rules.
func TestURL_firstAnswer(t *testing.T) {
	for desc, c := range map[string]struct {
		answer http.HandlerFunc
		want   string // of the error that refuses the start; "": it does not
	}{
		"not found":             {status(404), "404 Not Found"},
		"forbidden":             {status(403), "403 Forbidden"},
		"no content":            {status(204), "204 No Content"},
		"never asked for":       {status(304), "304 Not Modified"},
		"a web page":            {body("<!DOCTYPE html><title>Log in</title>"), "cors.xml"},
		"empty":                 {body(""), "cors.xml"},
		"too long":              {gigabyte, "16384"},
		"to another scheme":     {redirect("https://rules.example/"), "another scheme"},
		"to itself":             {redirect("/cors.xml"), "more than 3 times"},
		"to what is not a URL":  {redirect("http://rules.example:x/?token=secret2"), "what is not a URL"},
		"to nowhere":            {status(302), "302 Found"},
		"a fault of the server": {status(500), ""},
		"too many requests":     {status(429), ""},
		"no answer":             {hang, ""},
		"slow":                  {drip, ""},
		"cut off":               {truncate, ""},
	} {
		t.Run(desc, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server, l := newRuleServer(t, c.answer), newLogged()
				start := time.Now()
				s, err := server.open(t, newEngine(), l.Options)
				if took := time.Since(start); took > fetchDeadline {
					t.Errorf("the start took %s", took)
				}
				if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
					t.Errorf("the start: %v, want %q", err, c.want)
				}
				expectNoSecret(t, err, l)
				if requests := len(server.requests()); requests > 1+maxRedirects {
					t.Errorf("%d requests", requests)
				}
				if err == nil {
					expect(t, s, "", "unreachable", 0)
					told := l.lines.FilterMessage(noneKept).FilterField(zap.Error(errFirstStart)).Len()
					if told != 1 {
						t.Errorf("%d lines say that this is the first start", told)
					}
					expectShown(t, s, l, unavailable)
					server.answers(versioned(`"1"`, app))
					time.Sleep(firstRetry + fetchDeadline)
					expect(t, s, "", "", 0)
					if messages := l.messages(); !slices.Contains(messages, inForce) {
						t.Errorf("then logged %q", messages)
					}
				}
			})
		})
	}
}

// Trouble, of whichever kind, leaves the last good rules in force and is told.
func TestURL_troubleLater(t *testing.T) {
	for desc, answer := range map[string]http.HandlerFunc{
		"not found":             status(404),
		"a fault of the server": status(500),
		"a web page":            body("<html>"),
		"too long":              gigabyte,
		"a redirect loop":       redirect("/cors.xml"),
		"to another scheme":     redirect("https://rules.example/"),
		"no answer":             hang,
		"slow":                  drip,
		"cut off":               truncate,
	} {
		t.Run(desc, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server, l := newRuleServer(t, versioned(`"1"`, app)), newLogged()
				s, err := server.open(t, newEngine(), l.Options)
				if err != nil {
					t.Fatal(err)
				}
				server.answers(answer)
				time.Sleep(DefaultRemoteRefresh + fetchDeadline + tick)
				expect(t, s, "", "", 0)
				expectNoSecret(t, s.Reports()[0].Status.Err, l)
				expectShown(t, s, l, lastGood)
				server.answers(versioned(`"1"`, app))
				time.Sleep(DefaultRemoteRefresh + fetchDeadline)
				expectGood(t, s, l, "")
			})
		})
	}
}

// While there is trouble, the pauses become longer, but not longer than refresh.
func TestURL_pauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var at []time.Duration
		start := time.Now()
		server := newRuleServer(t, func(w http.ResponseWriter, _ *http.Request) {
			at = append(at, time.Since(start).Round(time.Second)/time.Second)
			w.WriteHeader(500)
		})
		if _, err := server.open(t, newEngine(), newLogged().Options); err != nil {
			t.Fatal(err)
		}
		time.Sleep(4 * time.Minute)
		synctest.Wait()
		if want := []time.Duration{0, 1, 3, 7, 15, 31, 63, 123, 183}; !slices.Equal(at, want) {
			t.Errorf("requests at %d s, want %d", at, want)
		}
	})
}

// A start while the server is away has the rules of the time before, and says so.
func TestURL_restartWithoutServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		storage := newEngine()
		server := newRuleServer(t, versioned(`"1"`, app))
		if _, err := server.open(t, storage, newLogged().Options); err != nil {
			t.Fatal(err)
		}
		synctest.Wait() // until it is saved
		server.answers(hang)
		l := newLogged()
		s, err := server.open(t, storage, l.Options)
		if err != nil {
			t.Fatal(err)
		}
		expect(t, s, "", "", 0)
		expectShown(t, s, l, lastGood)
		expectLoaded(t, s, l, time.Time{}) // the storage does not say
		server.answers(versioned(`"1"`, app))
		time.Sleep(firstRetry + fetchDeadline)
		expectGood(t, s, l, "")
		for key := range storage.values {
			if !strings.HasPrefix(key, "oss_cors/last_good/") || strings.Contains(key, "secret") {
				t.Errorf("kept as %s", key)
			}
		}
	})
}

// Of many documents of one server that hangs, a start waits for the first, and a reload for
// none. When it answers again, they are as current as ever.
func TestURL_manyWithoutServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, storage := newRuleServer(t, hang), newEngine()
		openAll := func(within time.Duration) (all []*URL) {
			start := time.Now()
			for range 20 {
				s, err := server.open(t, storage, newLogged().Options)
				if err != nil {
					t.Fatal(err)
				}
				expect(t, s, "", "unreachable", 0)
				all = append(all, s)
			}
			if took := time.Since(start); took != within {
				t.Errorf("all documents took %s, want %s", took, within)
			}
			return all
		}
		all := openAll(fetchDeadline)
		time.Sleep(time.Hour)
		all = append(all, openAll(0)...)
		server.answers(versioned(`"1"`, app))
		time.Sleep(DefaultRemoteRefresh + fetchDeadline)
		for _, s := range all {
			expect(t, s, "", "", 0)
		}
		server.answers(status(404))
		if _, err := server.open(t, storage, newLogged().Options); err == nil {
			t.Error("a start does not ask the server again")
		}
	})
}

// What the storage has is not put in force unless it is good, and its faults do not stop a
// start.
func TestURL_storageInTrouble(t *testing.T) {
	for desc, spoil := range map[string]func(e *engine){
		"a faulty document": func(e *engine) {
			for key := range e.values {
				e.values[key] = manyFaults
			}
		},
		"a document that is too long": func(e *engine) {
			for key := range e.values {
				e.sizes[key] = 1 << 30
			}
		},
		"an error":    func(e *engine) { e.down = errDown },
		"no document": func(e *engine) { clear(e.values) },
		"no answer":   func(e *engine) { e.hangs = make(chan struct{}) },
	} {
		t.Run(desc, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				storage := newEngine()
				server := newRuleServer(t, versioned(`"1"`, app))
				if _, err := server.open(t, storage, newLogged().Options); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				storage.set(spoil)
				server.answers(status(503))
				start := time.Now()
				l := newLogged()
				s, err := server.open(t, storage, l.Options)
				if took := time.Since(start); err != nil || took > fetchDeadline+readDeadline {
					t.Errorf("the start: %v after %s", err, took)
				}
				l.expectShort(t)
				expect(t, s, "", "unreachable", 0)
				server.answers(versioned(`"1"`, app))
				time.Sleep(firstRetry + fetchDeadline)
				expect(t, s, "", "", 0)
				if hangs := storage.hangs; hangs != nil {
					storage.set(func(e *engine) { e.hangs = nil })
					close(hangs)
				}
			})
		})
	}
}

// What cannot be saved is saved later.
func TestURL_savedLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		storage, l := newEngine(), newLogged()
		storage.down = errDown
		server := newRuleServer(t, versioned(`"1"`, app))
		if _, err := server.open(t, storage, l.Options); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * DefaultRemoteRefresh)
		if messages := l.messages(); !slices.Equal(messages, []string{overHTTP, inForce, notKept}) {
			t.Errorf("logged %q", messages)
		}
		storage.called()
		storage.set(func(e *engine) { e.down = nil })
		time.Sleep(3*DefaultRemoteRefresh + tick)
		stores := slices.DeleteFunc(storage.called(), func(call string) bool { return !strings.HasPrefix(call, "Store") })
		if len(storage.values) != 1 || len(stores) != 1 {
			t.Errorf("kept %q, by %q", storage.values, stores)
		}
	})
}

// mortal is a connection that can die: nothing arrives any more, and nobody is told.
type mortal struct {
	net.Conn
	dead atomic.Bool
}

func (c *mortal) Write(p []byte) (int, error) {
	if c.dead.Load() {
		return len(p), nil
	}
	return c.Conn.Write(p)
}

// A connection that has died is not used again after a failure, not even by HTTP/2.
func TestURL_deadConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := newRuleServer(t, versioned(`"1"`, app))
		transport := server.transport()
		transport.Protocols = new(http.Protocols)
		transport.Protocols.SetUnencryptedHTTP2(true)
		var conns []*mortal
		dial := transport.DialContext
		transport.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := dial(ctx, network, addr)
			conns = append(conns, &mortal{Conn: conn})
			return conns[len(conns)-1], err
		}
		s := &URL{URL: shownURL}
		if err := s.openOn(newContext(t), newEngine(), transport, newLogged().Options); err != nil {
			t.Fatal(err)
		}
		if requests := server.requests(); len(requests) != 1 || requests[0].ProtoMajor != 2 {
			t.Fatalf("requested by %s", requests[0].Proto)
		}
		conns[0].dead.Store(true)
		server.answers(versioned(`"2"`, other))
		time.Sleep(DefaultRemoteRefresh + fetchDeadline + firstRetry + tick)
		expect(t, s, "", "origin", 0)
		_ = s.Cleanup()
	})
}

// No error of a connection means that there are no rules.
func TestURL_anErrorIsNotAbsence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dial := func(context.Context, string, string) (net.Conn, error) {
			return nil, &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ENOENT)}
		}
		s := &URL{URL: shownURL}
		if err := s.openOn(newContext(t), newEngine(), &http.Transport{DialContext: dial}, newLogged().Options); err != nil {
			t.Fatal(err)
		}
		expect(t, s, "", "unreachable", 0)
		_ = s.Cleanup()
	})
}

// A panic while a document is fetched, as of the SDK for OSS, does not end Caddy, at a start or
// later.
func TestURL_aPanicIsAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		transport := &http.Transport{Proxy: func(*http.Request) (*url.URL, error) { panic(strings.Repeat("a fault ", 1000)) }}
		s, l := &URL{URL: shownURL}, newLogged()
		if err := s.openOn(newContext(t), newEngine(), transport, l.Options); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * DefaultRemoteRefresh)
		expect(t, s, "", "unreachable", 0)
		if text := s.remote.document.Status().Err.Error(); !strings.Contains(text, "panic: a fault") || len(text) > 2*maxToldBytes {
			t.Errorf("the error has %d bytes: %.100s", len(text), text)
		}
		_ = s.Cleanup()
	})
}

// Another host than the one redirected from learns no secret.
func TestURL_redirectToAnotherHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := newRuleServer(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Host == "rules.example" {
				redirect("http://cdn.example/cors.xml")(w, r)
				return
			}
			versioned(`"1"`, app)(w, r)
		})
		s, err := server.open(t, newEngine(), newLogged().Options)
		if err != nil {
			t.Fatal(err)
		}
		expect(t, s, "", "", 0)
		second := server.requests()[1]
		if second.Header.Get("Authorization") != "" || second.Referer() != "" || second.URL.RawQuery != "" {
			t.Errorf("the other host got %s with %v", second.URL, second.Header)
		}
	})
}

func TestURL_notAURL(t *testing.T) {
	for _, address := range []string{"", "cors.xml", "ftp://rules.example/secret", "https:///secret", "https://rules.example:secret/", "file:///secret"} {
		s := &URL{URL: address}
		err := s.openOn(t.Context(), newEngine(), new(http.Transport), newLogged().Options)
		if err == nil || strings.Contains(err.Error(), "secret") || !strings.Contains(err.Error(), "https or http") {
			t.Errorf("%q: %v", address, err)
		}
		_ = s.Cleanup()
	}
}

// A certificate that is not trusted is trouble, and its server's document is not read.
func TestURL_untrustedCertificate(t *testing.T) {
	server := httptest.NewTLSServer(versioned(`"1"`, app))
	defer server.Close()
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	s := &URL{URL: server.URL}
	if err := s.openOn(t.Context(), newEngine(), new(http.Transport), newLogged().Options); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Cleanup() }()
	expect(t, s, "", "unreachable", time.Second)
	if err := s.Reports()[0].Status.Err; err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("the status is %v", err)
	}
}

// expectShown fails the test unless the log, the metrics and the admin API tell the trouble.
func expectShown(t *testing.T, s Reporter, l logged, message string) {
	t.Helper()
	if messages := l.messages(); !slices.Contains(messages, message) {
		t.Errorf("logged %q, want %q", messages, message)
	}
	if report := s.Reports()[0]; report.Status.Err == nil || report.Document != shownName(s) || report.Rules.Name != shownName(s) {
		t.Errorf("reported %+v", report)
	}
	expectGauge(t, s, l, "0")
}

// shownName is what logs, metrics and the admin API call a source's document.
func shownName(s Source) string {
	if _, isOSS := s.(*OSS); isOSS {
		return "oss://photos"
	}
	return shownURL
}

func expectGood(t *testing.T, s Reporter, l logged, reason string) {
	t.Helper()
	expect(t, s, "", reason, 0)
	if report := s.Reports()[0]; report.Status.Err != nil {
		t.Errorf("reported %+v", report)
	}
	expectGauge(t, s, l, "1")
}

func expectGauge(t *testing.T, s Source, l logged, value string) {
	t.Helper()
	if want := `caddy_oss_cors_rules_last_load_successful{ruleset="` + shownName(s) + `"} ` + value + "\n"; !strings.Contains(l.exposition(t), want) {
		t.Errorf("metrics do not show %s", want)
	}
}

var secret = regexp.MustCompile(`secret\d`)

// expectNoSecret fails the test if an error, the log or the metrics tell secret1 or another.
func expectNoSecret(t *testing.T, err error, l logged) {
	t.Helper()
	var told strings.Builder
	if err != nil {
		told.WriteString(err.Error())
	}
	for _, entry := range l.lines.All() {
		told.WriteString(entry.Message)
		for _, field := range entry.Context {
			told.WriteString(field.String)
			if err, ok := field.Interface.(error); ok {
				told.WriteString(err.Error())
			}
		}
	}
	told.WriteString(l.exposition(t))
	if secret.MatchString(told.String()) {
		t.Errorf("told a secret: %s", told.String())
	}
}
