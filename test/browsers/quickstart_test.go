package browsers

import (
	"bytes"
	"context"
	"flag"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/harness"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// screenshot is set in: cd test && go test -run 'TestQuickstart$' ./browsers -screenshot
var screenshot = flag.Bool("screenshot", false, "have TestQuickstart write docs/quickstart.png")

const (
	quickstartDir    = "examples/quickstart"
	quickstartConfig = quickstartDir + "/Caddyfile"
	quickstartRules  = quickstartDir + "/cors.xml"

	quickstartRows = 14
)

// TestQuickstart runs the example as its README says, and checks in a browser that the page's
// expectations hold.
func TestQuickstart(t *testing.T) {
	harness.CheckCaddyfile(t, quickstartConfig)
	ports := harness.FreePorts(t, 3)
	if *screenshot {
		ports = []string{"8080", "8081", "8082"} // what a reader will see
	}
	page := startQuickstart(t, harness.RepoRoot, ports)
	tab := harness.NewTab(t)
	rows := openQuickstart(t, tab, page)
	for _, row := range rows {
		if row.Agree != "true" {
			t.Errorf("%s: the rules say %s, the browser %s, and could read %q", row.ID, row.Expected, row.Browser, row.Readable)
		}
	}

	// The page compares the browser with its own evaluation of the rules. The test compares
	// both with its expectations.
	want := map[string]struct{ outcome, readable string }{
		"get":           {"allowed", "content-type etag"},
		"header":        {"allowed", "etag"},
		"other-header":  {"denied", ""},
		"read":          {"allowed", "last-modified etag"},
		"head":          {"allowed", "content-length etag"},
		"put":           {"allowed", "content-type"},
		"post":          {"allowed", "content-type"},
		"post-json":     {"allowed", "content-type"},
		"delete":        {"denied", ""},
		"missing":       {"allowed", ""},
		"down":          {"allowed", ""},
		"stranger":      {"denied", ""},
		"stranger-head": {"allowed", "content-length"},
		"null":          {"denied", ""},
	}
	for id, want := range want {
		if got := rows[id]; got.Browser != want.outcome || got.Readable != want.readable {
			t.Errorf("%s: %s, reading %q; want %s, %q", id, got.Browser, got.Readable, want.outcome, want.readable)
		}
	}

	metrics := harness.Get(t, page+"/metrics")
	for _, series := range []string{
		`hits_total{kind="preflight",rule="page",`,
		`hits_total{kind="actual",rule="anyone",`,
		`denied_total{kind="preflight",reason="header",`,
		`denied_total{kind="preflight",reason="method",`,
		`denied_total{kind="actual",reason="method",`,
	} {
		if !regexp.MustCompile(regexp.QuoteMeta(series) + `.*\} [1-9]`).MatchString(metrics) {
			t.Errorf("/metrics counts nothing in %s…", series)
		}
	}
	if t.Failed() {
		t.Log(metrics)
	} else if *screenshot {
		writeScreenshot(t, tab, filepath.Join(harness.RepoRoot, "docs/quickstart.png"))
	}
}

// TestQuickstartEdited edits the rules while Caddy runs: what the page expects and what
// the browser does must both change.
func TestQuickstartEdited(t *testing.T) {
	root := harness.CopyOfRepo(t, quickstartDir)
	page := startQuickstart(t, root, harness.FreePorts(t, 3))
	tab := harness.NewTab(t)
	openQuickstart(t, tab, page)

	harness.Edit(t, filepath.Join(root, quickstartRules),
		"<AllowedMethod>PUT</AllowedMethod>", "<AllowedMethod>DELETE</AllowedMethod>",
		"<AllowedHeader>x-oss-*</AllowedHeader>", "<AllowedHeader>x-tracking-*</AllowedHeader>",
		"<ExposeHeader>ETag</ExposeHeader>", "<ExposeHeader>X-Served-By</ExposeHeader>",
		"<AllowedMethod>HEAD</AllowedMethod>\n    <MaxAge", "<AllowedMethod>GET</AllowedMethod>\n    <MaxAge")
	rows := runAgain(t, tab)
	for id, want := range map[string]struct{ outcome, readable string }{
		"header":        {"denied", ""},
		"other-header":  {"allowed", ""},
		"read":          {"allowed", "last-modified x-served-by"},
		"put":           {"denied", ""},
		"delete":        {"allowed", "content-type"},
		"missing":       {"allowed", "x-served-by"},
		"stranger":      {"allowed", ""},
		"stranger-head": {"denied", ""},
		"null":          {"allowed", ""},
	} {
		got := rows[id]
		if got.Agree != "true" || got.Expected != want.outcome || got.Browser != want.outcome || got.Readable != want.readable {
			t.Errorf("%s: the rules say %s, the browser %s, and could read %q; want %s, %q",
				id, got.Expected, got.Browser, got.Readable, want.outcome, want.readable)
		}
	}
}

// TestQuickstartBroken checks that the page detects a proxy without oss_cors. The origin
// server's own headers then allow simple requests from every origin, and expose everything;
// preflights fail.
func TestQuickstartBroken(t *testing.T) {
	root := harness.CopyOfRepo(t, quickstartDir)
	config := filepath.Join(root, quickstartConfig)
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	directive := regexp.MustCompile(`(?s)\toss_cors \{.*?\n\t\}\n`).FindString(string(text))
	if directive == "" {
		t.Fatal("no oss_cors in the Caddyfile")
	}
	harness.Edit(t, config, directive, "")
	page := startQuickstart(t, root, harness.FreePorts(t, 3))
	tab := harness.NewTab(t)
	rows := openQuickstart(t, tab, page)
	for id, row := range rows {
		agree := "false"
		switch id {
		case "other-header", "delete": // denied by the rules, too
			agree = "true"
		case "get", "head", "post": // allowed by the rules, too, and nothing read that they hide
			agree = "true"
		}
		if row.Agree != agree {
			t.Errorf("%s: agree is %s without oss_cors; want %s", id, row.Agree, agree)
		}
	}
	var score string
	if err := chromedp.Run(tab, chromedp.Text("#score", &score)); err != nil || score != "5 of 14" {
		t.Errorf("the page says %q agree, %v", score, err)
	}
}

// startQuickstart runs the example in dir, the repository's root or a copy of it, with the
// page, the proxy and the origin server on the given ports. It returns the page's origin.
func startQuickstart(t *testing.T, dir string, ports []string) (page string) {
	t.Helper()
	env := []string{"PAGE_PORT=" + ports[0], "PROXY_PORT=" + ports[1], "ORIGIN_PORT=" + ports[2], "ADMIN_PORT=" + harness.FreePorts(t, 1)[0]}
	harness.StartCaddy(t, dir, quickstartConfig, env, ports)
	return "http://localhost:" + ports[0]
}

// quickstartRow is a row of the page's table.
type quickstartRow struct{ ID, Agree, Expected, Browser, Readable string }

func openQuickstart(t *testing.T, tab context.Context, page string) map[string]quickstartRow {
	t.Helper()
	if err := chromedp.Run(tab, emulation.SetDeviceMetricsOverride(1280, 800, 1, false), chromedp.Navigate(page)); err != nil {
		t.Fatal(err)
	}
	return quickstartResults(t, tab, 1)
}

func runAgain(t *testing.T, tab context.Context) map[string]quickstartRow {
	t.Helper()
	if err := chromedp.Run(tab, chromedp.Click("#run")); err != nil {
		t.Fatal(err)
	}
	return quickstartResults(t, tab, 2)
}

// quickstartResults returns the rows when the page has done its run-th run.
func quickstartResults(t *testing.T, tab context.Context, run int) map[string]quickstartRow {
	t.Helper()
	var rows []quickstartRow
	err := chromedp.Run(tab,
		chromedp.PollFunction(`(run) => document.documentElement.dataset.runs == run`, nil,
			chromedp.WithPollingArgs(run), chromedp.WithPollingTimeout(30*time.Second)),
		chromedp.Evaluate(`[...document.querySelectorAll('#rows tr')].map((row) => ({...row.dataset, ID: row.dataset.id}))`, &rows))
	if err != nil {
		t.Fatal(err)
	}
	byID := map[string]quickstartRow{}
	for _, row := range rows {
		byID[row.ID] = row
	}
	if len(byID) != quickstartRows {
		var notice string
		_ = chromedp.Run(tab, chromedp.Evaluate(`document.getElementById('notice').textContent`, &notice))
		t.Fatalf("the page has %d rows; want %d; it says: %s", len(byID), quickstartRows, notice)
	}
	return byID
}

// writeScreenshot writes the whole page, in light colours, as a PNG of few bytes.
func writeScreenshot(t *testing.T, tab context.Context, file string) {
	t.Helper()
	var shot []byte
	err := chromedp.Run(tab,
		emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "light"}}),
		chromedp.Sleep(time.Second), // transitions
		chromedp.FullScreenshot(&shot, 100))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
		t.Fatal(err)
	}
	if shot, err = withFewColours(shot); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, shot, 0o666); err != nil {
		t.Fatal(err)
	}
}

// withFewColours reduces a PNG to its 256 most frequent colours: of a flat page, all but
// some shades at the edges of letters.
func withFewColours(data []byte) ([]byte, error) {
	full, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	uses := map[color.Color]int{}
	bounds := full.Bounds()
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			uses[full.At(x, y)]++
		}
	}
	palette := slices.SortedFunc(maps.Keys(uses), func(a, b color.Color) int { return uses[b] - uses[a] })
	reduced := image.NewPaletted(bounds, palette[:min(256, len(palette))])
	draw.Draw(reduced, bounds, full, bounds.Min, draw.Src)
	var out bytes.Buffer
	err = (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&out, reduced)
	return out.Bytes(), err
}
