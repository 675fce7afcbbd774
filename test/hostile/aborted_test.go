package hostile

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/harness"
	"golang.org/x/net/http2"
)

// expectNoLeak fails the test unless Caddy returns to about as many goroutines as before, and
// to none of this module.
func expectNoLeak(t *testing.T, tb *harness.Testbed, before int) {
	t.Helper()
	// Idle connections to the origin server, and the one of this request.
	const slack = 20
	var all, ours int
	for deadline := time.Now().Add(harness.Patience); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if all, ours = tb.Goroutines(t); ours == 0 && all <= before+slack {
			return
		}
	}
	t.Errorf("%d goroutines, %d of them in this module; there were %d", all, ours, before)
}

// endless sends a response that never ends, and reads bodies to the end.
var endless = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/truncated" {
		w.Header().Set("Content-Length", "1000000")
		_, _ = io.WriteString(w, "and then no more")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
	if r.Method == http.MethodPut {
		_, _ = io.Copy(io.Discard, r.Body)
		return
	}
	block := strings.Repeat("x", 32*kilobyte)
	for {
		if _, err := io.WriteString(w, block); err != nil {
			return
		}
	}
})

// TestAbortingClients: clients that disconnect during the response, or while their bodies are
// read, leave nothing behind, and each is counted once.
func TestAbortingClients(t *testing.T) {
	tb := harness.StartTestbed(t, harness.TestbedConfig{Origin: endless})
	const n = 150
	for _, c := range []struct {
		desc  string
		hit   string
		abort func(t *testing.T)
	}{
		{"in a response", "rule_hits actual app", func(t *testing.T) {
			conn := tb.Dial(t)
			conn.Send(harness.RequestText("GET /endless HTTP/1.1", "Host: bucket.example", fromApp))
			response, err := http.ReadResponse(conn.Reader, nil)
			if err != nil || response.Header.Get("Access-Control-Allow-Origin") != "https://app.example.com" {
				t.Fatalf("%v, %v", response, err)
			}
			_, _ = io.CopyN(io.Discard, response.Body, 100*kilobyte)
			conn.Close()
		}},
		{"in a denied response", "denied actual origin", func(t *testing.T) {
			conn := tb.Dial(t)
			conn.Send(harness.RequestText("GET /endless HTTP/1.1", "Host: bucket.example", "Origin: https://evil.example"))
			if _, err := http.ReadResponse(conn.Reader, nil); err != nil {
				t.Fatal(err)
			}
			conn.Close()
		}},
		{"in an upload", "rule_hits actual app", func(t *testing.T) {
			conn := tb.Dial(t)
			conn.Send(harness.RequestText("PUT /k.txt HTTP/1.1", "Host: bucket.example", fromApp, "Content-Length: 1000000", "Expect: 100-continue"))
			if line, err := conn.Reader.ReadString('\n'); err != nil || !strings.Contains(line, "100") { // the body is being read
				t.Fatalf("%q, %v", line, err)
			}
			conn.Send(strings.Repeat("x", 10*kilobyte))
			conn.Close()
		}},
		{"in a response over HTTP/2", "rule_hits actual app", func(t *testing.T) {
			conn := dialH2(t, tb)
			stream := conn.open(t, true, ":method: GET", ":scheme: http", ":authority: bucket.example", ":path: /endless", h2App)
			for { // as far as the window lets it
				frame, err := conn.framer.ReadFrame()
				if err != nil {
					t.Fatal(err)
				}
				if _, ok := frame.(*http2.DataFrame); ok && frame.Header().StreamID == stream {
					break
				}
			}
			conn.Close()
		}},
		{"by resetting a stream", "rule_hits actual app", func(t *testing.T) {
			conn := dialH2(t, tb)
			stream := conn.open(t, true, ":method: GET", ":scheme: http", ":authority: bucket.example", ":path: /endless", h2App)
			for {
				frame, err := conn.framer.ReadFrame()
				if err != nil {
					t.Fatal(err)
				}
				if frame.Header().StreamID == stream && frame.Header().Type == http2.FrameHeaders {
					break
				}
			}
			_ = conn.framer.WriteRSTStream(stream, http2.ErrCodeCancel)
			_ = conn.framer.WritePing(false, [8]byte{})
			for {
				frame, err := conn.framer.ReadFrame()
				if err != nil {
					t.Fatal(err)
				}
				if ping, ok := frame.(*http2.PingFrame); ok && ping.IsAck() { // and so the reset was read
					break
				}
			}
			conn.Close()
		}},
		{"and origin servers, in a response", "rule_hits actual app", func(t *testing.T) {
			conn := tb.Dial(t)
			conn.Send(harness.RequestText("GET /truncated HTTP/1.1", "Host: bucket.example", fromApp))
			if a, err := conn.TryReceive("GET"); err == nil || a.Response != nil && a.Header.Get("Access-Control-Allow-Origin") == "" {
				t.Fatalf("%v, %v", a.Response, err)
			}
			conn.Close()
		}},
	} {
		t.Run(c.desc, func(t *testing.T) {
			c.abort(t) // a first time, for what stays
			expectNoLeak(t, tb, 1000)
			counts := tb.Counts(t)
			before, _ := tb.Goroutines(t)
			for range n {
				c.abort(t)
			}
			expectNoLeak(t, tb, before)
			tb.ExpectCounts(t, counts, slices.Repeat([]string{c.hit}, n)...)
			tb.Dial(t).ExpectUnharmed(t)
		})
	}
}

// TestVanishingPreflights: the clients do not read the responses. Each preflight is still
// counted, and no goroutine waits.
func TestVanishingPreflights(t *testing.T) {
	tb := harness.StartTestbed(t, harness.TestbedConfig{})
	counts := tb.Counts(t)
	before, _ := tb.Goroutines(t)
	const n = 200
	for range n {
		conn := tb.Dial(t)
		conn.Send(harness.GoodPreflight)
		conn.Close()
	}
	harness.WaitUntil(t, "all are counted", func() bool { return tb.Counts(t)[hitsApp] >= counts[hitsApp]+n })
	tb.ExpectCounts(t, counts, slices.Repeat([]string{hitsApp}, n)...)
	expectNoLeak(t, tb, before)
}
