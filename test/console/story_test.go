package console

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/harness"
	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"
)

// downloadTo lets the tab's browser context download into a directory.
func downloadTo(dir string) chromedp.Action {
	return chromedp.ActionFunc(func(ctx context.Context) error {
		info, err := target.GetTargetInfo().Do(ctx)
		if err != nil {
			return err
		}
		return browser.SetDownloadBehavior(browser.SetDownloadBehaviorBehaviorAllow).
			WithDownloadPath(dir).
			WithBrowserContextID(info.BrowserContextID).
			Do(cdp.WithExecutor(ctx, chromedp.FromContext(ctx).Browser))
	})
}

// deny is what an operator is called about: a script's header that the rules lack.
func deny(t *testing.T, tb *harness.Testbed) {
	t.Helper()
	send(t, tb, "OPTIONS", "/photos/1.jpg?Signature=secret", harness.PreflightHeader("https://app.example.com", "PUT", "content-type,x-upload-id"))
}

// An operator hears of a denial, opens the console, and finds origin and rule with two clicks.
// The third one tries the missing line; the downloaded rules allow the request.
func TestStory(t *testing.T) {
	tb := harness.StartTestbed(t, harness.TestbedConfig{})
	deny(t, tb)
	tab := open(t, startConsole(t, tb.Admin), 1280, 900)
	waitFor(t, tab, `document.querySelector('#origins button')?.textContent === 'https://app.example.com'`)

	run(t, tab, clickText("#origins", "https://app.example.com"))
	waitFor(t, tab, `document.getElementById('verdict').dataset.outcome === 'denied'`)
	verdict := evaluate[string](t, tab, `document.getElementById('verdict').innerText`)
	for _, want := range []string{"denied", "the header x-upload-id is not allowed", "The nearest rule is app", "add <AllowedHeader>x-upload-id</AllowedHeader> to rule app"} {
		if !strings.Contains(verdict, want) {
			t.Errorf("the verdict lacks %q:\n%s", want, verdict)
		}
	}
	if text := evaluate[string](t, tab, `document.querySelector('.rule[data-nearest] .source .add').textContent`); text != "+ <AllowedHeader>x-upload-id</AllowedHeader>" {
		t.Errorf("the line to add is %q", text)
	}
	if text := evaluate[string](t, tab, `[...document.querySelectorAll('.rule[data-nearest] .source .fault')].map((line) => line.textContent).join()`); text != "<AllowedHeader>content-type</AllowedHeader>,<AllowedHeader>x-oss-*</AllowedHeader>" {
		t.Errorf("the values that are marked are %q", text)
	}

	run(t, tab, chromedp.Click("#actions button"))
	waitFor(t, tab, `document.getElementById('changes').innerText.includes('1 of 1 different denial would be allowed')`)
	differences := evaluate[string](t, tab, `document.getElementById('differences').innerText`)
	for _, want := range []string{"1 difference from the rules in force", "now allowed", "GET, PUT from https://app.example.com", "if it asks for x-upload-id"} {
		if !strings.Contains(differences, want) {
			t.Errorf("the differences lack %q:\n%s", want, differences)
		}
	}
	downloads := t.TempDir()
	run(t, tab, downloadTo(downloads), chromedp.Click("#download"))
	file := filepath.Join(downloads, "cors.xml")
	harness.WaitUntil(t, "the download is complete", func() bool {
		text, err := os.ReadFile(file)
		return err == nil && strings.HasSuffix(string(text), "</CORSConfiguration>\n")
	})
	rules, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	tb.Write(t, "cors.xml", string(rules))
	harness.WaitUntil(t, "the downloaded rules are in force", func() bool {
		return send(t, tb, "OPTIONS", "/photos/1.jpg", harness.PreflightHeader("https://app.example.com", "PUT", "content-type,x-upload-id")).StatusCode == 200
	})
}

// The missing line is added to rule blocks as a line of them, which the Caddyfile takes.
func TestStoryOfRuleBlocks(t *testing.T) {
	const blocks = "rule app {\n\t\torigin https://app.example.com\n\t\tmethod PATCH\n\t}"
	tb := harness.StartTestbed(t, harness.TestbedConfig{Site: "oss_cors {\n\tname testbed\n\t" + blocks + "\n}\nrespond ok"})
	preflight := harness.PreflightHeader("https://app.example.com", "PATCH", "x-upload-id")
	send(t, tb, "OPTIONS", "/", preflight)
	tab := open(t, startConsole(t, tb.Admin), 1280, 900)
	waitFor(t, tab, `document.querySelector('#origins button')?.textContent === 'https://app.example.com'`)
	run(t, tab, clickText("#origins", "https://app.example.com"))
	waitFor(t, tab, `document.querySelector('#actions button')`)
	run(t, tab, chromedp.Click("#actions button"))
	waitFor(t, tab, `document.getElementById('changes').innerText.includes('1 of 1 different denial would be allowed')`)
	candidate := evaluate[string](t, tab, `document.getElementById('candidate').value`)
	if !strings.Contains(candidate, "\t\theader x-upload-id\n") {
		t.Errorf("the candidate rules are\n%s", candidate)
	}
	caddyfile, err := os.ReadFile(filepath.Join(tb.Dir, "Caddyfile"))
	if err != nil {
		t.Fatal(err)
	}
	_, rule, _ := strings.Cut(candidate, "{\n")
	rule = strings.TrimSuffix(strings.TrimSpace(rule), "}")
	if err := harness.Load(tb.Admin, strings.Replace(string(caddyfile), blocks, rule, 1)); err != nil {
		t.Fatalf("%v\n%s", err, candidate)
	}
	if status := send(t, tb, "OPTIONS", "/", preflight).StatusCode; status != 200 {
		t.Errorf("then the preflight is answered %d", status)
	}
}
