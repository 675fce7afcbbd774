package harness

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// Edit replaces text in a file: pairs of old and new text. The test ends if the file does
// not contain an old text.
func Edit(t *testing.T, file string, oldnew ...string) {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(oldnew); i += 2 {
		if !strings.Contains(string(content), oldnew[i]) {
			t.Fatalf("%s has no %q to edit", file, oldnew[i])
		}
	}
	WriteFile(t, file, strings.NewReplacer(oldnew...).Replace(string(content)))
}

// CopyOfRepo returns a new directory with a copy of one of the repository's directories
// at the same place in it, for a test that edits files.
func CopyOfRepo(t *testing.T, dir string) string {
	t.Helper()
	root := t.TempDir()
	target := filepath.Join(root, dir)
	if err := os.MkdirAll(filepath.Dir(target), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(target, os.DirFS(filepath.Join(RepoRoot, dir))); err != nil {
		t.Fatal(err)
	}
	return root
}

// WriteFile writes a file, and creates the directories above it.
func WriteFile(t *testing.T, file, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), 0o666); err != nil {
		t.Fatal(err)
	}
}

// ReadRepo returns the content of a file of the repository.
func ReadRepo(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(RepoRoot, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// ReadYAML decodes a YAML file of the repository.
func ReadYAML(t *testing.T, file string, into any) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(RepoRoot, file))
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(content, into); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}
