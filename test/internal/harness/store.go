package harness

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// The account of every store that the tests start.
const (
	StoreAccessKey = "app"
	StoreSecretKey = "app-secret" // MinIO wants eight characters
	StoreRegion    = "us-east-1"
)

// Store is a running S3 store over a folder.
type Store struct {
	root string // a folder in it is a bucket, a file an object
}

// StartVersitygw starts a versitygw with the given buckets. It sends no CORS headers
// until a bucket has rules.
func StartVersitygw(t *testing.T, port string, buckets []string) *Store {
	t.Helper()
	s := newStore(t, buckets)
	StartServer(t, port, Tool(t, "versitygw"), "--quiet", "--port", "127.0.0.1:"+port,
		"--access", StoreAccessKey, "--secret", StoreSecretKey, "--region", StoreRegion,
		// Metadata in a folder of its own: not every file system has extended attributes.
		"posix", "--sidecar", t.TempDir(), s.root)
	return s
}

// StartRclone starts rclone's S3 server, which needs no signature and sends CORS headers that
// allow every origin with every response.
func StartRclone(t *testing.T, port string, buckets []string) *Store {
	t.Helper()
	s := newStore(t, buckets)
	StartServer(t, port, Tool(t, "rclone"), "serve", "s3", "--addr", "127.0.0.1:"+port, s.root)
	return s
}

func newStore(t *testing.T, buckets []string) *Store {
	t.Helper()
	s := &Store{root: t.TempDir()}
	for _, bucket := range buckets {
		if err := os.Mkdir(filepath.Join(s.root, bucket), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// Put puts an object into the store's folder.
func (s *Store) Put(t *testing.T, object, content string) {
	t.Helper()
	WriteFile(t, filepath.Join(s.root, object), content)
}

// Files returns every file in the store's folder, the parts of unfinished uploads
// included, each with its content.
func (s *Store) Files(t *testing.T) map[string]string {
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
