package browsers

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"

	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/fetchmodel"
)

// TestBrowserMatrix lets real browsers send requests of every kind through the proxy.
// Package fetchmodel computes from the rules, OSS's behaviour and the Fetch standard what a
// page may learn, what the browser sends and how the proxy decides.
func TestBrowserMatrix(t *testing.T) {
	for _, browser := range []struct {
		name string
		open func(*testing.T) matrixBrowser
	}{
		{"Chromium", openChromium},
		{"Firefox", openFirefox},
	} {
		t.Run(browser.name, func(t *testing.T) {
			cases := matrixCases()
			if differences := runMatrix(t, browser.open(t), cases, ""); len(differences) > 0 {
				t.Errorf("of %d cases, some went otherwise than computed:\n%s", len(cases), table(differences))
			}
		})
	}
}

// TestBrowserMatrixFaults spoils the proxy's responses: the matrix must detect it.
func TestBrowserMatrixFaults(t *testing.T) {
	for _, test := range []struct {
		fault string
		red   []string // some of the cases whose results must differ
	}{
		{withoutModule, []string{"listed", "any origin", "the origin server allows any", "nothing exposed"}},
		{"header -Vary", []string{"two origins with Vary", "image first, with Vary", "no-cors first, with Vary"}},
		{"header >Access-Control-Expose-Headers *", []string{"listed", "another list", "nothing exposed"}},
		{"header >Access-Control-Allow-Origin {header.Origin}", []string{"other port", "other scheme", "listed and more", "not listed", "wildcard, no label"}},
	} {
		t.Run(test.fault, func(t *testing.T) {
			red := map[string]bool{}
			for _, d := range runMatrix(t, openChromium(t), slices.Concat(originCases, exposureCases, httpCacheCases), test.fault) {
				if d.what == theResult {
					red[d.name] = true
				}
			}
			for _, name := range test.red {
				if !red[name] {
					t.Errorf("%s: went as ever", name)
				}
			}
		})
	}
}

// matrixBrowser is a browser with one tab.
type matrixBrowser interface {
	navigate(url string) error

	// evaluate returns the text that a promise on the page resolves to.
	evaluate(expression string) (string, error)

	// refusals are the browser's own reasons for CORS failures, by the requests' paths;
	// nil: it does not report any.
	refusals() map[string][]string

	// console returns what the browser's console has printed.
	console() []string

	// departs reports whether this browser is known to differ from the standard.
	departs(c *matrixCase, what string) bool
}

// What can differ.
const (
	theResult   = "result"   // that the page learns
	theRequests = "requests" // that reach the proxy
	theReasons  = "reasons"  // for which the browser refuses
	theDecision = "decision" // of the proxy on a request
	theMetrics  = "metrics"
)

// difference is a result that differs from the prediction.
type difference struct{ name, what, want, got string }

func table(differences []difference) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, d := range differences {
		fmt.Fprintf(w, "%s\t%s\twant\t%s\n\t\tgot\t%s\n", d.name, d.what, d.want, d.got)
	}
	w.Flush()
	return b.String()
}

// runMatrix returns where browser and proxy differ from the prediction.
func runMatrix(t *testing.T, b matrixBrowser, cases []matrixCase, fault string) (differences []difference) {
	t.Helper()
	// Page by page: to open a page takes longer than a request.
	slices.SortStableFunc(cases, func(a, b matrixCase) int { return strings.Compare(a.steps[0].page, b.steps[0].page) })
	w := startMatrixWorld(t, cases, fault)
	predicted := newMatrixPrediction(w)
	compare := func(c *matrixCase, what string, want, got any) {
		if w, g := fmt.Sprint(want), fmt.Sprint(got); w != g && !b.departs(c, what) {
			differences = append(differences, difference{c.name, what, w, g})
		}
	}

	here := ""
	for i := range cases {
		c := &cases[i]
		model := predicted.model(c)
		for n, step := range c.steps {
			want := predicted.step(model, c, step)
			if url := w.pageURL(step.page); url != here {
				if err := b.navigate(url); err != nil {
					t.Fatalf("%s: opening %s: %v", c.name, step.page, err)
				}
				here = url
			}
			got, err := w.perform(b, c, step)
			if err != nil {
				t.Fatalf("%s, step %d: %v", c.name, n+1, err)
			}
			compare(c, theResult, want, got)
		}
	}

	metrics := w.counts(t)
	w.Stop() // so that the access log is complete
	requests, counts, wrong := w.requests(t)
	differences = append(differences, wrong...)
	if want, got := fmt.Sprint(counts), fmt.Sprint(metrics); want != got {
		differences = append(differences, difference{"all", theMetrics, want, got})
	}
	refusals := b.refusals()
	for i := range cases {
		c := &cases[i]
		path := pathOf(c)
		compare(c, theRequests, sorted(predicted.requests[path]), sorted(requests[path]))
		if refusals != nil {
			compare(c, theReasons, predicted.reasons[path], refusals[path])
		}
	}
	return differences
}

func sorted(lines []string) string {
	slices.Sort(lines)
	return strings.Join(lines, "; ")
}

// runnerRequest is what runner.js takes.
type runnerRequest struct {
	URL         string      `json:"url"`
	Frame       string      `json:"frame,omitempty"`
	Kind        string      `json:"kind"`
	Method      string      `json:"method"`
	Headers     [][2]string `json:"headers"`
	Mode        string      `json:"mode,omitempty"`
	Credentials string      `json:"credentials,omitempty"`
	Redirect    string      `json:"redirect,omitempty"`
	Crossorigin string      `json:"crossorigin,omitempty"`
	Body        string      `json:"body,omitempty"`
	Progress    bool        `json:"progress"`
}

func headerPairs(lines []string) [][2]string {
	pairs := [][2]string{}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		pairs = append(pairs, [2]string{name, value})
	}
	return pairs
}

// perform lets a page send the request of a step.
func (w *matrixWorld) perform(b matrixBrowser, c *matrixCase, step matrixStep) (result fetchmodel.Result, err error) {
	frame := ""
	if isFramed(step.page) {
		frame = step.page
	}
	request, err := json.Marshal(runnerRequest{
		URL: w.targets(c, step)[0], Frame: frame, Kind: step.kind, Method: step.method,
		Headers: headerPairs(step.headers), Mode: step.mode, Credentials: step.credentials, Redirect: step.redirect,
		Crossorigin: step.crossorigin, Body: step.body, Progress: step.progress,
	})
	if err != nil {
		return result, err
	}
	text, err := b.evaluate("run(" + string(request) + ").then(JSON.stringify)")
	if err != nil {
		return result, err
	}
	if err := json.Unmarshal([]byte(text), &result); err != nil {
		return result, fmt.Errorf("%w in %s", err, text)
	}
	for _, name := range []string{"date", "server", "via"} {
		delete(result.Header, name)
	}
	return result, nil
}
