package command

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/caddy-oss-cors/caddy-oss-cors/corsrules"
)

func diffCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "diff <old> <new> [--max-rules <n>] [--json]",
		Short: "Shows what a new rules document allows and denies that the old one does not",
		Long: `Compares two rules documents by what they decide: what becomes allowed, what becomes
denied, and which response headers differ, by origin, method and request header. It is
complete, as it is found from the patterns of both documents and not by trying requests.

A pattern stands for the origins or header names that nothing narrower in the same list,
or after "except", matches. One of the two documents may be -, the standard input.

Exit status: 0 if nothing changes; 1 if something does; 2 if a document could not be read.`,
		Example: `  caddy oss-cors diff cors.xml cors-new.xml
  git show HEAD:cors.xml | caddy oss-cors diff - cors.xml`,
	}
	addMaxRules(cmd)
	return commandOfMany(cmd, runDiff)
}

// diffResult is what "caddy oss-cors diff" prints.
type diffResult struct {
	Changes []corsrules.Change `json:"changes"`
}

func runDiff(cmd *cobra.Command, files []string) (same bool, err error) {
	if len(files) != 2 {
		return false, usageError(fmt.Sprintf("diff takes exactly two documents, the old and the new, and there are %d arguments", len(files)))
	}
	before, err := compileFile(cmd, files[0], corsrules.Policy{})
	if err != nil {
		return false, err
	}
	after, err := compileFile(cmd, files[1], corsrules.Policy{})
	if err != nil {
		return false, err
	}
	result := diffResult{Changes: append([]corsrules.Change{}, corsrules.Diff(before, after)...)}
	return len(result.Changes) == 0, printResult(cmd, result, func(p *printer) { p.diff(result) })
}

// compileFile reads the rules of a command, within its --max-rules, for a handler with a
// policy.
func compileFile(cmd *cobra.Command, file string, policy corsrules.Policy) (*corsrules.Ruleset, error) {
	limit, err := maxRules(cmd)
	if err != nil {
		return nil, err
	}
	dialect := policy.Dialect.Documents()
	if !cmd.Flags().Changed("max-rules") {
		limit = dialect.DefaultMaxRules()
	}
	doc, err := readRules(cmd, file)
	if err != nil {
		return nil, err
	}
	if file == stdin {
		file = standardInput
	}
	cfg, err := corsrules.Parse(doc, corsrules.Options{File: file, MaxRules: limit, Dialect: dialect, Credentials: policy.AllowCredentials})
	if err != nil {
		return nil, fmt.Errorf("invalid rules:\n%w", err)
	}
	return corsrules.Compile(cfg), nil
}
