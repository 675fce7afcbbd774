package harness

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// ConfigMap is a directory as the kubelet mounts a ConfigMap: every file is a symbolic link
// into ..data, which is a symbolic link to a directory with a date. A change replaces only
// ..data.
type ConfigMap struct {
	Dir string
	n   int
}

// Update replaces the files.
func (c *ConfigMap) Update(t *testing.T, files map[string]string) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	old, _ := os.Readlink(filepath.Join(c.Dir, "..data"))
	c.n++
	dated := fmt.Sprintf("..2026_11_21_12_00_00.%d", c.n)
	must(os.Mkdir(filepath.Join(c.Dir, dated), 0o755))
	for name, content := range files {
		must(os.WriteFile(filepath.Join(c.Dir, dated, name), []byte(content), 0o644))
	}
	must(os.Symlink(dated, filepath.Join(c.Dir, "..data_tmp")))
	must(os.Rename(filepath.Join(c.Dir, "..data_tmp"), filepath.Join(c.Dir, "..data")))
	for name := range files {
		if err := os.Symlink(filepath.Join("..data", name), filepath.Join(c.Dir, name)); err != nil && !os.IsExist(err) {
			t.Fatal(err)
		}
	}
	links, err := filepath.Glob(filepath.Join(c.Dir, "[^.]*"))
	must(err)
	for _, link := range links {
		if _, ok := files[filepath.Base(link)]; !ok {
			must(os.Remove(link))
		}
	}
	if old != "" {
		must(os.RemoveAll(filepath.Join(c.Dir, old)))
	}
}
