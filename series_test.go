package osscors

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

var seriesLine = regexp.MustCompile(`(?m)^caddy_oss_cors_(\S+) (\S+)$`)

// series are all values of this module's metrics, by name and labels without the common
// prefix: rules{ruleset="cors.xml"}.
type series map[string]float64

func (p *proxy) series(t testing.TB) series {
	t.Helper()
	response, err := http.Get(p.metricsURL)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("metrics: %s %v\n%s", response.Status, err, text)
	}
	all := series{}
	for _, match := range seriesLine.FindAllStringSubmatch(string(text), -1) {
		value, err := strconv.ParseFloat(match[2], 64)
		if err != nil {
			t.Fatal(err)
		}
		all[match[1]] = value
	}
	return all
}

// counters returns the series of counters that are not 0.
func (s series) counters() series {
	counters := series{}
	for name, value := range s {
		if strings.Contains(name, "_total{") && value != 0 {
			counters[name] = value
		}
	}
	return counters
}

// expectCounters fails the test unless exactly these counters are not 0.
func expectCounters(t *testing.T, p *proxy, want series) {
	t.Helper()
	if got := p.series(t).counters(); !maps.Equal(got, want) {
		t.Errorf("counters:\n got %v\nwant %v", got, want)
	}
}

func hits(ruleset, rule, kind string) string {
	return fmt.Sprintf("rule_hits_total{kind=%q,rule=%q,ruleset=%q}", kind, rule, ruleset)
}

func denials(ruleset, kind, reason string) string {
	return fmt.Sprintf("denied_total{kind=%q,reason=%q,ruleset=%q}", kind, reason, ruleset)
}

func of(metric, ruleset string) string {
	return fmt.Sprintf("%s{ruleset=%q}", metric, ruleset)
}
