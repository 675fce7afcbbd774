package examples

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
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

// kubernetesObject has what the test needs of each kind.
type kubernetesObject struct {
	Kind     string
	Metadata struct{ Name string }
	Data     map[string]string
	Spec     struct {
		Selector yaml.Node
		Ports    []struct {
			Port       int
			TargetPort string `yaml:"targetPort"`
		}
		PodMetricsEndpoints []struct {
			Port, Path  string
			Relabelings []struct {
				TargetLabel string `yaml:"targetLabel"`
				Replacement string
			}
		} `yaml:"podMetricsEndpoints"`
		Template struct {
			Metadata struct{ Labels map[string]string }
			Spec     struct {
				Containers []kubernetesContainer
				Volumes    []struct {
					Name      string
					ConfigMap struct{ Name string } `yaml:"configMap"`
				}
			}
		}
	}
}

type kubernetesContainer struct {
	Name  string
	Args  []string
	Ports []struct {
		Name          string
		ContainerPort int `yaml:"containerPort"`
	}
	ReadinessProbe struct {
		HTTPGet struct{ Path, Port string } `yaml:"httpGet"`
	} `yaml:"readinessProbe"`
	VolumeMounts []struct {
		Name      string
		MountPath string `yaml:"mountPath"`
		SubPath   string `yaml:"subPath"`
	} `yaml:"volumeMounts"`
}

// kubernetesObjects returns the documents of the manifest by kind and name.
func kubernetesObjects(t *testing.T) map[string]kubernetesObject {
	t.Helper()
	objects := map[string]kubernetesObject{}
	decoder := yaml.NewDecoder(strings.NewReader(harness.ReadRepo(t, fleetDir+"/kubernetes.yaml")))
	for {
		var object kubernetesObject
		if err := decoder.Decode(&object); errors.Is(err, io.EOF) {
			return objects
		} else if err != nil {
			t.Fatal(err)
		}
		name := object.Kind + " " + object.Metadata.Name
		if _, twice := objects[name]; twice {
			t.Errorf("%s is there twice", name)
		}
		objects[name] = object
	}
}

// namedPorts are those of a deployment's containers.
func (o kubernetesObject) namedPorts() map[string]int {
	named := map[string]int{}
	for _, c := range o.Spec.Template.Spec.Containers {
		for _, p := range c.Ports {
			named[p.Name] = p.ContainerPort
		}
	}
	return named
}

// sites are those of a ConfigMap's Caddyfile, by port.
func (o kubernetesObject) sites() map[int]string {
	sites := map[int]string{}
	for _, site := range regexp.MustCompile(`(?ms)^:(\d+) \{\n(.*?)^\}`).FindAllStringSubmatch(o.Data["Caddyfile"], -1) {
		port, _ := strconv.Atoi(site[1])
		sites[port] = site[2]
	}
	return sites
}

// selected returns the labels that an object selects pods by.
func (o kubernetesObject) selected(t *testing.T) (labels map[string]string) {
	t.Helper()
	if o.Kind == "Service" {
		if err := o.Spec.Selector.Decode(&labels); err != nil {
			t.Fatal(err)
		}
		return labels
	}
	var selector struct {
		MatchLabels map[string]string `yaml:"matchLabels"`
	}
	if err := o.Spec.Selector.Decode(&selector); err != nil {
		t.Fatal(err)
	}
	return selector.MatchLabels
}

// TestExampleFleetKubernetesAgrees checks that the manifest's objects agree with each other,
// with the Caddyfile in it, and with the alerts.
func TestExampleFleetKubernetesAgrees(t *testing.T) {
	objects := kubernetesObjects(t)
	kinds := slices.Sorted(maps.Keys(objects))
	if want := []string{"ConfigMap app-cors", "Deployment app", "PodMonitor app-cors", "Service app", "Service app-metrics"}; !slices.Equal(kinds, want) {
		t.Fatalf("the manifest has %q; want %q", kinds, want)
	}
	pod := objects["Deployment app"].Spec.Template
	named, sites := objects["Deployment app"].namedPorts(), objects["ConfigMap app-cors"].sites()
	for name, port := range named {
		if sites[port] == "" {
			t.Errorf("the Caddyfile does not listen on the port %s, %d", name, port)
		}
	}
	if len(named) != len(sites) {
		t.Errorf("ports are %v; the Caddyfile listens on %v", named, slices.Collect(maps.Keys(sites)))
	}
	for name, object := range objects {
		if object.Kind == "ConfigMap" {
			continue
		}
		labels := object.selected(t)
		for key, value := range labels {
			if pod.Metadata.Labels[key] != value {
				t.Errorf("%s selects %v; the pods have %v", name, labels, pod.Metadata.Labels)
			}
		}
		if len(labels) == 0 {
			t.Errorf("%s selects nothing", name)
		}
		for _, p := range object.Spec.Ports {
			if named[p.TargetPort] == 0 {
				t.Errorf("%s sends to the port %q; the pods have %v", name, p.TargetPort, named)
			}
		}
	}
	app, metrics := objects["Service app"].Spec.Ports[0], objects["Service app-metrics"].Spec.Ports[0]
	if !strings.Contains(sites[named[app.TargetPort]], "oss_cors ") || metrics.Port != named[metrics.TargetPort] {
		t.Errorf("the services send to %+v and %+v", app, metrics)
	}
	scraped := objects["PodMonitor app-cors"].Spec.PodMetricsEndpoints[0]
	for _, port := range []string{scraped.Port, metrics.TargetPort} {
		if !strings.Contains(sites[named[port]], "metrics "+scraped.Path+"\n") {
			t.Errorf("the port %s does not have metrics at %s", port, scraped.Path)
		}
	}
	if job := scraped.Relabelings[0]; job.TargetLabel != "job" || !strings.Contains(harness.ReadRepo(t, observabilityExample+"/alerts.yml"), `up{job="`+job.Replacement+`"}`) {
		t.Errorf("the PodMonitor sets %+v, which no alert expects", job)
	}
}

// TestExampleFleetKubernetes runs the manifest's sidecar on its ConfigMap, mounted and changed
// as the kubelet does it.
func TestExampleFleetKubernetes(t *testing.T) {
	objects := kubernetesObjects(t)
	pod, configured := objects["Deployment app"].Spec.Template, objects["ConfigMap app-cors"]
	sidecar := pod.Spec.Containers[slices.IndexFunc(pod.Spec.Containers, func(c kubernetesContainer) bool { return c.Name == "cors" })]
	volumes := map[string]string{} // to the ConfigMap of each
	for _, v := range pod.Spec.Volumes {
		volumes[v.Name] = v.ConfigMap.Name
	}
	mounted := ""
	for _, m := range sidecar.VolumeMounts {
		switch configMap, ok := volumes[m.Name]; {
		case !ok:
			t.Errorf("%s is no volume", m.Name)
		case m.SubPath != "":
			t.Errorf("%s has a subPath, which never changes", m.Name)
		case configMap == configured.Metadata.Name:
			mounted = m.MountPath
		}
	}
	if mounted == "" || !slices.Contains(sidecar.Args, mounted+"/Caddyfile") {
		t.Fatalf("the ConfigMap is mounted at %q; the arguments are %v", mounted, sidecar.Args)
	}
	if port := sidecar.ReadinessProbe.HTTPGet.Port; port != "metrics" {
		t.Errorf("the readiness probe asks %s", port)
	}

	// The same, with this machine's directories and ports.
	origin := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(origin.Close)
	ports := harness.FreePorts(t, 2)
	mount := &harness.ConfigMap{Dir: t.TempDir()}
	files := map[string]string{
		"cors.xml": configured.Data["cors.xml"],
		"Caddyfile": strings.NewReplacer(mounted+"/", mount.Dir+"/", ":8080 {", ":"+ports[0]+" {", ":8081 {", ":"+ports[1]+" {",
			"127.0.0.1:9000", origin.Listener.Addr().String(), "admin off\n", "admin off\n\tdefault_bind 127.0.0.1\n").Replace(configured.Data["Caddyfile"]),
	}
	mount.Update(t, files)
	harness.CheckCaddyfile(t, filepath.Join(mount.Dir, "Caddyfile"))
	harness.StartCaddy(t, "", filepath.Join(mount.Dir, "Caddyfile"), nil, ports)
	if a, err := http.Get("http://127.0.0.1:" + ports[1] + sidecar.ReadinessProbe.HTTPGet.Path); err != nil || a.StatusCode != 200 {
		t.Errorf("the readiness probe: %v, %v", a, err)
	}
	expect := func(want int) bool {
		t.Helper()
		return namedPreflight(t, "https://app.example.com", "PUT", "app:"+ports[0], "/k").StatusCode == want
	}
	if !expect(200) {
		t.Error("the rules are not in force")
	}
	changed := bytes.Replace([]byte(files["cors.xml"]), []byte("<AllowedMethod>PUT</AllowedMethod>"), nil, 1)
	files["cors.xml"] = string(changed)
	mount.Update(t, files)
	harness.WaitUntil(t, "the changed rules are in force", func() bool { return expect(403) })
	if metrics := harness.Get(t, "http://127.0.0.1:"+ports[1]+"/metrics"); !strings.Contains(metrics, `ruleset="`+mount.Dir+`/cors.xml"`) {
		t.Error("the metrics do not name the rules")
	}
}
