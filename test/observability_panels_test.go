package test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"html/template"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// colours are Grafana's by name; palette is the order in which it gives them to series.
var (
	colours = map[string]string{
		"green": "#73BF69", "blue": "#5794F2", "yellow": "#FADE2A", "orange": "#FF9830", "dark-orange": "#FA6400",
		"red": "#F2495C", "dark-red": "#C4162A", "purple": "#B877D9",
	}
	shades  = map[string][]string{"orange": {"#FF9830", "#FFB357", "#FFCB7D", "#FF780A", "#FA6400"}}
	palette = []string{"#73BF69", "#F2CC0C", "#8AB8FF", "#FF780A", "#F2495C", "#5794F2", "#B877D9", "#705DA0", "#37872D", "#FADE2A"}
)

// colour is that of a panel's i-th series.
func (panel *dashboardPanel) colour(i int, l *line) string {
	for _, override := range panel.FieldConfig.Overrides {
		for _, property := range override.Properties {
			var colour struct{ FixedColor string }
			if override.Matcher.Options == l.name && property.ID == "color" && json.Unmarshal(property.Value, &colour) == nil {
				return colours[colour.FixedColor]
			}
		}
	}
	defaults := panel.FieldConfig.Defaults
	switch defaults.Color.Mode {
	case "fixed":
		return colours[defaults.Color.FixedColor]
	case "shades":
		of := shades[defaults.Color.FixedColor]
		return of[i%len(of)]
	case "thresholds":
		return defaults.thresholdColour(l.last())
	}
	return palette[i%len(palette)]
}

func (f *dashboardField) thresholdColour(value float64) (colour string) {
	for _, step := range f.Thresholds.Steps {
		if step.Value == nil || value >= *step.Value {
			colour = colours[step.Color]
		}
	}
	return colour
}

// format shows a value as the field's mappings and unit say.
func (f *dashboardField) format(value float64) string {
	for _, mapping := range f.Mappings {
		if option, ok := mapping.Options[strconv.FormatFloat(value, 'f', -1, 64)]; ok {
			return option.Text
		}
	}
	decimals := -1
	if f.Decimals != nil {
		decimals = *f.Decimals
	}
	number := func(v float64) string {
		if decimals < 0 {
			return strconv.FormatFloat(math.Round(v*100)/100, 'f', -1, 64)
		}
		return strconv.FormatFloat(v, 'f', decimals, 64)
	}
	switch f.Unit {
	case "reqps":
		return number(value) + " req/s"
	case "percentunit":
		return number(value*100) + "%"
	case "s":
		if value >= 60 {
			return number(value/60) + " min"
		}
		return number(value) + " s"
	}
	return number(value)
}

func escape(s string) string { return template.HTMLEscapeString(s) }

func (p *picture) drawStat(panel *dashboardPanel, lines []line, w, h int) template.HTML {
	field := &panel.FieldConfig.Defaults
	var b strings.Builder
	if panel.Options.TextMode == "value_and_name" {
		b.WriteString(`<div class="stats">`)
		for _, l := range lines {
			fmt.Fprintf(&b, `<div>%s<b style="--c:%s">%s</b></div>`, escape(l.name), l.colour, escape(field.format(l.last())))
		}
		b.WriteString(`</div>`)
		return template.HTML(b.String())
	}
	l := lines[0]
	fmt.Fprintf(&b, `<div class="stat %s" style="--c:%s">`, panel.Options.GraphMode, l.colour)
	if panel.Options.GraphMode == "area" {
		w, h := w+20, h/2
		plot := p.newPlot(0, 0, w, h, highest(lines))
		fmt.Fprintf(&b, `<svg width="%d" height="%d">%s</svg>`, w, h, plot.area(l.points, nil, l.colour, 0.2))
	}
	fmt.Fprintf(&b, `<span>%s</span></div>`, escape(field.format(l.last())))
	return template.HTML(b.String())
}

func drawBarGauge(panel *dashboardPanel, lines []line) template.HTML {
	most := max(highest(lines), 1)
	var b strings.Builder
	b.WriteString(`<div class="bars">`)
	for _, l := range lines {
		fmt.Fprintf(&b, `<span>%s</span><i style="--c:%s;--part:%.1f%%"></i><b style="--c:%s">%s</b>`,
			escape(l.name), l.colour, 100*l.last()/most, l.colour, escape(panel.FieldConfig.Defaults.format(l.last())))
	}
	b.WriteString(`</div>`)
	return template.HTML(b.String())
}

func highest(lines []line) (most float64) {
	for _, l := range lines {
		for _, point := range l.points {
			most = max(most, point.value)
		}
	}
	return most
}

// drawTable shows a query's labels and values as the panel's transformation names and
// orders them.
func (p *picture) drawTable(panel *dashboardPanel) template.HTML {
	result := p.evaluate(panel.Targets[0])
	if len(result) == 0 {
		p.Fatalf("%s has no data", panel.Title)
	}
	organize := panel.Transformations[0].Options
	var columns []string
	for name := range organize.IndexByName {
		if !organize.ExcludeByName[name] {
			columns = append(columns, name)
		}
	}
	slices.SortFunc(columns, func(a, b string) int { return organize.IndexByName[a] - organize.IndexByName[b] })
	slices.SortFunc(result, func(a, b timeSeries) int {
		return cmp.Or(cmp.Compare(b.Value.value, a.Value.value), cmp.Compare(a.Metric["ruleset"], b.Metric["ruleset"]))
	})

	colour := colours[panel.FieldConfig.Defaults.Color.FixedColor]
	var b strings.Builder
	b.WriteString(`<table><tr>`)
	for _, name := range columns {
		fmt.Fprintf(&b, `<th>%s</th>`, escape(organize.RenameByName[name]))
	}
	for _, s := range result {
		b.WriteString(`</tr><tr>`)
		for _, name := range columns {
			if name != "Value" {
				fmt.Fprintf(&b, `<td>%s</td>`, escape(s.Metric[name]))
				continue
			}
			const widest = 230
			width := widest * s.Value.value / result[0].Value.value
			fmt.Fprintf(&b, `<td style="width:300px"><div class="gauge"><i style="--c:%s;width:%.0fpx"></i>%s</div></td>`,
				colour, width, escape(panel.FieldConfig.Defaults.format(s.Value.value)))
		}
	}
	b.WriteString(`</tr></table>`)
	return template.HTML(b.String())
}

// plot is the area of a graph: times across and values up.
type plot struct {
	x, y, w, h float64
	start, end float64
	top        float64
}

func (p *picture) newPlot(x, y, w, h int, highest float64) *plot {
	return &plot{float64(x), float64(y), float64(w), float64(h), float64(p.start.Unix()), float64(p.end.Unix()), highest}
}

func (pl *plot) at(time, value float64) (x, y float64) {
	return pl.x + pl.w*(time-pl.start)/(pl.end-pl.start), pl.y + pl.h*(1-value/pl.top)
}

// area draws a series, filled down to base: nil for 0. Where there are no points, nothing
// is drawn.
func (pl *plot) area(points []point, base map[float64]float64, colour string, opacity float64) string {
	var b strings.Builder
	for _, run := range runs(points) {
		var upper, lower strings.Builder
		for i, point := range run {
			x, y := pl.at(point.time, base[point.time]+point.value)
			fmt.Fprintf(&upper, "%s%.1f,%.1f", [2]string{"M", "L"}[min(i, 1)], x, y)
		}
		for _, point := range slices.Backward(run) {
			x, y := pl.at(point.time, base[point.time])
			fmt.Fprintf(&lower, "L%.1f,%.1f", x, y)
		}
		fmt.Fprintf(&b, `<path d="%s%sZ" fill="%s" fill-opacity="%.2f"/><path d="%s" fill="none" stroke="%s" stroke-width="1.3"/>`,
			upper.String(), lower.String(), colour, opacity, upper.String(), colour)
	}
	return b.String()
}

// runs cuts a series where it was interrupted.
func runs(points []point) (runs [][]point) {
	from := 0
	for i := range points {
		if i+1 == len(points) || points[i+1].time-points[i].time > 1.5 {
			runs = append(runs, points[from:i+1])
			from = i + 1
		}
	}
	return runs
}

func (p *picture) drawTimeSeries(panel *dashboardPanel, lines []line, w, h int) template.HTML {
	legend := drawLegend(panel, lines)
	if panel.Options.Legend.DisplayMode == "table" {
		h -= 20*len(lines) + 32
	} else {
		h -= 26
	}
	stacked := panel.FieldConfig.Defaults.Custom.Stacking.Mode == "normal"
	most := highest(lines)
	base := map[float64]float64{}
	if stacked {
		for _, l := range lines {
			for _, point := range l.points {
				base[point.time] += point.value
				most = max(most, base[point.time])
			}
		}
		clear(base)
	}
	field := panel.FieldConfig.Defaults
	field.Decimals = nil
	step := niceStep(most / 4)
	pl := p.newPlot(78, 8, w-90, h-30, math.Max(math.Ceil(most/step), 1)*step)

	var b strings.Builder
	fmt.Fprintf(&b, `<svg width="%d" height="%d">`, w, h)
	for value := 0.0; value <= pl.top*1.001; value += step {
		_, y := pl.at(0, value)
		fmt.Fprintf(&b, `<path d="M%.0f,%.1fh%.0f" stroke="#25272d"/><text x="%.0f" y="%.1f" text-anchor="end">%s</text>`,
			pl.x, y, pl.w, pl.x-8, y+4, escape(field.format(value)))
	}
	p.drawTimes(&b, pl)
	for _, l := range lines {
		b.WriteString(pl.area(l.points, base, l.colour, field.Custom.FillOpacity/100))
		if stacked {
			for _, point := range l.points {
				base[point.time] += point.value
			}
		}
	}
	b.WriteString(`</svg>` + legend)
	return template.HTML(b.String())
}

// drawTimes labels the axis of times.
func (p *picture) drawTimes(b *strings.Builder, pl *plot) {
	every := 30 * time.Second
	if pl.w < 600 {
		every *= 2
	}
	last := p.end.Add(-every / 5) // one later would be cut
	for at := p.start.Truncate(every).Add(every); at.Before(last); at = at.Add(every) {
		x, _ := pl.at(float64(at.Unix()), 0)
		fmt.Fprintf(b, `<path d="M%.1f,%.0fv%.0f" stroke="#25272d"/><text x="%.1f" y="%.0f" text-anchor="middle">%s</text>`,
			x, pl.y, pl.h, x, pl.y+pl.h+17, at.Format("15:04:05"))
	}
}

// niceStep is the next of 1, 2, 5 and 10 times a power of ten.
func niceStep(step float64) float64 {
	if step <= 0 {
		return 0.25
	}
	power := math.Pow(10, math.Floor(math.Log10(step)))
	for _, nice := range []float64{1, 2, 5} {
		if step <= nice*power {
			return nice * power
		}
	}
	return 10 * power
}

func drawLegend(panel *dashboardPanel, lines []line) string {
	var b strings.Builder
	if panel.Options.Legend.DisplayMode != "table" {
		b.WriteString(`<div class="legend">`)
		for _, l := range lines {
			fmt.Fprintf(&b, `<span class="key" style="--c:%s">%s</span>`, l.colour, escape(l.name))
		}
		return b.String() + `</div>`
	}
	calculations := map[string]struct {
		name string
		of   func(*line) float64
	}{
		"mean": {"Mean", func(l *line) float64 {
			sum := 0.0
			for _, point := range l.points {
				sum += point.value
			}
			return sum / float64(len(l.points))
		}},
		"max":         {"Max", func(l *line) float64 { return highest([]line{*l}) }},
		"lastNotNull": {"Last *", (*line).last},
	}
	b.WriteString(`<table class="legend"><tr><th>Name</th>`)
	for _, name := range panel.Options.Legend.Calcs {
		fmt.Fprintf(&b, `<th class="number">%s</th>`, calculations[name].name)
	}
	for _, l := range lines {
		fmt.Fprintf(&b, `</tr><tr><td class="key" style="--c:%s">%s</td>`, l.colour, escape(l.name))
		for _, name := range panel.Options.Legend.Calcs {
			fmt.Fprintf(&b, `<td class="number">%s</td>`, escape(panel.FieldConfig.Defaults.format(calculations[name].of(&l))))
		}
	}
	return b.String() + `</tr></table>`
}

func (p *picture) drawStateTimeline(panel *dashboardPanel, lines []line, w, h int) template.HTML {
	field := &panel.FieldConfig.Defaults
	pl := p.newPlot(150, 8, w-160, h-34, 1)
	row := pl.h / float64(len(lines))
	var b strings.Builder
	fmt.Fprintf(&b, `<svg width="%d" height="%d">`, w, h)
	p.drawTimes(&b, pl)
	for i, l := range lines {
		y := pl.y + float64(i)*row
		fmt.Fprintf(&b, `<text x="%.0f" y="%.1f" text-anchor="end">%s</text>`, pl.x-10, y+row/2+4, escape(l.name))
		for from := 0; from < len(l.points); {
			to := from
			for to+1 < len(l.points) && l.points[to+1].value == l.points[from].value {
				to++
			}
			value := l.points[from].value
			x1, _ := pl.at(l.points[from].time, 0)
			x2, _ := pl.at(math.Min(l.points[to].time+1, pl.end), 0)
			fmt.Fprintf(&b, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s" fill-opacity="%.2f"/>`,
				x1, y+row*0.1, x2-x1, row*0.8, field.thresholdColour(value), field.Custom.FillOpacity/100)
			if text := field.format(value); x2-x1 > float64(8*len(text)) {
				fmt.Fprintf(&b, `<text x="%.1f" y="%.1f" text-anchor="middle" style="fill:#fff">%s</text>`, (x1+x2)/2, y+row/2+4, escape(text))
			}
			from = to + 1
		}
	}
	b.WriteString(`</svg>`)
	return template.HTML(b.String())
}
