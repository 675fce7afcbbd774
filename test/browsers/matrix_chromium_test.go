package browsers

import (
	"context"
	"slices"
	"sync"
	"testing"

	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/harness"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/security"
	"github.com/chromedp/chromedp"
)

// chromium is a tab of the Chromium that all tests share.
type chromium struct {
	tab context.Context

	mu      sync.Mutex
	paths   map[network.RequestID]string
	reasons map[string][]string
	printed []string
}

func openChromium(t *testing.T) matrixBrowser {
	t.Helper()
	c := &chromium{tab: harness.NewTab(t), paths: map[network.RequestID]string{}, reasons: map[string][]string{}}
	chromedp.ListenTarget(c.tab, c.listen)
	if err := chromedp.Run(c.tab, network.Enable(), log.Enable(), security.SetIgnoreCertificateErrors(true)); err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *chromium) listen(event any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		c.paths[e.RequestID], _ = casePath(e.Request.URL)
	case *log.EventEntryAdded:
		c.printed = append(c.printed, e.Entry.Text)
	case *network.EventLoadingFailed:
		if e.CorsErrorStatus != nil {
			path := c.paths[e.RequestID]
			c.reasons[path] = append(c.reasons[path], string(e.CorsErrorStatus.CorsError))
		}
	}
}

func (c *chromium) navigate(url string) error { return chromedp.Run(c.tab, chromedp.Navigate(url)) }

func (c *chromium) evaluate(expression string) (text string, err error) {
	err = chromedp.Run(c.tab, chromedp.Evaluate(expression, &text,
		func(call *runtime.EvaluateParams) *runtime.EvaluateParams { return call.WithAwaitPromise(true) }))
	return text, err
}

func (c *chromium) refusals() map[string][]string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.reasons
}

func (c *chromium) console() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.printed)
}

func (c *chromium) departs(*matrixCase, string) bool { return false }
