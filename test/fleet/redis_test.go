package fleet

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/harness"
)

// redisServer is a redis-server that keeps what it acknowledged, even if it is killed.
type redisServer struct {
	*harness.Process
	port, dir string
}

func startRedis(t *testing.T) *redisServer {
	t.Helper()
	r := &redisServer{port: harness.FreePorts(t, 1)[0], dir: t.TempDir()}
	r.start(t)
	return r
}

func (r *redisServer) start(t *testing.T) {
	t.Helper()
	r.Process = harness.StartProgram(t, r.port, "redis-server", "--bind", "127.0.0.1", "--port", r.port,
		"--dir", r.dir, "--save", "", "--appendonly", "yes", "--appendfsync", "always")
	harness.WaitUntil(t, "Redis has read its file", func() bool { return r.do("PING") == "+PONG" })
}

// do sends a command, and returns the first line of the answer.
func (r *redisServer) do(command string) string {
	conn, err := net.Dial("tcp4", "127.0.0.1:"+r.port)
	if err != nil {
		return err.Error()
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(harness.Patience))
	fmt.Fprintf(conn, "%s\r\n", command)
	answer, _ := bufio.NewReader(conn).ReadString('\n')
	return strings.TrimSpace(answer)
}

func (r *redisServer) signal(t *testing.T, signal syscall.Signal) {
	t.Helper()
	if err := r.Cmd.Process.Signal(signal); err != nil {
		t.Fatal(err)
	}
}

// redisFleet is three proxies over one Redis, under load while rules change.
type redisFleet struct {
	*fleetLoad
	redis    *redisServer
	binary   string
	config   string
	unloaded int // how many buckets were requested that no proxy had loaded
}

func startRedisFleet(t *testing.T, storageOption string) *redisFleet {
	t.Helper()
	r := startRedis(t)
	config := t.TempDir() + "/Caddyfile"
	harness.WriteFile(t, config, harness.ReadRepo(t, fleetExample+"/redis.Caddyfile"))
	harness.Edit(t, config, "storage redis {", "storage redis {\n"+storageOption, "default_bind", "auto_https off\ndefault_bind")
	origin := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(origin.Close)
	transport := &http.Transport{MaxIdleConnsPerHost: 100}
	t.Cleanup(transport.CloseIdleConnections)
	f := &fleet{client: &http.Client{Transport: transport, Timeout: harness.Patience}}
	rf := &redisFleet{
		fleetLoad: &fleetLoad{fleet: f, t: t, stop: make(chan struct{})},
		redis:     r, binary: harness.RedisCaddyBinary(t), config: config,
	}
	for i, port := range harness.FreePorts(t, 3) {
		f.proxies[i] = &fleetProxy{port: port, env: []string{
			"BIND=127.0.0.1", "STORE=" + origin.Listener.Addr().String(), "PROXY_PORT=" + port, "REDIS=127.0.0.1:" + r.port, "REFRESH=" + fleetRefresh.String(),
			"RULES_KEY_ID=" + harness.APIKey, "RULES_KEY_SECRET=" + harness.APISecret,
		}}
		rf.startProxy(t, f.proxies[i])
	}
	return rf
}

func (rf *redisFleet) startProxy(t *testing.T, p *fleetProxy) {
	t.Helper()
	p.Process = harness.StartBinary(t, rf.binary, "", rf.config, p.env, []string{p.port})
	p.well.Store(time.Now().UnixNano())
}

func (rf *redisFleet) load(t *testing.T) {
	t.Helper()
	for i := range 6 {
		b := &fleetBucket{name: fmt.Sprintf("bucket-%d", i)}
		if !b.write(rf.fleet, rf.proxies[i%3].port) {
			t.Fatal("the first write failed")
		}
		rf.buckets = append(rf.buckets, b)
	}
	for _, b := range rf.buckets {
		for _, p := range rf.proxies {
			if status, _, err := askVersion(rf.client, p.port, b.name); err != nil || status != 200 {
				t.Fatalf("%s: %d, %v", b.name, status, err)
			}
		}
	}
	for i, b := range rf.buckets {
		turn := i
		rf.run(100*time.Millisecond, func() { // at alternating proxies
			turn++
			if b.write(rf.fleet, rf.proxies[turn%3].port) {
				rf.written.Add(1)
			} else {
				rf.refused.Add(1)
			}
		})
	}
	for _, p := range rf.proxies {
		rf.run(3*time.Millisecond, func() { rf.askProxy(p) })
	}
}

// setWell says whether the proxies can read the rules.
func (rf *redisFleet) setWell(well bool) {
	var since int64
	if well {
		since = time.Now().UnixNano()
	}
	for _, p := range rf.proxies {
		p.well.Store(since)
	}
}

// expectTrouble checks what the proxies do while they cannot read the rules. That loaded rules
// stay in force is checked by the load.
func (rf *redisFleet) expectTrouble(t *testing.T, desc string) {
	t.Helper()
	for _, p := range rf.proxies {
		// The first that needs the storage finds out what is wrong.
		rf.unloaded++
		bucket := fmt.Sprintf("unloaded-%d", rf.unloaded)
		for range 10 {
			if status, _, err := askVersion(rf.client, p.port, bucket); err != nil || status != 503 {
				t.Errorf("%s: a bucket that is not loaded: %d, %v; want 503", desc, status, err)
			}
		}
		if status, body, err := putDocument(t.Context(), rf.client, p.port, "bucket-new", versioned(1, 0)); err != nil || status < 500 {
			t.Errorf("%s: a write: %d %s, %v; want it to be refused", desc, status, body, err)
		}
		const series = `caddy_oss_cors_rules_last_load_successful{ruleset="_other"} `
		harness.WaitUntil(t, desc+": the gauge is 0", func() bool {
			return strings.Contains(harness.Get(t, "http://127.0.0.1:"+p.port+"/metrics"), series+"0\n")
		})
		if log := p.Log.String(); !strings.Contains(log, "CORS rules of buckets cannot be read; those that are loaded stay in force") {
			t.Errorf("%s: the log does not say so", desc)
		}
		for _, b := range rf.buckets {
			start := time.Now()
			status, _, err := askVersion(rf.client, p.port, b.name)
			if took := time.Since(start); err != nil || status != 200 || took > time.Second {
				t.Errorf("%s: a loaded bucket: %d after %s, %v", desc, status, took, err)
			}
		}
	}
}

// settle waits until the rules must be in force everywhere, and the load has checked that.
func settle() { time.Sleep(fleetRefresh + fleetSlack + 500*time.Millisecond) }

// TestRedis has three proxies over one Redis that is killed, that hangs, and that is emptied,
// while rules change. It does so with a storage module that tells of failures, and with one that
// says that nothing exists, as many do.
func TestRedis(t *testing.T) {
	for _, c := range []struct{ desc, option string }{
		{"failures are told", ""},
		{"failures are hidden", "hide_failures"},
	} {
		t.Run(c.desc, func(t *testing.T) {
			rf := startRedisFleet(t, c.option)
			rf.load(t)
			settle()

			rf.setWell(false)
			rf.redis.Kill()
			rf.expectTrouble(t, "Redis is killed")
			rf.redis.start(t)
			rf.setWell(true)
			settle()

			rf.setWell(false)
			rf.redis.signal(t, syscall.SIGSTOP)
			rf.expectTrouble(t, "Redis hangs")
			rf.redis.signal(t, syscall.SIGCONT)
			time.Sleep(2 * time.Second) // the module waits for Redis for a second, twice
			rf.setWell(true)
			settle()

			rf.killProxy(t)
			rf.raceWriters(t)
			settle()

			rf.setWell(false)
			if answer := rf.redis.do("FLUSHALL"); answer != "+OK" {
				t.Fatal(answer)
			}
			time.Sleep(2 * fleetRefresh)
			// A write that found the marker just before it was gone may still be stored after it.
			keys := rf.redis.do("DBSIZE")
			rf.expectTrouble(t, "Redis is emptied")
			if log := rf.proxies[0].Log.String(); !strings.Contains(log, "the storage's marker oss_cors/.oss_cors is gone") {
				t.Error("the log does not say that the marker is gone")
			}
			if then := rf.redis.do("DBSIZE"); then != keys || rf.redis.do("EXISTS oss_cors/.oss_cors") != ":0" {
				t.Errorf("Redis, which was emptied, held %s keys, and then %s; the marker: %s", keys, then, rf.redis.do("EXISTS oss_cors/.oss_cors"))
			}

			close(rf.stop)
			rf.running.Wait()
			t.Logf("%d responses checked by their age; %d writes acknowledged, %d refused or cut off", rf.checked.Load(), rf.written.Load(), rf.refused.Load())
			if rf.checked.Load() < 200 || rf.written.Load() < 50 {
				t.Error("too little was tried")
			}
		})
	}
}

// killProxy kills a proxy after it has acknowledged writes. After a restart they are in force,
// there and elsewhere.
func (rf *redisFleet) killProxy(t *testing.T) {
	t.Helper()
	const writes = 10
	p := rf.proxies[1]
	p.well.Store(0)
	for i := range writes {
		if status, body, err := putDocument(t.Context(), rf.client, p.port, fmt.Sprintf("kept-%d", i), versioned(i+1, 0)); err != nil || status != 200 {
			t.Fatalf("a write: %d %s, %v", status, body, err)
		}
	}
	p.Kill()
	rf.startProxy(t, p)
	for i := range writes {
		for _, p := range rf.proxies {
			if status, version, err := askVersion(rf.client, p.port, fmt.Sprintf("kept-%d", i)); err != nil || status != 200 || version != i+1 {
				t.Errorf("acknowledged before a proxy was killed: %d, version %d, %v; want %d", status, version, err, i+1)
			}
		}
	}
}

// raceWriters writes a bucket's rules at all proxies at once. One document is then in force at
// all of them.
func (rf *redisFleet) raceWriters(t *testing.T) {
	t.Helper()
	for i := range 10 {
		bucket := fmt.Sprintf("race-%d", i)
		var writers sync.WaitGroup
		for j, p := range rf.proxies {
			writers.Go(func() {
				if status, body, err := putDocument(context.Background(), rf.client, p.port, bucket, versioned(10*i+j+1, 4000*j)); err != nil || status != 200 {
					t.Errorf("a write: %d %s, %v", status, body, err)
				}
			})
		}
		writers.Wait()
	}
	time.Sleep(fleetRefresh + fleetSlack)
	for i := range 10 {
		var versions [3]int
		for j, p := range rf.proxies {
			status, version, err := askVersion(rf.client, p.port, fmt.Sprintf("race-%d", i))
			if err != nil || status != 200 {
				t.Errorf("after a race: %d, %v", status, err)
			}
			versions[j] = version
		}
		if versions[0] != versions[1] || versions[1] != versions[2] {
			t.Errorf("after a race, versions %v are in force", versions)
		}
	}
}
