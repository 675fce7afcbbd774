package examples

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/harness"
	"go.yaml.in/yaml/v3"
)

const fleetDir = "examples/fleet"

func existsInRepo(path string) bool {
	_, err := os.Stat(filepath.Join(harness.RepoRoot, path))
	return err == nil
}

// TestExampleFleetCompose checks the parts of compose.yaml and the Dockerfile, because a
// Docker engine may not be there: what they name exists, and they provide what the
// Caddyfiles expect.
func TestExampleFleetCompose(t *testing.T) {
	t.Setenv("RULES_KEY_ID", "id")
	t.Setenv("RULES_KEY_SECRET", "secret")
	for _, name := range []string{"Caddyfile", "balancer.Caddyfile"} {
		harness.CheckCaddyfile(t, fleetDir+"/"+name)
	}

	var compose struct {
		Services map[string]struct {
			Build       struct{ Context, Dockerfile string }
			Image       string
			Command     []string
			Environment map[string]string
			Volumes     []string
			Ports       []string
			DependsOn   []string `yaml:"depends_on"`
		}
		Volumes map[string]any
	}
	if err := yaml.Unmarshal([]byte(harness.ReadRepo(t, fleetDir+"/compose.yaml")), &compose); err != nil {
		t.Fatal(err)
	}
	built := map[string]bool{}
	for name, s := range compose.Services {
		for _, other := range s.DependsOn {
			if _, ok := compose.Services[other]; !ok {
				t.Errorf("%s depends on %s, which there is not", name, other)
			}
		}
		for _, volume := range s.Volumes {
			source, _, _ := strings.Cut(volume, ":")
			if path, ok := strings.CutPrefix(source, "./"); ok && !existsInRepo(fleetDir+"/"+path) {
				t.Errorf("%s mounts %s, which there is not", name, source)
			} else if _, named := compose.Volumes[source]; !ok && !named {
				t.Errorf("%s mounts the volume %s, which there is not", name, source)
			}
		}
		if s.Build.Dockerfile != "" {
			built[s.Image] = true
			if filepath.Join(fleetDir, s.Build.Context) != "." || !existsInRepo(s.Build.Dockerfile) {
				t.Errorf("%s is built from %+v", name, s.Build)
			}
		}
		for _, port := range s.Ports {
			if !strings.HasPrefix(port, "127.0.0.1:") {
				t.Errorf("%s can be reached at %s from elsewhere", name, port)
			}
		}
	}
	for name, s := range compose.Services {
		if !built[s.Image] {
			t.Errorf("%s runs %s, which nothing builds", name, s.Image)
		}
	}

	proxyFile, balancerFile := harness.ReadRepo(t, fleetDir+"/Caddyfile"), harness.ReadRepo(t, fleetDir+"/balancer.Caddyfile")
	for _, variable := range regexp.MustCompile(`\{env\.(\w+)\}`).FindAllStringSubmatch(proxyFile, -1) {
		if compose.Services["proxy-1"].Environment[variable[1]] == "" {
			t.Errorf("the proxies lack %s", variable[1])
		}
	}
	// Only the Caddyfiles have defaults.
	def := func(text, name string) string {
		found := regexp.MustCompile(`\{\$` + name + `:([^}]*)\}`).FindStringSubmatch(text)
		if found == nil {
			t.Fatalf("no default of %s", name)
		}
		return found[1]
	}
	for proxy := range strings.FieldsSeq(def(balancerFile, "PROXIES")) {
		name, port, _ := strings.Cut(proxy, ":")
		s, ok := compose.Services[name]
		if !ok || port != def(proxyFile, "PROXY_PORT") {
			t.Errorf("the load balancer sends to %s, which is none of the proxies", proxy)
		}
		mount, _, _ := strings.Cut(def(proxyFile, "STORAGE")[1:], "/")
		if !slices.Contains(s.Volumes, "rules:/"+mount) {
			t.Errorf("%s mounts %v; the rules are at %s", name, s.Volumes, def(proxyFile, "STORAGE"))
		}
	}
	name, port, _ := strings.Cut(def(proxyFile, "STORE"), ":")
	if !slices.Contains(compose.Services[name].Command, ":"+port) {
		t.Errorf("the store is %s:%s, and runs %v", name, port, compose.Services[name].Command)
	}
	if published := compose.Services["balancer"].Ports[0]; !strings.HasSuffix(published, ":"+def(balancerFile, "PORT")) {
		t.Errorf("published is %s", published)
	}

	dockerfile := harness.ReadRepo(t, fleetDir+"/Dockerfile")
	for _, copied := range regexp.MustCompile(`(?m)^COPY ([^-].*) \S+$`).FindAllStringSubmatch(dockerfile, -1) {
		for path := range strings.FieldsSeq(copied[1]) {
			if !existsInRepo(path) {
				t.Errorf("the Dockerfile copies %s, which there is not", path)
			}
		}
	}
	if !strings.Contains(dockerfile, " ./cmd/caddy\n") || !existsInRepo("cmd/caddy/main.go") {
		t.Error("the Dockerfile does not build cmd/caddy")
	}
	version := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(harness.ReadRepo(t, "go.mod"))[1]
	if !strings.Contains(dockerfile, "golang:"+version+"-") {
		t.Errorf("the Dockerfile builds with another Go than %s", version)
	}
	checkDockerignore(t, fleetDir+"/Dockerfile", "./cmd/caddy")
}

// TestExampleFleetRedis checks what makes the fleet share its rules in Redis. The tests of the
// package fleet run its Caddyfile.
func TestExampleFleetRedis(t *testing.T) {
	read := func(name string) string { return harness.ReadRepo(t, fleetDir+"/"+name) }
	_, site, _ := strings.Cut(read("Caddyfile"), "\nhttp://")
	if !strings.HasSuffix(read("redis.Caddyfile"), "\nhttp://"+site) {
		t.Error("the Caddyfiles have different sites")
	}
	format := exec.Command(harness.CaddyBinary(t), "fmt", "--diff", fleetDir+"/redis.Caddyfile")
	format.Dir = harness.RepoRoot
	if out, err := format.CombinedOutput(); err != nil {
		t.Errorf("caddy fmt: %v\n%s", err, out)
	}

	type service struct {
		Build   struct{ Context, Dockerfile string }
		Volumes []string
	}
	type compose struct{ Services map[string]service }
	var plain, changed compose
	for name, into := range map[string]*compose{"compose.yaml": &plain, "compose.redis.yaml": &changed} {
		if err := yaml.Unmarshal([]byte(read(name)), into); err != nil {
			t.Fatal(err)
		}
	}
	redis, _, _ := strings.Cut(regexp.MustCompile(`\{\$REDIS:([^}]*)\}`).FindStringSubmatch(read("redis.Caddyfile"))[1], ":")
	for name, s := range changed.Services {
		_, known := plain.Services[name]
		switch {
		case name == redis:
		case !known:
			t.Errorf("compose.yaml does not have %s", name)
		case filepath.Join(fleetDir, s.Build.Context) != "." || !existsInRepo(s.Build.Dockerfile):
			t.Errorf("%s is built from %+v", name, s.Build)
		}
		for _, volume := range s.Volumes {
			source, target, _ := strings.Cut(volume, ":")
			if path, ok := strings.CutPrefix(source, "./"); ok && (!existsInRepo(fleetDir+"/"+path) || !slices.Contains(plain.Services[name].Volumes, "./Caddyfile:"+target)) {
				t.Errorf("%s mounts %s, which there is not, or in place of nothing", name, volume)
			}
		}
	}
	if _, ok := changed.Services[redis]; !ok {
		t.Errorf("there is no service %s", redis)
	}

	dockerfile := read("redis.Dockerfile")
	caddy := harness.GoList(t, harness.RepoRoot, "-f", "{{.Version}}", "github.com/caddyserver/caddy/v2")
	if !strings.Contains(dockerfile, "xcaddy build "+strings.TrimSpace(caddy)+" ") {
		t.Errorf("the Dockerfile builds another Caddy than %s", caddy)
	}
	golang := regexp.MustCompile(`FROM golang:\S+`)
	if golang.FindString(dockerfile) != golang.FindString(read("Dockerfile")) {
		t.Error("the Dockerfiles build with different Gos")
	}
	checkDockerignore(t, fleetDir+"/redis.Dockerfile", "./cmd/caddy")
}

// checkDockerignore fails the test if the .dockerignore of a Dockerfile leaves out a part of
// what a package is built of.
func checkDockerignore(t *testing.T, dockerfile, pkg string) {
	t.Helper()
	list := exec.Command("go", "list", "-deps", "-f", "{{if not .Standard}}{{.Dir}}/{{end}}", pkg)
	list.Dir = harness.RepoRoot
	packages, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(harness.ReadRepo(t, dockerfile+".dockerignore")) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "#") {
			continue
		}
		if strings.Contains(string(packages), filepath.Join(harness.RepoRoot, line)+"/") {
			t.Errorf("%s builds %s without %s", dockerfile, pkg, line)
		}
	}
}
