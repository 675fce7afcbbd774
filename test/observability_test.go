package test

import (
	"bytes"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// TestObservability runs the example as its README says, with a Prometheus beside it. Every
// query of dashboard and alerts must name series that exist, and return data; and alerts
// must rise where there is cause. With -screenshot it draws the dashboard:
//
//	go test -run 'TestObservability$' . -screenshot
func TestObservability(t *testing.T) {
	checkCaddyfile(t, observabilityDir+"/Caddyfile")
	d := readDashboard(t)
	checkDashboard(t, d)
	o := startObservability(t)
	if *screenshot {
		drawDashboard(t, o, d)
		return
	}
	o.scrape(t, 1)
	for range 3 {
		o.sendTraffic(t, 3)
		o.scrape(t, 1)
	}
	promtool(t, get(t, o.metrics), "check", "metrics")
	o.checkQueries(t, d)
	o.checkAlertQueries(t)

	for range 100 {
		o.ask(t, "GET", "/", headers("Origin", "https://shop.example.net"))
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
	o.caddy.stop()
	o.waitFor(t, `ALERTS{alertname="CaddyDown", alertstate="pending"}`)
}

// TestAlerts runs the alerts' own tests, of which each alert must have one.
func TestAlerts(t *testing.T) {
	promtool(t, "", "check", "config", "prometheus.yml")
	promtool(t, "", "check", "rules", "alerts.yml")
	files := []string{"alerts_test.yml", "alerts_week_test.yml"}
	promtool(t, "", append([]string{"test", "rules"}, files...)...)

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
		readYAML(t, file, &tested)
		for _, test := range tested.Tests {
			for _, at := range test.AlertRuleTest {
				fires[at.Alertname] = fires[at.Alertname] || len(at.ExpAlerts) > 0
				rests[at.Alertname] = rests[at.Alertname] || len(at.ExpAlerts) == 0
			}
		}
	}
	_, runbook, _ := strings.Cut(readRepo(t, "docs/troubleshooting.md"), "## Panels and alerts")
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
	readYAML(t, "alerts.yml", &file)
	for _, group := range file.Groups {
		rules = append(rules, group.Rules...)
	}
	if len(rules) == 0 {
		t.Fatal("alerts.yml has no rules")
	}
	return rules
}

func readYAML(t *testing.T, file string, into any) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(repoRoot, observabilityDir, file))
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(content, into); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

var (
	// alertOperators stand between the operands of an alert's condition.
	alertOperators = regexp.MustCompile(`\s(?:==|>=|>|unless|and(?: on \([^)]*\))?)\s`)
	offset         = regexp.MustCompile(` offset \w+`)
)

// checkAlertQueries fails the test unless each operand of each alert returns data: whether
// the condition holds is for promtool's tests. The past is left out, for there is none.
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

// TestObservabilityCompose checks the parts of the compose file against one another, for
// lack of a Docker: mounts, ports, and the addresses by which the services know each other.
func TestObservabilityCompose(t *testing.T) {
	type service struct {
		Image   string
		Build   struct{ Context, Dockerfile string }
		Command string
		Ports   []string
		Volumes []string

		Environment map[string]string
		WorkingDir  string `yaml:"working_dir"`
	}
	var compose struct {
		Services map[string]service
		Volumes  map[string]any
	}
	readYAML(t, "compose.yaml", &compose)
	dir := filepath.Join(repoRoot, observabilityDir)

	mounted := map[string]string{} // what the repository has, by its path in a container
	for name, s := range compose.Services {
		for _, volume := range s.Volumes {
			from, rest, _ := strings.Cut(volume, ":")
			to, _, _ := strings.Cut(rest, ":")
			if !strings.HasPrefix(from, ".") {
				if _, ok := compose.Volumes[from]; !ok {
					t.Errorf("%s: there is no volume %s", name, from)
				}
				continue
			}
			if _, err := os.Stat(filepath.Join(dir, from)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			mounted[name+":"+to] = from
		}
		for _, port := range s.Ports {
			if !strings.HasPrefix(port, "127.0.0.1:") {
				t.Errorf("%s: port %s is published to everyone", name, port)
			}
		}
	}
	expectMount := func(service, path, file string) {
		t.Helper()
		if got := mounted[service+":"+path]; filepath.Clean(got) != filepath.Clean(file) {
			t.Errorf("%s finds %q at %s; want %s", service, got, path, file)
		}
	}

	// Caddy: its files where the Caddyfile names them, its listeners' ports, its image.
	caddy := compose.Services["caddy"]
	expectMount("caddy", caddy.WorkingDir+"/"+observabilityDir, ".")
	if !strings.HasSuffix(caddy.Command, "--config "+observabilityDir+"/Caddyfile") {
		t.Errorf("caddy runs %q", caddy.Command)
	}
	caddyfile, err := os.ReadFile(filepath.Join(dir, "Caddyfile"))
	if err != nil {
		t.Fatal(err)
	}
	if caddy.Environment["BIND"] != "0.0.0.0" || !bytes.Contains(caddyfile, []byte("{$BIND:")) {
		t.Error("caddy listens where Prometheus cannot reach it")
	}
	for i, port := range regexp.MustCompile(`http://:\{\$(?:METRICS|PROXY)_PORT:(\d+)\}`).FindAllSubmatch(caddyfile, -1) {
		if want := "127.0.0.1:" + string(port[1]) + ":" + string(port[1]); caddy.Ports[1-i] != want {
			t.Errorf("caddy publishes %s; want %s", caddy.Ports[1-i], want)
		}
	}
	if root := filepath.Join(dir, caddy.Build.Context); root != repoRoot {
		t.Errorf("the image is built from %s; want %s", root, repoRoot)
	}
	checkDockerfile(t, caddy.Build.Dockerfile)
	checkDockerignore(t, caddy.Build.Dockerfile, ".")

	// Prometheus.
	expectMount("prometheus", "/etc/prometheus/prometheus.yml", "prometheus.yml")
	expectMount("prometheus", "/etc/prometheus/alerts.yml", "alerts.yml")
	var config struct {
		RuleFiles     []string `yaml:"rule_files"`
		ScrapeConfigs []struct {
			StaticConfigs []struct{ Targets []string } `yaml:"static_configs"`
		} `yaml:"scrape_configs"`
	}
	readYAML(t, "prometheus.yml", &config)
	target := config.ScrapeConfigs[0].StaticConfigs[0].Targets[0]
	if !bytes.Contains(caddyfile, []byte("{$METRICS_PORT:"+strings.TrimPrefix(target, "caddy:")+"}")) || config.RuleFiles[0] != "alerts.yml" {
		t.Errorf("Prometheus scrapes %s and reads %s", target, config.RuleFiles)
	}

	// Grafana: the provisioning of its dashboard and data source.
	expectMount("grafana", "/etc/grafana/provisioning/datasources/datasource.yaml", "grafana/datasource.yaml")
	expectMount("grafana", "/etc/grafana/provisioning/dashboards/dashboards.yaml", "grafana/dashboards.yaml")
	var providers struct {
		Providers []struct{ Options struct{ Path string } }
	}
	readYAML(t, "grafana/dashboards.yaml", &providers)
	home := compose.Services["grafana"].Environment["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
	if filepath.Dir(home) != providers.Providers[0].Options.Path {
		t.Errorf("the dashboard %s is not in %s", home, providers.Providers[0].Options.Path)
	}
	expectMount("grafana", home, "dashboard.json")
	var sources struct{ Datasources []struct{ Type, URL string } }
	readYAML(t, "grafana/datasource.yaml", &sources)
	if source := sources.Datasources[0]; source.Type != "prometheus" || source.URL != "http://prometheus:9090" {
		t.Errorf("Grafana's data source is %+v", source)
	}
}

// checkDockerfile fails the test unless the Dockerfile builds this module, with the Caddy
// of its go.mod.
func checkDockerfile(t *testing.T, file string) {
	t.Helper()
	dockerfile, goMod := readRepo(t, file), readRepo(t, "go.mod")
	module := regexp.MustCompile(`(?m)^module (\S+)`).FindStringSubmatch(goMod)[1]
	version := regexp.MustCompile(`caddyserver/caddy/v2 v(\S+)`).FindStringSubmatch(goMod)[1]
	for _, line := range []string{
		"FROM caddy:" + version + "-builder AS build\n",
		"FROM caddy:" + version + "\n",
		"xcaddy build v" + version + " --with " + module + "@v0.0.0=/src ",
	} {
		if !strings.Contains(dockerfile, line) {
			t.Errorf("the Dockerfile has no %q", line)
		}
	}
}
