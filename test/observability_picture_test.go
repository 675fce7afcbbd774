package test

import (
	"bytes"
	"fmt"
	"html/template"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// The picture's measures: Grafana's own, in pixels.
const (
	pictureWidth = 1600
	margin       = 16
	gap          = 8
	rowHeight    = 30
)

// picture draws a dashboard's panels with Prometheus's answers to their queries.
type picture struct {
	*testing.T
	*observability
	start, end time.Time
}

// drawnPanel is a panel of the page.
type drawnPanel struct {
	X, Y, W, H int
	Title      string
	Fill       template.CSS // of the background, if it tells a value
	Body       template.HTML
}

// drawDashboard writes docs/dashboard.png. There is no Grafana to be had from Debian, npm
// or Go: this draws the panels as dashboard.json describes them.
func drawDashboard(t *testing.T, o *observability, d *dashboard) {
	t.Helper()
	const rateInterval = 10 * time.Second // before it, and after the end, rates would rise and fall for no reason
	p := &picture{T: t, observability: o, start: time.Now().Add(rateInterval)}
	livelyTraffic(t, o)
	p.end = time.Now()
	o.scrape(t, 1)
	page := struct {
		Title         string
		Time          string
		Width, Height int
		Panels        []drawnPanel
	}{Title: d.Title, Width: pictureWidth, Time: p.start.Format("15:04:05") + " to " + p.end.Format("15:04:05")}
	for i := range d.Panels {
		panel := p.draw(&d.Panels[i])
		page.Panels = append(page.Panels, panel)
		page.Height = max(page.Height, panel.Y+panel.H)
	}
	var html bytes.Buffer
	if err := template.Must(template.ParseFiles("testdata/dashboard.html")).Execute(&html, page); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write(html.Bytes())
	}))
	defer server.Close()
	tab := newTab(t)
	if err := chromedp.Run(tab, emulation.SetDeviceMetricsOverride(pictureWidth, 900, 1, false), chromedp.Navigate(server.URL)); err != nil {
		t.Fatal(err)
	}
	writeScreenshot(t, tab, filepath.Join(repoRoot, "docs/dashboard.png"))
}

func (p *picture) draw(panel *dashboardPanel) drawnPanel {
	p.Helper()
	const column = float64(pictureWidth-2*margin+gap) / 24
	across := func(cells int) int { return int(math.Round(float64(cells) * column)) }
	down := func(cells int) int { return cells * (rowHeight + gap) }
	pos := panel.GridPos
	drawn := drawnPanel{
		X: across(pos.X), Y: down(pos.Y), W: across(pos.W) - gap, H: down(pos.H) - gap,
		Title: panel.Title,
	}
	w, h := drawn.W-22, drawn.H-42 // what padding and title leave
	lines := p.lines(panel)
	switch panel.Type {
	case "timeseries":
		drawn.Body = p.drawTimeSeries(panel, lines, w, h)
	case "stat":
		drawn.Body = p.drawStat(panel, lines, w, h)
		if panel.Options.ColorMode == "background" {
			drawn.Fill = template.CSS(lines[0].colour)
		}
	case "bargauge":
		drawn.Body = drawBarGauge(panel, lines)
	case "table":
		drawn.Body = p.drawTable(panel)
	case "state-timeline":
		drawn.Body = p.drawStateTimeline(panel, lines, w, h)
	default:
		p.Fatalf("%s: cannot draw a %s", panel.Title, panel.Type)
	}
	return drawn
}

// line is a time series as a panel shows it.
type line struct {
	name, colour string
	points       []point
}

func (l *line) last() float64 { return l.points[len(l.points)-1].value }

// lines returns the series of a panel's queries, named by their legends.
func (p *picture) lines(panel *dashboardPanel) (lines []line) {
	if panel.Type == "table" {
		return nil
	}
	for _, target := range panel.Targets {
		for _, s := range p.evaluate(target) {
			l := line{name: legend(target.LegendFormat, s.Metric), points: s.Values}
			if s.Value != nil {
				l.points = []point{*s.Value}
			}
			lines = append(lines, l)
		}
	}
	slices.SortFunc(lines, func(a, b line) int { return strings.Compare(a.name, b.name) })
	for i := range lines {
		lines[i].colour = panel.colour(i, &lines[i])
	}
	if len(lines) == 0 {
		p.Fatalf("%s has no data", panel.Title)
	}
	return lines
}

func (p *picture) evaluate(target dashboardTarget) []timeSeries {
	timeRange := fmt.Sprintf("%.0fs", p.end.Sub(p.start).Seconds())
	expr := substitute(target.Expr, ".*", "10s", timeRange)
	if target.Instant {
		return p.queryAPI(p.T, "query", url.Values{"query": {expr}, "time": {fmt.Sprint(p.end.Unix())}})
	}
	return p.queryRange(p.T, expr, p.start, p.end)
}

// legend fills in a legend's labels.
func legend(format string, labels map[string]string) string {
	pairs := []string{"{{instance}}", "caddy:9180"} // as in compose.yaml, and not a test's port
	for name, value := range labels {
		pairs = append(pairs, "{{"+name+"}}", value)
	}
	return strings.NewReplacer(pairs...).Replace(format)
}
