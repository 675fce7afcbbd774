package harness

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"testing"
	"time"
)

// RawConn is a connection that sends what no HTTP client would.
type RawConn struct {
	net.Conn
	Reader *bufio.Reader
}

// Dial connects to the site. The connection is closed when the test ends.
func (tb *Testbed) Dial(t *testing.T) *RawConn {
	t.Helper()
	conn, err := net.Dial("tcp4", tb.Addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(Patience)); err != nil {
		t.Fatal(err)
	}
	return &RawConn{conn, bufio.NewReader(conn)}
}

// Send sends text as it is. The server may close the connection before it has read all of it,
// which shows in the response.
func (c *RawConn) Send(text string) { _, _ = io.WriteString(c, text) }

// RawResponse is a response that was read to its end.
type RawResponse struct {
	*http.Response
	Text string
}

// Receive reads the answer to a request with this method.
func (c *RawConn) Receive(t *testing.T, method string) RawResponse {
	t.Helper()
	a, err := c.TryReceive(method)
	if err != nil {
		t.Fatalf("no answer: %v", err)
	}
	return a
}

// TryReceive is Receive for a test in which the connection may break.
func (c *RawConn) TryReceive(method string) (RawResponse, error) {
	response, err := http.ReadResponse(c.Reader, &http.Request{Method: method})
	if err != nil {
		return RawResponse{}, err
	}
	body, err := io.ReadAll(response.Body)
	return RawResponse{response, string(body)}, err
}

// ExpectClosed fails the test unless the server ends the connection.
func (c *RawConn) ExpectClosed(t *testing.T) {
	t.Helper()
	rest, err := io.ReadAll(c.Reader)
	var netErr net.Error
	if errors.As(err, &netErr) && netErr.Timeout() {
		t.Errorf("the server keeps the connection open")
	}
	if len(rest) > 0 {
		t.Errorf("the server says more: %.300q", rest)
	}
}

// Exchange sends one request on a connection of its own.
func (tb *Testbed) Exchange(t *testing.T, method, uri string, lines ...string) RawResponse {
	t.Helper()
	c := tb.Dial(t)
	defer c.Close()
	c.Send(RequestText(method+" "+uri+" HTTP/1.1", append([]string{"Host: bucket.example", "Connection: close"}, lines...)...))
	return c.Receive(t, method)
}

// GoodPreflight is an ordinary preflight that the rule app allows. GoodPreflightHeaders are
// the headers of the response, as AccessControl returns them.
var (
	GoodPreflight = PreflightText("Origin: https://app.example.com",
		"Access-Control-Request-Method: PUT", "Access-Control-Request-Headers: content-type,x-oss-date")
	GoodPreflightHeaders = []string{
		"Allow-Headers: content-type, x-oss-date",
		"Allow-Methods: GET, PUT",
		"Allow-Origin: https://app.example.com",
		"Expose-Headers: ETag",
		"Max-Age: 600",
	}
)

// ExpectUnharmed fails the test unless an ordinary preflight on the connection gets
// exactly what it gets on a new one.
func (c *RawConn) ExpectUnharmed(t *testing.T) {
	t.Helper()
	c.Send(GoodPreflight)
	a := c.Receive(t, "OPTIONS")
	if got := AccessControl(a.Header); a.StatusCode != 200 || a.Text != "" || !slices.Equal(got, GoodPreflightHeaders) {
		t.Errorf("the next preflight on the connection: %s %q %q", a.Status, got, a.Text)
	}
}
