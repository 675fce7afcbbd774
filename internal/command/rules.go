package command

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/caddy-oss-cors/caddy-oss-cors/corsrules"
	"github.com/caddy-oss-cors/caddy-oss-cors/rulesource"
)

// rulesFile is what a command reads from a file with rules.
type rulesFile struct {
	cfg *corsrules.Configuration

	// policy is that of the command, with what an oss_cors directive adds.
	policy corsrules.Policy
}

func addSite(cmd *cobra.Command) {
	cmd.Flags().String("site", "", "which oss_cors directive of a Caddyfile: its site `address`, or its name")
}

func addDialect(cmd *cobra.Command) {
	cmd.Flags().String("dialect", "oss", "as dialect in the Caddyfile, a `name`: oss or s3")
}

// dialectOf returns the command's --dialect, if it has that.
func dialectOf(cmd *cobra.Command) (corsrules.Dialect, error) {
	name, _ := cmd.Flags().GetString("dialect")
	dialect, err := corsrules.DialectNamed(name)
	if err != nil {
		return dialect, usageError("--dialect: " + err.Error())
	}
	return dialect, nil
}

// readRulesByFlags reads the rules of a file for a handler with the command's --dialect, if it has
// that.
func readRulesByFlags(cmd *cobra.Command, file string) (*rulesFile, error) {
	dialect, err := dialectOf(cmd)
	if err != nil {
		return nil, err
	}
	return readRules(cmd, file, corsrules.Policy{Dialect: dialect})
}

// readRules reads the rules of a file for a handler with a policy, within the command's
// --max-rules and of its --site.
func readRules(cmd *cobra.Command, file string, policy corsrules.Policy) (*rulesFile, error) {
	limit, err := maxRules(cmd)
	if err != nil {
		return nil, err
	}
	site, _ := cmd.Flags().GetString("site")
	return readRulesOf(cmd, file, site, corsrules.Options{MaxRules: limit}, policy)
}

// readRulesOf reads a document, or the rule blocks of a Caddyfile's site. The options may have
// limits; the policy has the rest.
func readRulesOf(cmd *cobra.Command, file, site string, opts corsrules.Options, policy corsrules.Policy) (*rulesFile, error) {
	text, err := readFile(cmd, file)
	if err != nil {
		return nil, err
	}
	opts.File = shownName(file)
	opts.Dialect, opts.Credentials = policy.Dialect.Documents(), policy.AllowCredentials
	f, err := parseRules(text, site, opts, policy)
	return f, inFile(err)
}

// inFile introduces faults.
func inFile(err error) error {
	if errors.As(err, new(corsrules.Faults)) {
		return fmt.Errorf("invalid rules:\n%w", err)
	}
	return err
}

func parseRules(text []byte, site string, opts corsrules.Options, policy corsrules.Policy) (*rulesFile, error) {
	if !rulesource.HasRuleBlocks(text) {
		cfg, err := corsrules.Parse(text, opts)
		return &rulesFile{cfg, policy}, err
	}
	directives, err := rulesource.ReadCaddyfile(text, opts.File)
	if err != nil {
		return nil, err
	}
	d, err := choose(directives, site)
	if err != nil {
		return nil, err
	}
	cfg, err := d.Configuration(true, opts.Credentials)
	policy.AllowCredentials = policy.AllowCredentials || d.AllowCredentials
	if d.Dialect != corsrules.DialectOSS {
		policy.Dialect = d.Dialect
	}
	return &rulesFile{cfg, policy}, err
}

// choose returns the directive whose site has an address, or whose name it is; the only one if
// it is empty.
func choose(directives []*rulesource.Directive, site string) (*rulesource.Directive, error) {
	var chosen []*rulesource.Directive
	var all []string
	for _, d := range directives {
		if site == "" || d.Name == site || slices.Contains(strings.Split(d.Site, ", "), site) {
			chosen = append(chosen, d)
		}
		all = append(all, d.String())
	}
	there := strings.Join(all, "; ")
	switch {
	case len(chosen) == 1:
		return chosen[0], nil
	case site == "":
		return nil, usageError("choose one of the oss_cors directives, by its site or name: there are " + there)
	case len(chosen) == 0:
		return nil, usageError(fmt.Sprintf("no site or name is %s: choose one of %s", site, there))
	}
	return nil, usageError(fmt.Sprintf("%d oss_cors directives are of %s: give each the option name, and choose one by it", len(chosen), site))
}

// readFile reads a file, what else can be opened, or the standard input: no more than can be
// rules.
func readFile(cmd *cobra.Command, path string) ([]byte, error) {
	in := cmd.InOrStdin()
	if path != stdin {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	return io.ReadAll(io.LimitReader(in, rulesource.MaxCaddyfileBytes+1))
}
