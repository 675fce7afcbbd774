package examples

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/harness"
	"go.yaml.in/yaml/v3"
)

const (
	kubernetesDir = "examples/kubernetes"
	podMonitor    = "podmonitor.yaml"
)

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
	Name, Image string
	Command     []string
	Ports       []struct {
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

// kubernetesObjects returns what the base consists of by kind and name: the objects of its
// files, the ConfigMap that kustomize generates, and the PodMonitor, which is left out of it
// for clusters that do not know it.
func kubernetesObjects(t *testing.T) map[string]kubernetesObject {
	t.Helper()
	var base struct {
		Resources []string
		Images    []struct {
			Name    string
			NewName string `yaml:"newName"`
		}
		ConfigMapGenerator []struct {
			Name    string
			Files   []string
			Options struct {
				DisableNameSuffixHash bool `yaml:"disableNameSuffixHash"`
			}
		} `yaml:"configMapGenerator"`
	}
	harness.ReadYAML(t, kubernetesDir+"/kustomization.yaml", &base)
	objects := map[string]kubernetesObject{}
	add := func(object kubernetesObject) {
		t.Helper()
		name := object.Kind + " " + object.Metadata.Name
		if _, twice := objects[name]; twice {
			t.Errorf("%s is there twice", name)
		}
		objects[name] = object
	}
	for _, g := range base.ConfigMapGenerator {
		generated := kubernetesObject{Kind: "ConfigMap", Data: map[string]string{}}
		generated.Metadata.Name = g.Name
		for _, file := range g.Files {
			generated.Data[file] = harness.ReadRepo(t, kubernetesDir+"/"+file)
		}
		if !g.Options.DisableNameSuffixHash {
			t.Errorf("%s has another name after each change of the rules", g.Name)
		}
		add(generated)
	}
	if slices.Contains(base.Resources, podMonitor) {
		t.Errorf("%s is in the base", podMonitor)
	}
	if released := "ghcr.io/" + strings.TrimPrefix(modulePath, "github.com/"); base.Images[0].NewName != released {
		t.Errorf("the image is %s; that of the releases is %s", base.Images[0].NewName, released)
	}
	for _, file := range append(base.Resources, podMonitor) {
		decoder := yaml.NewDecoder(strings.NewReader(harness.ReadRepo(t, kubernetesDir+"/"+file)))
		for {
			var object kubernetesObject
			if err := decoder.Decode(&object); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			for _, c := range object.Spec.Template.Spec.Containers {
				if c.Image != base.Images[0].Name {
					t.Errorf("the container %s has the image %s; the base replaces %s", c.Name, c.Image, base.Images[0].Name)
				}
			}
			add(object)
		}
	}
	return objects
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

// TestExampleKubernetesAgrees checks that the base's objects agree with each other,
// with the Caddyfile in it, and with the alerts.
func TestExampleKubernetesAgrees(t *testing.T) {
	objects := kubernetesObjects(t)
	kinds := slices.Sorted(maps.Keys(objects))
	if want := []string{"ConfigMap app-cors", "Deployment app", "PodMonitor app-cors", "Service app", "Service app-metrics"}; !slices.Equal(kinds, want) {
		t.Fatalf("the base has %q; want %q", kinds, want)
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
	if shown, want := installBlocks(t, "Kubernetes", "sh")[0], fmt.Sprintf("kubectl port-forward service/app 8080:%d\n", app.Port); !strings.HasSuffix(shown, want) {
		t.Errorf("%s has\n%swithout %s", installPage, shown, want)
	}
	if job := scraped.Relabelings[0]; job.TargetLabel != "job" || !strings.Contains(harness.ReadRepo(t, observabilityExample+"/alerts.yml"), `up{job="`+job.Replacement+`"}`) {
		t.Errorf("the PodMonitor sets %+v, which no alert expects", job)
	}
}

// TestExampleKubernetes runs the base's sidecar on its ConfigMap, mounted and changed
// as the kubelet does it.
func TestExampleKubernetes(t *testing.T) {
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
	if mounted == "" || !slices.Equal(sidecar.Command, []string{"caddy", "run", "--config", mounted + "/Caddyfile"}) {
		t.Fatalf("the ConfigMap is mounted at %q; the command is %v", mounted, sidecar.Command)
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
	state := t.TempDir()
	harness.StartCaddy(t, "", filepath.Join(mount.Dir, "Caddyfile"), []string{"HOME=" + state, "XDG_DATA_HOME=" + state, "XDG_CONFIG_HOME=" + state}, ports)
	if a, err := http.Get("http://127.0.0.1:" + ports[1] + sidecar.ReadinessProbe.HTTPGet.Path); err != nil || a.StatusCode != 200 {
		t.Errorf("the readiness probe: %v, %v", a, err)
	}
	expect := func(want int) bool {
		t.Helper()
		return namedPreflight(t, "https://app.example.com", "PUT", "app:"+ports[0], "/k").StatusCode == want
	}
	expectShownPreflight(t, ports[0])
	files["cors.xml"] = strings.Replace(files["cors.xml"], "<AllowedMethod>PUT</AllowedMethod>", "", 1)
	mount.Update(t, files)
	harness.WaitUntil(t, "the changed rules are in force", func() bool { return expect(403) })
	if metrics := harness.Get(t, "http://127.0.0.1:"+ports[1]+"/metrics"); !strings.Contains(metrics, `ruleset="`+mount.Dir+`/cors.xml"`) {
		t.Error("the metrics do not name the rules")
	}
	if written, err := os.ReadDir(state); err != nil || len(written) > 0 {
		t.Errorf("Caddy writes %v, %v; its container's file system is read-only", written, err)
	}
}
