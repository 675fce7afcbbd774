package examples

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/harness"
)

const composeDir = "examples/compose"

// TestExampleCompose does the steps of the example's Dockerfile and compose file on a
// directory, because a Docker engine may not be there, and runs its services.
func TestExampleCompose(t *testing.T) {
	type service struct {
		Build, Image            string
		Command, Ports, Volumes []string
	}
	var compose struct {
		Services map[string]service
		Volumes  map[string]any
	}
	harness.ReadYAML(t, composeDir+"/compose.yaml", &compose)
	caddy, app := compose.Services["caddy"], compose.Services["app"]

	// The origin server, at a port of this machine.
	ports := harness.FreePorts(t, 1)
	listen := slices.Index(app.Command, ":3000")
	if listen < 0 || app.Command[0] != "caddy" || len(app.Ports) > 0 {
		t.Fatalf("the origin server runs %q and publishes %q", app.Command, app.Ports)
	}
	args := slices.Clone(app.Command[1:])
	args[listen-1] = "127.0.0.1:" + ports[0]
	harness.StartProgram(t, ports[0], harness.CaddyBinary(t), args...)
	caddyfile := harness.ReadRepo(t, composeDir+"/caddy/Caddyfile")
	if !strings.Contains(caddyfile, "reverse_proxy app:3000\n") {
		t.Error("the Caddyfile does not send to app:3000")
	}

	began := time.Now()
	m := newMachine(t, "127.0.0.1:"+ports[0])
	image := buildImage(t, m.root, filepath.Join(composeDir, caddy.Build, "Dockerfile"))
	if app.Image != image || len(caddy.Command) > 0 {
		t.Errorf("app runs %s, and caddy %q on %s", app.Image, caddy.Command, image)
	}
	for _, volume := range caddy.Volumes {
		source, target, _ := strings.Cut(volume, ":")
		if _, named := compose.Volumes[source]; named {
			continue
		}
		target, _, _ = strings.Cut(target, ":")
		if err := os.CopyFS(m.root+target, os.DirFS(filepath.Join(harness.RepoRoot, composeDir, source))); err != nil {
			t.Fatal(err)
		}
	}
	m.writeCaddyfile(t, caddyfile)
	harness.CheckCaddyfile(t, m.root+"/etc/caddy/Caddyfile")
	if !slices.Equal(caddy.Ports, []string{"127.0.0.1:8080:8080"}) {
		t.Errorf("published is %q", caddy.Ports)
	}
	// As the official image does: its working directory is /srv.
	mkdir(t, m.root+"/srv")
	m.start(t, m.root+"/srv")
	expectShownPreflight(t, m.port)
	t.Logf("from the Dockerfile to a green preflight, without building the program: %s", time.Since(began).Round(time.Millisecond))
	m.expectOrigin(t, "GET /k reached the origin server.")
	m.expectChange(t)

	harness.Edit(t, m.root+"/etc/caddy/Caddyfile", m.origin, "127.0.0.1:1")
	m.doAll(t, installBlocks(t, "Docker", "sh")[1])
	m.expectOrigin(t, "")
}

// buildImage does the steps of a Dockerfile, with the program that is tested in place of
// the one that xcaddy would build. root becomes the root of its last stage, whose base image
// it returns. It fails the test for a step that it does not know.
func buildImage(t *testing.T, root, dockerfile string) (base string) {
	t.Helper()
	text := harness.ReadRepo(t, dockerfile)
	if shown := blocks(t, "README.md", "dockerfile")[0]; shown != text {
		t.Errorf("%s is\n%s\nREADME.md shows\n%s", dockerfile, text, shown)
	}
	version := strings.Split(harness.GoList(t, harness.RepoRoot, "-f", "{{.Version}}", "github.com/caddyserver/caddy/v2")[1:], ".")
	official := "caddy:" + version[0] + "." + version[1]
	stages := map[string]string{}
	stage := ""
	for step := range strings.Lines(text) {
		switch words := strings.Fields(step); {
		case len(words) == 0:
		case step == "FROM "+official+"-builder AS builder\n":
			stage = t.TempDir()
			stages["builder"] = stage
		case step == "FROM "+official+"\n":
			stage, base = root, official
		case step == "RUN xcaddy build --with "+modulePath+"\n": // in the builder's working directory, /usr/bin
			mkdir(t, stage+"/usr/bin")
			if err := os.Symlink(harness.CaddyBinary(t), stage+"/usr/bin/caddy"); err != nil {
				t.Fatal(err)
			}
		case words[0] == "COPY" && strings.HasPrefix(words[1], "--from=") && len(words) == 4:
			from := stages[strings.TrimPrefix(words[1], "--from=")] + words[2]
			mkdir(t, filepath.Dir(stage+words[3]))
			if printed, err := exec.Command("cp", "-a", from, stage+words[3]).CombinedOutput(); err != nil {
				t.Errorf("%s%s", step, printed)
			}
		default:
			t.Errorf("the test does not know how to do %q", step)
		}
	}
	return base
}

func mkdir(t *testing.T, dir string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o777); err != nil {
		t.Fatal(err)
	}
}
