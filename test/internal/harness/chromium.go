package harness

import (
	"context"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"
)

// browser is the one Chromium of a package's tests. The first test that needs it starts it;
// each test has a tab, with storage and caches of its own.
var browser struct {
	once    sync.Once
	ctx     context.Context
	err     error
	stopped bool // whether Main will stop it
}

// Main runs a package's tests, and stops the Chromium that NewTab starts. A package that
// uses NewTab calls it in its TestMain.
func Main(m *testing.M) {
	browser.stopped = true
	code := m.Run()
	stopBrowser()
	os.Exit(code)
}

// NewTab returns a context for chromedp.Run: a new tab that is closed, and whatever its
// page still does cancelled, when the test ends. An uncaught error on a page fails the
// test. So does the lack of a Chromium: nothing else shows what a browser does.
func NewTab(t *testing.T) context.Context {
	t.Helper()
	if !browser.stopped {
		t.Fatal("nothing would stop the Chromium: let this package's TestMain call harness.Main")
	}
	browser.once.Do(startBrowser)
	if browser.err != nil {
		t.Fatalf("no Chromium: %v\ninstall it with: make deps", browser.err)
	}
	window, err := newWindow(t)
	if err != nil {
		t.Fatal(err)
	}
	ctx, closeTab := chromedp.NewContext(browser.ctx, chromedp.WithTargetID(window))
	t.Cleanup(closeTab)
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute) // a busy machine takes one for the whole matrix
	t.Cleanup(cancel)
	chromedp.ListenTarget(ctx, func(event any) {
		if e, ok := event.(*runtime.EventExceptionThrown); ok {
			t.Errorf("error on the page: %s", e.ExceptionDetails.Error())
		}
	})
	if err := chromedp.Run(ctx); err != nil {
		t.Fatal(err)
	}
	return ctx
}

// newWindow opens a window with a browser context of its own. chromedp's own option for
// that opens a tab in a window that does not exist yet, which Chromium now refuses.
func newWindow(t *testing.T) (target.ID, error) {
	ctx := cdp.WithExecutor(browser.ctx, chromedp.FromContext(browser.ctx).Browser)
	browserContext, err := target.CreateBrowserContext().Do(ctx)
	if err != nil {
		return "", err
	}
	t.Cleanup(func() { _ = target.DisposeBrowserContext(browserContext).Do(ctx) })
	return target.CreateTarget("about:blank").WithBrowserContextID(browserContext).WithNewWindow(true).Do(ctx)
}

func startBrowser() {
	path, err := exec.LookPath("chromium")
	if err != nil {
		browser.err = err
		return
	}
	// No sandbox, which does not run as root in a container. QUIC off and no services of
	// the browser's own: the only traffic is the tests'.
	options := []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(path),
		chromedp.NoFirstRun,
		chromedp.NoSandbox,
		chromedp.Headless,
		chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-sync", true),
	}
	ctx, _ := chromedp.NewExecAllocator(context.Background(), options...)
	browser.ctx, _ = chromedp.NewContext(ctx)
	browser.err = chromedp.Run(browser.ctx)
}

// stopBrowser ends the Chromium, if there is one; its profile goes with it.
func stopBrowser() {
	if browser.ctx != nil {
		_ = chromedp.Cancel(browser.ctx) // which waits until it has ended
	}
}
