package console

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/harness"
	"github.com/chromedp/cdproto/network"
	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// hostileTexts returns a hundred texts that would run a script, load something or break out
// of an attribute, a style or JSON, if a page made markup of them.
func hostileTexts() (texts []string) {
	const script = "window.hacked=1"
	forms := []string{
		`<script>%s</script>`, `"><script>%s</script>`, `'><img src=x onerror=%s>`, `<img src=//evil.example/%s>`,
		`<svg onload=%s>`, `<iframe srcdoc="<script>parent.%s</script>">`, `javascript:%s`, `</textarea><script>%s</script>`,
		`<style>@import "//evil.example/%s"</style>`, `<base href=//evil.example/%s>`, `{{constructor.constructor("%s")()}}`,
		`${%s}`, `" autofocus onfocus="%s`, `<a href="javascript:%s">x</a>`, `<link rel=stylesheet href=//evil.example/%s>`,
		`<meta http-equiv=refresh content="0;url=//evil.example/%s">`, `<math><mtext><script>%s</script>`, `]]><x onclick=%s>`,
		`&lt;script&gt;%s&lt;/script&gt;`, `<!--><script>%s</script>-->`,
	}
	for i := range 100 {
		texts = append(texts, fmt.Sprintf(forms[i%len(forms)], fmt.Sprintf("%s%d", script, i)))
	}
	return texts
}

// Whatever stands in an origin, a path, a header's name, a rule set's name, a document or a
// pasted text is shown as text: nothing runs, and no request goes elsewhere.
func TestHostileTexts(t *testing.T) {
	const name = `<img src=x onerror=window.hacked=1>`
	tb := harness.StartTestbed(t, harness.TestbedConfig{
		Site:  "oss_cors {\nrules file cors.xml\nname `" + name + "`\n}\nreverse_proxy {{origin}}\n",
		Rules: strings.ReplaceAll(harness.TestbedRules, "https://app.example.com", `https://app.example.com/&lt;script&gt;window.hacked=1&lt;/script&gt;`),
	})
	texts := hostileTexts()
	for _, text := range texts {
		header := harness.Header("Origin", text)
		send(t, tb, "GET", "/"+url.PathEscape(text), header)
	}
	send(t, tb, "OPTIONS", "/x", http.Header{"Origin": {"https://<b>.example"}, "Access-Control-Request-Method": {"<script>"}, "Access-Control-Request-Headers": {"<img/src=x>"}})

	address := startConsole(t, tb.Admin)
	tab := open(t, address, 1280, 900)
	elsewhere := watchRequests(tab, t, address)
	waitFor(t, tab, fmt.Sprintf(`document.querySelectorAll('#origins button').length >= %d`, len(texts)-1))
	waitFor(t, tab, `document.querySelectorAll('#rulesets .rule').length === 2`)
	shown := evaluate[[]string](t, tab, `[...document.querySelectorAll('#origins button')].map((b) => b.textContent)`)
	missing := 0
	for _, text := range texts {
		if !slices.Contains(shown, text) {
			missing++
		}
	}
	if missing > 1 { // metrics show 100, and there is one more
		t.Errorf("%d origins are not shown as they were sent: %q", missing, shown)
	}
	for _, text := range texts[:20] {
		run(t, tab,
			chromedp.Evaluate(`[...document.querySelectorAll('#origins button')].find((b) => b.textContent === `+quote(text)+`)?.click()`, nil),
			setValue("headers", text), setValue("candidate", "<CORSConfiguration>"+text), setValue("paste", "curl '"+text+"' -H 'origin: "+text+"'"))
		run(t, tab, chromedp.Evaluate(`document.querySelector('#request').requestSubmit(); document.querySelector('#check').click()`, nil))
	}
	run(t, tab, chromedp.Sleep(time.Second))
	waitFor(t, tab, `document.getElementById('verdict').dataset.outcome === 'denied'`)
	waitFor(t, tab, `document.querySelectorAll('#problems li').length > 0`)
	if evaluate[bool](t, tab, `Object.keys(window).some((key) => key.startsWith('hacked')) || document.scripts.length !== 1 || document.querySelectorAll('img, iframe, svg, style, base, math').length !== 1`) {
		t.Error("a text became markup or ran")
	}
	if len(*elsewhere) > 0 {
		t.Errorf("requests to other places: %q", *elsewhere)
	}
}

// watchRequests collects the requests of a page to other addresses than its own, and fails the
// test if a dialog opens.
func watchRequests(tab context.Context, t *testing.T, address string) *[]string {
	var elsewhere []string
	chromedp.ListenTarget(tab, func(event any) {
		switch e := event.(type) {
		case *network.EventRequestWillBeSent:
			if !strings.HasPrefix(e.Request.URL, address+"/") {
				elsewhere = append(elsewhere, e.Request.URL)
			}
		case *cdppage.EventJavascriptDialogOpening:
			t.Errorf("a dialog opens: %s", e.Message)
		}
	})
	return &elsewhere
}

// If the page had a mistake that makes markup of text, the browser itself would stop it.
func TestPlantedMarkup(t *testing.T) {
	tb := harness.StartTestbed(t, harness.TestbedConfig{})
	tab := harness.NewTab(t)
	run(t, tab, chromedp.Navigate(startConsole(t, tb.Admin)))
	for _, planted := range []string{
		`document.body.innerHTML = '<b>x</b>'`, `document.body.insertAdjacentHTML('beforeend', '<b>x</b>')`, `document.write('<b>x</b>')`,
		`document.createElement('script').src = 'https://evil.example/x.js'`, `trustedTypes.createPolicy('x', {createHTML: (text) => text})`,
	} {
		stopped := evaluate[bool](t, tab, `(() => { try { `+planted+`; return false; } catch (error) { return error instanceof TypeError; } })()`)
		if !stopped {
			t.Errorf("the browser lets the page do %s", planted)
		}
	}
}
