package buckets

import (
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/harness"
)

// countedRequests is how many requests each of these tests sends.
const countedRequests = 10_000

// TestCountsAreExact sends traffic of every kind to several rule sets while Caddy's
// configuration is reloaded again and again. Afterwards every counter must be what was sent,
// and counters for which nothing was sent must be 0.
func TestCountsAreExact(t *testing.T) {
	run := startCounted(t)
	const ofBuckets = countedRequests / 5
	run.whileReloading(t, 40*time.Millisecond, run.start(t, countedMix, countedRequests-ofBuckets))
	for range 4 { // of each configuration, the buckets are loaded anew
		run.reload(t)
		<-run.start(t, countedBuckets, ofBuckets/4)
	}
	t.Logf("%d requests, %d reloads, %d failed ones, %d requests sent again", countedRequests, run.reloads, run.failed, run.again.Load())
	if run.reloads < 5 || run.failed == 0 {
		t.Error("these are too few reloads")
	}
	run.check(t)
}

// TestBucketsWhileReloading reloads Caddy's configuration as fast as it can during requests
// for buckets. Requests that began under the old configuration get the right response, too,
// and are counted.
func TestBucketsWhileReloading(t *testing.T) {
	run := startCounted(t)
	run.whileReloading(t, 5*time.Millisecond, run.start(t, countedBuckets, countedRequests))
	<-run.start(t, countedBuckets, len(countedBuckets)) // so that all have series
	t.Logf("%d requests, %d reloads, %d failed ones, %d requests sent again", countedRequests, run.reloads, run.failed, run.again.Load())
	run.check(t)
}

// countedRun sends requests of a mix to a Caddy, and adds up what they must count.
type countedRun struct {
	servers        [2]string
	admin, metrics string
	caddyfile      string

	reloads, failed int
	again           atomic.Int64

	mu     sync.Mutex
	counts map[string]int
}

func startCounted(t *testing.T) *countedRun {
	t.Helper()
	dir := t.TempDir()
	for name, content := range countsFiles {
		harness.WriteFile(t, filepath.Join(dir, name), content)
	}
	origin := harness.NewSpyOrigin(t, http.HandlerFunc(countsOrigin))
	ports := harness.FreePorts(t, 4)
	run := &countedRun{
		servers:   [2]string{"http://127.0.0.1:" + ports[2], "http://127.0.0.1:" + ports[3]},
		admin:     "http://127.0.0.1:" + ports[0],
		metrics:   "http://127.0.0.1:" + ports[1] + "/metrics",
		caddyfile: fmt.Sprintf(countsCaddyfile, ports[0], ports[1], ports[2], ports[3], origin.Addr),
		counts:    map[string]int{},
	}
	harness.WriteFile(t, filepath.Join(dir, "Caddyfile"), run.caddyfile)
	harness.StartCaddy(t, dir, "Caddyfile", nil, ports)
	return run
}

// whileReloading reloads Caddy's configuration every so often, until done.
func (run *countedRun) whileReloading(t *testing.T, every time.Duration, done <-chan struct{}) {
	for {
		select {
		case <-done:
			return
		case <-time.After(every):
			run.reload(t)
		}
	}
}

// reload makes Caddy load its configuration again; every fourth time one with bad rules, which
// Caddy provisions in part and then rejects.
func (run *countedRun) reload(t *testing.T) {
	config := run.caddyfile
	bad := run.reloads > 3*run.failed
	if bad {
		config = strings.Replace(config, "file app.xml", "file missing.xml", 1)
		run.failed++
	} else {
		run.reloads++
	}
	if err := harness.Load(run.admin, config); bad != (err != nil) {
		t.Errorf("reload, with bad rules: %t: %v", bad, err)
	}
}

// check compares every counter with what was sent.
func (run *countedRun) check(t *testing.T) {
	t.Helper()
	got := countersOf(t, harness.Get(t, run.metrics))
	for series := range run.counts {
		if _, ok := got[series]; !ok {
			t.Errorf("there is no %s", series)
		}
	}
	for _, series := range slices.Sorted(maps.Keys(got)) {
		if got[series] != run.counts[series] {
			t.Errorf("%s is %d; %d were sent", series, got[series], run.counts[series])
		}
	}
}

// start sends n requests of a mix, each at least once, by several clients. It returns a
// channel that is closed when all are answered.
func (run *countedRun) start(t *testing.T, mix []countedRequest, n int) (done chan struct{}) {
	var sent atomic.Int64
	var wg sync.WaitGroup
	for client := range 8 {
		random := rand.New(rand.NewPCG(uint64(client), 1))
		wg.Go(func() {
			for !t.Failed() {
				i := int(sent.Add(1)) - 1
				if i >= n {
					return
				}
				if i >= len(mix) {
					i = random.IntN(len(mix))
				}
				run.send(t, &mix[i])
			}
		})
	}
	done = make(chan struct{})
	go func() {
		wg.Wait()
		close(done)
	}()
	return done
}

func (run *countedRun) send(t *testing.T, c *countedRequest) {
	server := run.servers[0]
	if c.buckets {
		server = run.servers[1]
	}
	for {
		request, err := http.NewRequest(c.method, server+c.path, nil)
		if err != nil {
			t.Error(err)
			return
		}
		request.Host = "bucket.example"
		if c.header != nil {
			request.Header = c.header.Clone()
		}
		response, err := harness.FreshClient.Do(request)
		if harness.WasDropped(err) {
			run.again.Add(1)
			continue
		}
		if err != nil {
			t.Errorf("%s %s: %v", c.method, c.path, err)
			return
		}
		if c.status != http.StatusSwitchingProtocols {
			_, _ = io.Copy(io.Discard, response.Body)
		}
		response.Body.Close()
		if response.StatusCode != c.status {
			t.Errorf("%s %s %v: %s; want %d", c.method, c.path, c.header, response.Status, c.status)
		}
		break
	}
	run.mu.Lock()
	defer run.mu.Unlock()
	for _, series := range c.counts {
		run.counts[series]++
	}
}

var ossCorsCounter = regexp.MustCompile(`(?m)^(caddy_oss_cors_\w+_total\{.*\}) (\S+)$`)

// countersOf returns every counter of this module by its series as the exposition has it.
func countersOf(t *testing.T, exposition string) map[string]int {
	t.Helper()
	counters := map[string]int{}
	for _, line := range ossCorsCounter.FindAllStringSubmatch(exposition, -1) {
		n, err := strconv.ParseFloat(line[2], 64)
		if err != nil {
			t.Fatal(err)
		}
		counters[line[1]] = int(n)
	}
	return counters
}
