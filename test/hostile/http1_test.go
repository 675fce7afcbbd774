package hostile

import (
	"encoding/xml"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/harness"
)

// TestHostileHTTP1 sends each request on a connection of its own and, where that stays
// open, an ordinary preflight after it.
func TestHostileHTTP1(t *testing.T) {
	tb := harness.StartTestbed(t, harness.TestbedConfig{})
	groups := []struct {
		name  string
		cases []hostile
	}{
		{"headers", hostileHeaderLists},
		{"no token", nil},
		{"origin", hostileOrigins},
		{"method", hostileMethods},
		{"message", hostileMessages},
		{"body", hostileBodies},
		{"actual", hostileActual},
	}
	for _, name := range noTokens {
		groups[1].cases = append(groups[1].cases,
			hostile{desc: fmt.Sprintf("%q", name), request: harness.PreflightText(fromSub, forGet, asksFor+"x-a, "+name), status: 403, counts: []string{malform}})
	}
	for _, group := range groups {
		for _, c := range group.cases {
			t.Run(group.name+"/"+c.desc, func(t *testing.T) { sendHostile(t, tb, c) })
		}
	}
}

func sendHostile(t *testing.T, tb *harness.Testbed, c hostile) {
	before := tb.Counts(t)
	conn := tb.Dial(t)
	go conn.Send(c.request) // which may block if the server answers before it has read everything
	a, err := conn.TryReceive(strings.SplitN(c.request, " ", 2)[0])
	if err != nil {
		if c.status == 400 && c.closes { // a reset can overtake the answer to a broken request
			tb.ExpectCounts(t, before, c.counts...)
			return
		}
		t.Fatalf("no answer: %v", err)
	}
	if a.StatusCode != c.status {
		t.Fatalf("%s; want %d: %.300q", a.Status, c.status, a.Text)
	}
	counts := c.counts
	checkHostileAnswer(t, a, c)
	if c.closes {
		conn.ExpectClosed(t)
	} else {
		conn.ExpectUnharmed(t)
		counts = append(slices.Clone(counts), hitsApp)
	}
	tb.ExpectCounts(t, before, counts...)
	if got := strings.Join(tb.Origin.Requests(), ", "); got != c.origin {
		t.Errorf("the origin server saw %.100q; want %.100q", got, c.origin)
	}
}

// checkHostileAnswer checks that a denial allows nothing, and that its document is well-formed
// XML; and that an allowed preflight allows exactly the headers of the request.
func checkHostileAnswer(t *testing.T, a harness.RawResponse, c hostile) {
	t.Helper()
	granted := harness.AccessControl(a.Header)
	hit := len(c.counts) > 0 && strings.HasPrefix(c.counts[0], "rule_hits")
	if !hit && len(granted) > 0 {
		t.Errorf("not allowed, and yet: %q", granted)
	}
	if hit && len(granted) < 2 {
		t.Errorf("allowed, with no more than: %q", granted)
	}
	if got := a.Header.Get("Access-Control-Allow-Headers"); got != c.allow {
		t.Errorf("Access-Control-Allow-Headers: %.300q; want %.300q", got, c.allow)
	}
	if len(c.counts) > 0 && a.StatusCode >= 400 {
		if err := wellFormed(a.Text); err != nil {
			t.Errorf("%v in %.1000q", err, a.Text)
		}
	}
}

func wellFormed(document string) error {
	decoder := xml.NewDecoder(strings.NewReader(document))
	for {
		if _, err := decoder.Token(); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// TestHostileDefaultHeaderLimit: with Caddy's defaults, a header of more than 16 KB does not
// reach the module.
func TestHostileDefaultHeaderLimit(t *testing.T) {
	tb := harness.StartTestbed(t, harness.TestbedConfig{})
	harness.Edit(t, filepath.Join(tb.Dir, "Caddyfile"), "max_header_size 1MB", "")
	tb.Stop()
	_, port, _ := net.SplitHostPort(tb.Addr)
	tb.Process = harness.StartCaddy(t, tb.Dir, "Caddyfile", nil, []string{port})
	for _, c := range []hostile{
		{desc: "64 KB of names", request: harness.PreflightText(fromApp, forGet, asksFor+names(64, kilobyte)), status: 431, closes: true},
		{desc: "64 KB of Origin", request: harness.PreflightText("Origin: "+strings.Repeat("x", 64*kilobyte), forGet), status: 431, closes: true},
		{desc: "8 KiB and 1", request: harness.PreflightText(fromSub, forGet, asksFor+names(1, 8*kilobyte+1)), status: 403, counts: []string{malform}},
	} {
		t.Run(c.desc, func(t *testing.T) { sendHostile(t, tb, c) })
	}
}

// TestHostilePipeline sends preflights of all kinds without waiting: the responses come in
// order, and none has a part of another.
func TestHostilePipeline(t *testing.T) {
	tb := harness.StartTestbed(t, harness.TestbedConfig{})
	before := tb.Counts(t)
	kinds := []struct {
		request, origin, headers, counts string
		status                           int
	}{
		{harness.PreflightText(fromApp, forGet, asksFor+"content-type"), "https://app.example.com", "content-type", hitsApp, 200},
		{harness.PreflightText(fromSub, forGet, asksFor+names(128, 60)), "https://x.preview.example.com", strings.ReplaceAll(names(128, 60), ",", ", "), hitsSub, 200},
		{harness.PreflightText(fromApp, fromSub, forGet), "", "", malform, 403},
		{harness.PreflightText("Origin: https://evil.example", forGet), "", "", "denied preflight origin", 403},
		{harness.PreflightText(forGet), "", "", "denied preflight missing_origin", 400},
		{harness.PreflightText(fromApp, forGet, "Content-Length: 3") + "abc", "https://app.example.com", "", hitsApp, 200},
	}
	const rounds = 50
	var all strings.Builder
	var counts []string
	for range rounds {
		for _, kind := range kinds {
			all.WriteString(kind.request)
			counts = append(counts, kind.counts)
		}
	}
	conn := tb.Dial(t)
	go conn.Send(all.String())
	for round := range rounds {
		for i, kind := range kinds {
			a := conn.Receive(t, "OPTIONS")
			if a.StatusCode != kind.status || a.Header.Get("Access-Control-Allow-Origin") != kind.origin ||
				a.Header.Get("Access-Control-Allow-Headers") != kind.headers {
				t.Fatalf("round %d, kind %d: %s %q", round, i, a.Status, harness.AccessControl(a.Header))
			}
		}
	}
	tb.ExpectCounts(t, before, counts...)
	if seen := tb.Origin.Requests(); len(seen) > 0 {
		t.Errorf("the origin server saw %q", seen)
	}
}

// TestHostileSmuggling hides a request in a preflight's body, where a server and a proxy
// may disagree on where that ends. It must stay a body.
func TestHostileSmuggling(t *testing.T) {
	tb := harness.StartTestbed(t, harness.TestbedConfig{})
	hidden := harness.RequestText("DELETE /hidden HTTP/1.1", "Host: bucket.example")
	for desc, text := range map[string]string{
		"length":             harness.PreflightText(fromApp, forGet, fmt.Sprint("Content-Length: ", len(hidden))) + hidden,
		"length and chunked": harness.PreflightText(fromApp, forGet, "Content-Length: 4", "Transfer-Encoding: chunked") + fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(hidden), hidden),
		"chunked twice":      harness.PreflightText(fromApp, forGet, "Transfer-Encoding: chunked", "Transfer-Encoding: identity") + "0\r\n\r\n" + hidden,
		"chunked, obscured":  harness.PreflightText(fromApp, forGet, "Transfer-Encoding: xchunked", "Content-Length: 5") + "0\r\n\r\n" + hidden,
	} {
		t.Run(desc, func(t *testing.T) {
			conn := tb.Dial(t)
			conn.Send(text)
			for {
				a, err := conn.TryReceive("OPTIONS")
				if err != nil || a.Close {
					break
				}
				if conn.Reader.Buffered() == 0 {
					conn.ExpectUnharmed(t)
					break
				}
			}
			if seen := tb.Origin.Requests(); len(seen) > 0 {
				t.Errorf("the origin server saw %q", seen)
			}
		})
	}
}

// TestHostileUnfinished holds connections with headers and bodies that never end. Caddy serves
// others meanwhile, and its timeouts end them.
func TestHostileUnfinished(t *testing.T) {
	tb := harness.StartTestbed(t, harness.TestbedConfig{})
	before := tb.Counts(t)
	const each = 50
	var slow, unfinished []*harness.RawConn
	for range each {
		conn := tb.Dial(t)
		conn.Send("OPTIONS /k.txt HTTP/1.1\r\nHost: bucket.example\r\nOrigin: https://app.exa")
		slow = append(slow, conn)
		conn = tb.Dial(t)
		conn.Send(harness.PreflightText(fromApp, forGet, "Content-Length: 100") + "and then silence")
		unfinished = append(unfinished, conn)
	}
	start := time.Now()
	tb.Dial(t).ExpectUnharmed(t)
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("among slow clients, an ordinary preflight took %s", took)
	}
	counts := []string{hitsApp}
	for _, conn := range slow {
		conn.ExpectClosed(t)
	}
	for _, conn := range unfinished {
		// Go's server reads the rest of a short body before it answers.
		if a, err := conn.TryReceive("OPTIONS"); err == nil && (a.StatusCode != 200 || !a.Close) {
			t.Errorf("an unfinished body: %s, close %t", a.Status, a.Close)
		}
		conn.ExpectClosed(t)
		counts = append(counts, hitsApp)
	}
	tb.ExpectCounts(t, before, counts...)
}
