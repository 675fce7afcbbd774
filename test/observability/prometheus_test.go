package observability

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/harness"
)

const observabilityDir = "examples/observability"

// observability is examples/observability running: its Caddy, and for some tests a Prometheus
// with its configuration, which scrapes and evaluates every second.
type observability struct {
	caddy                 *harness.Process
	dir                   string // a copy of the example, to edit
	proxy, metrics, admin string
	prometheus            string
}

// startCaddy starts the example's Caddy, with additions to its environment.
func startCaddy(t *testing.T, env ...string) *observability {
	t.Helper()
	root := harness.CopyOfRepo(t, observabilityDir)
	ports := harness.FreePorts(t, 4)
	o := &observability{
		dir:     filepath.Join(root, observabilityDir),
		proxy:   "http://127.0.0.1:" + ports[0],
		metrics: "http://127.0.0.1:" + ports[1] + "/metrics",
		admin:   "http://127.0.0.1:" + ports[2],
	}
	env = append(env, "PROXY_PORT="+ports[0], "METRICS_PORT="+ports[1], "ADMIN_PORT="+ports[2], "ORIGIN_PORT="+ports[3])
	o.caddy = harness.StartCaddy(t, root, observabilityDir+"/Caddyfile", env, ports)
	return o
}

func startObservability(t *testing.T) *observability {
	t.Helper()
	prometheus := harness.Installed(t, "prometheus")
	o := startCaddy(t, "OTEL_TRACES_EXPORTER=none")
	port := harness.FreePorts(t, 1)[0]
	o.prometheus = "http://127.0.0.1:" + port

	config := filepath.Join(o.dir, "prometheus.yml")
	harness.Edit(t, config, "caddy:9180", strings.TrimSuffix(strings.TrimPrefix(o.metrics, "http://"), "/metrics"), "15s", "1s")
	harness.StartServer(t, port, prometheus, "--config.file="+config, "--storage.tsdb.path="+t.TempDir(),
		"--web.listen-address=127.0.0.1:"+port, "--log.level=warn")
	harness.WaitUntil(t, "Prometheus, which listens before that, answers queries", func() bool {
		response, err := http.Get(o.prometheus + "/-/ready")
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		return response.StatusCode == http.StatusOK
	})
	return o
}

// timeSeries is a time series as Prometheus returns it: one point, or those of a range.
type timeSeries struct {
	Metric map[string]string `json:"metric"`
	Value  *point            `json:"value"`
	Values []point           `json:"values"`
}

// point is a value at a time, in Unix seconds.
type point struct{ time, value float64 }

func (p *point) UnmarshalJSON(data []byte) error {
	var value string
	if err := json.Unmarshal(data, &[]any{&p.time, &value}); err != nil {
		return err
	}
	var err error
	p.value, err = strconv.ParseFloat(value, 64)
	return err
}

// query evaluates an expression now.
func (o *observability) query(t *testing.T, expr string) []timeSeries {
	t.Helper()
	return o.queryAPI(t, "query", url.Values{"query": {expr}})
}

func (o *observability) queryAPI(t *testing.T, endpoint string, parameters url.Values) []timeSeries {
	t.Helper()
	var data struct {
		ResultType string
		Result     json.RawMessage
	}
	o.api(t, endpoint+"?"+parameters.Encode(), &data)
	var result []timeSeries
	if data.ResultType == "scalar" {
		result = []timeSeries{{Value: new(point)}}
		if err := json.Unmarshal(data.Result, result[0].Value); err != nil {
			t.Fatal(err)
		}
	} else if err := json.Unmarshal(data.Result, &result); err != nil {
		t.Fatal(err)
	}
	return result
}

// api sends a request to Prometheus's HTTP API.
func (o *observability) api(t *testing.T, uri string, data any) {
	t.Helper()
	response, err := http.Get(o.prometheus + "/api/v1/" + uri)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	answer := struct {
		Error string
		Data  any
	}{Data: data}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	if answer.Error != "" {
		t.Fatalf("%s: %s", uri, answer.Error)
	}
}

// waitFor waits until an expression returns data.
func (o *observability) waitFor(t *testing.T, expr string) {
	t.Helper()
	harness.WaitUntil(t, "Prometheus has data for "+expr, func() bool { return len(o.query(t, expr)) > 0 })
}

// scrape waits until Prometheus has scraped Caddy n more times.
func (o *observability) scrape(t *testing.T, n int) {
	t.Helper()
	o.waitFor(t, fmt.Sprintf(`count_over_time(up{job="caddy"}[1h]) > %d`, o.scrapes(t)+n))
}

func (o *observability) scrapes(t *testing.T) int {
	t.Helper()
	if result := o.query(t, `count_over_time(up{job="caddy"}[1h])`); len(result) > 0 {
		return int(result[0].Value.value)
	}
	return 0
}

// breakRules makes the rules document invalid until it is repaired.
func (o *observability) breakRules(t *testing.T) (repair func()) {
	t.Helper()
	file := filepath.Join(o.dir, "cors.xml")
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	harness.Edit(t, file, "</CORSConfiguration>", "")
	return func() {
		if err := os.WriteFile(file, good, 0o666); err != nil {
			t.Error(err)
		}
	}
}

// reload makes Caddy load its Caddyfile again: unchanged, or with a rules file that does not
// exist.
func (o *observability) reload(t *testing.T, good bool) {
	t.Helper()
	caddyfile, err := os.ReadFile(filepath.Join(o.dir, "Caddyfile"))
	if err != nil {
		t.Fatal(err)
	}
	text := string(caddyfile)
	if !good {
		text = strings.Replace(text, observabilityDir+"/cors.xml", "missing.xml", 1)
	}
	if err := harness.Load(o.admin, text); good != (err == nil) {
		t.Errorf("reload, good: %t: %v", good, err)
	}
}
