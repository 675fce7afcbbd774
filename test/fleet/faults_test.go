package fleet

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/harness"
)

// versioned is a document whose responses show its version. It has about size bytes, so that
// it takes a while to write.
func versioned(version, size int) string {
	var b strings.Builder
	b.WriteString("<CORSConfiguration><CORSRule><AllowedOrigin>https://app.example.com</AllowedOrigin>")
	for i := 0; b.Len() < size-200; i++ {
		fmt.Fprintf(&b, "<AllowedOrigin>https://app-%d.example.com</AllowedOrigin>\n", i)
	}
	fmt.Fprintf(&b, "<AllowedMethod>GET</AllowedMethod><ExposeHeader>x-version-%d</ExposeHeader></CORSRule></CORSConfiguration>", version)
	return b.String()
}

var versionText = regexp.MustCompile(`x-version-(\d+)`)

// versionIn returns the version in a document or a header; 0: none.
func versionIn(text string) int {
	if found := versionText.FindStringSubmatch(text); found != nil {
		version, _ := strconv.Atoi(found[1])
		return version
	}
	return 0
}

// putDocument puts rules as Alice. An error means that there was no response.
func putDocument(ctx context.Context, client *http.Client, port, bucket, document string) (status int, body string, err error) {
	return askAPI(ctx, client, "PUT", port, bucket, document)
}

// askAPI sends a request to the bucket API, signed by Alice.
func askAPI(ctx context.Context, client *http.Client, method, port, bucket, document string) (status int, body string, err error) {
	r, err := http.NewRequestWithContext(ctx, method, harness.BucketURL(port, bucket)+"?cors", strings.NewReader(document))
	if err != nil {
		return 0, "", err
	}
	for _, line := range harness.SignV1(method, bucket) {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Set(name, value)
	}
	a, err := client.Do(r)
	if err != nil {
		return 0, "", err
	}
	text, err := harness.ReadAll(a)
	return a.StatusCode, text, err
}

// askVersion sends a preflight, and returns the version of the rules that allowed it.
func askVersion(client *http.Client, port, bucket string) (status, version int, err error) {
	r, err := http.NewRequest("OPTIONS", harness.BucketURL(port, bucket)+"k", nil)
	if err != nil {
		return 0, 0, err
	}
	r.Header.Set("Origin", "https://app.example.com")
	r.Header.Set("Access-Control-Request-Method", "GET")
	a, err := client.Do(r)
	if err != nil {
		return 0, 0, err
	}
	_, err = harness.ReadAll(a)
	return a.StatusCode, versionIn(a.Header.Get("Access-Control-Expose-Headers")), err
}

// TestFaultsKilled kills the proxy in the middle of writes. After a restart the last document
// that it acknowledged is in force, or a newer one, and complete.
func TestFaultsKilled(t *testing.T) {
	p := harness.NewAPIProxy(t, harness.APIOptions{})
	const bucket, rounds = "alice-bucket", 15
	acknowledged, began, inFlight := 0, 0, 0
	for round := range rounds {
		p.Start(t)
		client := &http.Client{Transport: new(http.Transport)}
		if round == 0 {
			began, acknowledged = 1, 1
			if status, body, err := putDocument(t.Context(), client, p.Path, bucket, versioned(1, 16_000)); err != nil || status != 200 {
				t.Fatalf("the first write: %d %s, %v", status, body, err)
			}
		} else {
			status, version, err := askVersion(client, p.Path, bucket)
			if err != nil || status != 200 || version < acknowledged || version > began {
				t.Fatalf("after a kill: %d, version %d, %v; acknowledged were those to %d, of %d", status, version, err, acknowledged, began)
			}
			if status, document, err := askAPI(t.Context(), client, "GET", p.Path, bucket, ""); err != nil || status != 200 || versionIn(document) != version {
				t.Fatalf("after a kill: GetBucketCors: %d, %v, %.300s; version %d is in force", status, err, document, version)
			}
		}
		written := make(chan struct{})
		go func() {
			defer close(written)
			for {
				began++
				status, body, err := putDocument(context.Background(), client, p.Path, bucket, versioned(began, 16_000))
				if err != nil {
					return // the proxy has been killed
				}
				if status != 200 {
					t.Errorf("write: %d %s", status, body)
				}
				acknowledged = began
			}
		}()
		time.Sleep(time.Duration(30+rand.IntN(40)) * time.Millisecond)
		p.Kill()
		<-written
		client.CloseIdleConnections()

		content, err := os.ReadFile(p.Document(bucket))
		if err != nil {
			t.Fatal(err)
		}
		version := versionIn(string(content))
		if string(content) != versioned(version, 16_000) || version < acknowledged || version > began {
			t.Fatalf("the storage holds version %d, %d bytes; acknowledged were those to %d, of %d", version, len(content), acknowledged, began)
		}
		if version > acknowledged {
			inFlight++
		}
	}
	t.Logf("%d kills, %d writes acknowledged; %d kills came between storing and answering", rounds, acknowledged, inFlight)
	if acknowledged < rounds {
		t.Errorf("no more than %d writes", acknowledged)
	}
}

// startMounted starts the proxy in a mount namespace of its own, in which the command mount
// has mounted something at the storage's directory.
func startMounted(t *testing.T, p *harness.APIProxy, mount string) {
	t.Helper()
	unshare := "unshare --mount"
	if os.Geteuid() != 0 {
		unshare = "unshare --user --map-root-user --mount"
	}
	script := filepath.Join(t.TempDir(), "caddy")
	text := fmt.Sprintf("#!/bin/sh\nexport MOUNTED=$STORAGE PROGRAM=%s\nexec %s sh -c '%s && exec \"$PROGRAM\" \"$@\"' caddy \"$@\"\n", harness.CaddyBinary(t), unshare, mount)
	if err := os.WriteFile(script, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log("it needs unshare (apt-get install util-linux) and, unless root runs it, leave to use it: sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0")
		}
	})
	p.Binary = script
	p.Start(t)
	p.Binary = ""
}

// isClearFailure reports whether a response is OSS's error for a failed store.
func isClearFailure(status int, body string) bool {
	return status == 500 && strings.Contains(body, "<Error>") && strings.Contains(body, "<Code>InternalError</Code>") && strings.Contains(body, "<RequestId>")
}

// TestFaultsFullDisk writes until the disk is full.
func TestFaultsFullDisk(t *testing.T) {
	p := harness.NewAPIProxy(t, harness.APIOptions{})
	startMounted(t, p, `mount -t tmpfs -o size=256k tmpfs "$MOUNTED"`)
	const size = 16_000
	bucket := func(i int) string { return fmt.Sprintf("alice-%d", i) }
	full := 0
	for i := 1; full == 0; i++ {
		status, body, err := putDocument(t.Context(), http.DefaultClient, p.Path, bucket(i), versioned(i, size))
		switch {
		case err != nil || i > 100:
			t.Fatalf("write %d: %v", i, err)
		case status == 200:
		case isClearFailure(status, body):
			full = i
		default:
			t.Fatalf("write %d: %d %s; want 500 InternalError", i, status, body)
		}
	}
	t.Logf("the disk is full after %d documents", full-1)
	if full < 5 {
		t.Errorf("only %d were written", full-1)
	}

	// Rules that cannot be replaced stay, complete.
	if status, body, err := putDocument(t.Context(), http.DefaultClient, p.Path, bucket(1), versioned(1000, size)); err != nil || !isClearFailure(status, body) {
		t.Errorf("replacing: %d %s, %v; want 500 InternalError", status, body, err)
	}
	time.Sleep(200 * time.Millisecond) // twice refresh
	expectVersions := func(desc string, versions map[int]int) {
		t.Helper()
		for i, want := range versions {
			if status, version, err := askVersion(http.DefaultClient, p.Path, bucket(i)); err != nil || version != want {
				t.Errorf("%s: %s: %d, version %d, %v; want version %d", desc, bucket(i), status, version, err, want)
			}
			_, document, err := askAPI(t.Context(), http.DefaultClient, "GET", p.Path, bucket(i), "")
			if err != nil || versionIn(document) != want {
				t.Errorf("%s: %s: stored is version %d, %v; want %d", desc, bucket(i), versionIn(document), err, want)
			}
		}
	}
	want := map[int]int{full: 0}
	for i := 1; i < full; i++ {
		want[i] = i
	}
	expectVersions("full", want)

	if status, body, err := askAPI(t.Context(), http.DefaultClient, "DELETE", p.Path, bucket(1), ""); err != nil || status != 204 {
		t.Errorf("deleting: %d %s, %v", status, body, err)
	}
	if status, body, err := putDocument(t.Context(), http.DefaultClient, p.Path, bucket(full), versioned(full, size)); err != nil || status != 200 {
		t.Errorf("writing where there is room again: %d %s, %v", status, body, err)
	}
	want[1], want[full] = 0, full
	expectVersions("room again", want)
}

// TestFaultsReadOnly has a storage that is read-only.
func TestFaultsReadOnly(t *testing.T) {
	p := harness.NewAPIProxy(t, harness.APIOptions{})
	writeDocument(t, p, harness.APIBucket, versioned(1, 0))
	startMounted(t, p, `mount --bind "$MOUNTED" "$MOUNTED" && mount -o remount,bind,ro "$MOUNTED"`)
	for _, method := range []string{"PUT", "DELETE"} {
		for _, bucket := range []string{harness.APIBucket, "alice-new"} {
			if method == "DELETE" && bucket != harness.APIBucket {
				continue // there is nothing to delete
			}
			if status, body, err := askAPI(t.Context(), http.DefaultClient, method, p.Path, bucket, versioned(2, 0)); err != nil || !isClearFailure(status, body) {
				t.Errorf("%s of %s: %d %s, %v; want 500 InternalError", method, bucket, status, body, err)
			}
		}
	}
	if status, document, err := askAPI(t.Context(), http.DefaultClient, "GET", p.Path, harness.APIBucket, ""); err != nil || status != 200 || versionIn(document) != 1 {
		t.Errorf("reading: %d %s, %v", status, document, err)
	}
	if status, version, err := askVersion(http.DefaultClient, p.Path, harness.APIBucket); err != nil || version != 1 {
		t.Errorf("%d, version %d, %v; want version 1", status, version, err)
	}
	if got := harness.Documents(t, p.Storage); len(got) != 1 || got[harness.APIBucket+".xml"] != versioned(1, 0) {
		t.Errorf("the storage holds %v", got)
	}
}

// writeDocument writes a bucket's document into the storage, whatever is there.
func writeDocument(t *testing.T, p *harness.APIProxy, bucket, content string) {
	t.Helper()
	path := p.Document(bucket)
	harness.WriteFile(t, path+".new", content)
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// TestFaultsCorrupt damages what is stored. Rules that are loaded stay in force; a bucket
// whose rules were never loaded denies; other buckets are not affected; PutBucketCors and
// DeleteBucketCors repair it.
func TestFaultsCorrupt(t *testing.T) {
	p := harness.NewAPIProxy(t, harness.APIOptions{})
	good := versioned(1, 2000)
	damages := map[string]string{
		"empty":     "",
		"half":      good[:1000],
		"zeroes":    strings.Repeat("\x00", 2000),
		"not-cors":  "<html></html>",
		"too-long":  versioned(1, 70_000),
		"bad-rule":  strings.Replace(good, "GET", "get", 1),
		"bad-utf-8": strings.Replace(good, "app-1.", "\xff\xfe", 1),
	}
	writeDocument(t, p, "alice-sound", good)
	for name := range damages {
		writeDocument(t, p, "alice-loaded-"+name, good)
		writeDocument(t, p, "alice-cured-"+name, damages[name])
		writeDocument(t, p, "alice-deleted-"+name, damages[name])
	}
	p.Start(t)
	expect := func(desc, bucket string, wantStatus, wantVersion int) {
		t.Helper()
		if status, version, err := askVersion(http.DefaultClient, p.Path, bucket); err != nil || status != wantStatus || version != wantVersion {
			t.Errorf("%s: %s: %d, version %d, %v; want %d, version %d", desc, bucket, status, version, err, wantStatus, wantVersion)
		}
	}
	for name, damage := range damages {
		loaded, cured, deleted := "alice-loaded-"+name, "alice-cured-"+name, "alice-deleted-"+name
		expect("sound", loaded, 200, 1)
		writeDocument(t, p, loaded, damage)
		time.Sleep(200 * time.Millisecond) // twice refresh
		expect("damaged when loaded", loaded, 200, 1)

		for _, bucket := range []string{cured, deleted} {
			expect("damaged from the start", bucket, 403, 0)
			if status, body, err := askAPI(t.Context(), http.DefaultClient, "GET", p.Path, bucket, ""); err != nil || !isClearFailure(status, body) {
				t.Errorf("reading %s: %d %s, %v; want 500 InternalError", bucket, status, body, err)
			}
		}
		if status, body, err := putDocument(t.Context(), http.DefaultClient, p.Path, cured, versioned(2, 0)); err != nil || status != 200 {
			t.Errorf("mending: %d %s, %v", status, body, err)
		}
		expect("cured", cured, 200, 2)
		if status, body, err := askAPI(t.Context(), http.DefaultClient, "DELETE", p.Path, deleted, ""); err != nil || status != 204 {
			t.Errorf("deleting: %d %s, %v", status, body, err)
		}
		expect("deleted", deleted, 403, 0)
		expect("another bucket", "alice-sound", 200, 1)
	}
}
