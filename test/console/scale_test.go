package console

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/harness"
	"github.com/chromedp/chromedp"
)

const (
	manyBuckets = 10_000
	manyDenials = 100_000
)

// Ten thousand buckets in use and a flood of denials from as many origins leave the page usable,
// and Caddy's memory bounded. The times are logged: docs/benchmarks.md has them.
func TestManyBucketsAndDenials(t *testing.T) {
	files := map[string]string{}
	for i := range manyBuckets {
		files[fmt.Sprintf("rules/bucket-%05d.xml", i)] = harness.TestbedRules
	}
	tb := harness.StartTestbed(t, harness.TestbedConfig{
		Site:  "oss_cors {\n\trules directory rules {\n\t\trefresh 1h\n\t}\n\tbucket path\n}\nrespond ok",
		Files: files,
	})
	flood(t, tb.Addr, manyBuckets, func(i int) string {
		return fmt.Sprintf("GET /bucket-%05d/key HTTP/1.1\r\nHost: store.example\r\nOrigin: https://app.example.com\r\n\r\n", i)
	})
	before := tb.Heap(t)
	flood(t, tb.Addr, manyDenials, func(i int) string {
		if i%10 == 0 { // the one that the page has to show
			return "GET /bucket-00000/key HTTP/1.1\r\nHost: store.example\r\nOrigin: https://evil.example\r\n\r\n"
		}
		return fmt.Sprintf("GET /bucket-%05d/key HTTP/1.1\r\nHost: store.example\r\nOrigin: https://evil-%d.example\r\n\r\n", i%manyBuckets, i)
	})
	grown := tb.Heap(t) - before
	t.Logf("%d denials take %d KB", manyDenials, grown>>10)
	if grown > 64<<20 {
		t.Errorf("%d denials take %d MB", manyDenials, grown>>20)
	}

	tab := open(t, "about:blank", 1280, 900)
	run(t, tab, chromedp.Navigate(startConsole(t, tb.Admin)))
	waitFor(t, tab, `document.querySelectorAll('#rulesets > details').length === 200 && [...document.querySelectorAll('#origins button')].some((button) => button.textContent === 'https://evil.example')`)
	waitFor(t, tab, `performance.getEntriesByName('first-contentful-paint').length === 1`) // it is told a little later
	t.Logf("first paint: %.0f ms", evaluate[float64](t, tab, `performance.getEntriesByName('first-contentful-paint')[0].startTime`))
	run(t, tab, chromedp.Evaluate(`globalThis.long = [0]; new PerformanceObserver((list) => { for (const task of list.getEntries()) long.push(task.duration); }).observe({type: 'longtask'});
		globalThis.updates = 0; new MutationObserver(() => updates++).observe(document.getElementById('latest').tBodies[0], {childList: true, subtree: true})`, nil))
	for i := range 3 {
		flood(t, tb.Addr, 300, func(n int) string {
			return fmt.Sprintf("GET /bucket-%05d/key HTTP/1.1\r\nHost: store.example\r\nOrigin: https://new-%d-%d.example\r\n\r\n", n, i, n)
		})
		waitFor(t, tab, fmt.Sprintf("updates > %d", i))
	}
	t.Logf("longest task of an update: %.0f ms (0: shorter than 50 ms)", evaluate[float64](t, tab, `Math.max(...long)`))
	if rows := evaluate[int](t, tab, `document.querySelectorAll('tr').length`); rows > 2*256+2 {
		t.Errorf("%d rows are shown", rows)
	}

	run(t, tab, setValue("search", "bucket-09999"))
	waitFor(t, tab, `document.querySelectorAll('#rulesets > details').length === 1 && document.querySelector('#rulesets .name').textContent === 'bucket-09999'`)
}

// flood sends n requests over a few connections, and reads the answers.
func flood(t *testing.T, addr string, n int, request func(i int) string) {
	t.Helper()
	const connections = 8
	var clients sync.WaitGroup
	for c := range connections {
		clients.Go(func() {
			conn, err := net.Dial("tcp", addr)
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			answers := bufio.NewReader(conn)
			for i := c; i < n; i += connections {
				if _, err := io.WriteString(conn, request(i)); err != nil {
					t.Error(err)
					return
				}
				answer, err := http.ReadResponse(answers, nil)
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, answer.Body)
				if answer.StatusCode != http.StatusOK {
					t.Errorf("%s is answered %s", strings.SplitN(request(i), "\r", 2)[0], answer.Status)
					return
				}
			}
		})
	}
	clients.Wait()
}
