package examples

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/harness"
)

const observabilityExample = "examples/observability"

// TestObservabilityCompose checks the parts of the compose file against one another, because a
// Docker engine may not be there: mounts, ports, and the addresses of the services.
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
	harness.ReadYAML(t, observabilityExample+"/compose.yaml", &compose)
	dir := filepath.Join(harness.RepoRoot, observabilityExample)

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
	expectMount("caddy", caddy.WorkingDir+"/"+observabilityExample, ".")
	if !strings.HasSuffix(caddy.Command, "--config "+observabilityExample+"/Caddyfile") {
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
	if root := filepath.Join(dir, caddy.Build.Context); root != harness.RepoRoot {
		t.Errorf("the image is built from %s; want %s", root, harness.RepoRoot)
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
	harness.ReadYAML(t, observabilityExample+"/prometheus.yml", &config)
	target := config.ScrapeConfigs[0].StaticConfigs[0].Targets[0]
	if !bytes.Contains(caddyfile, []byte("{$METRICS_PORT:"+strings.TrimPrefix(target, "caddy:")+"}")) || config.RuleFiles[0] != "alerts.yml" {
		t.Errorf("Prometheus scrapes %s and reads %s", target, config.RuleFiles)
	}

	// Jaeger: the image listens for spans at the port that Caddy sends them to.
	if endpoint := caddy.Environment["OTEL_EXPORTER_OTLP_ENDPOINT"]; endpoint != "http://jaeger:4318" || compose.Services["jaeger"].Image == "" {
		t.Errorf("Caddy sends spans to %s", endpoint)
	}

	// Grafana: the provisioning of its dashboard and data source.
	expectMount("grafana", "/etc/grafana/provisioning/datasources/datasource.yaml", "grafana/datasource.yaml")
	expectMount("grafana", "/etc/grafana/provisioning/dashboards/dashboards.yaml", "grafana/dashboards.yaml")
	var providers struct {
		Providers []struct{ Options struct{ Path string } }
	}
	harness.ReadYAML(t, observabilityExample+"/grafana/dashboards.yaml", &providers)
	home := compose.Services["grafana"].Environment["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
	if filepath.Dir(home) != providers.Providers[0].Options.Path {
		t.Errorf("the dashboard %s is not in %s", home, providers.Providers[0].Options.Path)
	}
	expectMount("grafana", home, "dashboard.json")
	var sources struct{ Datasources []struct{ Type, URL string } }
	harness.ReadYAML(t, observabilityExample+"/grafana/datasource.yaml", &sources)
	if source := sources.Datasources[0]; source.Type != "prometheus" || source.URL != "http://prometheus:9090" {
		t.Errorf("Grafana's data source is %+v", source)
	}
}

// checkDockerfile fails the test unless the Dockerfile builds this module, with the Caddy
// of its go.mod.
func checkDockerfile(t *testing.T, file string) {
	t.Helper()
	dockerfile, goMod := harness.ReadRepo(t, file), harness.ReadRepo(t, "go.mod")
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
