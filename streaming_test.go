package osscors

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-oss-cors/caddy-oss-cors/internal/running"
	"github.com/caddy-oss-cors/caddy-oss-cors/rulesource"
)

// Server-sent events arrive when they are sent, though the response goes on.
func TestEventsArriveUnbuffered(t *testing.T) {
	p := newProxy(t)
	write(t, "cors.xml", appRules)
	read := make(chan struct{})
	origin := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for range 2 {
			fmt.Fprint(w, "data: event\n\n")
			_ = http.NewResponseController(w).Flush()
			select { // the next is sent only when this one has been read
			case <-read:
			case <-r.Context().Done():
				return
			}
		}
	})
	p.load(t, "oss_cors cors.xml\nreverse_proxy "+origin)
	request, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+p.addrs[0], http.NoBody)
	request.Header.Set("Origin", "https://app.example.com")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	reply{Response: response}.expect(t, 200, appGranted...)
	lines := bufio.NewScanner(response.Body)
	for range 2 {
		if !lines.Scan() || lines.Text() != "data: event" || !lines.Scan() {
			t.Fatalf("%q %v", lines.Text(), lines.Err())
		}
		read <- struct{}{}
	}
}

// A protocol switch is a final response, and the connection works both ways.
func TestUpgradeIsDecorated(t *testing.T) {
	p := newProxy(t)
	write(t, "cors.xml", withVary(appRules))
	origin := upstream(t, func(w http.ResponseWriter, _ *http.Request) {
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		fmt.Fprint(rw, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nAccess-Control-Allow-Origin: *\r\nAccess-Control-Allow-Credentials: true\r\n\r\n")
		_ = rw.Flush()
		line, _ := rw.ReadString('\n')
		fmt.Fprint(rw, "echo "+line)
		_ = rw.Flush()
	})
	p.load(t, "oss_cors cors.xml\nreverse_proxy "+origin)
	for _, test := range []struct {
		desc, origin string
		want         []string
	}{
		{"allowed", fromApp, appGranted},
		{"not allowed", fromStranger, nil},
	} {
		t.Run(test.desc, func(t *testing.T) {
			c := dial(t, p.addrs[0])
			c.send("GET /socket HTTP/1.1", test.origin, "Connection: Upgrade", "Upgrade: websocket",
				"Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
			response, err := http.ReadResponse(c.reader, nil)
			if err != nil {
				t.Fatal(err)
			}
			reply{Response: response}.expect(t, 101, test.want...)
			if !slices.Equal(response.Header["Vary"], []string{"Origin"}) {
				t.Errorf("Vary is %q", response.Header["Vary"])
			}
			fmt.Fprint(c, "hello\n")
			if line, err := c.reader.ReadString('\n'); line != "echo hello\n" {
				t.Errorf("%q %v", line, err)
			}
		})
	}
}

// A handler that takes the connection over finds it beneath our writer.
func TestHijack(t *testing.T) {
	p := newProxy(t)
	write(t, "cors.xml", appRules)
	withStub(t, "hijacks", func(w http.ResponseWriter, _ *http.Request) error {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return err
		}
		defer conn.Close()
		_, err = io.WriteString(conn, "HTTP/1.1 200 OK\r\nX-Hijacked: yes\r\nContent-Length: 0\r\n\r\n")
		return err
	})
	p.load(t, "oss_cors cors.xml\nstub hijacks")
	if got := p.get(t, fromApp); got.Header.Get("X-Hijacked") != "yes" {
		t.Errorf("%s %v", got.Status, got.Header)
	}
}

// Informational responses pass untouched; what they carry is not CORS to a browser.
func TestEarlyHintsPassUntouched(t *testing.T) {
	p := newProxy(t)
	write(t, "cors.xml", withVary(appRules))
	origin := upstream(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", "</style.css>; rel=preload")
		w.Header().Set("Access-Control-Allow-Origin", "https://hint.example")
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusProcessing)
		w.Header().Del("Link")
		w.WriteHeader(http.StatusOK)
	})
	p.load(t, "oss_cors cors.xml\nreverse_proxy "+origin)
	c := dial(t, p.addrs[0])
	c.send("GET / HTTP/1.1", fromApp, "Connection: close")
	for _, status := range []int{103, 102} {
		hint := c.receive(t, "GET")
		hint.expect(t, status, "Allow-Origin: https://hint.example")
		if len(hint.Header["Vary"]) > 0 || hint.Header.Get("Link") == "" {
			t.Errorf("%v", hint.Header)
		}
	}
	final := c.receive(t, "GET")
	final.expect(t, 200, appGranted...)
	if !slices.Equal(final.Header["Vary"], []string{"Origin"}) {
		t.Errorf("Vary is %q", final.Header["Vary"])
	}
}

// An origin server that breaks off has the proxy abort the connection: the request was
// counted before, and once.
func TestTruncatedUpstream(t *testing.T) {
	p := newProxy(t)
	write(t, "cors.xml", appRules)
	origin := upstream(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		w.Header().Set("Access-Control-Allow-Origin", "*")
		fmt.Fprint(w, "half")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	p.load(t, "oss_cors cors.xml\nreverse_proxy "+origin)
	for line, want := range map[string][]string{fromApp: appGranted, fromStranger: nil} {
		c := dial(t, p.addrs[0])
		c.send("GET / HTTP/1.1", line)
		response, err := http.ReadResponse(c.reader, nil)
		if err != nil {
			t.Fatal(err)
		}
		reply{Response: response}.expect(t, 200, want...)
		if body, err := io.ReadAll(response.Body); err == nil {
			t.Errorf("the response is whole: %q", body)
		}
	}
	expectCounters(t, p, series{
		hits("cors.xml", "app", "actual"):                1,
		denials("cors.xml", "actual", "origin"):          1,
		of("upstream_headers_removed_total", "cors.xml"): 2,
	})
}

// An origin server that answers nothing at all is the proxy's 502.
func TestUpstreamThatHangsUp(t *testing.T) {
	p := newProxy(t)
	write(t, "cors.xml", appRules)
	origin := upstream(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	p.load(t, "oss_cors cors.xml\nreverse_proxy "+origin)
	p.get(t, fromApp).expect(t, 502, appGranted...)
	expectCounters(t, p, series{hits("cors.xml", "app", "actual"): 1})
}

// A handler may panic or abort before anything is written: the request was counted.
func TestAbortIsCounted(t *testing.T) {
	p := newProxy(t)
	write(t, "cors.xml", appRules)
	p.load(t, "oss_cors cors.xml\nabort")
	c := dial(t, p.addrs[0])
	c.send("GET / HTTP/1.1", fromApp)
	if rest, err := io.ReadAll(c); len(rest) > 0 || err != nil {
		t.Errorf("%q %v", rest, err)
	}
	expectCounters(t, p, series{hits("cors.xml", "app", "actual"): 1})
}

// Browsers take no CORS from trailers: those are the origin server's own.
func TestTrailersAreLeftAlone(t *testing.T) {
	p := newProxy(t)
	write(t, "cors.xml", appRules)
	origin := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/announced" {
			w.Header().Set("Trailer", "X-Checksum, Access-Control-Foo")
		}
		fmt.Fprint(w, "body")
		_ = http.NewResponseController(w).Flush()
		prefix := http.TrailerPrefix
		if r.URL.Path == "/announced" {
			prefix = ""
		}
		w.Header().Set(prefix+"X-Checksum", "abc")
		w.Header().Set(prefix+"Access-Control-Foo", "of the trailer")
	})
	p.load(t, "oss_cors cors.xml\nreverse_proxy "+origin)
	for _, path := range []string{"/announced", "/unannounced"} {
		for line, want := range map[string][]string{fromApp: appGranted, fromStranger: nil} {
			t.Run(path+" "+line, func(t *testing.T) {
				got := p.ask(t, "GET "+path+" HTTP/1.1", line, "TE: trailers")
				got.expect(t, 200, want...)
				if got.body != "body" || got.Trailer.Get("X-Checksum") != "abc" || got.Trailer.Get("Access-Control-Foo") != "of the trailer" {
					t.Errorf("body %q, trailer %v", got.body, got.Trailer)
				}
			})
		}
	}
}

func TestHTTP2(t *testing.T) {
	p := newProxy(t)
	write(t, "cors.xml", withVary(appRules))
	origin := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, r.Method)
	})
	p.load(t, "oss_cors cors.xml\nreverse_proxy "+origin)
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: protocols}
	defer transport.CloseIdleConnections()
	for _, test := range []struct {
		desc, method string
		header       http.Header
		status       int
		want         []string
	}{
		{"allowed preflight", "OPTIONS", http.Header{"Origin": {"https://app.example.com"}, "Access-Control-Request-Method": {"PUT"}}, 200, appGranted},
		{"denied preflight", "OPTIONS", http.Header{"Origin": {"https://stranger.example.net"}, "Access-Control-Request-Method": {"PUT"}}, 403, nil},
		{"allowed", "GET", http.Header{"Origin": {"https://app.example.com"}}, 404, appGranted},
		{"denied", "GET", http.Header{"Origin": {"https://stranger.example.net"}}, 404, nil},
		{"two origins", "GET", http.Header{"Origin": {"https://app.example.com", "https://app.example.com"}}, 404, nil}, // [picked]
	} {
		t.Run(test.desc, func(t *testing.T) {
			request, _ := http.NewRequestWithContext(t.Context(), test.method, "http://"+p.addrs[0]+"/key", http.NoBody)
			request.Header = test.header
			response, err := transport.RoundTrip(request)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			body, _ := io.ReadAll(response.Body)
			if response.ProtoMajor != 2 {
				t.Fatalf("the protocol is %s", response.Proto)
			}
			got := reply{response, string(body)}
			got.expect(t, test.status, test.want...)
			if !slices.Equal(got.Header["Vary"], []string{"Origin"}) {
				t.Errorf("Vary is %q", got.Header["Vary"])
			}
			if test.status == 403 && !strings.Contains(got.body, "<HostId>"+p.addrs[0]+"</HostId>") {
				t.Errorf("HostId is not the authority:\n%s", got.body)
			}
			if test.status == 200 && (got.body != "" || got.ContentLength != 0) {
				t.Errorf("body %q of length %d", got.body, got.ContentLength)
			}
		})
	}
}

// The writer that handlers get can do what Caddy's own can.
func TestResponseControl(t *testing.T) {
	p := newProxy(t)
	write(t, "cors.xml", appRules)
	withStub(t, "controls", func(w http.ResponseWriter, r *http.Request) error {
		control := http.NewResponseController(w)
		if err := control.EnableFullDuplex(); err != nil {
			return err
		}
		if err := control.SetWriteDeadline(time.Time{}); err != nil {
			return err
		}
		if _, ok := w.(io.ReaderFrom); !ok {
			return caddyhttp.Error(http.StatusNotImplemented, io.ErrNoProgress)
		}
		if _, ok := w.(http.Pusher); !ok {
			return caddyhttp.Error(http.StatusNotImplemented, http.ErrNotSupported)
		}
		w.WriteHeader(http.StatusAccepted)
		return nil
	})
	p.load(t, "oss_cors cors.xml\nstub controls")
	p.get(t, fromApp).expect(t, 202, appGranted...)
}

// readerFromSpy is a server's writer, which can send a file without copying it.
type readerFromSpy struct {
	http.ResponseWriter
	from io.Reader
}

func (s *readerFromSpy) ReadFrom(r io.Reader) (int64, error) {
	s.from = r
	return io.Copy(io.Discard, r)
}

// What is read from a file goes to the server's own ReadFrom, and so to sendfile.
func TestReadFromIsPassedOn(t *testing.T) {
	spy := &readerFromSpy{ResponseWriter: httptest.NewRecorder()}
	body := struct{ io.Reader }{strings.NewReader("body")} // and nothing else: no WriterTo
	d := &decided{handler: &Handler{site: new(running.Site)}, rules: new(rulesource.Rules)}
	rw := &responseWriter{ResponseWriterWrapper: caddyhttp.ResponseWriterWrapper{ResponseWriter: spy}, decided: d}
	if n, err := io.Copy(rw, body); n != 4 || err != nil || spy.from != io.Reader(body) {
		t.Errorf("%d bytes, %v; read from %v", n, err, spy.from)
	}
}
