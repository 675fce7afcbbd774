package console

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/harness"
	"github.com/chromedp/chromedp"
)

// The page says what requests get while the rules cannot be read and none are known.
func TestUnavailableRules(t *testing.T) {
	tb := harness.StartTestbed(t, harness.TestbedConfig{})
	tab := harness.NewTab(t)
	run(t, tab, chromedp.Navigate(startConsole(t, tb.Admin)))
	port := harness.FreePorts(t, 1)[0]
	if err := harness.Load(tb.Admin, "{\nadmin "+strings.TrimPrefix(tb.Admin, "http://")+"\n}\n:"+port+` {
		oss_cors {
			rules url http://127.0.0.1:1/cors.xml
			name away
		}
	}`); err != nil {
		t.Fatal(err)
	}
	waitFor(t, tab, `[...document.querySelectorAll('.ruleset')].some((set) => set.querySelector('.name').textContent === 'away' &&
		[...set.querySelectorAll('.tag')].some((tag) => tag.textContent === 'preflights get 503'))`)
}

// The page says that Caddy has a new configuration, is away, or was started again, and goes on.
func TestReloadLossAndRestart(t *testing.T) {
	tb := harness.StartTestbed(t, harness.TestbedConfig{})
	tab := harness.NewTab(t)
	run(t, tab, chromedp.Navigate(startConsole(t, tb.Admin)))
	waitFor(t, tab, `document.getElementById('connection').textContent === 'Connected to Caddy'`)
	if news := evaluate[string](t, tab, `document.getElementById('news').textContent`); news != "" {
		t.Errorf("the page says %q", news)
	}

	caddyfile, err := os.ReadFile(filepath.Join(tb.Dir, "Caddyfile"))
	if err != nil {
		t.Fatal(err)
	}
	if err := harness.Load(tb.Admin, string(caddyfile)); err != nil {
		t.Fatal(err)
	}
	waitFor(t, tab, `document.getElementById('news').textContent.startsWith('Caddy loaded a new configuration at ')`)

	tb.Stop()
	waitFor(t, tab, `!document.getElementById('unreachable').hidden && document.getElementById('unreachable').textContent.startsWith('Caddy cannot be reached. Trying again')`)
	_, port, _ := strings.Cut(tb.Addr, ":")
	harness.StartCaddy(t, tb.Dir, "Caddyfile", nil, []string{port})
	waitFor(t, tab, `document.getElementById('unreachable').hidden && document.getElementById('connection').textContent === 'Connected to Caddy'`)
	waitFor(t, tab, `/^Caddy was started again at .*: all counts begin anew.$/.test(document.getElementById('news').textContent)`)
	deny(t, tb)
	waitFor(t, tab, `document.querySelector('#origins button')?.textContent === 'https://app.example.com'`)
}
