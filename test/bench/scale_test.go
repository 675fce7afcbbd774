//go:build measure

package bench

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/harness"
	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/report"
	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/scale"
)

// scaleHot is how many buckets nearly all requests are for, on most days.
const scaleHot = 100

// TestBenchScale writes the table of what it costs to have many buckets.
func TestBenchScale(t *testing.T) {
	each := report.Duration(t, "BENCHTIME")
	report.RequirePrograms(t, "taskset")
	about := report.Machine(t)
	table := [][]string{{"ten rules each"}, {"size of the XML"}, {"resident memory for them"}, {"CPU at rest"},
		{"first use, median"}, {"first use, 99%"}, {"CPU of reading one again"},
		{"CPU of a preflight, one bucket"}, {fmt.Sprintf("%d in turn / one", scaleHot)}, {"all by Zipf's law / one"}, {"all in turn / one"}}
	for _, buckets := range []int{10_000, 100_000} {
		p := scale.NewProxy(t, buckets)
		u := p.Use(t)
		u.Log(t)
		again, preflights := readAgain(t, p), preflights(t, p, each)
		for i, cell := range []string{
			fmt.Sprintf("%d buckets", buckets),
			scale.MB(u.XMLBytes),
			fmt.Sprintf("%s, %.2f times the XML", scale.MB(u.Grown), u.TimesXML(u.Grown)),
			fmt.Sprintf("%.1f%% of a core", 100*u.Rest),
			fmt.Sprintf("%.2f ms", u.FirstUseOf(0.5).Seconds()*1000),
			fmt.Sprintf("%.2f ms", u.FirstUseOf(0.99).Seconds()*1000),
			fmt.Sprintf("%.1f µs", again.Median()),
			fmt.Sprintf("%.1f µs", preflights[0].Median()),
			preflights[1].Over(preflights[0]).Ratio(),
			preflights[2].Over(preflights[0]).Ratio(),
			preflights[3].Over(preflights[0]).Ratio(),
		} {
			table[i] = append(table[i], cell)
		}
	}
	report.WriteSection(t, "benchmarks.md", "many buckets", about+"\n\n"+report.MarkdownTable(table)+"\n"+scale.UnknownNames(t, 1_000_000)+"\n")
}

// startPinned runs the proxy with a core to itself.
func startPinned(t *testing.T, p *scale.Proxy, refresh time.Duration) {
	t.Helper()
	p.Start(t, refresh, "GOMAXPROCS=1")
	pin(t, p.Cmd.Process.Pid, serverCore)
}

// preflights returns how many microseconds of CPU time a preflight takes: for one bucket, for
// some in turn, for all with the frequencies of Zipf's law (the n-th bucket one n-th as often
// as the first), and for all in turn. All buckets are in use before, and no document is
// read again.
func preflights(t *testing.T, p *scale.Proxy, each time.Duration) []report.Series {
	t.Helper()
	pin(t, os.Getpid(), loadCore) // which the load is in
	defer pin(t, os.Getpid(), serverCore+","+loadCore)
	startPinned(t, p, time.Hour)
	defer p.Stop()
	p.Send(t, p.Buckets, 50, 200, scale.Tenant)
	kinds := []func(i int) int{
		func(int) int { return 0 },
		func(i int) int { return i % scaleHot },
		func(int) int { return int(math.Pow(float64(p.Buckets), rand.Float64())) - 1 },
		func(i int) int { return i % p.Buckets },
	}
	load := startLoad(t, p, kinds)
	defer load.stop()
	costs := make([]report.Series, len(kinds))
	for range 2 * benchRounds {
		spent := make([]scaleSpent, len(kinds))
		for range each / scaleSlice {
			for _, kind := range rand.Perm(len(kinds)) {
				load.slice(t, kind, &spent[kind])
			}
		}
		for kind, s := range spent {
			costs[kind] = append(costs[kind], float64(s.cpu.Nanoseconds())/1e3/float64(s.answers))
		}
	}
	return costs
}

// scaleSlice is how long one kind of load lasts at a time. Others use the machine as well, and
// its speed changes by a third within a tenth of a second: many short loads in random order meet
// the same speeds, a few long ones do not.
const scaleSlice = 20 * time.Millisecond

// scaleSpent is what a kind of load has cost.
type scaleSpent struct {
	cpu     time.Duration // of the proxy
	answers int64
}

// scaleLoad are clients that send a request as soon as the last one is answered.
type scaleLoad struct {
	proxy    *scale.Proxy
	kinds    []func(i int) int // the bucket of the i-th request
	kind     atomic.Int64
	asked    atomic.Int64
	answered atomic.Int64
	stopped  atomic.Bool
	clients  sync.WaitGroup
}

func startLoad(t *testing.T, p *scale.Proxy, kinds []func(i int) int) *scaleLoad {
	load := &scaleLoad{proxy: p, kinds: kinds}
	for range 32 {
		load.clients.Go(func() {
			if err := load.ask(); err != nil {
				t.Error(err)
			}
		})
	}
	return load
}

func (l *scaleLoad) stop() {
	l.stopped.Store(true)
	l.clients.Wait()
}

// ask is one client. Each request is for another object, also if there are few buckets: Caddy
// needs longer for requests that differ. Buckets of successive requests are not neighbours in
// the directory; 7919 is a prime.
func (l *scaleLoad) ask() error {
	conn, err := net.Dial("tcp4", "127.0.0.1:"+l.proxy.Port)
	if err != nil {
		return err
	}
	defer conn.Close()
	answer := make([]byte, 4<<10)
	for !l.stopped.Load() {
		i := int(l.asked.Add(1))
		bucket := scale.Tenant((l.proxy.Buckets/2 + l.kinds[l.kind.Load()](i)*7919) % l.proxy.Buckets)
		if _, err := io.WriteString(conn, scale.PreflightText(bucket, i*7919%10007)); err != nil {
			return err
		}
		n := 0
		for !bytes.HasSuffix(answer[:n], []byte("\r\n\r\n")) {
			more, err := conn.Read(answer[n:])
			if err != nil {
				return err
			}
			n += more
		}
		if !bytes.HasPrefix(answer, []byte("HTTP/1.1 200 ")) {
			return fmt.Errorf("%s: %s", bucket, answer[:n])
		}
		l.answered.Add(1)
	}
	return nil
}

// slice requests buckets of one kind for a while, and adds what that costs.
func (l *scaleLoad) slice(t *testing.T, kind int, spent *scaleSpent) {
	t.Helper()
	l.kind.Store(int64(kind))
	time.Sleep(scaleSlice / 10) // until requests of another kind have been answered
	cpu, answered := threadsTime(t, l.proxy.Cmd.Process.Pid), l.answered.Load()
	time.Sleep(scaleSlice)
	spent.cpu += threadsTime(t, l.proxy.Cmd.Process.Pid) - cpu
	spent.answers += l.answered.Load() - answered
}

// threadsTime is what CPUTime is, but of one process and to the nanosecond.
func threadsTime(t *testing.T, pid int) (total time.Duration) {
	t.Helper()
	stats, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	for _, stat := range stats {
		text, err := os.ReadFile(stat)
		if errors.Is(err, fs.ErrNotExist) { // it has just ended
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		var used time.Duration
		if _, err := fmt.Sscan(string(text), &used); err != nil {
			t.Fatalf("%s: %v", stat, err)
		}
		total += used
	}
	return total
}

// readAgain returns how many microseconds of CPU time it takes to read a document again: those
// of a pass over buckets whose documents are older than refresh, less those of a second pass
// right after it.
func readAgain(t *testing.T, p *scale.Proxy) (each report.Series) {
	t.Helper()
	const buckets, age = 10_000, 3 * time.Second // a pass takes much less
	startPinned(t, p, age)
	defer p.Stop()
	pass := func() float64 {
		before := harness.CPUTime(t, p.Cmd.Process.Pid)
		p.Send(t, buckets, 50, 200, scale.Tenant)
		time.Sleep(100 * time.Millisecond) // what is read in the background
		return float64((harness.CPUTime(t, p.Cmd.Process.Pid) - before).Microseconds()) / buckets
	}
	pass()
	for range benchRounds {
		time.Sleep(age)
		aged := pass()
		each = append(each, aged-pass())
	}
	return each
}
