package fleet

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/harness"
)

const configMapCaddyfile = `{
	admin off
	auto_https off
	persist_config off
	default_bind 127.0.0.1
}

http://:{$FILE_PORT} {
	oss_cors {
		rules file rules/one-file.xml {
			refresh 50ms
		}
	}
	respond ok
}

http://:{$DIRECTORY_PORT} {
	oss_cors {
		rules directory rules {
			refresh 50ms
		}
		bucket path
	}
	respond ok
}
`

// TestConfigMap swaps a ConfigMap under constant load, as a file's and as a directory's
// source of rules. Every version comes into force, none comes back, and no request fails.
func TestConfigMap(t *testing.T) {
	const refresh, swaps = 50 * time.Millisecond, 20
	dir := t.TempDir()
	rules := &harness.ConfigMap{Dir: filepath.Join(dir, "rules")}
	if err := os.Mkdir(rules.Dir, 0o755); err != nil {
		t.Fatal(err)
	}
	update := func(version int) {
		rules.Update(t, map[string]string{"one-file.xml": versioned(version, 0), "a-bucket.xml": versioned(version, 0), "b-bucket.xml": versioned(version, 0)})
	}
	update(1)
	harness.WriteFile(t, filepath.Join(dir, "Caddyfile"), configMapCaddyfile)
	ports := harness.FreePorts(t, 2)
	harness.StartCaddy(t, dir, "Caddyfile", []string{"FILE_PORT=" + ports[0], "DIRECTORY_PORT=" + ports[1]}, ports)

	for i, port := range ports {
		for _, bucket := range []string{"a-bucket", "b-bucket"} {
			stop, done := make(chan struct{}), make(chan struct{})
			go func() {
				defer close(done)
				for last := 0; ; {
					select {
					case <-stop:
						return
					case <-time.After(time.Millisecond):
					}
					status, version, err := askVersion(http.DefaultClient, port, bucket)
					if err != nil || status != 200 || version < last {
						t.Errorf("source %d, %s: %d, version %d, %v; the last was %d", i, bucket, status, version, err, last)
						return
					}
					last = version
				}
			}()
			defer func() {
				close(stop)
				<-done
			}()
		}
	}
	for version := 2; version <= swaps; version++ {
		update(version)
		changed := time.Now()
		time.Sleep(refresh)
		if _, got, err := askVersion(http.DefaultClient, ports[1], "a-bucket"); err != nil || got != version {
			t.Errorf("directory: version %d, %v, when version %d is %s old", got, err, version, time.Since(changed))
		}
		// Both sources read a file every refresh; reading takes time, too.
		eventuallyVersion(t, ports[0], "any", version, 10*refresh)
	}
}

// eventuallyVersion waits until a version of the rules is in force.
func eventuallyVersion(t *testing.T, port, bucket string, want int, patience time.Duration) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(2 * time.Millisecond) {
		status, version, err := askVersion(http.DefaultClient, port, bucket)
		if err == nil && version == want {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: %d, version %d, %v; want version %d within %s", bucket, status, version, err, want, patience)
		}
	}
}

// TestConfigMapKeyRemoved removes the rules: a bucket of a directory then has none, and the
// rules of a file, which was there at the start, stay in force.
func TestConfigMapKeyRemoved(t *testing.T) {
	dir := t.TempDir()
	rules := &harness.ConfigMap{Dir: filepath.Join(dir, "rules")}
	if err := os.Mkdir(rules.Dir, 0o755); err != nil {
		t.Fatal(err)
	}
	rules.Update(t, map[string]string{"one-file.xml": versioned(1, 0), "a-bucket.xml": versioned(1, 0), "b-bucket.xml": versioned(1, 0)})
	harness.WriteFile(t, filepath.Join(dir, "Caddyfile"), configMapCaddyfile)
	ports := harness.FreePorts(t, 2)
	harness.StartCaddy(t, dir, "Caddyfile", []string{"FILE_PORT=" + ports[0], "DIRECTORY_PORT=" + ports[1]}, ports)
	for _, bucket := range []string{"a-bucket", "b-bucket"} {
		eventuallyVersion(t, ports[1], bucket, 1, 0)
	}
	rules.Update(t, map[string]string{"b-bucket.xml": versioned(2, 0)})
	time.Sleep(150 * time.Millisecond)
	if status, version, err := askVersion(http.DefaultClient, ports[1], "a-bucket"); err != nil || status != 403 || version != 0 {
		t.Errorf("the bucket without a document: %d, version %d, %v; want 403", status, version, err)
	}
	eventuallyVersion(t, ports[1], "b-bucket", 2, 0)
	eventuallyVersion(t, ports[0], "any", 1, 0)
}
