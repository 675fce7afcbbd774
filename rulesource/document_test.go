package rulesource

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/caddy-oss-cors/caddy-oss-cors/metrics"
)

// gauges returns what metrics show of a rule set's documents, without their prefix.
func gauges(t *testing.T, store *metrics.Store, ruleset string) map[string]float64 {
	t.Helper()
	registry := prometheus.NewRegistry()
	registry.MustRegister(store)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string]float64{}
	for _, family := range families {
		name, of := strings.CutPrefix(family.GetName(), "caddy_oss_cors_rules_last_")
		for _, m := range family.GetMetric() {
			if of && m.GetLabel()[0].GetValue() == ruleset {
				shown[name] = m.GetGauge().GetValue()
			}
		}
	}
	return shown
}

// exposition returns all that metrics show, as text.
func exposition(t *testing.T, store *metrics.Store) string {
	t.Helper()
	registry := prometheus.NewRegistry()
	registry.MustRegister(store)
	w := httptest.NewRecorder()
	promhttp.HandlerFor(registry, promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	return w.Body.String()
}

// A bucket whose first document is bad has no last good rules, and nothing says it has.
func TestDocument_badFromTheStart(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "bad-first.xml")
	put := func(content string) {
		t.Helper()
		if err := os.WriteFile(path+".new", []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}
	core, log := observer.New(zapcore.ErrorLevel)
	store := metrics.NewStore()
	s := &Directory{Path: dir, RefreshOptions: RefreshOptions{Refresh: caddy.Duration(10 * time.Millisecond)}}
	if err := s.Open(newContext(t), &Options{Logger: zap.New(core), Store: store}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Cleanup() })
	const deniesAll, lastGood = "there are no earlier ones: this bucket denies all", "the last good ones stay in force"
	for _, c := range []struct {
		desc, content, want string
		logged              string // empty: nothing
		gauges              map[string]float64
	}{
		{"bad", "<", "origin", deniesAll, map[string]float64{"load_successful": 0}},
		{"bad in another way", "<CORSConfiguration/>", "origin", deniesAll, map[string]float64{"load_successful": 0}},
		{"good", fmt.Sprintf(document, "https://app.example.com"), "", "", map[string]float64{"load_successful": 1}},
		{"bad again", "<", "", lastGood, map[string]float64{"load_successful": 0}},
	} {
		put(c.content)
		time.Sleep(20 * time.Millisecond)
		if got := reason(t, s, "bad-first"); got != c.want {
			t.Errorf("%s: %q, want %q", c.desc, got, c.want)
		}
		var messages []string
		for _, entry := range log.TakeAll() {
			messages = append(messages, entry.Message)
		}
		if got := strings.Join(messages, "\n"); !strings.HasSuffix(got, c.logged) || (got == "") != (c.logged == "") {
			t.Errorf("%s: logged %q, want %q", c.desc, got, c.logged)
		}
		got, loaded := gauges(t, store, "bad-first"), !s.Reports()[0].Status.Loaded.IsZero()
		if _, shown := got["load_success_timestamp_seconds"]; shown != (c.want == "") || loaded != shown {
			t.Errorf("%s: it is shown as loaded: %t by the status, %t by the metrics", c.desc, loaded, shown)
		}
		if delete(got, "load_success_timestamp_seconds"); !maps.Equal(got, c.gauges) {
			t.Errorf("%s: the metrics show %v, want %v", c.desc, got, c.gauges)
		}
	}
}

// A file's source is closed while the last look at the file may be under way.
func TestDocument_closeBesideLoad(t *testing.T) {
	store := metrics.NewStore()
	d := NewDocument("closed", "closed.xml", 0, &Options{Logger: zap.NewNop(), Store: store})
	load := func(n int) {
		if err := d.Load(fmt.Appendf(nil, document, fmt.Sprintf("https://v%d.example.com", n))); err != nil {
			t.Error(err)
		}
	}
	load(0)
	var loading sync.WaitGroup
	loading.Go(func() {
		for n := range 100 {
			load(n)
			d.Failed(fmt.Errorf("fault %d", n))
		}
	})
	d.Close()
	loading.Wait()
	if shown := gauges(t, store, "closed"); len(shown) > 0 {
		t.Errorf("after it was closed, metrics show %v", shown)
	}
}
