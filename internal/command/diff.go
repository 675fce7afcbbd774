package command

import (
	"cmp"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/caddy-oss-cors/caddy-oss-cors/corsrules"
)

func diffCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "diff <old> <new> [--dialect oss|s3] [--site <address>] [--max-rules <n>] [--json]",
		Short: "Shows what new rules allow and deny that the old ones do not",
		Long: `Compares two rules documents by what they decide: what becomes allowed, what becomes
denied, and which response headers differ, by origin, method and request header. It is
complete, as it is found from the patterns of both documents and not by trying requests.

A pattern stands for the origins or header names that nothing narrower in the same list,
or after "except", matches. A document may be a Caddyfile with rules in it, and one of the
two may be -, the standard input.

Exit status: 0 if nothing changes; 1 if something does; 2 if a document could not be read,
or they differ in more ways than anybody reads.`,
		Example: `  caddy oss-cors diff cors.xml cors-new.xml
  git show HEAD:Caddyfile | caddy oss-cors diff - Caddyfile`,
	}
	addDialect(cmd)
	addSite(cmd)
	addMaxRules(cmd)
	return commandOfMany(cmd, runDiff)
}

// diffResult is what "caddy oss-cors diff" prints.
type diffResult struct {
	Changes []corsrules.Change `json:"changes"`
}

func runDiff(cmd *cobra.Command, files []string) (same bool, err error) {
	if len(files) != 2 {
		return false, usageError(fmt.Sprintf("diff takes exactly two documents, the old and the new, and there %s", areArguments(len(files))))
	}
	before, err := readRulesByFlags(cmd, files[0])
	if err != nil {
		return false, err
	}
	after, err := readRulesByFlags(cmd, files[1])
	if err != nil {
		return false, err
	}
	dialect := cmp.Or(before.policy.Dialect, after.policy.Dialect) // a document does not say it
	changes, err := dialect.Diff(corsrules.Compile(before.cfg), corsrules.Compile(after.cfg))
	if err != nil {
		return false, err
	}
	changes = append(changes, credentialsChange(before, after)...)
	result := diffResult{Changes: append([]corsrules.Change{}, changes...)}
	return len(result.Changes) == 0, printResult(cmd, result, func(p *printer) { p.diff(result) })
}

// credentialsChange compares allow_credentials of two oss_cors directives. A document does not
// say it.
func credentialsChange(before, after *rulesFile) []corsrules.Change {
	was, is := before.policy.AllowCredentials, after.policy.AllowCredentials
	inBlocks := before.cfg.Form == corsrules.FormBlocks && after.cfg.Form == corsrules.FormBlocks
	if !inBlocks || was == is {
		return nil
	}
	value := map[bool]string{true: "true"}
	return []corsrules.Change{{
		Kind: corsrules.NowDifferent, Origins: []string{"*"}, Methods: corsrules.Methods,
		Response: []corsrules.HeaderChange{{Name: "Access-Control-Allow-Credentials", Before: value[was], After: value[is]}},
	}}
}
