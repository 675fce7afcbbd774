package test

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
)

// scaleHot is how many buckets nearly all requests are for, on most days.
const scaleHot = 100

// TestBenchScale writes the table of what it costs to have many buckets.
func TestBenchScale(t *testing.T) {
	each := measuring(t, "BENCHTIME")
	requirePrograms(t, "taskset")
	about := machine(t)
	table := [][]string{{"ten rules each"}, {"size of the XML"}, {"resident memory for them"}, {"CPU at rest"},
		{"first use, median"}, {"first use, 99%"}, {"CPU of reading one again"},
		{"CPU of a preflight, one bucket"}, {fmt.Sprintf("%d in turn / one", scaleHot)}, {"all by Zipf's law / one"}, {"all in turn / one"}}
	for _, buckets := range []int{10_000, 100_000} {
		p := newScaleProxy(t, buckets)
		u := p.use(t)
		u.log(t)
		again, preflights := p.readAgain(t), p.preflights(t, each)
		for i, cell := range []string{
			fmt.Sprintf("%d buckets", buckets),
			mb(u.xml),
			fmt.Sprintf("%s, %.2f times the XML", mb(u.grown), u.timesXML(u.grown)),
			fmt.Sprintf("%.1f%% of a core", 100*u.rest),
			fmt.Sprintf("%.2f ms", u.firstUseOf(0.5).Seconds()*1000),
			fmt.Sprintf("%.2f ms", u.firstUseOf(0.99).Seconds()*1000),
			fmt.Sprintf("%.1f µs", again.median()),
			fmt.Sprintf("%.1f µs", preflights[0].median()),
			preflights[1].over(preflights[0]).ratio(),
			preflights[2].over(preflights[0]).ratio(),
			preflights[3].over(preflights[0]).ratio(),
		} {
			table[i] = append(table[i], cell)
		}
	}
	writeSection(t, "benchmarks.md", "many buckets", about+"\n\n"+markdownTable(table)+"\n"+unknownNames(t, 1_000_000)+"\n")
}

// startPinned runs the proxy with a core to itself.
func (p *scaleProxy) startPinned(t *testing.T, refresh time.Duration) {
	t.Helper()
	p.start(t, refresh, "GOMAXPROCS=1")
	pin(t, p.cmd.Process.Pid, serverCore)
}

// preflights returns how many microseconds of CPU time a preflight takes: for one bucket, for
// some in turn, for all as often as Zipf's law has it (the n-th most asked for one n-th as
// often as the first), and for all in turn. All buckets are in use before, and no document is
// read again.
func (p *scaleProxy) preflights(t *testing.T, each time.Duration) []series {
	t.Helper()
	pin(t, os.Getpid(), loadCore) // which the load is in
	defer pin(t, os.Getpid(), serverCore+","+loadCore)
	p.startPinned(t, time.Hour)
	defer p.stop()
	p.ask(t, p.buckets, 50, 200, tenant)
	kinds := []func(i int) int{
		func(int) int { return 0 },
		func(i int) int { return i % scaleHot },
		func(int) int { return int(math.Pow(float64(p.buckets), rand.Float64())) - 1 },
		func(i int) int { return i % p.buckets },
	}
	load := p.startLoad(t, kinds)
	defer load.stop()
	costs := make([]series, len(kinds))
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

// scaleLoad is clients that ask a proxy, each as soon as it is answered.
type scaleLoad struct {
	proxy    *scaleProxy
	kinds    []func(i int) int // the bucket of the i-th request
	kind     atomic.Int64
	asked    atomic.Int64
	answered atomic.Int64
	stopped  atomic.Bool
	clients  sync.WaitGroup
}

func (p *scaleProxy) startLoad(t *testing.T, kinds []func(i int) int) *scaleLoad {
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

// ask is one client. Each request is for another object, of however few buckets: requests that
// differ take Caddy longer than the same one again and again. Buckets that are asked for one
// after another are no neighbours in the directory; 7919 is a prime.
func (l *scaleLoad) ask() error {
	conn, err := net.Dial("tcp4", "127.0.0.1:"+l.proxy.port)
	if err != nil {
		return err
	}
	defer conn.Close()
	answer := make([]byte, 4<<10)
	for !l.stopped.Load() {
		i := int(l.asked.Add(1))
		bucket := tenant((l.proxy.buckets/2 + l.kinds[l.kind.Load()](i)*7919) % l.proxy.buckets)
		if _, err := io.WriteString(conn, scalePreflight(bucket, i*7919%10007)); err != nil {
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

// slice asks for buckets of one kind for a while, and adds what that costs.
func (l *scaleLoad) slice(t *testing.T, kind int, spent *scaleSpent) {
	t.Helper()
	l.kind.Store(int64(kind))
	time.Sleep(scaleSlice / 10) // until requests of another kind have been answered
	cpu, answered := threadsTime(t, l.proxy.cmd.Process.Pid), l.answered.Load()
	time.Sleep(scaleSlice)
	spent.cpu += threadsTime(t, l.proxy.cmd.Process.Pid) - cpu
	spent.answers += l.answered.Load() - answered
}

// threadsTime is what cpuTime is, but of one process and to the nanosecond.
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

// readAgain returns how many microseconds of CPU time it takes, beside the preflight that
// asks for it, to read a document again: those of a pass over buckets whose documents have
// aged, less those of one right behind it.
func (p *scaleProxy) readAgain(t *testing.T) (each series) {
	t.Helper()
	const buckets, age = 10_000, 3 * time.Second // a pass takes much less
	p.startPinned(t, age)
	defer p.stop()
	pass := func() float64 {
		before := cpuTime(t, p.cmd.Process.Pid)
		p.ask(t, buckets, 50, 200, tenant)
		time.Sleep(100 * time.Millisecond) // what is read in the background
		return float64((cpuTime(t, p.cmd.Process.Pid) - before).Microseconds()) / buckets
	}
	pass()
	for range benchRounds {
		time.Sleep(age)
		aged := pass()
		each = append(each, aged-pass())
	}
	return each
}
