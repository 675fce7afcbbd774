package fleet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/harness"
)

// fleetRefresh is the refresh of the test's proxies. fleetSlack is what a machine under load
// may add to the time between two readings of the clock around a request.
const fleetExample = "examples/fleet"

const (
	fleetRefresh = time.Second
	fleetSlack   = 250 * time.Millisecond
)

// fleet is three proxies and a load balancer, run by examples/fleet, over one storage. Each
// proxy sees the storage by a symbolic link of its own, which can be cut.
type fleet struct {
	balancer string // port
	proxies  [3]*fleetProxy
	shared   string
	client   *http.Client
}

type fleetProxy struct {
	*harness.Process
	port, link string
	env        []string

	// Since when nothing is wrong with it, in Unix nanoseconds; 0: something is.
	well atomic.Int64
}

func startFleet(t *testing.T) *fleet {
	t.Helper()
	origin := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(origin.Close)
	ports := harness.FreePorts(t, 4)
	f := &fleet{balancer: ports[3], shared: t.TempDir()}
	var addrs []string
	for i := range f.proxies {
		p := &fleetProxy{port: ports[i], link: filepath.Join(t.TempDir(), "storage")}
		p.env = []string{
			"BIND=127.0.0.1", "PROXY_PORT=" + p.port, "STORAGE=" + p.link, "REFRESH=" + fleetRefresh.String(),
			"STORE=" + origin.Listener.Addr().String(), "RULES_KEY_ID=" + harness.APIKey, "RULES_KEY_SECRET=" + harness.APISecret,
		}
		f.proxies[i] = p
		f.heal(t, p)
		f.start(t, p)
		addrs = append(addrs, "127.0.0.1:"+p.port)
	}
	harness.StartCaddy(t, "", fleetExample+"/balancer.Caddyfile", []string{"BIND=127.0.0.1", "PORT=" + f.balancer, "PROXIES=" + strings.Join(addrs, " ")}, []string{f.balancer})
	transport := &http.Transport{MaxIdleConnsPerHost: 100}
	t.Cleanup(transport.CloseIdleConnections)
	f.client = &http.Client{Transport: transport, Timeout: harness.Patience}
	return f
}

func (f *fleet) start(t *testing.T, p *fleetProxy) {
	t.Helper()
	p.Process = harness.StartCaddy(t, "", fleetExample+"/Caddyfile", p.env, []string{p.port})
	p.well.Store(time.Now().UnixNano())
}

// cut replaces a proxy's storage in one step: by a file or, as when a mount is lost, by a link
// to nothing.
func (f *fleet) cut(t *testing.T, p *fleetProxy, by string) {
	t.Helper()
	p.well.Store(0)
	f.replace(t, p, by)
}

func (f *fleet) heal(t *testing.T, p *fleetProxy) {
	t.Helper()
	f.replace(t, p, f.shared)
	p.well.Store(time.Now().UnixNano())
}

func (f *fleet) replace(t *testing.T, p *fleetProxy, by string) {
	t.Helper()
	var err error
	if by == "a file" {
		err = os.WriteFile(p.link+".new", nil, 0o600)
	} else {
		err = os.Symlink(by, p.link+".new")
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(p.link+".new", p.link); err != nil {
		t.Fatal(err)
	}
}

// fleetBucket is a bucket whose rules are replaced all the time by ever higher versions.
type fleetBucket struct {
	name string

	mu           sync.Mutex
	began        int
	acknowledged []time.Time // by version; zero: no proxy has acknowledged it
}

// write puts the next version.
func (b *fleetBucket) write(f *fleet, port string) (ok bool) {
	b.mu.Lock()
	b.began++
	version := b.began
	b.acknowledged = append(b.acknowledged, time.Time{})
	b.mu.Unlock()
	status, _, err := putDocument(context.Background(), f.client, port, b.name, versioned(version, 4000))
	if err != nil || status != 200 {
		return false
	}
	b.mu.Lock()
	b.acknowledged[version-1] = time.Now()
	b.mu.Unlock()
	return true
}

// versions returns the newest version that was acknowledged by a time, and the newest that
// has begun to be written.
func (b *fleetBucket) versions(by time.Time) (atLeast, atMost int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for version := len(b.acknowledged); version > 0; version-- {
		if at := b.acknowledged[version-1]; !at.IsZero() && !at.After(by) {
			return version, b.began
		}
	}
	return 0, b.began
}

// fleetLoad sends requests all the time, and checks every response.
type fleetLoad struct {
	*fleet
	t       *testing.T
	buckets []*fleetBucket
	stop    chan struct{}
	running sync.WaitGroup

	asked, checked, written, refused, failed atomic.Int64
}

func (l *fleetLoad) run(every time.Duration, do func()) {
	l.running.Go(func() {
		for {
			select {
			case <-l.stop:
				return
			case <-time.After(every):
				do()
			}
		}
	})
}

func (l *fleetLoad) bucket() *fleetBucket { return l.buckets[rand.IntN(len(l.buckets))] }

// wrong reports a wrong answer, the first few of them.
func (l *fleetLoad) wrong(format string, args ...any) {
	if l.failed.Add(1) <= 10 {
		l.t.Errorf(format, args...)
	}
}

// askBalancer sends preflights and actual requests as the public does. What happens to a proxy
// must not show.
func (l *fleetLoad) askBalancer() {
	b := l.bucket()
	method, code := "OPTIONS", 0
	if rand.IntN(2) == 0 {
		method = "GET"
	}
	r, err := http.NewRequest(method, harness.BucketURL(l.balancer, b.name)+"k", nil)
	if err != nil {
		l.t.Error(err)
		return
	}
	r.Header.Set("Origin", "https://app.example.com")
	if method == "OPTIONS" {
		r.Header.Set("Access-Control-Request-Method", "GET")
	}
	a, err := l.client.Do(r)
	if err == nil {
		code = a.StatusCode
		_, err = harness.ReadAll(a)
	}
	l.asked.Add(1)
	if err != nil || code != 200 || a.Header.Get("Access-Control-Allow-Origin") == "" {
		l.wrong("%s by the load balancer: %d, %v", method, code, err)
		return
	}
	if _, atMost := b.versions(time.Now()); versionIn(a.Header.Get("Access-Control-Expose-Headers")) > atMost {
		l.wrong("%s by the load balancer: a version that nobody wrote", method)
	}
}

// askProxy sends a request to one proxy, and checks that the rules of the response are not too
// old. A killed proxy need not answer.
func (l *fleetLoad) askProxy(p *fleetProxy) {
	b := l.bucket()
	well, began := p.well.Load(), time.Now()
	status, version, err := askVersion(l.client, p.port, b.name)
	switch {
	case err != nil && (well == 0 || p.well.Load() != well):
		return
	case err != nil || status != 200:
		l.wrong("proxy at %s, %s: %d, %v", p.port, b.name, status, err)
		return
	}
	by := began.Add(-fleetRefresh - fleetSlack)
	atLeast, atMost := b.versions(by)
	if version > atMost {
		l.wrong("proxy at %s, %s: version %d; only %d were written", p.port, b.name, version, atMost)
	}
	if well == 0 || p.well.Load() != well || time.Unix(0, well).After(by) {
		return // it cannot read the rules, or could not until a moment ago
	}
	l.checked.Add(1)
	if version < atLeast {
		_, newest := b.versions(time.Now())
		l.wrong("proxy at %s, %s: version %d, when %d had been acknowledged for more than refresh; the newest is %d", p.port, b.name, version, atLeast, newest)
	}
}

// TestFleet keeps a fleet under load while its rules change and its proxies are killed,
// restarted, cut off from the storage and healed.
func TestFleet(t *testing.T) {
	f := startFleet(t)
	l := &fleetLoad{fleet: f, t: t, stop: make(chan struct{})}
	for i := range 6 {
		b := &fleetBucket{name: fmt.Sprintf("bucket-%d", i)}
		if !b.write(f, f.proxies[i%3].port) {
			t.Fatal("the first write failed")
		}
		l.buckets = append(l.buckets, b)
	}
	time.Sleep(fleetRefresh)
	for i, b := range l.buckets {
		turn := i
		l.run(100*time.Millisecond, func() { // at alternating proxies
			turn++
			if b.write(f, f.proxies[turn%3].port) {
				l.written.Add(1)
			} else {
				l.refused.Add(1)
			}
		})
	}
	for range 4 {
		l.run(2*time.Millisecond, l.askBalancer)
	}
	for _, p := range f.proxies {
		for range 2 {
			l.run(3*time.Millisecond, func() { l.askProxy(p) })
		}
	}

	const settle = fleetRefresh + fleetSlack + 500*time.Millisecond // and some checks
	time.Sleep(settle)
	for _, p := range f.proxies[:2] {
		p.well.Store(0)
		// It hangs first, so that it has requests that it will not answer.
		if err := p.Cmd.Process.Signal(syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond)
		p.Kill()
		time.Sleep(700 * time.Millisecond)
		f.start(t, p)
		time.Sleep(700 * time.Millisecond)
	}
	time.Sleep(settle)
	for i, by := range []string{"a file", "nowhere"} {
		p := f.proxies[i+1]
		f.cut(t, p, by)
		time.Sleep(2 * fleetRefresh)
		if status, body, err := putDocument(t.Context(), f.client, p.port, "bucket-new", versioned(1, 0)); err != nil || !isClearFailure(status, body) {
			t.Errorf("a write at a proxy without its storage (%s): %d %s, %v; want 500 InternalError", by, status, body, err)
		}
		f.heal(t, p)
		time.Sleep(settle)
	}
	close(l.stop)
	l.running.Wait()
	t.Logf("%d requests by the load balancer; %d responses of proxies checked by their age; %d writes acknowledged, %d refused or cut off",
		l.asked.Load(), l.checked.Load(), l.written.Load(), l.refused.Load())
	if l.checked.Load() < 500 || l.written.Load() < 100 {
		t.Error("too little was tried")
	}

	// At rest, everything that was acknowledged last is in force everywhere.
	time.Sleep(fleetRefresh)
	for _, b := range l.buckets {
		atLeast, atMost := b.versions(time.Now())
		var seen []int
		for _, p := range f.proxies {
			status, version, err := askVersion(f.client, p.port, b.name)
			if err != nil || status != 200 || version < atLeast || version > atMost {
				t.Errorf("%s at %s: %d, version %d, %v; acknowledged is %d, of %d", b.name, p.port, status, version, err, atLeast, atMost)
			}
			seen = append(seen, version)
		}
		if seen[0] != seen[1] || seen[1] != seen[2] {
			t.Errorf("%s: versions %v are in force", b.name, seen)
		}
	}
}

// TestFleetTwoWriters writes and deletes the rules of a bucket through two proxies at once.
// One of the two writes is then in force, complete, at all proxies.
func TestFleetTwoWriters(t *testing.T) {
	f := startFleet(t)
	type duel struct {
		bucket    string
		documents [2]string // empty: a deletion
	}
	var duels []duel
	for i := range 40 {
		d := duel{bucket: fmt.Sprintf("duel-%d", i)}
		for j := range d.documents {
			d.documents[j] = versioned(1000*i+j+1, 500+15_000*j) // one short, one long
		}
		if i%4 == 3 {
			d.documents[1] = ""
		}
		duels = append(duels, d)
		if status, _, err := putDocument(t.Context(), f.client, f.proxies[2].port, d.bucket, versioned(999_999, 8000)); err != nil || status != 200 {
			t.Fatal(status, err)
		}
	}
	for _, d := range duels {
		start := make(chan struct{})
		var writers sync.WaitGroup
		for j, document := range d.documents {
			writers.Go(func() {
				method, want := "PUT", 200
				if document == "" {
					method, want = "DELETE", 204
				}
				<-start
				if status, body, err := askAPI(context.Background(), f.client, method, f.proxies[j].port, d.bucket, document); err != nil || status != want {
					t.Errorf("%s: %s: %d %s, %v", d.bucket, method, status, body, err)
				}
			})
		}
		close(start)
		writers.Wait()
	}
	time.Sleep(fleetRefresh)
	won := [2]int{}
	for _, d := range duels {
		stored, err := os.ReadFile(filepath.Join(f.shared, "oss_cors", d.bucket+".xml"))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		winner := 1
		if string(stored) == d.documents[0] {
			winner = 0
		} else if string(stored) != d.documents[1] {
			t.Errorf("%s: neither document is stored: %.200q", d.bucket, stored)
		}
		won[winner]++
		var answers [][]byte
		for _, p := range f.proxies {
			status, version, err := askVersion(f.client, p.port, d.bucket)
			if err != nil || version != versionIn(string(stored)) || (status == 200) != (len(stored) > 0) {
				t.Errorf("%s at %s: %d, version %d, %v; stored is %d", d.bucket, p.port, status, version, err, versionIn(string(stored)))
			}
			_, body, err := askAPI(t.Context(), f.client, "GET", p.port, d.bucket, "")
			if err != nil {
				t.Error(err)
			}
			answers = append(answers, []byte(body))
		}
		if len(stored) > 0 && (!bytes.Equal(answers[0], answers[1]) || !bytes.Equal(answers[1], answers[2])) {
			t.Errorf("%s: GetBucketCors differs between proxies", d.bucket)
		}
	}
	t.Logf("of %d duels, the first writer won %d, the second %d", len(duels), won[0], won[1])
}
