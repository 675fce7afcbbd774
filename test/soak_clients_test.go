package test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

func keysInOrder[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// soakClient asks one question after another, or misbehaves.
type soakClient struct {
	name string
	http *http.Client
	run  func(s *soak, round int)
}

func (s *soak) clients() (clients []soakClient) {
	add := func(n int, name string, run func(c soakClient, s *soak, round int)) {
		for range n {
			c := soakClient{name: name, http: &http.Client{Transport: new(http.Transport), Timeout: patience}}
			c.run = func(s *soak, round int) { run(c, s, round) }
			clients = append(clients, c)
		}
	}
	add(4, "preflights", func(c soakClient, s *soak, round int) {
		questions := []soakQuestion{
			{method: "OPTIONS", origin: soakApp, headers: "content-type", reason: "header"},
			{method: "OPTIONS", origin: soakApp, headers: fmt.Sprintf("x-turn-%d", round%3), reason: "header"},
			{method: "OPTIONS", origin: soakTurn(round % 2), headers: "x-any,x-other", reason: "origin"},
		}
		c.ask(s, questions[round%len(questions)])
	})
	add(4, "requests", func(c soakClient, s *soak, round int) {
		c.ask(s, soakQuestion{method: "GET", origin: []string{soakApp, soakTurn(round % 2)}[rand.IntN(2)], reason: "origin"})
	})
	add(1, "clients that vanish in a body", func(c soakClient, s *soak, _ int) {
		c.ask(s, soakQuestion{method: "GET", origin: soakApp, path: "/large", vanish: true, reason: "origin"})
	})
	add(2, "preflights of random origins", func(c soakClient, s *soak, _ int) {
		c.ask(s, soakQuestion{method: "OPTIONS", origin: fmt.Sprintf("https://%x.example.net", rand.Uint64()), headers: "content-type", reason: "origin"})
	})
	add(1, "header floods", func(c soakClient, s *soak, round int) {
		flood := []string{names(200, 4*kilobyte), names(20, 32*kilobyte), strings.Repeat(",", 12*kilobyte)}
		c.ask(s, soakQuestion{method: "OPTIONS", origin: soakApp, headers: flood[round%len(flood)], reason: "malformed"})
	})
	add(8, "slow clients", func(c soakClient, s *soak, _ int) { c.askSlowly(s) })
	return clients
}

const soakApp = "https://app.example.com"

func soakTurn(n int) string { return fmt.Sprintf("https://turn-%d.example.com", n) }

// soakQuestion is a request of which it is known what each generation says.
type soakQuestion struct {
	method, origin, path, headers string
	vanish                        bool   // when some of the answer is there
	reason                        string // for which it is denied if it is
}

func (q soakQuestion) kind() string {
	if q.method == "OPTIONS" {
		return "preflight"
	}
	return "actual"
}

// counter is what counts the question if this rule matched, or none.
func (q soakQuestion) counter(rule string) string {
	if rule == "" {
		return "denied " + q.kind() + " " + q.reason
	}
	return "rule_hits " + q.kind() + " " + rule
}

// expected is what a generation answers: the rule and its CORS headers, or no rule.
func (q soakQuestion) expected(g int) (rule string, headers []string) {
	switch {
	case q.reason == "malformed":
		return "", nil
	case q.origin == soakApp && (q.kind() == "actual" || q.headers == "content-type" || q.headers == fmt.Sprintf("x-turn-%d", g%3)):
		rule, headers = "steady", []string{"Allow-Methods: GET, PUT", "Expose-Headers: ETag"}
	case q.origin == soakTurn(g%2):
		rule, headers = "turn", []string{"Allow-Methods: GET"}
	default:
		return "", nil
	}
	headers = append(headers, "Allow-Origin: "+q.origin, fmt.Sprintf("Max-Age: %d", g))
	if q.kind() == "preflight" {
		headers = append(headers, "Allow-Headers: "+strings.ReplaceAll(q.headers, ",", ", "))
	}
	slices.Sort(headers)
	return rule, headers
}

// ask puts a question and judges the answer.
func (c soakClient) ask(s *soak, q soakQuestion) {
	request, err := http.NewRequestWithContext(context.Background(), q.method, "http://"+s.addr+q.path, http.NoBody)
	if err != nil {
		s.tally.problem("%v", err)
		return
	}
	request.Header.Set("Origin", q.origin)
	if q.kind() == "preflight" {
		request.Header.Set("Access-Control-Request-Method", "GET")
		request.Header.Set("Access-Control-Request-Headers", q.headers)
	}
	from := time.Now()
	response, err := c.http.Do(request)
	if err != nil {
		c.unanswered(s, q, from, err)
		return
	}
	if q.vanish {
		_, err = io.CopyN(io.Discard, response.Body, 100*kilobyte)
	} else {
		_, err = io.Copy(io.Discard, response.Body)
	}
	response.Body.Close()
	c.judge(s, q, from, response, err)
}

// unanswered judges that there is no answer at all: at a reload, Caddy closes connections
// that are new, or on which a request has not come whole; and it breaks off where the origin server dies in
// the middle of a response. Such a request may have been counted.
func (c soakClient) unanswered(s *soak, q soakQuestion, from time.Time, err error) {
	to := time.Now()
	origin := q.kind() == "actual" && s.server.away.overlap(from, to)
	if !origin && !s.reloads.overlap(from, to) {
		s.tally.problem("%s: %v", c.name, err)
		return
	}
	counters := map[string]bool{}
	for _, g := range s.generations.between(from, to) {
		rule, _ := q.expected(g)
		counters[q.counter(rule)] = true
	}
	s.tally.cutOff(origin, keysInOrder(counters))
}

// askSlowly sends a preflight in pieces and takes its time with the answer.
func (c soakClient) askSlowly(s *soak) {
	q := soakQuestion{method: "OPTIONS", origin: soakApp, headers: "content-type", reason: "header"}
	text := preflight("Origin: "+q.origin, "Access-Control-Request-Method: GET", "Access-Control-Request-Headers: "+q.headers)
	from := time.Now()
	conn, err := net.Dial("tcp4", s.addr)
	if err != nil {
		c.unanswered(s, q, from, err)
		return
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	for len(text) > 0 {
		n := min(len(text), 1+rand.IntN(40))
		if _, err := io.WriteString(conn, text[:n]); err != nil {
			c.unanswered(s, q, from, err)
			return
		}
		text = text[n:]
		time.Sleep(20 * time.Millisecond)
	}
	response, err := http.ReadResponse(bufio.NewReaderSize(conn, 16), &http.Request{Method: q.method})
	if err != nil {
		c.unanswered(s, q, from, err)
		return
	}
	_, err = io.Copy(io.Discard, response.Body)
	response.Body.Close()
	c.judge(s, q, from, response, err)
}

// judge checks an answer, and counts it as Caddy has to.
func (c soakClient) judge(s *soak, q soakQuestion, from time.Time, response *http.Response, bodyErr error) {
	to := time.Now()
	got := accessControl(response.Header)
	rule, found := "", false
	possible := s.generations.between(from, to)
	for _, g := range possible {
		expectedRule, headers := q.expected(g)
		if slices.Equal(got, headers) {
			rule, found = expectedRule, true
			break
		}
	}
	status := http.StatusOK
	if q.kind() == "preflight" && rule == "" {
		status = http.StatusForbidden
	}
	away := q.kind() == "actual" && s.server.away.overlap(from, to)
	cut := response.StatusCode == http.StatusBadGateway || bodyErr != nil
	switch {
	case !found:
		s.tally.problem("%s: %s %s %.60q by rules %v: %s %q", c.name, q.method, q.origin, q.headers, possible, response.Status, got)
		return
	case cut && !away:
		s.tally.problem("%s: %s, %v, with the origin server there", c.name, response.Status, bodyErr)
		return
	case !cut && response.StatusCode != status:
		s.tally.problem("%s: %s %s: %s", c.name, q.method, q.origin, response.Status)
		return
	}
	s.tally.add(c.name, q.counter(rule), cut)
	if q.kind() == "actual" && response.StatusCode != http.StatusBadGateway {
		s.tally.add("", "upstream_headers_removed", false)
	}
}

// tally is what the clients have seen: how much Caddy has to have counted.
type tally struct {
	mu       sync.Mutex
	asked    map[string]int // by the clients' kind
	answers  map[string]int // by counter
	outages  int
	cut      int            // by Caddy, at a reload
	maybe    map[string]int // by counter: requests without an answer
	problems []string
	start    map[string]int
}

func (t *tally) reset(counts map[string]int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.asked, t.answers, t.maybe, t.outages, t.cut, t.start = map[string]int{}, map[string]int{}, map[string]int{}, 0, 0, counts
}

func (t *tally) add(asked, counter string, outage bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if asked != "" && t.asked != nil {
		t.asked[asked]++
	}
	t.answers[counter]++
	if outage {
		t.outages++
	}
}

// cutOff notes a request without an answer, which one of these counters may have.
func (t *tally) cutOff(origin bool, counters []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if origin {
		t.outages++
	} else {
		t.cut++
	}
	for _, counter := range counters {
		t.maybe[counter]++
	}
}

// problem notes what is wrong. A few are enough to stop.
func (t *tally) problem(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.problems = append(t.problems, fmt.Sprintf(format, args...))
}

func (t *tally) failed() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.problems) >= 5
}

// compare fails the test unless the counters grew by what was answered.
func (t *tally) compare(test *testing.T, counts map[string]int) {
	test.Helper()
	for name, n := range t.answers {
		if grown := counts[name] - t.start[name]; grown < n || grown > n+t.maybe[name] {
			test.Errorf("counter %q grew by %d; %d answers were of its kind", name, grown, n)
		}
	}
	for name, n := range counts {
		if _, ok := t.answers[name]; !ok && t.maybe[name] == 0 && n != t.start[name] && !strings.HasPrefix(name, "shadow_changes") {
			test.Errorf("counter %q grew by %d, for no answer", name, n-t.start[name])
		}
	}
}

// reload loads the configuration anew, though it is the same.
func (s *soak) reload(t *testing.T, _ int) {
	s.reloads.begin()
	s.post(t, s.config, http.StatusOK)
	s.reloads.end()
}

// failReload tries to load a configuration whose rules are not there.
func (s *soak) failReload(t *testing.T, _ int) {
	s.post(t, bytes.Replace(s.config, []byte("cors.xml"), []byte("missing.xml"), 1), http.StatusBadRequest)
}

// adapted is the Caddyfile as the admin API takes it.
func (tb *testbed) adapted(t *testing.T) []byte {
	t.Helper()
	cmd := exec.Command(caddyBin, "adapt", "--config", "Caddyfile")
	cmd.Dir = tb.dir
	config, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return config
}

func (s *soak) post(t *testing.T, config []byte, status int) {
	t.Helper()
	request, err := http.NewRequest(http.MethodPost, s.admin+"/load", bytes.NewReader(config))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Cache-Control", "must-revalidate") // load even what has not changed
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if body, _ := io.ReadAll(response.Body); response.StatusCode != status {
		t.Fatalf("loading a configuration: %s %s", response.Status, body)
	}
}

// flakyOrigin is an origin server that dies and returns at the same port.
type flakyOrigin struct {
	port   string
	server *http.Server

	away periods
}

// periods are times from a beginning to an end, one after another.
type periods struct {
	mu  sync.Mutex
	all [][2]time.Time // the zero time: not yet at its end
}

func (p *periods) begin() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all = append(p.all, [2]time.Time{time.Now()})
}

func (p *periods) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all[len(p.all)-1][1] = time.Now()
}

// runs reports whether a period has begun so long ago and not ended.
func (p *periods) runs(d time.Duration) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.all)
	return n > 0 && p.all[n-1][1].IsZero() && time.Since(p.all[n-1][0]) >= d
}

// overlap reports whether a period, and a while for what it leaves behind, was at some time
// between.
func (p *periods) overlap(from, to time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	const while = time.Second
	return slices.ContainsFunc(p.all, func(one [2]time.Time) bool {
		return one[0].Before(to) && (one[1].IsZero() || from.Before(one[1].Add(while)))
	})
}

func (o *flakyOrigin) start(t *testing.T) {
	o.port = freePorts(t, 1)[0]
	o.serve(t)
	t.Cleanup(func() { _ = o.server.Close() })
}

func (o *flakyOrigin) serve(t *testing.T) {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:"+o.port)
	if err != nil {
		t.Fatal(err)
	}
	block := bytes.Repeat([]byte("x"), 64*kilobyte)
	o.server = &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*") // to be removed
		if r.URL.Path != "/large" {
			_, _ = io.WriteString(w, "origin")
			return
		}
		for range 64 {
			if _, err := w.Write(block); err != nil {
				return
			}
		}
	})}
	server := o.server
	go func() {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			panic(err)
		}
	}()
}

// die ends the server at once, whatever it is doing.
func (o *flakyOrigin) die() {
	if !o.away.runs(0) {
		o.away.begin()
		_ = o.server.Close()
	}
}

// live has the server back, if it is away.
func (o *flakyOrigin) live(t *testing.T) {
	if o.away.runs(0) {
		o.serve(t)
		o.away.end()
	}
}
