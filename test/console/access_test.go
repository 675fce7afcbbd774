package console

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/harness"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// axe-core finds nothing on the page, contrast included, in both colour schemes, wide and on
// a phone, with all of it open.
func TestAccessibility(t *testing.T) {
	axe, err := os.ReadFile(filepath.Join(harness.NodePackages(t, "test/console/axe"), "node_modules/axe-core/axe.min.js"))
	if err != nil {
		t.Fatal(err)
	}
	page := startConsole(t, busyTestbed(t).Admin)
	for _, scheme := range []string{"light", "dark"} {
		for _, width := range []int64{1280, 375} {
			tab := explained(t, page, width, 900, scheme)
			run(t, tab, chromedp.Click("#actions button"))
			waitFor(t, tab, `document.getElementById('changes').innerText.includes('would be allowed')`)
			run(t, tab,
				emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}),
				chromedp.Evaluate(`for (const box of document.querySelectorAll('details')) box.open = true; document.getElementById('unreachable').hidden = false; document.getElementById('unreachable').textContent = 'x'`, nil),
				chromedp.Evaluate(string(axe), nil),
				chromedp.Sleep(100*time.Millisecond))
			var violations []string
			run(t, tab, chromedp.Evaluate(`axe.run(document, {resultTypes: ['violations']}).then((r) => r.violations.flatMap((v) => v.nodes.map((n) => v.id + ': ' + n.target + ' ' + n.failureSummary)))`, &violations,
				func(p *runtime.EvaluateParams) *runtime.EvaluateParams { return p.WithAwaitPromise(true) }))
			if len(violations) > 0 {
				t.Errorf("%s, %d wide: axe-core finds\n%s", scheme, width, strings.Join(violations, "\n"))
			}
		}
	}
}

// Everything that a request needs can be typed: the verdict comes with Enter.
func TestKeyboard(t *testing.T) {
	tb := harness.StartTestbed(t, harness.TestbedConfig{})
	tab := open(t, startConsole(t, tb.Admin), 1280, 900)
	waitFor(t, tab, `document.querySelectorAll('#rulesets .rule').length === 2`)
	run(t, tab, chromedp.Focus("#origin"), chromedp.KeyEvent("https://app.example.com"), chromedp.KeyEvent(kb.Tab),
		chromedp.KeyEvent("PUT"), chromedp.KeyEvent(kb.Tab), chromedp.KeyEvent("x-foo"), chromedp.KeyEvent(kb.Enter))
	waitFor(t, tab, `document.getElementById('verdict').innerText.includes('the header x-foo is not allowed')`)
	run(t, tab, setValue("headers", ""), chromedp.Focus("#headers"), chromedp.KeyEvent(kb.Enter))
	waitFor(t, tab, `document.getElementById('verdict').innerText.includes('allowed by rule app')`)
}

// A pasted request fills the form, and is explained.
func TestPaste(t *testing.T) {
	tb := harness.StartTestbed(t, harness.TestbedConfig{})
	deny(t, tb)
	tab := open(t, startConsole(t, tb.Admin), 1280, 900)
	waitFor(t, tab, `document.querySelectorAll('#rulesets .rule').length === 2`)
	run(t, tab, chromedp.Click("#paste-box summary"))
	id := send(t, tb, "OPTIONS", "/photos/1.jpg", harness.PreflightHeader("https://x.preview.example.com", "PUT", "")).Header.Get("X-Oss-Request-Id")
	for _, c := range []struct{ text, want string }{
		{"curl 'https://cdn.example/a' -X PUT -H 'origin: https://app.example.com' -H 'x-foo: 1' --data-raw x", "the header x-foo is not allowed"},
		{`fetch("https://cdn.example/a", {"referrer": "https://evil.example/", "method": "GET", "mode": "cors"});`, "no rule allows the origin https://evil.example"},
		{"Access to fetch at 'http://cdn.example/photos/1.jpg' from origin 'https://app.example.com' has been blocked by CORS policy: Response to preflight request doesn't pass access control check: No 'Access-Control-Allow-Origin' header is present on the requested resource.", "the header x-upload-id is not allowed"},
		{id, "the method PUT is not allowed"},
	} {
		run(t, tab, setValue("paste", c.text), chromedp.Click("#read"))
		waitFor(t, tab, `document.getElementById('verdict').innerText.includes(`+quote(c.want)+`)`)
	}
}
