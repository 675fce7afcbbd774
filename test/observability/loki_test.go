package observability

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/harness"
)

// TestLokiQueries applies the queries of docs/metrics.md to what the example's Caddy logs.
// Loki cannot be run here, so the test has the part of LogQL that they use: each query must
// find a line, and that must have all labels that the query names.
func TestLokiQueries(t *testing.T) {
	o := startCaddy(t, "OTEL_TRACES_EXPORTER=none")
	o.ask(t, "GET", "/photo.jpg", harness.Header("Origin", "https://app.example.com"))
	o.ask(t, "GET", "/photo.jpg", harness.Header("Origin", "https://stranger.example"))
	o.ask(t, "OPTIONS", "/photo.jpg", harness.PreflightHeader("https://app.example.com", "PUT", "x-trace-id"))
	defer o.breakRules(t)()
	harness.WaitUntil(t, "the requests and the broken rules are logged", func() bool {
		log := o.caddy.Log.String()
		return strings.Count(log, "handled request") == 3 && strings.Contains(log, "last good ones stay in force")
	})
	id := regexp.MustCompile(`"msg":"CORS request denied".*"request_id":"(\w+)"`).FindStringSubmatch(o.caddy.Log.String())
	if id == nil {
		t.Fatal("no denial with a request ID is logged")
	}

	page := strings.ReplaceAll(harness.ReadRepo(t, "docs/metrics.md"), "6B06867F8F7BF1BAD7D73AE1", id[1])
	queries := regexp.MustCompile("(?s)\n```logql\n(.*?)\n```").FindAllStringSubmatch(page, -1)
	if len(queries) < 5 {
		t.Errorf("docs/metrics.md has only %d queries", len(queries))
	}
	for _, query := range queries {
		pipelines := logPipeline.FindAllStringSubmatch(query[1], -1)
		if len(pipelines) == 0 || strings.Count(query[1], "{job=") != len(pipelines) {
			t.Fatalf("the test cannot read %s", query[1])
		}
		for _, pipeline := range pipelines {
			if err := findLine(o.caddy.Log.String(), pipeline[1], labelsNamed(query[1])); err != nil {
				t.Errorf("%s: %v", query[1], err)
			}
		}
	}
}

var (
	quoted      = `"(?:[^"\\]|\\.)*"`
	logStage    = regexp.MustCompile(`\|= (` + quoted + `)|\| json((?:,? \w+=` + quoted + `)*)|\| (\w+)(=~?)(` + quoted + `)|\| line_format ` + quoted)
	logPipeline = regexp.MustCompile(`\{job="caddy"\}((?:\s*(?:` + logStage.String() + `))+)`)
	extraction  = regexp.MustCompile(`(\w+)=(` + quoted + `)`)
	grouping    = regexp.MustCompile(`by \(([^)]*)\)`)
	inTemplate  = regexp.MustCompile(`\{\{\.(\w+)\}\}`)
)

// labelsNamed are the labels that a query groups by or shows.
func labelsNamed(query string) (names []string) {
	for _, m := range grouping.FindAllStringSubmatch(query, -1) {
		names = append(names, strings.Split(m[1], ", ")...)
	}
	for _, m := range inTemplate.FindAllStringSubmatch(query, -1) {
		names = append(names, m[1])
	}
	return names
}

// findLine returns an error unless a line of a log passes a pipeline, and has all labels.
func findLine(log, pipeline string, labels []string) error {
	err := fmt.Errorf("no line passes")
	for line := range strings.Lines(log) {
		found, ok := passes(line, pipeline)
		if !ok {
			continue
		}
		err = nil
		for _, name := range labels {
			if found[name] == "" {
				err = fmt.Errorf("no label %s in %s", name, line)
			}
		}
		if err == nil {
			return nil
		}
	}
	return err
}

// passes applies a pipeline to a line, and returns the labels that the line then has.
func passes(line, pipeline string) (labels map[string]string, ok bool) {
	labels = map[string]string{}
	for _, stage := range logStage.FindAllStringSubmatch(pipeline, -1) {
		filter, _ := strconv.Unquote(stage[1])
		value, _ := strconv.Unquote(stage[5])
		switch {
		case strings.HasPrefix(stage[0], "|="):
			ok = strings.Contains(line, filter)
		case strings.HasPrefix(stage[0], "| json"):
			ok = extract(line, stage[2], labels)
		case stage[4] == "=":
			ok = labels[stage[3]] == value
		case stage[4] == "=~":
			ok = regexp.MustCompile("^(?:" + value + ")$").MatchString(labels[stage[3]])
		}
		if !ok {
			return nil, false
		}
	}
	return labels, true
}

// extract adds labels for what a JSON line has: at the paths of expressions or, without
// these, all its texts.
func extract(line, expressions string, labels map[string]string) bool {
	var object map[string]any
	if json.Unmarshal([]byte(line), &object) != nil {
		return false
	}
	if expressions == "" {
		for name, value := range object {
			labels[name], _ = value.(string)
		}
	}
	for _, m := range extraction.FindAllStringSubmatch(expressions, -1) {
		var value any = object
		path, _ := strconv.Unquote(m[2])
		for name := range strings.SplitSeq(strings.TrimSuffix(path, "[0]"), ".") {
			parent, _ := value.(map[string]any)
			value = parent[name]
		}
		if list, ok := value.([]any); ok && strings.HasSuffix(path, "[0]") {
			value = list[0]
		}
		labels[m[1]], _ = value.(string)
	}
	return true
}
