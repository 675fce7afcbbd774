//go:build measure

package bench

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/harness"
	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/report"
	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/scale"
)

const (
	remoteSites = 100

	// remoteRest is how long CPU at rest is measured: one refresh, by default, of each site.
	remoteRest = time.Minute
)

// TestBenchRemote writes the table of what it costs to have many sites by rules url.
func TestBenchRemote(t *testing.T) {
	about := report.Machine(t)
	var hangs atomic.Bool
	var fetches atomic.Int64
	document := harness.TestbedRules
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if hangs.Load() {
			<-r.Context().Done()
			return
		}
		fetches.Add(1)
		w.Header().Set("ETag", `"1"`)
		http.ServeContent(w, r, "cors.xml", time.Time{}, strings.NewReader(document))
	}))
	defer server.Close()

	table := [][]string{{"sites"}, {"start"}, {"resident memory"}, {"CPU at rest, `refresh 1m`"}, {"CPU of a fetch that is answered 304"}, {"start while the server hangs"}}
	for _, sites := range []int{1, remoteSites} {
		p := newRemoteProxy(t, server.URL, sites)
		start := p.start(t, time.Minute)
		resident := p.Resident(t)
		rest := p.cpu(t, remoteRest)
		p.Stop()

		p.start(t, 100*time.Millisecond)
		time.Sleep(time.Second)
		before := fetches.Load()
		busy := p.cpu(t, remoteRest/4)
		each := busy / time.Duration(fetches.Load()-before)
		p.Stop()

		hangs.Store(true)
		hung := p.start(t, time.Minute)
		p.Stop()
		hangs.Store(false)
		for i, cell := range []string{
			fmt.Sprint(sites),
			fmt.Sprintf("%d ms", start.Milliseconds()),
			scale.MB(resident),
			fmt.Sprintf("%.2f%% of a core", 100*float64(rest)/float64(remoteRest)),
			fmt.Sprintf("%d µs", each.Microseconds()),
			fmt.Sprintf("%.1f s", hung.Seconds()),
		} {
			table[i] = append(table[i], cell)
		}
	}
	report.WriteSection(t, "benchmarks.md", "many sites", about+"\n\n"+report.MarkdownTable(table))
}

// remoteProxy is a Caddy with many sites, each of which has its rules from a server.
type remoteProxy struct {
	*harness.Process
	dir, port string
}

func newRemoteProxy(t *testing.T, server string, sites int) *remoteProxy {
	t.Helper()
	p := &remoteProxy{dir: t.TempDir(), port: harness.FreePorts(t, 1)[0]}
	var b strings.Builder
	fmt.Fprintf(&b, "{\n\tadmin off\n\tauto_https off\n\tpersist_config off\n\tdefault_bind 127.0.0.1\n\tstorage file_system %s\n\tstorage_clean_interval off\n}\n", filepath.Join(p.dir, "storage"))
	for i := range sites {
		fmt.Fprintf(&b, "http://site-%d.test:%s {\n\toss_cors {\n\t\trules url %s/%[1]d.xml {\n\t\t\trefresh {$REFRESH}\n\t\t}\n\t}\n\trespond ok\n}\n", i, p.port, server)
	}
	harness.WriteFile(t, filepath.Join(p.dir, "Caddyfile"), b.String())
	return p
}

// start starts the proxy, and returns how long that took.
func (p *remoteProxy) start(t *testing.T, refresh time.Duration) time.Duration {
	t.Helper()
	began := time.Now()
	p.Process = harness.StartCaddy(t, p.dir, "Caddyfile", []string{"REFRESH=" + refresh.String()}, nil)
	for deadline := began.Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		if response, err := http.Get("http://127.0.0.1:" + p.port + "/"); err == nil {
			response.Body.Close()
			return time.Since(began)
		}
		if time.Now().After(deadline) {
			t.Fatal("Caddy does not answer within a minute")
		}
	}
}

// cpu returns how much CPU time the proxy takes in a time.
func (p *remoteProxy) cpu(t *testing.T, during time.Duration) time.Duration {
	t.Helper()
	before := harness.CPUTime(t, p.Cmd.Process.Pid)
	time.Sleep(during)
	return harness.CPUTime(t, p.Cmd.Process.Pid) - before
}
