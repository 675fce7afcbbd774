package console

import (
	"context"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/harness"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// update is set in: cd test && go test -run 'TestPictures$' ./console -update
var update = flag.Bool("update", false, "have TestPictures write docs/console*.png")

// busyTestbed is a Caddy that has denied and allowed something of each kind.
func busyTestbed(t *testing.T) *harness.Testbed {
	t.Helper()
	tb := harness.StartTestbed(t, harness.TestbedConfig{})
	for range 5 {
		send(t, tb, "GET", "/photos/2.jpg", harness.Header("Origin", "https://app.example.com"))
	}
	for range 3 {
		send(t, tb, "OPTIONS", "/photos/2.jpg", harness.PreflightHeader("https://stage.example.com", "GET", "x-foo"))
	}
	send(t, tb, "DELETE", "/photos/2.jpg", harness.Header("Origin", "https://x.preview.example.com"))
	for range 7 {
		deny(t, tb)
	}
	return tb
}

// explained opens a page and explains a denied origin on it.
func explained(t *testing.T, page string, width, height int64, scheme string) context.Context {
	t.Helper()
	tab := open(t, page, width, height)
	run(t, tab, emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}))
	waitFor(t, tab, `document.querySelector('#origins button')?.textContent === 'https://app.example.com'`)
	run(t, tab, clickText("#origins", "https://app.example.com"))
	waitFor(t, tab, `document.getElementById('verdict').dataset.outcome === 'denied'`)
	return tab
}

// TestPictures looks at the page in both colour schemes, wide and on a phone: nothing is wider
// than the window. With -update it writes the pictures of the documentation.
func TestPictures(t *testing.T) {
	page := startConsole(t, busyTestbed(t).Admin)
	for _, picture := range []struct {
		file          string
		width, height int64
		scheme        string
		tryRules      bool
	}{
		{"console.png", 1280, 900, "light", false},
		{"console-candidate.png", 1280, 900, "dark", true},
		{"console-phone.png", 375, 812, "light", false},
	} {
		tab := explained(t, page, picture.width, picture.height, picture.scheme)
		if picture.tryRules {
			run(t, tab, chromedp.Click("#actions button"))
			waitFor(t, tab, `document.getElementById('changes').innerText.includes('would be allowed')`)
		}
		if width := evaluate[int64](t, tab, `document.documentElement.scrollWidth`); width > picture.width {
			t.Errorf("%s: the page is %d wide, in a window of %d", picture.file, width, picture.width)
		}
		if !*update {
			continue
		}
		var shot []byte
		run(t, tab, chromedp.Sleep(300*time.Millisecond), chromedp.CaptureScreenshot(&shot)) // after the scrolling
		if err := os.WriteFile(filepath.Join(harness.RepoRoot, "docs", picture.file), shot, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
