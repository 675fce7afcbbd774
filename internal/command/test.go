package command

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"github.com/caddy-oss-cors/caddy-oss-cors/corsrules"
	"github.com/caddy-oss-cors/caddy-oss-cors/internal/explain"
)

// maxTestFile bounds a file of tests, in bytes: thousands of tests fit in.
const maxTestFile = 1 << 20

func testCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "test <file>… [--json]",
		Short: "Tests rules against a table of requests and expected results",
		Long: `Runs the tests in YAML files: each is a request, and what the rules should decide.

  rules: cors.xml                  # a document or a Caddyfile, by a path relative to this file
  site: api.example.com            # of a Caddyfile with several sites; may be left out
  response_vary: false             # these three as in the Caddyfile
  allow_credentials: false
  dialect: oss
  max_rules: 10
  tests:
    - name: The app uploads
      origin: https://app.example.com
      method: PUT
      headers: [content-type]      # as --headers of explain; may be left out
      preflight: true              # may be left out, as in explain
      allowed_by: app              # the rule's name; or
      denied_for: header           # a reason: origin, method, header, malformed
      value: x-foo                 # the value that the rules do not allow, with denied_for; may be left out
      response_headers:            # those that matter; "" is one that must be absent
        Access-Control-Max-Age: "600"

What is expected is the preflight's result if a browser sends one, else the actual
request's.

Exit status: 0 if all tests pass; 1 if one fails; 2 if a file could not be read or is not
understood.`,
		Example: `  caddy oss-cors test cors.test.yaml`,
	}
	return commandOfMany(cmd, runTest)
}

// testFile is a file of tests.
type testFile struct {
	Rules            string        `yaml:"rules"`
	Site             string        `yaml:"site"`
	ResponseVary     bool          `yaml:"response_vary"`
	AllowCredentials bool          `yaml:"allow_credentials"`
	Dialect          string        `yaml:"dialect"`
	MaxRules         int           `yaml:"max_rules"`
	Tests            []expectation `yaml:"tests"`
}

// expectation is one test.
type expectation struct {
	Name            string            `yaml:"name"`
	Origin          string            `yaml:"origin"`
	Method          string            `yaml:"method"`
	Headers         []string          `yaml:"headers"`
	Preflight       *bool             `yaml:"preflight"`
	AllowedBy       string            `yaml:"allowed_by"`
	DeniedFor       string            `yaml:"denied_for"`
	Value           string            `yaml:"value"`
	ResponseHeaders map[string]string `yaml:"response_headers"`

	line int
}

// testResult is what "caddy oss-cors test" prints.
type testResult struct {
	Tests    int           `json:"tests"`
	Failures []testFailure `json:"failures"`
}

type testFailure struct {
	File     string `json:"file"`
	Line     int    `json:"line"`
	Name     string `json:"name"`
	Request  string `json:"request"`
	Expected string `json:"expected"`
	Got      string `json:"got"`

	// Advice says what to change so that a denied request is allowed.
	Advice string `json:"advice,omitempty"`
}

func runTest(cmd *cobra.Command, files []string) (passed bool, err error) {
	if len(files) == 0 {
		return false, usageError("test needs a file of tests")
	}
	result := testResult{Failures: []testFailure{}}
	for _, file := range files {
		tests, err := readTests(file)
		if err != nil {
			return false, err
		}
		rules, policy, err := tests.compile(cmd, file)
		if err != nil {
			return false, err
		}
		result.Tests += len(tests.Tests)
		for _, test := range tests.Tests {
			for _, failure := range test.run(rules, policy) {
				failure.File = file
				result.Failures = append(result.Failures, failure)
			}
		}
	}
	return len(result.Failures) == 0, printResult(cmd, result, func(p *printer) { p.testResult(result) })
}

func readTests(file string) (*testFile, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxTestFile+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxTestFile {
		return nil, fmt.Errorf("%s: more than %d bytes: split it", file, maxTestFile)
	}
	tests, err := parseTests(string(text))
	if err != nil && len(text) > 0 && !beginsTests.Match(text) {
		return nil, fmt.Errorf("%s is not a file of tests: YAML with the fields rules and tests is needed (caddy oss-cors test --help)", file)
	}
	if err != nil {
		return nil, yamlError(file, err)
	}
	return tests, nil
}

// beginsTests matches what has a field of a file of tests, in YAML or in its form that is JSON.
var beginsTests = regexp.MustCompile(`(?m)^[ {]*"?(rules|tests)"?[ ]*:`)

func parseTests(text string) (*testFile, error) {
	tests := new(testFile)
	decoder := yaml.NewDecoder(strings.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(tests); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, errors.New("the file is empty")
		}
		return nil, err
	}
	if err := decoder.Decode(new(any)); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is more after the first YAML document")
	}
	switch {
	case tests.Rules == "":
		return nil, errors.New("rules is needed: the file with the rules")
	case len(tests.Tests) == 0:
		return nil, errors.New("tests is needed: at least one test")
	case tests.MaxRules < 0:
		return nil, fmt.Errorf("max_rules is %d: a whole number from 1 is needed", tests.MaxRules)
	}
	lines, err := linesOfTests(text)
	if err != nil {
		return nil, err
	}
	var faults []error
	for i := range tests.Tests {
		test := &tests.Tests[i]
		test.line = lines[i]
		if problem := test.problem(); problem != "" {
			faults = append(faults, fmt.Errorf("line %d: %s", test.line, problem))
		}
	}
	return tests, errors.Join(faults...)
}

// linesOfTests returns the line of each element of tests, in their order.
func linesOfTests(text string) (lines []int, err error) {
	var nodes struct {
		Tests []yaml.Node `yaml:"tests"`
	}
	err = yaml.Unmarshal([]byte(text), &nodes)
	for _, node := range nodes.Tests {
		lines = append(lines, node.Line)
	}
	return lines, err
}

// testedReasons are those for which a request with origin and method can be denied by rules
// that are there.
var testedReasons = []string{"origin", "method", "header", "malformed"}

// problem says what is wrong with a test; "" if nothing is.
func (e *expectation) problem() string {
	switch {
	case e.Origin == "" || e.Method == "":
		return "a test needs origin and method"
	case (e.AllowedBy == "") == (e.DeniedFor == ""):
		return "a test needs either allowed_by or denied_for"
	case e.DeniedFor != "" && !slices.Contains(testedReasons, e.DeniedFor):
		return fmt.Sprintf("denied_for is %q: the reasons are %s", e.DeniedFor, strings.Join(testedReasons, ", "))
	case e.Value != "" && e.DeniedFor == "":
		return "value is for denied_for only"
	}
	return ""
}

// compile compiles the rules that a file of tests names, and says what responses have.
func (tests *testFile) compile(cmd *cobra.Command, file string) (*corsrules.Ruleset, corsrules.Policy, error) {
	policy := corsrules.Policy{ResponseVary: tests.ResponseVary, AllowCredentials: tests.AllowCredentials}
	var err error
	if policy.Dialect, err = corsrules.DialectNamed(tests.Dialect); err != nil {
		return nil, policy, fmt.Errorf("%s: %w", file, err)
	}
	path := tests.Rules
	if !filepath.IsAbs(path) {
		path = filepath.Join(filepath.Dir(file), path)
	}
	rules, err := readRulesOf(cmd, path, tests.Site, corsrules.Options{MaxRules: tests.MaxRules}, policy)
	if errors.As(err, new(*fs.PathError)) {
		err = fmt.Errorf("rules of %s: %w", file, err)
	}
	if err != nil {
		return nil, policy, err
	}
	return corsrules.Compile(rules.cfg), rules.policy, nil
}

// run returns how the rules fail the test.
func (e *expectation) run(rules *corsrules.Ruleset, policy corsrules.Policy) (failures []testFailure) {
	got := explain.New(rules, policy, explain.Request{Origin: e.Origin, Method: e.Method, Headers: e.Headers, Preflight: e.Preflight})
	decision := got.Actual
	if got.PreflightNeeded {
		decision = got.Preflight
	}
	fail := func(expected, got, advice string) {
		request := e.Method + " from " + e.Origin
		if len(e.Headers) > 0 {
			request += ", asking for " + strings.Join(e.Headers, ", ")
		}
		failures = append(failures, testFailure{Line: e.line, Name: e.Name, Request: request, Expected: expected, Got: got, Advice: advice})
	}
	if decision.Rule != e.AllowedBy || decision.Reason != e.DeniedFor || e.Value != "" && decision.Value != e.Value {
		advice := decision.Advice
		if e.DeniedFor != "" {
			advice = ""
		}
		fail(outcomeInWords(e.AllowedBy, e.DeniedFor, e.Value, ""), outcomeInWords(decision.Rule, decision.Reason, decision.Value, decision.Nearest), advice)
		return failures
	}
	for name, want := range e.ResponseHeaders {
		if value := header(decision.ResponseHeaders, name); value != want {
			fail(name+": "+sent(want), name+": "+sent(value), "")
		}
	}
	slices.SortFunc(failures, func(a, b testFailure) int { return strings.Compare(a.Expected, b.Expected) })
	return failures
}

// header returns a header's value, whatever the case of its name.
func header(headers map[string]string, name string) string {
	for key, value := range headers {
		if strings.EqualFold(key, name) {
			return value
		}
	}
	return ""
}

func outcomeInWords(rule, reason, value, nearest string) string {
	if rule != "" {
		return "allowed by rule " + rule
	}
	text := "denied for " + reason
	if value != "" {
		text += " " + value
	}
	if nearest != "" {
		text += "; the nearest is rule " + nearest
	}
	return text
}

func (p *printer) testResult(result testResult) {
	for _, f := range result.Failures {
		p.linef("%s %s:%d: %s", p.color(red, "FAILED"), printable(f.File), f.Line, p.color(bold, printable(f.Name)))
		p.linef("  %s", printable(f.Request))
		p.linef("    expected: %s", printable(f.Expected))
		p.linef("         got: %s", printable(f.Got))
		if f.Advice != "" {
			p.linef("    To allow it, %s.", printable(f.Advice))
		}
	}
	p.linef("%s, %s.", count(result.Tests, "test"), count(len(result.Failures), "failure"))
}
