package observability

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/harness"
)

// dashboard is what the tests need of dashboard.json.
type dashboard struct {
	Title      string
	Templating struct{ List []dashboardVariable }
	Panels     []dashboardPanel
}

type dashboardVariable struct{ Name, Label, Type, Definition string }

type dashboardPanel struct {
	ID                       int
	Type, Title, Description string
	Datasource               dashboardDatasource
	GridPos                  struct{ X, Y, W, H int }
	FieldConfig              struct {
		Defaults  dashboardField
		Overrides []struct {
			Matcher    struct{ Options string }
			Properties []struct {
				ID    string
				Value json.RawMessage
			}
		}
	}
	Options struct {
		ColorMode, GraphMode, TextMode string
		Legend                         struct {
			DisplayMode string
			ShowLegend  bool
			Calcs       []string
		}
		SortBy []struct {
			DisplayName string
			Desc        bool
		}
	}
	Transformations []struct {
		Options struct {
			ExcludeByName map[string]bool
			IndexByName   map[string]int
			RenameByName  map[string]string
		}
	}
	Targets []dashboardTarget
}

type dashboardDatasource struct{ Type, UID string }

type dashboardField struct {
	Unit       string
	Decimals   *int
	NoValue    string
	Color      struct{ Mode, FixedColor string }
	Thresholds struct {
		Steps []struct {
			Color string
			Value *float64
		}
	}
	Mappings []struct {
		Options map[string]struct{ Text, Color string }
	}
	Custom struct {
		FillOpacity float64
		Stacking    struct{ Mode string }
	}
}

type dashboardTarget struct {
	Datasource                        dashboardDatasource
	Expr, LegendFormat, RefID, Format string
	Instant                           bool
}

func readDashboard(t *testing.T) *dashboard {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(harness.RepoRoot, observabilityDir, "dashboard.json"))
	if err != nil {
		t.Fatal(err)
	}
	d := new(dashboard)
	if err := json.Unmarshal(content, d); err != nil {
		t.Fatal(err)
	}
	return d
}

// substitute puts values in place of an expression's template variables, as Grafana does.
func substitute(expr, ruleset, rateInterval, timeRange string) string {
	return strings.NewReplacer("$job", ".*", "$instance", ".*", "$ruleset", ruleset, "$__rate_interval", rateInterval, "$__range", timeRange).Replace(expr)
}

// checkDashboard fails the test unless the dashboard is complete: its panels do not overlap or
// leave the grid, and all have a description and the chosen data source.
func checkDashboard(t *testing.T, d *dashboard) {
	t.Helper()
	const columns = 24
	ids := map[int]bool{}
	cells := map[[2]int]string{}
	for _, p := range d.Panels {
		if p.Title == "" || p.Description == "" || len(p.Targets) == 0 || ids[p.ID] {
			t.Errorf("panel %d, %q: there is no title, no description or no query, or its ID is another's, too", p.ID, p.Title)
		}
		ids[p.ID] = true
		if p.FieldConfig.Defaults.Unit == "" && p.Type != "table" && p.Type != "state-timeline" {
			t.Errorf("%s: no unit", p.Title)
		}
		refs := map[string]bool{}
		for _, target := range p.Targets {
			if refs[target.RefID] {
				t.Errorf("%s: two queries are %s", p.Title, target.RefID)
			}
			refs[target.RefID] = true
			if target.Datasource.UID != "${datasource}" || p.Datasource.UID != "${datasource}" {
				t.Errorf("%s: another data source than the chosen one", p.Title)
			}
			if rest := substitute(target.Expr, "", "", ""); strings.Contains(rest, "$") {
				t.Errorf("%s: unknown variable in %s", p.Title, target.Expr)
			}
		}
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other, taken := cells[[2]int{x, y}]; taken || x >= columns {
					t.Fatalf("%s leaves the grid, or overlaps %s", p.Title, other)
				}
				cells[[2]int{x, y}] = p.Title
			}
		}
	}
}

var labelValues = regexp.MustCompile(`^label_values\((\w+), (\w+)\)$`)

// checkQueries fails the test unless every query of the dashboard, its variables' included,
// returns data.
func (o *observability) checkQueries(t *testing.T, d *dashboard) {
	t.Helper()
	for _, v := range d.Templating.List {
		if v.Type != "query" {
			continue
		}
		m := labelValues.FindStringSubmatch(v.Definition)
		if m == nil {
			t.Fatalf("variable %s: %s is not label_values", v.Name, v.Definition)
		}
		var values []string
		o.api(t, "label/"+m[2]+"/values?match[]="+m[1], &values)
		if v.Name == "ruleset" && !slices.Equal(values, []string{"app", "downloads"}) || len(values) == 0 {
			t.Errorf("variable %s can be %q", v.Name, values)
		}
	}
	for _, p := range d.Panels {
		for _, target := range p.Targets {
			for _, ruleset := range []string{".*", "app", "app|downloads"} {
				expr := substitute(target.Expr, ruleset, "5s", "1m")
				o.expectSeries(t, p.Title, expr)
				o.expectData(t, p.Title, expr)
			}
		}
	}
}

// metricInQuery finds metrics, recorded ones too, with their matchers.
var metricInQuery = regexp.MustCompile(`\b(?:(?:\w+:)?caddy_[\w:]+|up)\b(?:\{[^}]*\})?`)

// expectSeries fails the test unless every selector in an expression selects a series.
func (o *observability) expectSeries(t *testing.T, where, expr string) {
	t.Helper()
	selectors := metricInQuery.FindAllString(expr, -1)
	if len(selectors) == 0 {
		t.Errorf("%s: no metric in %s", where, expr)
	}
	for _, selector := range selectors {
		if len(o.query(t, selector)) == 0 {
			t.Errorf("%s: there is no series %s", where, selector)
		}
	}
}

// expectData fails the test unless an expression returns numbers.
func (o *observability) expectData(t *testing.T, where, expr string) {
	t.Helper()
	result := o.query(t, expr)
	if len(result) == 0 {
		t.Errorf("%s: no data for %s", where, expr)
	}
	for _, s := range result {
		if s.Value.value != s.Value.value {
			t.Errorf("%s: %s is NaN for %v", where, expr, s.Metric)
		}
	}
}
