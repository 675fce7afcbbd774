package osscors

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/caddy-oss-cors/caddy-oss-cors"

// importMap says which of this module's packages each may import (docs/architecture.md). The
// linter has the same rules; this test also covers what is imported indirectly.
var importMap = map[string][]string{
	"":                     {"bucketapi", "corsrules", "internal/adminapi", "internal/command", "internal/ossresponse", "internal/running", "metrics", "rulesource"},
	"bucketapi":            {"corsrules", "internal/ossresponse", "internal/xmltext"},
	"cmd/caddy":            {""},
	"corsrules":            {"internal/xmltext"},
	"internal/adminapi":    {"corsrules", "internal/explain", "internal/running", "metrics", "rulesource"},
	"internal/command":     {"corsrules", "internal/console", "internal/explain", "rulesource"},
	"internal/console":     {},
	"internal/explain":     {"corsrules"},
	"internal/freeport":    {},
	"internal/ossresponse": {"internal/xmltext"},
	"internal/running":     {"corsrules", "rulesource"},
	"internal/xmltext":     {},
	"metrics":              {},
	"rulesource":           {"corsrules", "metrics"},
}

func TestImports(t *testing.T) {
	for line := range strings.Lines(goList(t, "-f", "{{.ImportPath}}:{{join .Imports \" \"}}", "./...")) {
		path, imports, _ := strings.Cut(strings.TrimSpace(line), ":")
		allowed, known := importMap[within(path)]
		if !known {
			t.Errorf("%s is not in the import map", path)
			continue
		}
		for other := range strings.FieldsSeq(imports) {
			if strings.HasPrefix(other, module) && !slices.Contains(allowed, within(other)) {
				t.Errorf("%s imports %s, which the import map does not allow", path, other)
			}
		}
	}
	for _, name := range []string{"corsrules", "metrics"} {
		for dep := range strings.FieldsSeq(goList(t, "-deps", "./"+name)) {
			if strings.HasPrefix(dep, "github.com/caddyserver/") {
				t.Errorf("%s depends on %s; it has to work without Caddy", name, dep)
			}
		}
	}
}

// within is a path without that of the module.
func within(path string) string {
	return strings.TrimPrefix(strings.TrimPrefix(path, module), "/")
}

func goList(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command("go", append([]string{"list"}, args...)...).Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}
