package console

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/harness"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// startConsole serves the console for a Caddy, until the test ends. It returns its address.
func startConsole(t *testing.T, admin string) (page string) {
	t.Helper()
	port := harness.FreePorts(t, 1)[0]
	harness.StartServer(t, port, harness.CaddyBinary(t), "oss-cors", "console",
		"--address", strings.TrimPrefix(admin, "http://"), "--listen", "127.0.0.1:"+port)
	return "http://127.0.0.1:" + port
}

// open opens the console in a new tab of this size. What the browser's console shows as an
// error fails the test.
func open(t *testing.T, page string, width, height int64) context.Context {
	t.Helper()
	tab := harness.NewTab(t)
	chromedp.ListenTarget(tab, func(event any) {
		switch e := event.(type) {
		case *log.EventEntryAdded:
			if e.Entry.Level == log.LevelError {
				t.Errorf("error in the browser's console: %s %s", e.Entry.Text, e.Entry.URL)
			}
		case *runtime.EventConsoleAPICalled:
			t.Errorf("the page writes to the browser's console: %s", e.Type)
		}
	})
	run(t, tab, log.Enable(), emulation.SetDeviceMetricsOverride(width, height, 1, false), chromedp.Navigate(page))
	return tab
}

func run(t *testing.T, tab context.Context, actions ...chromedp.Action) {
	t.Helper()
	if err := chromedp.Run(tab, actions...); err != nil {
		t.Fatal(err)
	}
}

// waitFor waits until an expression of JavaScript is true on the page.
func waitFor(t *testing.T, tab context.Context, expression string) {
	t.Helper()
	if err := chromedp.Run(tab, chromedp.Poll(expression, nil, chromedp.WithPollingTimeout(harness.Patience))); err != nil {
		var text string
		_ = chromedp.Run(tab, chromedp.Evaluate("document.body.innerText", &text))
		t.Fatalf("%s does not become true: %v\nthe page says:\n%s", expression, err, text)
	}
}

// evaluate returns what an expression of JavaScript is on the page.
func evaluate[T any](t *testing.T, tab context.Context, expression string) (value T) {
	t.Helper()
	run(t, tab, chromedp.Evaluate(expression, &value))
	return value
}

// quote makes a literal of JavaScript.
func quote(text string) string {
	literal, err := json.Marshal(text)
	if err != nil {
		panic(err)
	}
	return string(literal)
}

// setValue types a text into a field at once.
func setValue(id, text string) chromedp.Action {
	return chromedp.Evaluate(`{
		const field = document.getElementById(`+quote(id)+`);
		field.value = `+quote(text)+`;
		field.dispatchEvent(new Event('input'));
	}`, nil)
}

// clickText clicks the one button in a region whose text this is.
func clickText(selector, text string) chromedp.Action {
	return chromedp.Evaluate(`[...document.querySelectorAll(`+quote(selector+" button")+`)].find((b) => b.textContent === `+quote(text)+`).click()`, nil)
}

// send sends a request to a testbed's site.
func send(t *testing.T, tb *harness.Testbed, method, path string, header http.Header) *http.Response {
	t.Helper()
	r, err := http.NewRequest(method, "http://"+tb.Addr+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header = header
	answer, err := harness.FreshClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := harness.ReadAll(answer); err != nil {
		t.Fatal(err)
	}
	return answer
}
