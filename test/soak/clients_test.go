package soak

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/harness"
)

// soakClient sends one request after another, or misbehaves.
type soakClient struct {
	name string
	http *http.Client
	run  func(s *soak, round int)
}

func (s *soak) clients() (clients []soakClient) {
	add := func(n int, name string, run func(c soakClient, s *soak, round int)) {
		for range n {
			c := soakClient{name: name, http: &http.Client{Transport: new(http.Transport), Timeout: harness.Patience}}
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
		flood := []string{harness.Names(200, 4*harness.Kilobyte), harness.Names(20, 32*harness.Kilobyte), strings.Repeat(",", 12*harness.Kilobyte)}
		c.ask(s, soakQuestion{method: "OPTIONS", origin: soakApp, headers: flood[round%len(flood)], reason: "malformed"})
	})
	add(8, "slow clients", func(c soakClient, s *soak, _ int) { c.askSlowly(s) })
	return clients
}

const soakApp = "https://app.example.com"

func soakTurn(n int) string { return fmt.Sprintf("https://turn-%d.example.com", n) }

// soakQuestion is a request for which the decision of each generation is known.
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

// counter is the counter of the request if this rule matched, or none.
func (q soakQuestion) counter(rule string) string {
	if rule == "" {
		return "denied " + q.kind() + " " + q.reason
	}
	return "rule_hits " + q.kind() + " " + rule
}

// shadowGeneration is the generation of the candidate rules, which never change.
const shadowGeneration = 1

// counters are all counters of the request if this rule of those in force matched, or none.
// The test always knows whether the candidate rules would change the decision, even if it does
// not know the generation in force: the response shows the decision, and the candidate rules
// stay the same.
func (q soakQuestion) counters(rule string) []string {
	candidate, _ := q.expected(shadowGeneration)
	switch {
	case rule != "" && candidate == "":
		return []string{q.counter(rule), "shadow_changes " + q.kind() + " allowed"}
	case rule == "" && candidate != "":
		return []string{q.counter(rule), "shadow_changes " + q.kind() + " denied"}
	}
	return []string{q.counter(rule)}
}

// expected is the decision of a generation: the rule and its CORS headers, or no rule.
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

// ask sends a request and checks the response.
func (c soakClient) ask(s *soak, q soakQuestion) {
	request, err := http.NewRequestWithContext(context.Background(), q.method, "http://"+s.Addr+q.path, http.NoBody)
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
		_, err = io.CopyN(io.Discard, response.Body, 100*harness.Kilobyte)
	} else {
		_, err = io.Copy(io.Discard, response.Body)
	}
	response.Body.Close()
	c.check(s, q, from, response, err)
}

// unanswered decides whether a request may stay without a response. At a reload, Caddy closes
// new connections and those whose request it has not read completely; and it breaks off when
// the origin server dies in the middle of a response. Such a request may have been counted.
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
		for _, counter := range q.counters(rule) {
			counters[counter] = true
		}
	}
	s.tally.cutOff(origin, keysInOrder(counters))
}

// askSlowly sends a preflight in pieces and takes its time with the answer.
func (c soakClient) askSlowly(s *soak) {
	q := soakQuestion{method: "OPTIONS", origin: soakApp, headers: "content-type", reason: "header"}
	text := harness.PreflightText("Origin: "+q.origin, "Access-Control-Request-Method: GET", "Access-Control-Request-Headers: "+q.headers)
	from := time.Now()
	conn, err := net.Dial("tcp4", s.Addr)
	if err != nil {
		c.unanswered(s, q, from, err)
		return
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(harness.Patience))
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
	c.check(s, q, from, response, err)
}

// check checks a response, and counts it as Caddy must.
func (c soakClient) check(s *soak, q soakQuestion, from time.Time, response *http.Response, bodyErr error) {
	to := time.Now()
	got := harness.AccessControl(response.Header)
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
	counters := q.counters(rule)
	if q.kind() == "actual" && response.StatusCode != http.StatusBadGateway {
		counters = append(counters, "upstream_headers_removed")
	}
	s.tally.add(c.name, counters, cut)
}
