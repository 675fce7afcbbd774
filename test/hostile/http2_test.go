package hostile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/harness"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// h2Conn is an HTTP/2 connection, in the clear, that sends frames no client would.
type h2Conn struct {
	net.Conn
	framer *http2.Framer
	block  bytes.Buffer
	hpack  *hpack.Encoder
	stream uint32 // the last that was opened
}

func dialH2(t *testing.T, tb *harness.Testbed) *h2Conn {
	t.Helper()
	c := &h2Conn{Conn: tb.Dial(t).Conn}
	c.framer = http2.NewFramer(c.Conn, c.Conn)
	c.framer.AllowIllegalWrites = true
	c.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	c.hpack = hpack.NewEncoder(&c.block)
	if _, err := io.WriteString(c, http2.ClientPreface); err != nil {
		t.Fatal(err)
	}
	if err := c.framer.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	return c
}

// open opens a stream with these fields, "name: value" each, and returns its number.
func (c *h2Conn) open(t *testing.T, endStream bool, fields ...string) uint32 {
	t.Helper()
	c.block.Reset()
	for _, field := range fields {
		colon := strings.Index(field[1:], ": ") + 1 // a pseudo-header begins with another
		if err := c.hpack.WriteField(hpack.HeaderField{Name: field[:colon], Value: field[colon+2:]}); err != nil {
			t.Fatal(err)
		}
	}
	if c.stream++; c.stream%2 == 0 {
		c.stream++ // a client's streams have odd numbers
	}
	const most = 16 << 10 // a frame's payload
	block := c.block.Bytes()
	first := block[:min(most, len(block))]
	err := c.framer.WriteHeaders(http2.HeadersFrameParam{
		StreamID: c.stream, BlockFragment: first, EndStream: endStream, EndHeaders: len(first) == len(block)})
	for block = block[len(first):]; err == nil && len(block) > 0; {
		next := block[:min(most, len(block))]
		block = block[len(next):]
		err = c.framer.WriteContinuation(c.stream, len(block) == 0, next)
	}
	if err != nil {
		t.Fatal(err)
	}
	return c.stream
}

// h2Answer is how a stream ended.
type h2Answer struct {
	status string
	header http.Header
	reset  http2.ErrCode // NO_ERROR: it was not, or only after the whole answer
}

// errGone is the end of a connection.
var errGone = errors.New("the server ended the connection")

// receive reads frames until a stream ends.
func (c *h2Conn) receive(stream uint32) (h2Answer, error) {
	a := h2Answer{header: http.Header{}}
	for {
		frame, err := c.framer.ReadFrame()
		if err != nil {
			return a, fmt.Errorf("%w: %w", errGone, err)
		}
		if settings, ok := frame.(*http2.SettingsFrame); ok && !settings.IsAck() {
			_ = c.framer.WriteSettingsAck()
		}
		if _, ok := frame.(*http2.GoAwayFrame); ok {
			return a, errGone
		}
		if frame.Header().StreamID != stream {
			continue
		}
		switch frame := frame.(type) {
		case *http2.RSTStreamFrame:
			a.reset = frame.ErrCode
			return a, nil
		case *http2.MetaHeadersFrame:
			for _, field := range frame.Fields {
				if field.Name == ":status" {
					a.status = field.Value
				} else {
					a.header.Add(field.Name, field.Value)
				}
			}
			if frame.StreamEnded() {
				return a, nil
			}
		case *http2.DataFrame:
			if frame.StreamEnded() {
				return a, nil
			}
		}
	}
}

// expectUnharmed fails the test unless an ordinary preflight on the connection gets what it
// always gets.
func (c *h2Conn) expectUnharmed(t *testing.T) {
	t.Helper()
	a, err := c.receive(c.open(t, true, h2Preflight("origin: https://app.example.com",
		"access-control-request-method: PUT", "access-control-request-headers: content-type,x-oss-date")...))
	if got := harness.AccessControl(a.header); err != nil || a.status != "200" || !slices.Equal(got, harness.GoodPreflightHeaders) {
		t.Errorf("the next preflight on the connection: %q %q, %v", a.status, got, err)
	}
}

func h2Preflight(fields ...string) []string {
	return append([]string{":method: OPTIONS", ":scheme: http", ":authority: bucket.example", ":path: /k.txt"}, fields...)
}

// hostileH2 is a request that no honest client sends, in HTTP/2.
type hostileH2 struct {
	desc   string
	fields []string
	status string        // of the answer, or
	reset  http2.ErrCode // how the stream is refused
	counts []string
	origin string // what the origin server sees, if anything
}

const (
	h2App  = "origin: https://app.example.com"
	h2Sub  = "origin: https://x.preview.example.com"
	h2Get  = "access-control-request-method: GET"
	h2Asks = "access-control-request-headers: "
)

var hostileH2Requests = []hostileH2{
	{desc: "an upper-case name", fields: h2Preflight("Origin: https://app.example.com", h2Get), reset: http2.ErrCodeProtocol},
	{desc: "an upper-case name next to the right one", fields: h2Preflight(h2App, h2Get, "ORIGIN: https://evil.example"), reset: http2.ErrCodeProtocol},
	{desc: "a name with a blank", fields: h2Preflight("origin : https://app.example.com", h2Get), reset: http2.ErrCodeProtocol},
	{desc: "a name with a line end", fields: h2Preflight("x\r\norigin: https://app.example.com", h2Get), reset: http2.ErrCodeProtocol},
	{desc: "NUL in a value", fields: h2Preflight("origin: https://app.example.com\x00", h2Get), reset: http2.ErrCodeProtocol},
	{desc: "a line end in a value", fields: h2Preflight("origin: https://app.example.com\r\nx: y", h2Get), reset: http2.ErrCodeProtocol},
	{desc: "a second :method", fields: h2Preflight(":method: GET", h2App, h2Get), reset: http2.ErrCodeProtocol},
	{desc: "a second :path", fields: h2Preflight(":path: /other", h2App, h2Get), reset: http2.ErrCodeProtocol},
	{desc: "no :method", fields: []string{":scheme: http", ":authority: x", ":path: /", h2App, h2Get}, reset: http2.ErrCodeProtocol},
	{desc: "no :path", fields: []string{":method: OPTIONS", ":scheme: http", ":authority: x", h2App, h2Get}, reset: http2.ErrCodeProtocol},
	{desc: "an empty :path", fields: []string{":method: OPTIONS", ":scheme: http", ":authority: x", ":path: ", h2App, h2Get}, reset: http2.ErrCodeProtocol},
	{desc: "a :path without a slash", fields: []string{":method: OPTIONS", ":scheme: http", ":authority: x", ":path: k.txt", h2App, h2Get}, reset: http2.ErrCodeProtocol},
	{desc: "a scheme of its own", fields: []string{":method: OPTIONS", ":scheme: javascript", ":authority: x", ":path: /", h2App, h2Get}, reset: http2.ErrCodeProtocol},
	{desc: "an unknown pseudo-header", fields: h2Preflight(":origin: https://app.example.com", h2Get), reset: http2.ErrCodeProtocol},
	{desc: "a response's pseudo-header", fields: h2Preflight(":status: 200", h2App, h2Get), reset: http2.ErrCodeProtocol},
	{desc: "a pseudo-header after others", fields: append([]string{h2App}, h2Preflight(h2Get)...), reset: http2.ErrCodeProtocol},
	{desc: ":protocol", fields: h2Preflight(":protocol: websocket", h2App, h2Get), reset: http2.ErrCodeProtocol},
	{desc: "a connection header", fields: h2Preflight(h2App, h2Get, "connection: origin"), status: "400"},
	{desc: "te", fields: h2Preflight(h2App, h2Get, "te: gzip"), status: "400"},
	{desc: "an :authority that is none", fields: []string{":method: OPTIONS", ":scheme: http", ":authority: <b>\xff&", ":path: /", h2App, h2Get}, reset: http2.ErrCodeProtocol},
	{desc: ":path *, which Go's server answers", fields: []string{":method: OPTIONS", ":scheme: http", ":authority: x", ":path: *", h2App, h2Get}, status: "200"},

	{desc: "no :authority", fields: []string{":method: OPTIONS", ":scheme: http", ":path: /", h2App, h2Get}, status: "200", counts: []string{hitsApp}},
	{desc: "a host next to :authority", fields: h2Preflight("host: other.example", h2App, h2Get), reset: http2.ErrCodeProtocol},
	{desc: "a method override", fields: h2Preflight(h2App, h2Get, "x-http-method-override: DELETE"), status: "200", counts: []string{hitsApp}},
	{desc: "a name with an underscore is another name", fields: h2Preflight(h2App, h2Get, "access_control_request_headers: authorization"), status: "200", counts: []string{hitsApp}},
	{desc: "two origins", fields: h2Preflight(h2App, h2Sub, h2Get), status: "403", counts: []string{malform}},
	{desc: "two methods", fields: h2Preflight(h2App, h2Get, h2Get), status: "403", counts: []string{malform}},
	{desc: "an origin that is no UTF-8", fields: h2Preflight("origin: https://\xff.preview.example.com", h2Get), status: "403", counts: []string{malform}},
	{desc: "64 KB of names", fields: h2Preflight(h2App, h2Get, h2Asks+names(64, kilobyte)), status: "403", counts: []string{malform}},
	{desc: "ten thousand commas", fields: h2Preflight(h2App, h2Get, h2Asks+strings.Repeat(",", 10_000)), status: "403", counts: []string{malform}},
	{desc: "ten thousand fields", fields: h2Preflight(append([]string{h2App, h2Get}, slices.Repeat([]string{h2Asks + ","}, 10_000)...)...), status: "403", counts: []string{malform}},
	// The same field over and over costs a sender one byte each.
	{desc: "compressed a thousandfold", fields: h2Preflight(append([]string{h2Sub, h2Get}, slices.Repeat([]string{h2Asks + strings.Repeat("x", 3900)}, 200)...)...), status: "403", counts: []string{malform}},
	{desc: "compressed to more than the server reads", fields: h2Preflight(append([]string{h2Sub, h2Get}, slices.Repeat([]string{h2Asks + strings.Repeat("x", 3900)}, 2000)...)...), status: "431"},
	{desc: "an actual request of two origins", fields: []string{":method: GET", ":scheme: http", ":authority: bucket.example", ":path: /k.txt", h2App, h2Sub}, status: "200",
		counts: []string{"denied actual malformed"}, origin: "GET /k.txt"},
}

// TestHostileHTTP2 sends each request, and then an ordinary preflight on the same connection:
// a refused stream does not affect it.
func TestHostileHTTP2(t *testing.T) {
	tb := harness.StartTestbed(t, harness.TestbedConfig{})
	for _, c := range hostileH2Requests {
		t.Run(c.desc, func(t *testing.T) {
			before := tb.Counts(t)
			conn := dialH2(t, tb)
			a, err := conn.receive(conn.open(t, true, c.fields...))
			if err != nil || a.status != c.status || a.reset != c.reset {
				t.Fatalf("status %q, reset %v, %v; want %q, %v", a.status, a.reset, err, c.status, c.reset)
			}
			granted := harness.AccessControl(a.header)
			if hit := len(c.counts) > 0 && strings.HasPrefix(c.counts[0], "rule_hits"); hit != (len(granted) > 0) {
				t.Errorf("%q", granted)
			}
			conn.expectUnharmed(t)
			tb.ExpectCounts(t, before, append(slices.Clone(c.counts), hitsApp)...)
			if got := strings.Join(tb.Origin.Requests(), ", "); got != c.origin {
				t.Errorf("the origin server saw %q; want %q", got, c.origin)
			}
		})
	}
}

// TestHostileHTTP2Unfinished: a preflight is answered without waiting for its body.
func TestHostileHTTP2Unfinished(t *testing.T) {
	tb := harness.StartTestbed(t, harness.TestbedConfig{})
	before := tb.Counts(t)
	conn := dialH2(t, tb)
	for range 100 {
		stream := conn.open(t, false, h2Preflight(h2App, h2Get, "content-length: 100")...)
		_ = conn.framer.WriteData(stream, false, []byte("and then silence"))
		if a, err := conn.receive(stream); err != nil || a.status != "200" {
			t.Fatalf("%q, %v", a.status, err)
		}
	}
	conn.expectUnharmed(t)
	tb.ExpectCounts(t, before, slices.Repeat([]string{hitsApp}, 101)...)
}

// TestHostileHTTP2Broken breaks the framing itself: the connection ends, and nothing is
// counted.
func TestHostileHTTP2Broken(t *testing.T) {
	tb := harness.StartTestbed(t, harness.TestbedConfig{})
	for desc, send := range map[string]func(t *testing.T, c *h2Conn){
		"a stream of the server's": func(t *testing.T, c *h2Conn) {
			c.stream = 1
			block := bytes.NewBuffer(nil)
			_ = hpack.NewEncoder(block).WriteField(hpack.HeaderField{Name: ":method", Value: "OPTIONS"})
			_ = c.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 2, BlockFragment: block.Bytes(), EndHeaders: true, EndStream: true})
		},
		"a broken header block": func(t *testing.T, c *h2Conn) {
			_ = c.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, EndHeaders: true})
		},
		"a header that never ends": func(t *testing.T, c *h2Conn) {
			_ = c.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, EndStream: true})
			for range 1 << 20 {
				if c.framer.WriteContinuation(1, false, bytes.Repeat([]byte{0}, 100)) != nil {
					return
				}
			}
		},
		"a header that is interrupted": func(t *testing.T, c *h2Conn) {
			_ = c.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, EndStream: true})
			_ = c.framer.WritePing(false, [8]byte{})
		},
		"data before a header": func(t *testing.T, c *h2Conn) {
			_ = c.framer.WriteData(1, true, []byte("x"))
		},
	} {
		t.Run(desc, func(t *testing.T) {
			before := tb.Counts(t)
			conn := dialH2(t, tb)
			send(t, conn)
			start := time.Now()
			if _, err := conn.receive(0xffff); !errors.Is(err, errGone) || time.Since(start) > harness.Patience/2 {
				t.Errorf("after %s: %v", time.Since(start), err)
			}
			dialH2(t, tb).expectUnharmed(t)
			tb.ExpectCounts(t, before, hitsApp)
		})
	}
}
