package command

import (
	"github.com/spf13/cobra"

	"github.com/caddy-oss-cors/caddy-oss-cors/corsrules"
	"github.com/caddy-oss-cors/caddy-oss-cors/internal/explain"
)

func explainCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "explain --rules <file> --origin <origin> --method <method> [--headers <headers>] [--preflight] [--verbatim] [--response-vary] [--allow-credentials] [--max-rules <n>] [--json]",
		Short: "Shows which rule allows a request, and why the others do not match",
		Long: `Shows what each rule of a document says of a request from another origin, which rule
decides, which headers the response gets, and what to change if no rule allows it.

What a browser would send is evaluated: --origin may be the address of a page, and
--headers may be lines "Name: value" as developer tools show them. Headers that a browser
sets itself or that need no preflight (CORS-safelisted, such as Accept) are left out, and
the output says so. --verbatim evaluates the values exactly as they are.

Both requests are evaluated: the preflight and the actual request. A browser sends a
preflight unless the method is GET, HEAD or POST and no header is left;
--preflight or --preflight=false overrides this.

Exit status: 0 if the browser allows the request, by the preflight if it sends one,
else by the actual request; 1 if not; 2 if nothing could be evaluated.`,
		Example: `  caddy oss-cors explain --rules cors.xml --origin https://app.example.com --method PUT --headers content-type,x-oss-date
  caddy oss-cors explain --rules cors.xml --origin https://app.example.com/upload --method POST --headers "Content-Type: application/json"`,
	}
	cmd.Flags().String("rules", "", "the rules `file`, or - for the standard input")
	cmd.Flags().String("origin", "", "the page's `origin`, such as https://app.example.com, or its address")
	cmd.Flags().String("method", "", "the request's `method`")
	cmd.Flags().StringArray("headers", nil, "the `headers` that a script sets: names with commas between them, or lines \"Name: value\"; may be repeated")
	cmd.Flags().Bool("preflight", false, "whether the browser sends a preflight; without this flag, as the Fetch standard says")
	cmd.Flags().Bool("verbatim", false, "evaluate origin, method and headers exactly as given, not what a browser would send")
	cmd.Flags().Bool("response-vary", false, "as response_vary in the Caddyfile")
	cmd.Flags().Bool("allow-credentials", false, "as allow_credentials in the Caddyfile")
	addMaxRules(cmd)
	return command(cmd, "", runExplain)
}

func runExplain(cmd *cobra.Command, _ string) (allowed bool, err error) {
	values, err := required(cmd, "rules", "origin", "method")
	if err != nil {
		return false, err
	}
	file := values[0]
	q := explain.Request{Ruleset: file, Origin: values[1], Method: values[2]}
	q.Headers, _ = cmd.Flags().GetStringArray("headers")
	q.Verbatim, _ = cmd.Flags().GetBool("verbatim")
	if cmd.Flags().Changed("preflight") {
		preflight, _ := cmd.Flags().GetBool("preflight")
		q.Preflight = &preflight
	}
	var policy corsrules.Policy
	policy.ResponseVary, _ = cmd.Flags().GetBool("response-vary")
	policy.AllowCredentials, _ = cmd.Flags().GetBool("allow-credentials")
	rules, err := compileFile(cmd, file, policy.AllowCredentials)
	if err != nil {
		return false, err
	}
	e := explain.New(rules, policy, q)
	return e.Allowed, printResult(cmd, e, func(p *printer) { p.explanation(e) })
}
