package report

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/harness"
)

// Duration returns how long each run of a measurement takes, which "make bench", "make soak"
// and "make fuzz" set in an environment variable.
func Duration(t *testing.T, variable string) time.Duration {
	t.Helper()
	value := os.Getenv(variable)
	if value == "" {
		t.Fatalf("%s is not set: how long a measurement takes, such as 2s; make bench, make soak and make fuzz set it", variable)
	}
	d, err := time.ParseDuration(value)
	if err != nil || d <= 0 {
		t.Fatalf("%s=%s: a duration such as 5s is needed", variable, value)
	}
	return d
}

// RequirePrograms fails the test unless these programs are installed. Only measurements need
// them.
func RequirePrograms(t *testing.T, names ...string) {
	t.Helper()
	packages := map[string]string{"taskset": "util-linux", "h2load": "nghttp2-client"}
	var missing []string
	for _, name := range names {
		if _, err := exec.LookPath(name); err != nil {
			if in, ok := packages[name]; ok {
				name = in
			}
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		t.Fatalf("install the programs that this test measures with: sudo apt-get install %s", strings.Join(missing, " "))
	}
}

// WriteSection replaces the text between a section's two marks in a page of docs.
func WriteSection(t *testing.T, page, section, text string) {
	t.Helper()
	path := filepath.Join(harness.RepoRoot, "docs", page)
	old, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	begin, end := "<!-- "+section+" -->\n", "<!-- end of "+section+" -->\n"
	before, rest, ok := strings.Cut(string(old), begin)
	_, after, closed := strings.Cut(rest, end)
	if !ok || !closed {
		t.Fatalf("%s has no section %q", path, section)
	}
	page = before + begin + "\n" + strings.TrimSpace(text) + "\n\n" + end + after
	if err := os.WriteFile(path, []byte(page), 0o666); err != nil {
		t.Fatal(err)
	}
	t.Log("\n" + text)
}

// MarkdownTable writes rows as a Markdown table; the first is its head.
func MarkdownTable(rows [][]string) string {
	var b strings.Builder
	for i, row := range rows {
		fmt.Fprintf(&b, "| %s |\n", strings.Join(row, " | "))
		if i == 0 {
			fmt.Fprintf(&b, "|---|%s\n", strings.Repeat("--:|", len(row)-1))
		}
	}
	return b.String()
}

// Machine describes the machine, its load and the date, for the report of a measurement.
func Machine(t *testing.T, programs ...string) string {
	t.Helper()
	model := "unknown"
	if info, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		if _, rest, ok := strings.Cut(string(info), "model name\t: "); ok {
			model, _, _ = strings.Cut(rest, "\n")
		}
	}
	load := "unknown"
	if text, err := os.ReadFile("/proc/loadavg"); err == nil {
		load, _, _ = strings.Cut(string(text), " ")
	}
	parts := []string{
		fmt.Sprintf("%d cores of %s", runtime.NumCPU(), model),
		runtime.GOOS + "/" + runtime.GOARCH,
		runtime.Version(),
	}
	parts = append(parts, programs...)
	return fmt.Sprintf("Measured on %s; %s. The machine's load in the minute before was %s.",
		time.Now().UTC().Format(time.DateOnly), strings.Join(parts, ", "), load)
}

// VersionOf returns the first line that a program prints about itself.
func VersionOf(t *testing.T, program, flag string) string {
	t.Helper()
	out, _ := exec.Command(program, flag).CombinedOutput() // some exit with an error
	line, _, _ := bytes.Cut(out, []byte("\n"))
	return strings.TrimSpace(string(line))
}

// Series are the results of one measurement, repeated.
type Series []float64

func (s Series) quantile(q float64) float64 {
	sorted := slices.Sorted(slices.Values(s))
	if len(sorted) == 0 {
		return 0
	}
	at := q * float64(len(sorted)-1)
	low := int(at)
	if low+1 == len(sorted) {
		return sorted[low]
	}
	return sorted[low] + (at-float64(low))*(sorted[low+1]-sorted[low])
}

// Median returns the middle of the sorted results.
func (s Series) Median() float64 { return s.quantile(0.5) }

// Over divides by another series, round by round: what slows down a whole round cancels out.
func (s Series) Over(other Series) Series {
	ratios := make(Series, min(len(s), len(other)))
	for i := range ratios {
		ratios[i] = s[i] / other[i]
	}
	return ratios
}

// Ratio formats a series of ratios: the median, and the quartiles.
func (s Series) Ratio() string {
	return fmt.Sprintf("%.3f (%.3f–%.3f)", s.Median(), s.quantile(0.25), s.quantile(0.75))
}
