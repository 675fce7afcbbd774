package test

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// The account of every store that the tests start.
const (
	storeAccessKey = "app"
	storeSecretKey = "secret"
	storeRegion    = "us-east-1"
)

// store is a running S3 store over a folder.
type store struct {
	root string // a folder in it is a bucket, a file an object
}

// startVersitygw starts a versitygw with the given buckets. It sends no CORS headers
// until a bucket has rules.
func startVersitygw(t *testing.T, port string, buckets []string) *store {
	t.Helper()
	s := newStore(t, buckets)
	startServer(t, port, tool(t, "versitygw"), "--quiet", "--port", "127.0.0.1:"+port,
		"--access", storeAccessKey, "--secret", storeSecretKey, "--region", storeRegion,
		// Metadata beside the objects: not every file system has extended attributes.
		"posix", "--sidecar", t.TempDir(), s.root)
	return s
}

// startRclone starts rclone's S3 server, which lets everyone in, and allows every origin
// everything on every response.
func startRclone(t *testing.T, port string, buckets []string) *store {
	t.Helper()
	s := newStore(t, buckets)
	startServer(t, port, tool(t, "rclone"), "serve", "s3", "--addr", "127.0.0.1:"+port, s.root)
	return s
}

func newStore(t *testing.T, buckets []string) *store {
	t.Helper()
	s := &store{root: t.TempDir()}
	for _, bucket := range buckets {
		if err := os.Mkdir(filepath.Join(s.root, bucket), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// put puts an object into the store's folder.
func (s *store) put(t *testing.T, object, content string) {
	t.Helper()
	writeFile(t, filepath.Join(s.root, object), content)
}

// files returns every file in the store's folder, the parts of unfinished uploads
// included, each with its content.
func (s *store) files(t *testing.T) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := fs.WalkDir(os.DirFS(s.root), ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(filepath.Join(s.root, path))
		files[path] = string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}
