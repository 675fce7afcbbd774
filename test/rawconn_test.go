package test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// rawConn is a connection that sends what no HTTP client would.
type rawConn struct {
	net.Conn
	reader *bufio.Reader
}

func (tb *testbed) dial(t *testing.T) *rawConn {
	t.Helper()
	conn, err := net.Dial("tcp4", tb.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return &rawConn{conn, bufio.NewReader(conn)}
}

// send sends text as it stands. A server that has had enough may close the connection
// before it has read everything, which shows in the answer.
func (c *rawConn) send(text string) { _, _ = io.WriteString(c, text) }

// answer is a response that was read to its end.
type answer struct {
	*http.Response
	body string
}

// receive reads the answer to a request with this method.
func (c *rawConn) receive(t *testing.T, method string) answer {
	t.Helper()
	a, err := c.tryReceive(method)
	if err != nil {
		t.Fatalf("no answer: %v", err)
	}
	return a
}

func (c *rawConn) tryReceive(method string) (answer, error) {
	response, err := http.ReadResponse(c.reader, &http.Request{Method: method})
	if err != nil {
		return answer{}, err
	}
	body, err := io.ReadAll(response.Body)
	return answer{response, string(body)}, err
}

// expectClosed fails the test unless the server ends the connection.
func (c *rawConn) expectClosed(t *testing.T) {
	t.Helper()
	rest, err := io.ReadAll(c.reader)
	if netErr, ok := err.(net.Error); ok && netErr.Timeout() {
		t.Errorf("the server keeps the connection open")
	}
	if len(rest) > 0 {
		t.Errorf("the server says more: %.300q", rest)
	}
}

// request is the text of an HTTP/1.1 request without a body.
func request(requestLine string, lines ...string) string {
	return requestLine + "\r\n" + strings.Join(append(lines, "\r\n"), "\r\n")
}

// preflight is the text of an OPTIONS request with these header lines.
func preflight(lines ...string) string {
	return request("OPTIONS /k.txt HTTP/1.1", append([]string{"Host: bucket.example"}, lines...)...)
}

// askOnce sends one request on a connection of its own.
func (tb *testbed) askOnce(t *testing.T, method, uri string, lines ...string) answer {
	t.Helper()
	c := tb.dial(t)
	defer c.Close()
	c.send(request(method+" "+uri+" HTTP/1.1", append([]string{"Host: bucket.example", "Connection: close"}, lines...)...))
	return c.receive(t, method)
}

// goodPreflight is an ordinary preflight that the rule app allows; goodAnswer is what it
// gets.
var (
	goodPreflight = preflight("Origin: https://app.example.com",
		"Access-Control-Request-Method: PUT", "Access-Control-Request-Headers: content-type,x-oss-date")
	goodAnswer = []string{
		"Allow-Headers: content-type, x-oss-date",
		"Allow-Methods: GET, PUT",
		"Allow-Origin: https://app.example.com",
		"Expose-Headers: ETag",
		"Max-Age: 600",
	}
)

// expectUnharmed fails the test unless an ordinary preflight on the connection gets
// exactly what it gets on a new one.
func (c *rawConn) expectUnharmed(t *testing.T) {
	t.Helper()
	c.send(goodPreflight)
	a := c.receive(t, "OPTIONS")
	if got := accessControl(a.Header); a.StatusCode != 200 || a.body != "" || !slices.Equal(got, goodAnswer) {
		t.Errorf("the next preflight on the connection: %s %q %q", a.Status, got, a.body)
	}
}
