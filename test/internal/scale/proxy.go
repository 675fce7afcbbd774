package scale

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/harness"
)

const scaleCaddyfile = `{
	admin 127.0.0.1:{$ADMIN_PORT}
	auto_https off
	persist_config off
	default_bind 127.0.0.1
	log {
		output discard
	}
}

http://:{$METRICS_PORT} {
	metrics /metrics
}

http://:{$PORT} {
	oss_cors {
		rules directory buckets {
			refresh {$REFRESH}
		}
		bucket path
	}
	respond ok
}
`

// Refresh is the default refresh: how often a document that is in use is read again.
const Refresh = 5 * time.Second

// Proxy is a proxy with a directory of many buckets' rules.
type Proxy struct {
	*harness.Process
	dir            string
	Port           string
	admin, metrics string // URLs
	Buckets        int
	Bytes          int // of all documents
}

// NewProxy prepares a Proxy that Start starts.
func NewProxy(t *testing.T, buckets int) *Proxy {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "buckets"), 0o700); err != nil {
		t.Fatal(err)
	}
	p := &Proxy{dir: dir, Buckets: buckets}
	for i := range buckets {
		document := tenRules(i)
		if err := os.WriteFile(filepath.Join(dir, "buckets", Tenant(i)+".xml"), []byte(document), 0o600); err != nil {
			t.Fatal(err)
		}
		p.Bytes += len(document)
	}
	if err := os.WriteFile(filepath.Join(dir, "Caddyfile"), []byte(scaleCaddyfile), 0o600); err != nil {
		t.Fatal(err)
	}
	return p
}

// Start starts the proxy with this refresh, and with additions to the environment. It is
// stopped when the test ends.
func (p *Proxy) Start(t *testing.T, refresh time.Duration, env ...string) {
	t.Helper()
	ports := harness.FreePorts(t, 3)
	p.Port, p.metrics, p.admin = ports[0], "http://127.0.0.1:"+ports[1]+"/metrics", "http://127.0.0.1:"+ports[2]
	env = append(env, "PORT="+ports[0], "METRICS_PORT="+ports[1], "ADMIN_PORT="+ports[2], "REFRESH="+refresh.String())
	p.Process = harness.StartCaddy(t, p.dir, "Caddyfile", env, ports)
}

// Tenant returns the name of a bucket.
func Tenant(i int) string { return fmt.Sprintf("tenant-%d", i) }

// tenRules is a document of ten rules, as a tenant might write it.
func tenRules(tenant int) string {
	var b strings.Builder
	b.WriteString("<CORSConfiguration>\n")
	for rule := range 10 {
		fmt.Fprintf(&b, `  <CORSRule>
    <AllowedOrigin>https://app%d.tenant%d.example.com</AllowedOrigin>
    <AllowedOrigin>https://*.preview%d.tenant%d.example.com</AllowedOrigin>
    <AllowedMethod>GET</AllowedMethod>
    <AllowedMethod>PUT</AllowedMethod>
    <AllowedHeader>content-type</AllowedHeader>
    <AllowedHeader>x-oss-*</AllowedHeader>
    <ExposeHeader>ETag</ExposeHeader>
    <ExposeHeader>x-oss-request-id</ExposeHeader>
    <MaxAgeSeconds>600</MaxAgeSeconds>
  </CORSRule>
`, rule, tenant, rule, tenant)
	}
	b.WriteString("</CORSConfiguration>\n")
	return b.String()
}

// PreflightText is the text of a preflight for an object of a bucket. The last rule of the
// bucket's document allows it.
func PreflightText(bucket string, object int) string {
	tenant, _ := strings.CutPrefix(bucket, "tenant-")
	return harness.RequestText("OPTIONS /"+bucket+"/"+strconv.Itoa(object)+" HTTP/1.1", "Host: store", "Origin: https://app9.tenant"+tenant+".example.com",
		"Access-Control-Request-Method: PUT", "Access-Control-Request-Headers: content-type")
}

// Send sends a preflight for each of n names, batch by batch on a few connections, and
// returns how long each batch took, sorted. Every answer must have the status.
func (p *Proxy) Send(t *testing.T, n, batch, status int, name func(int) string) (latencies []time.Duration) {
	t.Helper()
	const connections = 4
	var mu sync.Mutex
	var wg sync.WaitGroup
	for c := range connections {
		wg.Go(func() {
			conn, err := net.Dial("tcp4", "127.0.0.1:"+p.Port)
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			reader := bufio.NewReader(conn)
			for first := c * batch; first < n; first += connections * batch {
				began := time.Now()
				if err := askBatch(conn, reader, first, min(first+batch, n), status, name); err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				latencies = append(latencies, time.Since(began))
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	slices.Sort(latencies)
	return latencies
}

// askBatch sends all of a batch at once, and then reads the answers.
func askBatch(conn io.Writer, reader *bufio.Reader, first, last, status int, name func(int) string) error {
	var text strings.Builder
	for i := first; i < last; i++ {
		text.WriteString(PreflightText(name(i), 0))
	}
	if _, err := io.WriteString(conn, text.String()); err != nil {
		return err
	}
	for i := first; i < last; i++ {
		a, err := http.ReadResponse(reader, nil)
		if err == nil {
			_, err = io.Copy(io.Discard, a.Body)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name(i), err)
		}
		if a.StatusCode != status {
			return fmt.Errorf("%s: %s; want %d", name(i), a.Status, status)
		}
	}
	return nil
}

// MB formats a number of bytes in megabytes.
func MB(bytes int) string { return fmt.Sprintf("%.1f MB", float64(bytes)/1e6) }
