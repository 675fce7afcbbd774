// Package command has the commands "caddy oss-cors …".
package command

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/caddy-oss-cors/caddy-oss-cors/corsrules"
	"github.com/caddy-oss-cors/caddy-oss-cors/internal/explain"
)

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "oss-cors",
		Usage: "<command>",
		Short: "Explains, tries, checks, compares, tests and converts OSS CORS rules",
		Long: `Explains, tries, checks, compares, tests and converts CORS rules in the format of Alibaba Cloud OSS.

Exit status: 0; 1 for a denial, a finding, a change or a failed test; 2 where nothing
could be evaluated: wrong usage, a file that cannot be read, a server that does not
answer.`,
		CobraFunc: func(cmd *cobra.Command) {
			cmd.Args = cobra.ArbitraryArgs
			cmd.RunE = func(cmd *cobra.Command, args []string) error {
				if len(args) == 0 {
					return exit(cmd, false, usageError("a command is needed: "+commandNames(cmd)))
				}
				return exit(cmd, false, usageError(fmt.Sprintf("unknown command %q: there are %s", args[0], commandNames(cmd))))
			}
			cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
				return exit(cmd, false, usageError(flagProblems.Replace(err.Error())))
			})
			cmd.AddCommand(
				explainCommand(),
				optionsCommand(),
				lintCommand(),
				diffCommand(),
				testCommand(),
				replayCommand(),
				convertCommand(),
				consoleCommand(),
				statusCommand(),
				watchCommand(),
			)
		},
	})
}

func commandNames(cmd *cobra.Command) string {
	var names []string
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() && sub.Name() != "help" && sub.Name() != "completion" {
			names = append(names, sub.Name())
		}
	}
	return strings.Join(names, ", ")
}

// usageError is wrong usage: the help says what is right.
type usageError string

func (e usageError) Error() string { return string(e) }

// command makes a subcommand of run, which takes one argument, or none where argName is
// empty. run reports whether all is well: if not, the exit status is 1. An error makes it 2.
func command(cmd *cobra.Command, argName string, run func(cmd *cobra.Command, arg string) (ok bool, err error)) *cobra.Command {
	return commandOfMany(cmd, func(cmd *cobra.Command, args []string) (bool, error) {
		switch {
		case argName == "" && len(args) > 0:
			return false, usageError(fmt.Sprintf("%s takes flags only, and there is %q", cmd.Name(), args[0]))
		case argName != "" && len(args) != 1:
			return false, usageError(fmt.Sprintf("%s takes exactly one %s, and there %s", cmd.Name(), argName, areArguments(len(args))))
		}
		return run(cmd, strings.Join(args, ""))
	})
}

func areArguments(n int) string {
	if n == 1 {
		return "is 1 argument"
	}
	return fmt.Sprintf("are %d arguments", n)
}

// commandOfMany is as command, for a subcommand with any number of arguments.
func commandOfMany(cmd *cobra.Command, run func(cmd *cobra.Command, args []string) (ok bool, err error)) *cobra.Command {
	cmd.Flags().Bool("json", false, "print JSON, for machines")
	cmd.Flags().SortFlags = false
	cmd.DisableFlagsInUseLine = true
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := stdinOnce(cmd, args); err != nil {
			return exit(cmd, false, err)
		}
		ok, err := run(cmd, args)
		return exit(cmd, ok, err)
	}
	return cmd
}

// stdinOnce reports that the standard input is named more than once. What reads it later would
// find nothing, which can look as if all were well.
func stdinOnce(cmd *cobra.Command, args []string) error {
	named := slices.Clone(args)
	for _, flag := range []string{"rules", "live", "curl", "har"} {
		file, _ := cmd.Flags().GetString(flag) // "" without that flag
		named = append(named, file)
	}
	if first := slices.Index(named, stdin); first >= 0 && slices.Contains(named[first+1:], stdin) {
		return usageError("- is given more than once: the standard input can be read once; name a file")
	}
	return nil
}

// exit gives Caddy the exit status, and prints errors itself: Caddy would log them.
func exit(cmd *cobra.Command, ok bool, err error) error {
	cmd.SilenceErrors = true
	if err != nil {
		fmt.Fprintf(cmd.ErrOrStderr(), "Error: %s\n", err)
		if errors.As(err, new(usageError)) {
			fmt.Fprintf(cmd.ErrOrStderr(), "Run '%s --help' for usage.\n", cmd.CommandPath())
		}
		nothingEvaluated := func(caddycmd.Flags) (int, error) { return 2, nil }
		return caddycmd.WrapCommandFuncForCobra(nothingEvaluated)(cmd, nil)
	}
	if !ok {
		return errors.New("a denial or a finding") // silent; the exit status is 1
	}
	return nil
}

// flagProblems takes the names of Go's functions out of what is said of a flag's value.
var flagProblems = strings.NewReplacer(
	"strconv.ParseInt: parsing", "a whole number is needed, not",
	"strconv.ParseBool: parsing", "true or false is needed, not",
	": invalid syntax", "",
	": value out of range", "",
)

// required returns the values of flags, and an error where one is missing or empty.
func required(cmd *cobra.Command, names ...string) ([]string, error) {
	values := make([]string, len(names))
	var missing []string
	for i, name := range names {
		if values[i], _ = cmd.Flags().GetString(name); strings.TrimSpace(values[i]) == "" {
			missing = append(missing, "--"+name)
		}
	}
	if len(missing) > 0 {
		return nil, usageError("missing " + strings.Join(missing, " and ") + ", which " + cmd.Name() + " needs")
	}
	return values, nil
}

func addMaxRules(cmd *cobra.Command) {
	cmd.Flags().Int("max-rules", 0, fmt.Sprintf("how many rules a document may have, as max_rules in the Caddyfile; default: %d, or %d with --dialect s3",
		corsrules.DefaultMaxRules, corsrules.DefaultMaxS3Rules))
}

// maxRules returns the command's --max-rules; 0 without that: the dialect's.
func maxRules(cmd *cobra.Command) (int, error) {
	n, _ := cmd.Flags().GetInt("max-rules")
	if n < 1 && cmd.Flags().Changed("max-rules") {
		return 0, usageError(fmt.Sprintf("--max-rules is %d: a whole number from 1 is needed", n))
	}
	return n, nil
}

// stdin is the argument that stands for the standard input.
const stdin = "-"

// shownName is how messages name a file.
func shownName(file string) string {
	if file == stdin {
		return "<standard input>"
	}
	return file
}

// printResult prints a result: as JSON if the user wants that, else as text does.
func printResult(cmd *cobra.Command, result any, text func(*printer)) error {
	if asJSON, _ := cmd.Flags().GetBool("json"); asJSON {
		return explain.WriteJSON(cmd.OutOrStdout(), result)
	}
	p := &printer{colored: isTerminal(cmd.OutOrStdout())}
	text(p)
	_, err := p.WriteTo(cmd.OutOrStdout())
	return err
}

// isTerminal reports whether a person reads w who has not asked for plain text
// (https://no-color.org).
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd())) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}
