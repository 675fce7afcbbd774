package observability

import (
	"net/http"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/harness"
)

// TestObservability runs the example as its README says, with a Prometheus. Every query of the
// dashboard and the alerts must name series that exist, and return data; and alerts must fire
// when there is a cause.
func TestObservability(t *testing.T) {
	harness.CheckCaddyfile(t, observabilityDir+"/Caddyfile")
	d := readDashboard(t)
	checkDashboard(t, d)
	o := startObservability(t)
	o.scrape(t, 1)
	for range 3 {
		o.sendTraffic(t, 3)
		o.scrape(t, 1)
	}
	harness.Promtool(t, observabilityDir, harness.Get(t, o.metrics), "check", "metrics")
	o.checkQueries(t, d)
	o.checkAlertQueries(t)

	for range 100 {
		o.ask(t, "GET", "/", harness.Header("Origin", "https://shop.example.net"))
	}
	defer o.breakRules(t)()
	o.reload(t, false)
	for _, alert := range []string{
		`{alertname="CORSCacheUnsafeResponses", ruleset="app", alertstate="firing"}`,
		`{alertname="CORSNewDeniedOrigin", ruleset="app", origin="https://shop.example.net", alertstate="firing"}`,
		`{alertname="CORSRulesNotLoaded", ruleset="app", alertstate="pending"}`,
		`{alertname="CaddyReloadFailed", alertstate="pending"}`,
	} {
		o.waitFor(t, "ALERTS"+alert)
	}
	if n := o.query(t, "count(ALERTS)"); n[0].Value.value != 4 {
		t.Errorf("there are other alerts, too: %v", o.query(t, "ALERTS"))
	}
	o.caddy.Stop()
	o.waitFor(t, `ALERTS{alertname="CaddyDown", alertstate="pending"}`)
}

// TestAlerts runs the tests of the alerts. Each alert must have one.
func TestAlerts(t *testing.T) {
	harness.Promtool(t, observabilityDir, "", "check", "config", "prometheus.yml")
	harness.Promtool(t, observabilityDir, "", "check", "rules", "alerts.yml")
	files := []string{"alerts_test.yml", "alerts_week_test.yml"}
	harness.Promtool(t, observabilityDir, "", append([]string{"test", "rules"}, files...)...)

	var tested struct {
		Tests []struct {
			AlertRuleTest []struct {
				Alertname string
				ExpAlerts []any `yaml:"exp_alerts"`
			} `yaml:"alert_rule_test"`
		}
	}
	fires, rests := map[string]bool{}, map[string]bool{}
	for _, file := range files {
		harness.ReadYAML(t, observabilityDir+"/"+file, &tested)
		for _, test := range tested.Tests {
			for _, at := range test.AlertRuleTest {
				fires[at.Alertname] = fires[at.Alertname] || len(at.ExpAlerts) > 0
				rests[at.Alertname] = rests[at.Alertname] || len(at.ExpAlerts) == 0
			}
		}
	}
	_, runbook, _ := strings.Cut(harness.ReadRepo(t, "docs/troubleshooting.md"), "## Panels and alerts")
	for _, rule := range alertRules(t) {
		if rule.Alert == "" {
			continue
		}
		if !fires[rule.Alert] || !rests[rule.Alert] {
			t.Errorf("no test shows that %s fires, and that it does not", rule.Alert)
		}
		if !strings.Contains(runbook, "`"+rule.Alert+"`") {
			t.Errorf("docs/troubleshooting.md does not say what to do about %s", rule.Alert)
		}
	}
}

// alertRule is a rule of alerts.yml: an alert or a recording rule.
type alertRule struct{ Alert, Record, Expr string }

func alertRules(t *testing.T) (rules []alertRule) {
	t.Helper()
	var file struct{ Groups []struct{ Rules []alertRule } }
	harness.ReadYAML(t, observabilityDir+"/alerts.yml", &file)
	for _, group := range file.Groups {
		rules = append(rules, group.Rules...)
	}
	if len(rules) == 0 {
		t.Fatal("alerts.yml has no rules")
	}
	return rules
}

var (
	// alertOperators separate the operands of an alert's condition.
	alertOperators = regexp.MustCompile(`\s(?:==|>=|>|unless|and(?: on \([^)]*\))?)\s`)
	offset         = regexp.MustCompile(` offset \w+`)
)

// checkAlertQueries fails the test unless each operand of each alert returns data. promtool's
// tests check the conditions. Offsets are left out: there is no data of the past.
func (o *observability) checkAlertQueries(t *testing.T) {
	t.Helper()
	for _, rule := range alertRules(t) {
		where := rule.Alert + rule.Record
		expr := offset.ReplaceAllString(rule.Expr, "")
		o.expectSeries(t, where, expr)
		for _, operand := range alertOperators.Split(expr, -1) {
			o.expectData(t, where, operand)
		}
	}
}

// sendTraffic runs the example's own script.
func (o *observability) sendTraffic(t *testing.T, rounds int) {
	t.Helper()
	cmd := exec.Command("sh", "traffic.sh", o.proxy, strconv.Itoa(rounds))
	cmd.Dir = o.dir
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Fatalf("traffic.sh: %v\n%s", err, out)
	}
}

// ask sends one request through the proxy.
func (o *observability) ask(t *testing.T, method, path string, header http.Header) {
	t.Helper()
	request, err := http.NewRequest(method, o.proxy+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header = header
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
}
