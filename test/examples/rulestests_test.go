package examples

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/harness"
)

const rulesTests = "examples/rules-tests/"

// inRepository copies the example to a Git repository of its own and returns a function that
// runs a shell command there, with caddy on the PATH.
func inRepository(t *testing.T) (dir string, run func(command string) (output string, err error)) {
	t.Helper()
	dir, bin := t.TempDir(), t.TempDir()
	if err := os.Symlink(harness.CaddyBinary(t), filepath.Join(bin, "caddy")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"cors.xml", "cors.test.yaml"} {
		harness.WriteFile(t, filepath.Join(dir, name), harness.ReadRepo(t, rulesTests+name))
	}
	run = func(command string) (string, error) {
		cmd := exec.Command("sh", "-ec", command)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "GITHUB_BASE_REF=main")
		output, err := cmd.CombinedOutput()
		return string(output), err
	}
	const commit = `git init -q -b main && git add . &&
git -c user.name=test -c user.email=test@example.com commit -q -m Rules && git update-ref refs/remotes/origin/main main`
	if output, err := run(commit); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	return dir, run
}

// rulesTestsCommands are the commands of the workflow's steps and of the hooks, by their names.
func rulesTestsCommands(t *testing.T) map[string]string {
	t.Helper()
	var workflow struct {
		Jobs struct {
			Rules struct{ Steps []struct{ Name, Run string } }
		}
	}
	harness.ReadYAML(t, rulesTests+".github/workflows/cors.yml", &workflow)
	var config struct {
		Repos []struct {
			Hooks []struct{ ID, Entry string }
		}
	}
	harness.ReadYAML(t, rulesTests+".pre-commit-config.yaml", &config)
	commands := map[string]string{}
	for _, step := range workflow.Jobs.Rules.Steps {
		if strings.Contains(step.Run, "caddy oss-cors") {
			commands[step.Name] = step.Run
		}
	}
	for _, hook := range config.Repos[0].Hooks {
		commands[hook.ID] = hook.Entry
	}
	commands["oss-cors-lint"] += " cors.xml" // as pre-commit does
	if len(commands) != 5 {
		t.Fatalf("the example has the commands %q", commands)
	}
	return commands
}

// The workflow's and the hooks' commands pass, and fail once a rule has lost what a test needs.
func TestRulesTestsExample(t *testing.T) {
	commands := rulesTestsCommands(t)
	dir, run := inRepository(t)
	for name, command := range commands {
		if output, err := run(command); err != nil {
			t.Errorf("%s: %v\n%s", name, err, output)
		}
	}
	harness.Edit(t, filepath.Join(dir, "cors.xml"), "    <AllowedMethod>PUT</AllowedMethod>\n", "")
	for _, name := range []string{"Test", "oss-cors-test"} {
		if output, err := run(commands[name]); err == nil {
			t.Errorf("%s passes without PUT:\n%s", name, output)
		} else if shown := strings.SplitAfter(output, "\n"); !strings.Contains(harness.ReadRepo(t, rulesTests+"README.md"), strings.Join(shown[:5], "")) {
			t.Errorf("the README does not show\n%s", output)
		}
	}
	output, err := run(commands["Show what changes for browsers"])
	if err != nil || !strings.Contains(output, "Newly denied:\n  PUT from https://*.preview.example.com, https://app.example.com\n") {
		t.Errorf("diff: %v\n%s", err, output)
	}
}

// With Caddyfile in place of cors.xml, as the README says, all does the same for rule blocks.
func TestRulesTestsExampleInCaddyfile(t *testing.T) {
	dir, run := inRepository(t)
	blocks, err := run("caddy oss-cors convert --to caddyfile cors.xml")
	if err != nil {
		t.Fatalf("%v\n%s", err, blocks)
	}
	harness.WriteFile(t, filepath.Join(dir, "Caddyfile"), "cdn.example.com {\n"+blocks+"}\n")
	harness.Edit(t, filepath.Join(dir, "cors.test.yaml"), "rules: cors.xml", "rules: Caddyfile")
	if output, err := run("rm cors.xml && caddy fmt --overwrite Caddyfile && git add -A && git -c user.name=test -c user.email=test@example.com commit -q -m Blocks && git update-ref refs/remotes/origin/main main"); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	commands := rulesTestsCommands(t)
	for name, command := range commands {
		commands[name] = strings.ReplaceAll(command, "cors.xml", "Caddyfile")
		if output, err := run(commands[name]); err != nil {
			t.Errorf("%s: %v\n%s", name, err, output)
		}
	}
	harness.Edit(t, filepath.Join(dir, "Caddyfile"), "method GET PUT", "method GET")
	if output, err := run(commands["Test"]); err == nil || !strings.Contains(output, `To allow it, add "method PUT" to rule app.`) {
		t.Errorf("Test, without PUT: %v\n%s", err, output)
	}
	output, err := run(commands["Show what changes for browsers"])
	if err != nil || !strings.Contains(output, "Newly denied:\n  PUT from https://*.preview.example.com, https://app.example.com\n") {
		t.Errorf("diff: %v\n%s", err, output)
	}
}
