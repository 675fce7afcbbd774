package osscors

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	_ "github.com/caddyserver/caddy/v2/modules/standard"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddy-oss-cors/caddy-oss-cors/bucketapi"
	"github.com/caddy-oss-cors/caddy-oss-cors/corsrules"
	"github.com/caddy-oss-cors/caddy-oss-cors/metrics"
	"github.com/caddy-oss-cors/caddy-oss-cors/rulesource"
)

// What README.md and docs/*.md show is tried: every Caddyfile, every rules document, every
// JSON object, every command of ours, every link.

// page is a document of the repository.
type page struct{ file, text string }

// pages returns README.md and docs/*.md.
func pages(t *testing.T) (all []page) {
	t.Helper()
	files, err := filepath.Glob("docs/*.md")
	if err != nil || len(files) == 0 {
		t.Fatalf("docs/*.md: %v, %v", files, err)
	}
	for _, file := range append([]string{"README.md"}, files...) {
		all = append(all, page{file, readPage(t, file)})
	}
	return all
}

func readPage(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// blocks returns a page's code blocks of a language.
func (p page) blocks(language string) (found []string) {
	for _, match := range regexp.MustCompile("(?s)\n```"+language+"\n(.*?)```").FindAllStringSubmatch(p.text, -1) {
		found = append(found, match[1])
	}
	return found
}

// Every Caddyfile adapts, and without a warning: none is unformatted.
func TestDocsCaddyfiles(t *testing.T) {
	found := 0
	for _, p := range pages(t) {
		for _, block := range p.blocks("caddyfile") {
			found++
			if _, warnings, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(block), nil); err != nil || len(warnings) > 0 {
				t.Errorf("%s: %v %v in:\n%s", p.file, err, warnings, block)
			}
		}
	}
	if found < 10 {
		t.Errorf("found only %d Caddyfiles", found)
	}
}

// Every rules document is one, without a fault or a finding.
func TestDocsRules(t *testing.T) {
	found := 0
	for _, p := range pages(t) {
		for _, block := range p.blocks("xml") {
			found++
			if findings, err := corsrules.Lint([]byte(block), corsrules.Options{File: p.file}); err != nil || len(findings) > 0 {
				t.Errorf("%s: %v %v in:\n%s", p.file, err, findings, block)
			}
		}
	}
	if found < 3 {
		t.Errorf("found only %d rules documents", found)
	}
}

// Every JSON block is JSON. One that is a handler is what the Caddyfile above it adapts to.
func TestDocsJSON(t *testing.T) {
	handlers := 0
	for _, p := range pages(t) {
		for _, block := range p.blocks("json") {
			var value any
			if err := json.Unmarshal([]byte(block), &value); err != nil {
				t.Errorf("%s: %v in:\n%s", p.file, err, block)
			}
			shown, _ := value.(map[string]any)
			if shown["handler"] == nil {
				continue
			}
			handlers++
			before, _, _ := strings.Cut(p.text, block)
			caddyfiles := page{text: before}.blocks("caddyfile")
			config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(caddyfiles[len(caddyfiles)-1]), nil)
			if err != nil {
				t.Fatal(err)
			}
			var adapted any
			if err := json.Unmarshal(config, &adapted); err != nil {
				t.Fatal(err)
			}
			if !contains(adapted, shown) {
				t.Errorf("%s shows\n%s\nand the Caddyfile above it is\n%s", p.file, block, config)
			}
		}
	}
	if handlers == 0 {
		t.Error("no page shows a handler")
	}
}

// contains reports whether part is, or lies in, a JSON value.
func contains(whole, part any) bool {
	if reflect.DeepEqual(whole, part) {
		return true
	}
	var inner []any
	switch whole := whole.(type) {
	case map[string]any:
		inner = slices.Collect(maps.Values(whole))
	case []any:
		inner = whole
	}
	return slices.ContainsFunc(inner, func(v any) bool { return contains(v, part) })
}

// docsRules is docs/configuration.md's rules document, which the pages call cors.xml.
func docsRules(t *testing.T) string {
	t.Helper()
	return page{text: readPage(t, "docs/configuration.md")}.blocks("xml")[0]
}

// docsJSONRules is docs/configuration.md's rules document in JSON, which the pages call
// cors.json.
func docsJSONRules(t *testing.T) string {
	t.Helper()
	return page{text: readPage(t, "docs/configuration.md")}.blocks("json")[0]
}

// The document in JSON is the first rule of the one in XML.
func TestDocsJSONRules(t *testing.T) {
	fromJSON, err := corsrules.Parse([]byte(docsJSONRules(t)), corsrules.Options{})
	if err != nil {
		t.Fatal(err)
	}
	fromXML, err := corsrules.Parse([]byte(docsRules(t)), corsrules.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(fromJSON.Rules, fromXML.Rules[:1]) {
		t.Errorf("got %+v, want %+v", fromJSON.Rules, fromXML.Rules[:1])
	}
}

// runShown runs a command line that a page shows, in a directory where cors.xml is, and what
// the tests of the commands have: access.log and cors-new.xml. In a URL of the documents' CDN
// the host is replaced by server's.
func runShown(t *testing.T, line, server string) (printed string, status int) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, strings.Fields(strings.ReplaceAll(line, "https://cdn.example.com", server))[1:]...)
	cmd.Dir = t.TempDir()
	write(t, filepath.Join(cmd.Dir, "cors.xml"), docsRules(t))
	write(t, filepath.Join(cmd.Dir, "cors.json"), docsJSONRules(t))
	for _, name := range []string{"gcs.json", "r2.json"} {
		_, after, _ := strings.Cut(readPage(t, "docs/migration.md"), "here `"+name+"`")
		write(t, filepath.Join(cmd.Dir, name), page{text: after}.blocks("json")[0])
	}
	for _, name := range []string{"access.log", "cors-new.xml"} {
		write(t, filepath.Join(cmd.Dir, name), readPage(t, "internal/command/testdata/commands/"+name))
	}
	cmd.Env = append(os.Environ(), asCaddy+"=1")
	out, err := cmd.CombinedOutput()
	if err != nil && !errors.As(err, new(*exec.ExitError)) {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// What the pages show of caddy oss-cors is what it prints, up to a line that is "…".
func TestDocsConsole(t *testing.T) {
	found := 0
	for _, p := range pages(t) {
		for _, block := range p.blocks("console") {
			line, shown, _ := strings.Cut(strings.TrimPrefix(block, "$ "), "\n")
			if !strings.HasPrefix(line, "caddy oss-cors ") {
				continue // caddy validate: the end-to-end tests run it
			}
			found++
			shown, _, _ = strings.Cut(shown, "…\n")
			if printed, _ := runShown(t, line, ""); !strings.HasPrefix(printed, shown) {
				t.Errorf("%s: printed:\n%s\nshown:\n%s", p.file, printed, shown)
			}
		}
	}
	if found < 2 {
		t.Errorf("found only %d commands", found)
	}
}

// Every other caddy oss-cors that the pages have people type evaluates something.
func TestDocsCommands(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	found := 0
	for _, p := range pages(t) {
		for line := range strings.Lines(strings.Join(p.blocks("sh"), "")) {
			if !strings.HasPrefix(line, "caddy oss-cors ") {
				continue
			}
			found++
			if printed, status := runShown(t, line, server.URL); status > 1 {
				t.Errorf("%s: %sexit status %d:\n%s", p.file, line, status, printed)
			}
		}
	}
	if found < 5 {
		t.Errorf("found only %d commands", found)
	}
}

// Every flag of a command stands in the command's section.
func TestDocsFlags(t *testing.T) {
	helps, err := filepath.Glob("internal/command/testdata/commands/help-*.golden")
	if err != nil {
		t.Fatal(err)
	}
	flags := regexp.MustCompile(`(?m)^ +(--[\w-]+) `)
	found := 0
	for _, file := range helps {
		name := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(file), "help-"), ".golden")
		section := readPage(t, "docs/console.md")
		if name != "console" {
			_, section, _ = strings.Cut(readPage(t, "docs/commands.md"), "\n## "+name+"\n")
			section, _, _ = strings.Cut(section, "\n## ")
		}
		for _, match := range flags.FindAllStringSubmatch(readPage(t, file), -1) {
			found++
			if !strings.Contains(section, "`"+match[1]) {
				t.Errorf("%s: %s is not documented", name, match[1])
			}
		}
	}
	if found < 30 {
		t.Errorf("found only %d flags", found)
	}
}

// Every curl of the admin API is answered with 200.
func TestDocsAdminRequests(t *testing.T) {
	all, rules := pages(t), docsRules(t)
	newProxy(t) // changes the directory
	write(t, "cors.xml", rules)
	addresses := freePorts(t, 2)
	config, err := adapt("{\nadmin " + addresses[0] + "\npersist_config off\nlog {\noutput discard\n}\n}\nhttp://" + addresses[1] + " {\noss_cors cors.xml\n}\n")
	if err != nil {
		t.Fatal(err)
	}
	if err := caddy.Load([]byte(config), false); err != nil {
		t.Fatal(err)
	}
	command := regexp.MustCompile(`(?m)^curl -s localhost:2019(/oss_cors/\S+)(?: -d '(.*)')?$`)
	found := 0
	for _, p := range all {
		for _, match := range command.FindAllStringSubmatch(p.text, -1) {
			found++
			method := http.MethodGet
			if match[2] != "" {
				method = http.MethodPost
			}
			r, err := http.NewRequest(method, "http://"+addresses[0]+match[1], strings.NewReader(match[2]))
			if err != nil {
				t.Fatal(err)
			}
			resp, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				t.Errorf("%s: %s: %s %s", p.file, match[0], resp.Status, body)
			}
		}
	}
	if found < 2 {
		t.Errorf("found only %d requests", found)
	}
}

// Every JSON key has its place in docs/configuration.md or docs/buckets.md.
func TestDocsKeys(t *testing.T) {
	text := readPage(t, "docs/configuration.md") + readPage(t, "docs/buckets.md")
	for _, object := range []any{
		Handler{}, Bucket{}, BucketAPI{}, bucketapi.Key{},
		rulesource.File{}, rulesource.Inline{}, rulesource.Directory{}, rulesource.Storage{}, rulesource.Config{}, rulesource.Block{},
		rulesource.URL{}, rulesource.OSS{}, rulesource.OSSCredentials{},
	} {
		for _, field := range reflect.VisibleFields(reflect.TypeOf(object)) {
			key, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			if key != "" && !strings.Contains(text, "`"+key+"`") {
				t.Errorf("%T: %s is not documented", object, key)
			}
		}
	}
}

// docs/metrics.md has every metric, label, reason and placeholder, and no page any that
// does not exist.
func TestDocsMetrics(t *testing.T) {
	text := readPage(t, "docs/metrics.md")
	described := make(chan *prometheus.Desc)
	go func() {
		metrics.NewStore().Describe(described)
		close(described)
	}()
	exists := map[string]bool{}
	of := regexp.MustCompile(`fqName: "(\w+)".*variableLabels: \{([\w,]*)\}`)
	for d := range described {
		match := of.FindStringSubmatch(d.String())
		exists[match[1]] = true
		row := regexp.MustCompile("(?m)^\\| `" + match[1] + "` \\| (counter|gauge) \\| (.*?) \\|").FindStringSubmatch(text)
		if row == nil || strings.NewReplacer("`", "", " ", "").Replace(row[2]) != match[2] {
			t.Errorf("docs/metrics.md does not have %s with the labels %s", match[1], match[2])
		}
	}
	for _, reason := range append(slices.Clone(corsrules.PreflightReasons), corsrules.ActualReasons...) {
		if !strings.Contains(text, "| `"+reason.String()+"` |") {
			t.Errorf("docs/metrics.md does not have the reason %s", reason)
		}
	}
	for _, p := range pages(t) {
		for _, name := range regexp.MustCompile(`(?m)\bcaddy_oss_cors_\w+`).FindAllString(p.text, -1) {
			if !exists[name] {
				t.Errorf("%s: there is no metric %s", p.file, name)
			}
		}
		for _, match := range regexp.MustCompile(`\{http\.oss_cors\.(\w+)\}`).FindAllStringSubmatch(p.text, -1) {
			if _, ok := (&decided{rules: new(rulesource.Rules)}).placeholder("http.oss_cors." + match[1]); !ok {
				t.Errorf("%s: there is no placeholder %s", p.file, match[0])
			}
		}
	}
}

// Every message of docs/metrics.md's table is one that the code logs.
func TestDocsLogMessages(t *testing.T) {
	_, section, _ := strings.Cut(readPage(t, "docs/metrics.md"), "## Other log messages\n")
	section, _, _ = strings.Cut(section, "\n## ")
	var code bytes.Buffer
	for _, pattern := range []string{"*.go", "rulesource/*.go"} {
		files, _ := filepath.Glob(pattern)
		for _, file := range files {
			if !strings.HasSuffix(file, "_test.go") {
				code.WriteString(readPage(t, file))
			}
		}
	}
	messages := regexp.MustCompile("(?m)^\\| `(.*?)` \\|").FindAllStringSubmatch(section, -1)
	if len(messages) < 5 {
		t.Fatalf("found %d messages", len(messages))
	}
	for _, match := range messages {
		if !strings.Contains(code.String(), `"`+match[1]+`"`) {
			t.Errorf("nothing logs %q", match[1])
		}
	}
}

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.*)$`)
)

// Every link between the repository's pages leads somewhere, and README.md links to every
// page of docs.
func TestDocsLinks(t *testing.T) {
	var files []string
	for _, pattern := range []string{"*.md", "docs/*.md", "examples/*/README.md"} {
		found, _ := filepath.Glob(pattern)
		files = append(files, found...)
	}
	linked := map[string]bool{}
	for _, file := range files {
		for _, match := range link.FindAllStringSubmatch(readPage(t, file), -1) {
			if strings.Contains(match[1], "://") {
				continue
			}
			path, anchor, _ := strings.Cut(match[1], "#")
			target := file
			if path != "" {
				target = filepath.Join(filepath.Dir(file), path)
			}
			if file == "README.md" {
				linked[target] = true
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s: %s: %v", file, match[1], err)
			} else if anchor != "" && !slices.Contains(anchors(readPage(t, target)), anchor) {
				t.Errorf("%s: %s: there is no such heading", file, match[1])
			}
		}
	}
	for _, p := range pages(t) {
		if p.file != "README.md" && !linked[p.file] {
			t.Errorf("README.md does not link to %s", p.file)
		}
	}
}

// anchors are those that GitHub makes of a page's headings.
func anchors(text string) (all []string) {
	for _, match := range heading.FindAllStringSubmatch(text, -1) {
		folded := strings.ReplaceAll(strings.ToLower(match[1]), " ", "-")
		all = append(all, regexp.MustCompile(`[^\p{L}\p{N}_-]`).ReplaceAllString(folded, ""))
	}
	return all
}
