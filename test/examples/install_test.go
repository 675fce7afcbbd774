package examples

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/harness"
)

const (
	installPage = "docs/install.md"
	modulePath  = "github.com/caddy-oss-cors/caddy-oss-cors"
)

// installBlocks returns the blocks of a language in a section of docs/install.md.
func installBlocks(t *testing.T, section, language string) []string {
	t.Helper()
	_, text, _ := strings.Cut(harness.ReadRepo(t, installPage), "\n## "+section+"\n")
	text, _, _ = strings.Cut(text, "\n## ")
	found := blocksOf(text, language)
	if len(found) == 0 {
		t.Fatalf("%s has no %s in the section %s", installPage, language, section)
	}
	return found
}

// expectShownPreflight sends the preflight that docs/install.md shows, and expects the answer
// that it shows.
func expectShownPreflight(t *testing.T, port string) {
	t.Helper()
	command, shown, _ := strings.Cut(installBlocks(t, "See that it works", "console")[0], "\n")
	shown, _, _ = strings.Cut(shown, "…\n")
	command = strings.Replace(strings.TrimPrefix(command, "$ "), "localhost:8080", "127.0.0.1:"+port, 1)
	printed, err := exec.Command("sh", "-c", command).Output()
	answer := strings.ReplaceAll(string(printed), "\r\n", "\n")
	if err != nil || !strings.HasPrefix(answer, shown) || !strings.Contains(answer, "\nX-Oss-Request-Id: ") {
		t.Errorf("%s: %v\n%s\n%s shows\n%s", command, err, answer, installPage, shown)
	}
}

// machine is a directory with the places of a machine's or a container's files, for commands
// and files that name them by their full paths.
type machine struct {
	root, work  string // work is where commands are typed
	port, admin string
	origin      string // address of the server behind Caddy
	commands    int
}

func newMachine(t *testing.T, origin string) *machine {
	t.Helper()
	ports := harness.FreePorts(t, 2)
	return &machine{root: t.TempDir(), work: t.TempDir(), port: ports[0], admin: "CADDY_ADMIN=127.0.0.1:" + ports[1], origin: origin}
}

// rooted finds the full paths of a command or a Caddyfile.
var rooted = regexp.MustCompile(`(^| )/(etc|usr)/`)

func (m *machine) place(text string) string {
	return rooted.ReplaceAllString(text, "${1}"+m.root+"/${2}/")
}

// writeCaddyfile writes a Caddyfile whose paths, ports and origin server are the machine's.
func (m *machine) writeCaddyfile(t *testing.T, text string) {
	t.Helper()
	text = strings.Replace(m.place(text), ":8080 {", ":"+m.port+" {", 1)
	text = regexp.MustCompile(`(reverse_proxy) \S+`).ReplaceAllString(text, "$1 "+m.origin)
	global := "{\n\tdefault_bind 127.0.0.1\n}\n\n"
	harness.WriteFile(t, m.root+"/etc/caddy/Caddyfile", global+text)
}

// start runs the machine's program as its systemd unit or its image does.
func (m *machine) start(t *testing.T, dir string) {
	t.Helper()
	harness.StartBinary(t, m.root+"/usr/bin/caddy", dir, m.root+"/etc/caddy/Caddyfile", []string{m.admin}, []string{m.port})
}

// do does what a line of the page says.
func (m *machine) do(t *testing.T, line string) {
	t.Helper()
	m.commands++
	switch line {
	case "sudo apt install caddy":
		harness.WriteFile(t, m.root+"/usr/bin/caddy", "of the package")
		harness.WriteFile(t, m.root+"/etc/caddy/Caddyfile", "of the package")
		harness.WriteFile(t, m.root+"/var/lib/dpkg/status", "")
		return
	case "sudo systemctl restart caddy": // the unit's ExecStart; it names no working directory
		m.start(t, "/")
		return
	case "sudo systemctl reload caddy": // the unit's ExecReload
		line = "caddy reload --config /etc/caddy/Caddyfile --force"
	}
	line = regexp.MustCompile(`^(sudo (-u caddy )?|docker compose exec caddy )`).ReplaceAllString(line, "")
	if !strings.HasPrefix(line, "dpkg-divert ") { // which knows DPKG_ROOT
		line = m.place(line)
	}
	cmd := exec.Command("sh", "-ec", line)
	cmd.Dir = m.work
	cmd.Env = append(os.Environ(), "DPKG_ROOT="+m.root, "DPKG_ADMINDIR="+m.root+"/var/lib/dpkg",
		"PATH="+m.root+"/usr/bin:"+os.Getenv("PATH"), "HOME="+m.work, m.admin)
	if printed, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", line, err, printed)
	}
}

func (m *machine) doAll(t *testing.T, block string) {
	t.Helper()
	for line := range strings.Lines(block) {
		m.do(t, strings.TrimSuffix(line, "\n"))
	}
}

// expectChange edits the rules, and expects the change to be in force without a reload.
func (m *machine) expectChange(t *testing.T) {
	t.Helper()
	harness.Edit(t, m.root+"/etc/caddy/cors.xml", "<AllowedMethod>PUT</AllowedMethod>", "")
	harness.WaitUntil(t, "the changed rules are in force", func() bool {
		return namedPreflight(t, "https://app.example.com", "PUT", "localhost:"+m.port, "/").StatusCode == http.StatusForbidden
	})
}

// expectOrigin fails the test unless a page's request reaches the origin server.
func (m *machine) expectOrigin(t *testing.T, want string) {
	t.Helper()
	request, err := http.NewRequest(http.MethodGet, "http://127.0.0.1:"+m.port+"/k", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Origin", "https://app.example.com")
	response, err := harness.FreshClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	body, err := harness.ReadAll(response)
	if allowed := response.Header.Get("Access-Control-Allow-Origin"); err != nil || body != want || allowed != "https://app.example.com" {
		t.Errorf("%q, %v, allowed is %q; want %q", body, err, allowed, want)
	}
}

// TestInstallVM does what docs/install.md says about a VM, and logs how long a stranger's
// commands take.
func TestInstallVM(t *testing.T) {
	const section = "A VM"
	steps := installBlocks(t, section, "sh")
	m := newMachine(t, "127.0.0.1:1")
	if err := os.Symlink(harness.CaddyBinary(t), m.work+"/caddy"); err != nil { // as from xcaddy
		t.Fatal(err)
	}
	began := time.Now()
	m.doAll(t, steps[0])
	caddyfile := installBlocks(t, section, "caddyfile")[0]
	m.writeCaddyfile(t, caddyfile)
	harness.WriteFile(t, m.root+"/etc/caddy/cors.xml", installBlocks(t, section, "xml")[0])
	m.doAll(t, steps[1])
	expectShownPreflight(t, m.port)
	t.Logf("from %s to a green preflight, without building the program: %d commands, two files, %s", installPage, m.commands+1, time.Since(began).Round(time.Millisecond))
	m.expectChange(t)

	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("reached"))
	}))
	t.Cleanup(origin.Close)
	m.origin = origin.Listener.Addr().String()
	m.writeCaddyfile(t, caddyfile)
	m.doAll(t, steps[2])
	m.expectOrigin(t, "reached")

	m.doAll(t, steps[3])
	if program, err := os.ReadFile(m.root + "/usr/bin/caddy"); err != nil || string(program) != "of the package" {
		t.Errorf("/usr/bin/caddy is %.20q, %v", program, err)
	}
}

// TestInstallProgram checks what docs/install.md says about xcaddy, except that it builds:
// that is tested in wiring.
func TestInstallProgram(t *testing.T) {
	lines := strings.Split(installBlocks(t, "A program", "sh")[0], "\n")
	if build := "go run github.com/caddyserver/xcaddy/cmd/xcaddy@latest build --with " + modulePath; lines[0] != build {
		t.Errorf("%q; want %q", lines[0], build)
	}
	version := harness.GoList(t, harness.RepoRoot, "-f", "{{.Version}}", "github.com/caddyserver/caddy/v2")
	page := harness.ReadRepo(t, installPage)
	language := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(harness.ReadRepo(t, "go.mod"))[1]
	for _, said := range []string{
		"With Go " + language + " or newer:\n",
		"`build " + version + " --with " + modulePath + "@v",
		"`caddy:" + version[1:] + "-builder`",
		"`caddy:" + version[1:] + "`",
	} {
		if !strings.Contains(page, said) {
			t.Errorf("%s does not have %s", installPage, said)
		}
	}
	list := exec.Command("sh", "-ec", lines[1])
	list.Dir = t.TempDir()
	if err := os.Symlink(harness.CaddyBinary(t), filepath.Join(list.Dir, "caddy")); err != nil {
		t.Fatal(err)
	}
	if printed, err := list.Output(); err != nil || !strings.Contains(string(printed), "http.handlers.oss_cors\n") {
		t.Errorf("%s: %v\n%s", lines[1], err, printed)
	}
}
