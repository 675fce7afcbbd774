package command

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/caddy-oss-cors/caddy-oss-cors/corsrules"
	"github.com/caddy-oss-cors/caddy-oss-cors/rulesource"
)

func lintCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "lint <file or directory>… [--ignore <codes>] [--dialect oss|s3] [--max-rules <n>] [--json]",
		Short: "Finds what is wrong in rules, and what is legal and yet unwise",
		Long: `Finds what is wrong in rules documents, in the rules of a Caddyfile, or in each
*.xml of a directory, and what is legal and yet unwise: rules that no request can reach,
origins that no browser sends, a * that lets strangers in. - is the standard input. Each
finding says what to write instead, and ends with a code, which --ignore takes:

` + indentCodes() + `
Exit status: 0 if there is nothing; 1 if there are findings; 2 if a file could not be
read.`,
		Example: `  caddy oss-cors lint cors.xml
  caddy oss-cors lint rules/ more.xml --ignore echo-without-vary,wide-origin
  git show HEAD:cors.xml | caddy oss-cors lint -`,
	}
	cmd.Flags().StringSlice("ignore", nil, "findings to leave out, by their `codes`, with commas between them")
	addDialect(cmd)
	addMaxRules(cmd)
	return commandOfMany(cmd, runLint)
}

func indentCodes() string {
	return "  " + strings.Join(corsrules.LintCodes, "\n  ") + "\n"
}

// lintResult is what "caddy oss-cors lint" finds.
type lintResult struct {
	Documents int           `json:"documents"`
	Findings  []lintFinding `json:"findings"`
}

// lintFinding is a finding, or a fault: that has no advice, but the Code and the EC of
// OSS's answer.
type lintFinding struct {
	corsrules.Finding
	OSSCode string `json:"oss_code,omitempty"`
	EC      string `json:"ec,omitempty"`
}

// badDocument is the code of faults, which cannot be ignored.
const badDocument = "bad-document"

func runLint(cmd *cobra.Command, paths []string) (clean bool, err error) {
	if len(paths) == 0 {
		return false, usageError("lint needs a file or directory, or - for the standard input")
	}
	ignored, _ := cmd.Flags().GetStringSlice("ignore")
	for _, code := range ignored {
		if !slices.Contains(corsrules.LintCodes, code) {
			return false, usageError(fmt.Sprintf("--ignore %s is not a code of lint: choose one of %s", code, strings.Join(corsrules.LintCodes, ", ")))
		}
	}
	opts, err := documentOptions(cmd)
	if err != nil {
		return false, err
	}
	var files []string
	for _, path := range paths {
		more, err := documents(cmd, path)
		if err != nil {
			return false, err
		}
		files = append(files, more...)
	}
	if opts.Dialect != corsrules.DialectOSS { // what it allows has Vary anyway
		ignored = append(ignored, corsrules.LintEchoWithoutVary)
	}
	result := lintResult{Documents: len(files), Findings: []lintFinding{}}
	for _, file := range files {
		found, err := lintFile(cmd, file, opts)
		if err != nil {
			return false, err
		}
		for _, f := range found {
			if !slices.Contains(ignored, f.Code) {
				result.Findings = append(result.Findings, f)
			}
		}
	}
	return len(result.Findings) == 0, printResult(cmd, result, func(p *printer) { p.lintResult(result) })
}

// documentOptions returns what the flags say of documents.
func documentOptions(cmd *cobra.Command) (corsrules.Options, error) {
	dialect, err := dialectOf(cmd)
	if err != nil {
		return corsrules.Options{}, err
	}
	limit, err := maxRules(cmd)
	return corsrules.Options{Dialect: dialect.Documents(), MaxRules: limit}, err
}

// documents returns the path itself or, of a directory, its *.xml. It notes files there that look
// like buckets' documents and are not.
func documents(cmd *cobra.Command, path string) ([]string, error) {
	if path == stdin {
		return []string{path}, nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, err
	}
	var files, names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
		if strings.HasSuffix(entry.Name(), ".xml") && !entry.IsDir() {
			files = append(files, filepath.Join(path, entry.Name()))
		}
	}
	if stray := rulesource.StrayFiles(names); len(stray) > 0 {
		fmt.Fprintf(cmd.ErrOrStderr(), "Note: rules directory would never read these files in %s: %s; %s.\n", path, printable(strings.Join(stray, ", ")), rulesource.WhyStray)
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%s has no *.xml, which rules documents are", path)
	}
	return files, nil
}

// lintFile returns the findings of a document or of each oss_cors directive of a Caddyfile;
// where it is bad, its faults.
func lintFile(cmd *cobra.Command, file string, opts corsrules.Options) ([]lintFinding, error) {
	doc, err := readFile(cmd, file)
	if err != nil {
		return nil, err
	}
	if opts.File = shownName(file); !rulesource.HasRuleBlocks(doc) {
		return lintFindings(corsrules.Lint(doc, opts)), nil
	}
	directives, err := rulesource.ReadCaddyfile(doc, opts.File)
	if err != nil {
		return nil, err
	}
	var all []lintFinding
	for _, d := range directives {
		cfg, err := d.Configuration(true, false)
		if err != nil {
			all = append(all, lintFindings(nil, err)...)
			continue
		}
		all = append(all, lintFindings(d.Lint(cfg), nil)...)
	}
	return all, nil
}

func lintFindings(findings []corsrules.Finding, err error) (all []lintFinding) {
	for _, f := range findings {
		all = append(all, lintFinding{Finding: f})
	}
	var faults corsrules.Faults
	errors.As(err, &faults)
	for _, f := range faults {
		all = append(all, lintFinding{
			Finding: corsrules.Finding{File: f.File, Line: f.Line, Column: f.Column, Code: badDocument, Message: f.Message},
			OSSCode: f.Code,
			EC:      f.EC,
		})
	}
	return all
}
