package hostile

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/harness"
)

// CVE-2024-1681: flask-cors logged a request's path unescaped, so that a line end in it began
// a line of the attacker's. Here all text of a request is a JSON string in a log line, an
// escaped label in metrics and a token in a header.
func TestCVE_2024_1681_logInjection(t *testing.T) {
	// As JSON values they would end the line or overwrite its fields; as labels or
	// parameters, begin others.
	nasty := []string{
		`"}` + "\t" + `{"level":"panic","msg":"forged"}`,
		`","level":"panic","msg":"forged`,
		`\","level":"panic","x":"\`,
		"\xff\xfe\xe2\x80\xa8\xc2\x85forged",
		`"} 1` + "\t" + `caddy_oss_cors_forged_total 1 #\n\`,
		`x; reason=forged; rule=1`,
		`%0d%0a{"level":"panic"}`,
		"\u2028forged\u2029\u202e",
	}
	site := strings.Replace(harness.TestbedSite, "name testbed", "name testbed\n\tdebug_header", 1) + "log\n"
	for _, format := range []string{"json", "console"} {
		t.Run(format, func(t *testing.T) {
			tb := harness.StartTestbed(t, harness.TestbedConfig{Site: site, Global: "log {\n\t\tformat " + format + "\n\t}"})
			sent := 0
			for i, value := range nasty {
				path := "/" + url.PathEscape(value) + "%0d%0a%7b%22level%22:%22panic%22%7d?" + fmt.Sprint(i)
				for _, lines := range [][]string{
					{"Origin: https://" + value, forGet},
					{fromApp, "Access-Control-Request-Method: " + value},
					{fromApp, forGet, asksFor + value},
					{fromApp, forGet, asksFor + strings.Map(toToken, value)},
					{"Origin: https://evil.example/" + strings.Map(toToken, value), forGet, "User-Agent: " + value, "X-Request-Id: " + value},
				} {
					a := tb.Exchange(t, "OPTIONS", path, lines...)
					if a.StatusCode != 403 {
						t.Errorf("%q: %s", lines, a.Status)
					}
					checkDebugHeader(t, a.Header)
					sent++
				}
			}
			tb.Stop() // which writes the rest of the log
			checkLog(t, format, tb.Log.String(), sent)
		})
	}

	t.Run("metrics", func(t *testing.T) {
		tb := harness.StartTestbed(t, harness.TestbedConfig{})
		for _, value := range nasty {
			tb.Exchange(t, "OPTIONS", "/", "Origin: https://"+value, forGet)
		}
		label := `[a-z_]+="(?:[^"\\\n]|\\\\|\\"|\\n)*"`
		series := regexp.MustCompile(`^[a-zA-Z_:][a-zA-Z0-9_:]*(\{` + label + `(,` + label + `)*\})? \S+$`)
		shown := 0
		for _, line := range strings.Split(strings.TrimSuffix(harness.Get(t, tb.Metrics), "\n"), "\n") {
			if !strings.HasPrefix(line, "#") && !series.MatchString(line) || strings.HasPrefix(line, "caddy_oss_cors_forged") {
				t.Errorf("no series: %q", line)
			}
			if strings.HasPrefix(line, "caddy_oss_cors_denied_origin_requests{") {
				shown++
			}
		}
		if shown != len(nasty) {
			t.Errorf("%d denied origins show; want %d", shown, len(nasty))
		}
	})
}

// toToken keeps only the bytes that a header's name may have, so that the value reaches the
// rules.
func toToken(r rune) rune {
	if r > '~' || r <= ' ' || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r) {
		return '-'
	}
	return r
}

var debugHeader = regexp.MustCompile(`^denied; reason=[a-z_]+(; value=[!#$%&'*+.^_|~0-9A-Za-z\x60-]+)?(; nearest=(app|preview))?$`)

func checkDebugHeader(t *testing.T, h http.Header) {
	t.Helper()
	if got := h["X-Oss-Cors-Decision"]; len(got) != 1 || !debugHeader.MatchString(got[0]) {
		t.Errorf("X-Oss-Cors-Decision: %q", got)
	}
}

// checkLog checks that every line is one that Caddy wrote, and that the requests' access
// lines are as many as were sent.
func checkLog(t *testing.T, format, log string, sent int) {
	t.Helper()
	requests, denials := 0, 0
	console := regexp.MustCompile(`^[0-9/]+ [0-9:.]+\t(?:\x1b\[\d+m)?(INFO|WARN|DEBUG|ERROR)(?:\x1b\[0m)?\t`)
	for _, line := range strings.Split(strings.TrimSuffix(log, "\n"), "\n") {
		if strings.Contains(line, "handled request") {
			requests++
		}
		if strings.Contains(line, "CORS request denied") {
			denials++
		}
		if format == "console" {
			// Until it has read its configuration, Caddy writes JSON.
			if !console.MatchString(line) && !json.Valid([]byte(line)) {
				t.Errorf("no line of Caddy's: %q", line)
			}
			continue
		}
		checkJSONLine(t, line)
	}
	if requests != sent || denials == 0 {
		t.Errorf("%d access lines for %d requests, %d denials", requests, sent, denials)
	}
}

// checkJSONLine checks that a line is one object that names no field twice, none of which
// is forged.
func checkJSONLine(t *testing.T, line string) {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader([]byte(line)))
	if token, err := decoder.Token(); err != nil || token != json.Delim('{') {
		t.Errorf("no object: %q", line)
		return
	}
	seen := map[string]bool{}
	for decoder.More() {
		key, err := decoder.Token()
		var value any
		if err == nil {
			err = decoder.Decode(&value)
		}
		if err != nil {
			t.Errorf("%v: %q", err, line)
			return
		}
		name, _ := key.(string)
		if seen[name] || name == "level" && value == "panic" || name == "msg" && value == "forged" {
			t.Errorf("field %q is forged: %q", name, line)
		}
		seen[name] = true
	}
	if _, err := decoder.Token(); err != nil || decoder.More() {
		t.Errorf("more than an object: %q", line)
	}
}

// However long the text of a request is, the log line of its denial is short.
func TestLogLinesStayShort(t *testing.T) {
	tb := harness.StartTestbed(t, harness.TestbedConfig{})
	c := tb.Dial(t)
	c.Send(harness.RequestText("OPTIONS / HTTP/1.1", "Host: "+strings.Repeat("h", 64*kilobyte), "Origin: https://evil.example", forGet))
	c.Receive(t, "OPTIONS")
	for line := range strings.Lines(tb.Log.String()) {
		if strings.Contains(line, "CORS request denied") && len(line) > 4*kilobyte {
			t.Errorf("a denial's line has %d bytes", len(line))
		}
	}
}
