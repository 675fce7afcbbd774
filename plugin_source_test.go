package osscors

import (
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-oss-cors/caddy-oss-cors/rulesource"
)

func init() {
	caddy.RegisterModule(new(pluginBuckets))
	caddy.RegisterModule(new(pluginDocument))
}

// pluginBuckets is a source of many buckets that another plugin could have, with a document in
// memory for each.
type pluginBuckets struct {
	opts *rulesource.Options

	mu       sync.Mutex
	none     *rulesource.Document
	contents map[string][]byte
	loaded   map[string]*rulesource.Document
}

func (*pluginBuckets) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: rulesource.Namespace + ".test_buckets", New: func() caddy.Module { return new(pluginBuckets) }}
}

func (s *pluginBuckets) Open(_ caddy.Context, opts *rulesource.Options) error {
	s.opts, s.contents, s.loaded = opts, map[string][]byte{}, map[string]*rulesource.Document{}
	s.none = rulesource.NewDocument("none", "memory", 0, opts)
	s.none.Unavailable(fs.ErrNotExist)
	return nil
}

func (s *pluginBuckets) Rules(_ context.Context, bucket string) (*rulesource.Rules, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if document := s.loaded[bucket]; document != nil {
		return document.Rules(), nil
	}
	return s.none.Rules(), nil
}

func (*pluginBuckets) PerBucket() {}

func (s *pluginBuckets) Reports() (reports []rulesource.Report) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, document := range s.loaded {
		reports = append(reports, document.Report())
	}
	return reports
}

func (s *pluginBuckets) Load(_ context.Context, bucket string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if content, isThere := s.contents[bucket]; isThere {
		return content, nil
	}
	return nil, fs.ErrNotExist
}

func (s *pluginBuckets) Store(_ context.Context, bucket string, content []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	document := rulesource.NewDocument(bucket, "memory", 0, s.opts)
	s.contents[bucket], s.loaded[bucket] = content, document
	return document.Load(content)
}

func (s *pluginBuckets) Delete(_ context.Context, bucket string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if document := s.loaded[bucket]; document != nil {
		document.Close()
	}
	delete(s.contents, bucket)
	delete(s.loaded, bucket)
	return nil
}

func (*pluginBuckets) MaxDocumentRules() int { return 1 }

func (s *pluginBuckets) Cleanup() error {
	s.none.Close()
	for _, document := range s.loaded {
		document.Close()
	}
	return nil
}

// pluginDocument is a source of one document that another plugin could have.
type pluginDocument struct{ document *rulesource.Document }

func (*pluginDocument) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: rulesource.Namespace + ".test_document", New: func() caddy.Module { return new(pluginDocument) }}
}

func (s *pluginDocument) Open(_ caddy.Context, opts *rulesource.Options) error {
	s.document = rulesource.NewDocument("plugin", "memory", 0, opts)
	return s.document.Load([]byte(appRules))
}

func (s *pluginDocument) Rules(context.Context, string) (*rulesource.Rules, error) {
	return s.document.Rules(), nil
}

func (*pluginDocument) Shadow(path string) rulesource.Source { return &rulesource.File{Path: path} }

func (s *pluginDocument) Reports() []rulesource.Report {
	return []rulesource.Report{s.document.Report()}
}

func (s *pluginDocument) Cleanup() error {
	s.document.Close()
	return nil
}

var (
	_ rulesource.Writable = (*pluginBuckets)(nil)
	_ rulesource.Reporter = (*pluginBuckets)(nil)
	_ rulesource.Shadower = (*pluginDocument)(nil)
	_ rulesource.Reporter = (*pluginDocument)(nil)
)

// loadPlugin loads a site whose rules come from another plugin's source. A Caddyfile cannot
// name it, because it does not implement caddyfile.Unmarshaler.
func (p *proxy) loadPlugin(t *testing.T, source, site string) {
	t.Helper()
	addrs := freePorts(t, 2)
	config, err := adapt(p.caddyfile(addrs, []string{site}))
	if err != nil {
		t.Fatal(err)
	}
	config = strings.Replace(config, `"source":"storage"`, `"source":"`+source+`"`, 1)
	config = strings.Replace(config, `"path":"cors.xml","source":"file"`, `"source":"`+source+`"`, 1)
	if err := caddy.Load([]byte(config), false); err != nil {
		t.Fatal(err)
	}
	p.metricsURL, p.addrs = "http://"+addrs[0]+"/metrics", addrs[1:]
}

// rulesetsOfAdmin returns what the admin API says of the rule sets.
func rulesetsOfAdmin(t *testing.T) string {
	t.Helper()
	module, err := caddy.GetModule("admin.api.oss_cors")
	if err != nil {
		t.Fatal(err)
	}
	for _, route := range module.New().(caddy.AdminRouter).Routes() {
		if route.Pattern == "/oss_cors/rulesets" {
			w := httptest.NewRecorder()
			if err := route.Handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, route.Pattern, http.NoBody)); err != nil {
				t.Fatal(err)
			}
			return w.Body.String()
		}
	}
	t.Fatal("there is no such route")
	return ""
}

// askBucketAPI sends a request to the bucket API, signed by OSS's version 1.
func (p *proxy) askBucketAPI(t *testing.T, method, bucket, document string) int {
	t.Helper()
	r, err := http.NewRequest(method, "http://"+p.addrs[0]+"/"+bucket+"/?cors", strings.NewReader(document))
	if err != nil {
		t.Fatal(err)
	}
	date := time.Now().UTC().Format(http.TimeFormat)
	mac := hmac.New(sha1.New, []byte("secret"))
	mac.Write([]byte(method + "\n\n\n" + date + "\n/" + bucket + "/?cors"))
	r.Header.Set("Date", date)
	r.Header.Set("Authorization", "OSS id:"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	return response.StatusCode
}

// A source of another plugin that can be written gets the bucket API, and the admin API.
func TestPluginSource_bucketAPI(t *testing.T) {
	p := newProxy(t)
	p.loadPlugin(t, "test_buckets", "oss_cors {\nrules storage\nbucket path\nbucket_api {\naccess_key id secret *\n}\n}\nrespond served")
	preflight := func() int {
		return askAt(t, p.addrs[0], "OPTIONS /photos/k HTTP/1.1", fromApp, "Access-Control-Request-Method: PUT").StatusCode
	}
	for _, c := range []struct {
		method, document string
		want, preflight  int
	}{
		{"GET", "", 404, 403},
		{"PUT", document(appRule), 200, 200},
		{"GET", "", 200, 200},
		{"PUT", document(appRule, plainRule), 400, 200}, // more than MaxDocumentRules
		{"DELETE", "", 204, 403},
	} {
		if got := p.askBucketAPI(t, c.method, "photos", c.document); got != c.want {
			t.Errorf("%s: %d, want %d", c.method, got, c.want)
		}
		if got := preflight(); got != c.preflight {
			t.Errorf("after %s, a preflight: %d, want %d", c.method, got, c.preflight)
		}
		if all := rulesetsOfAdmin(t); strings.Contains(all, `"photos"`) != (c.preflight == 200) {
			t.Errorf("after %s, the admin API: %s", c.method, all)
		}
	}
}

// A source of another plugin that has one document gets a shadow.
func TestPluginSource_shadow(t *testing.T) {
	p := newProxy(t)
	write(t, "candidate.xml", document(plainRule))
	p.loadPlugin(t, "test_document", "oss_cors {\nrules file cors.xml\nshadow candidate.xml\n}\nrespond served")
	p.get(t, fromApp)
	const change = `shadow_changes_total{kind="actual",live="allowed",ruleset="plugin",shadow="denied"}`
	if got := p.series(t)[change]; got != 1 {
		t.Errorf("%s is %v", change, got)
	}
	if all := rulesetsOfAdmin(t); !strings.Contains(all, `"shadow"`) || !strings.Contains(all, `"test_document"`) {
		t.Errorf("the admin API: %s", all)
	}
}
