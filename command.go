package osscors

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/caddy-oss-cors/caddy-oss-cors/corsrules"
	"github.com/caddy-oss-cors/caddy-oss-cors/rulesource"
)

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "oss-cors",
		Usage: "<command>",
		Short: "Explains, tries and checks OSS CORS rules",
		Long: `Explains, tries and checks CORS rules in the format of Alibaba Cloud OSS.

Exit status: 0; 1 for a denial or a finding; 2 where nothing could be judged:
wrong usage, a file that cannot be read, a server that does not answer.`,
		CobraFunc: func(cmd *cobra.Command) {
			cmd.Args = cobra.ArbitraryArgs
			cmd.RunE = func(cmd *cobra.Command, args []string) error {
				if len(args) == 0 {
					return finish(cmd, false, usageError("a command is needed: explain, options or lint"))
				}
				return finish(cmd, false, usageError(fmt.Sprintf("unknown command %q: there are explain, options and lint", args[0])))
			}
			cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
				return finish(cmd, false, usageError(err.Error()))
			})
			cmd.AddCommand(explainCommand(), optionsCommand(), lintCommand())
		},
	})
}

// usageError is wrong usage: the help says what is right.
type usageError string

func (e usageError) Error() string { return string(e) }

// command makes a subcommand of run, which reports whether all is well: if not, the exit
// status is 1. An error makes it 2.
func command(cmd *cobra.Command, argName string, run func(cmd *cobra.Command, arg string) (ok bool, err error)) *cobra.Command {
	cmd.Flags().Bool("json", false, "print JSON, for machines")
	cmd.Flags().SortFlags = false
	cmd.DisableFlagsInUseLine = true
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		switch {
		case argName == "" && len(args) > 0:
			return finish(cmd, false, usageError(fmt.Sprintf("%s takes flags only, and there is %q", cmd.Name(), args[0])))
		case argName != "" && len(args) != 1:
			return finish(cmd, false, usageError(fmt.Sprintf("%s takes exactly one %s, and there are %d arguments", cmd.Name(), argName, len(args))))
		}
		ok, err := run(cmd, strings.Join(args, ""))
		return finish(cmd, ok, err)
	}
	return cmd
}

// finish gives Caddy the exit status, and prints errors itself: Caddy would log them.
func finish(cmd *cobra.Command, ok bool, err error) error {
	cmd.SilenceErrors = true
	if err != nil {
		fmt.Fprintf(cmd.ErrOrStderr(), "Error: %s\n", err)
		if errors.As(err, new(usageError)) {
			fmt.Fprintf(cmd.ErrOrStderr(), "Run '%s --help' for usage.\n", cmd.CommandPath())
		}
		nothingJudged := func(caddycmd.Flags) (int, error) { return 2, nil }
		return caddycmd.WrapCommandFuncForCobra(nothingJudged)(cmd, nil)
	}
	if !ok {
		return errors.New("a denial or a finding") // silent; the exit status is 1
	}
	return nil
}

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
	cmd.Flags().Int("max-rules", corsrules.DefaultMaxRules, "how many rules a document may have, as max_rules in the Caddyfile")
}

func maxRules(cmd *cobra.Command) (int, error) {
	n, _ := cmd.Flags().GetInt("max-rules")
	if n < 1 {
		return 0, usageError(fmt.Sprintf("--max-rules is %d: a whole number from 1 is needed", n))
	}
	return n, nil
}

// readRules reads a rules document from a file, or from what else can be opened.
func readRules(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return corsrules.ReadDocument(f, 0)
}

func explainCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "explain --rules <file> --origin <origin> --method <method> [--headers <names>] [--preflight] [--max-rules <n>] [--json]",
		Short: "Says which rule lets a request through, and why the others do not",
		Long: `Says of a request from another origin what each rule of a document makes of it,
which rule decides, and what to change if none allows it.

Both are judged: the preflight, and the actual request. A browser sends a preflight
unless the method is GET, HEAD or POST and no header is asked for; --preflight, or
--preflight=false, says so itself.

Exit status: 0 if the browser lets the request through, by the preflight if it sends
one, else by the actual request; 1 if not; 2 if nothing could be judged.`,
		Example: `  caddy oss-cors explain --rules cors.xml --origin https://app.example.com --method PUT --headers content-type,x-oss-date`,
	}
	cmd.Flags().String("rules", "", "the rules `file`")
	cmd.Flags().String("origin", "", "the page's `origin`, such as https://app.example.com")
	cmd.Flags().String("method", "", "the request's `method`")
	cmd.Flags().String("headers", "", "the `names` of the headers that a script sets, with commas between them")
	cmd.Flags().Bool("preflight", false, "whether the browser sends a preflight; without this, as its rules say")
	addMaxRules(cmd)
	return command(cmd, "", runExplain)
}

func runExplain(cmd *cobra.Command, _ string) (allowed bool, err error) {
	values, err := required(cmd, "rules", "origin", "method")
	if err != nil {
		return false, err
	}
	file, q := values[0], explainRequest{Origin: values[1], Method: values[2]}
	if headers, _ := cmd.Flags().GetString("headers"); headers != "" {
		q.RequestHeaders = []string{headers}
	}
	if cmd.Flags().Changed("preflight") {
		preflight, _ := cmd.Flags().GetBool("preflight")
		q.Preflight = &preflight
	}
	limit, err := maxRules(cmd)
	if err != nil {
		return false, err
	}
	doc, err := readRules(file)
	if err != nil {
		return false, err
	}
	cfg, err := corsrules.Parse(doc, corsrules.Options{File: file, MaxRules: limit})
	if err != nil {
		return false, fmt.Errorf("the rules are not good:\n%w", err)
	}
	e := explain(new(Handler), &rulesource.Rules{Ruleset: corsrules.Compile(cfg), Name: file}, q)
	return e.Allowed, printResult(cmd, e, func(p *printer) { p.explanation(e) })
}

// printResult prints a result: as JSON if the user wants that, else as text does.
func printResult(cmd *cobra.Command, result any, text func(*printer)) error {
	if asJSON, _ := cmd.Flags().GetBool("json"); asJSON {
		return writeJSON(cmd.OutOrStdout(), result)
	}
	p := &printer{colored: isTerminal(cmd.OutOrStdout())}
	text(p)
	_, err := p.WriteTo(cmd.OutOrStdout())
	return err
}

func writeJSON(w io.Writer, result any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(result)
}

// isTerminal reports whether a person reads w who has not asked for plain text
// (https://no-color.org).
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd())) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}
