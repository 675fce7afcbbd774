package command

import (
	"cmp"
	"io"
	"net/http"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/caddy-oss-cors/caddy-oss-cors/corsrules"
	"github.com/caddy-oss-cors/caddy-oss-cors/internal/explain"
)

func explainCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "explain --rules <file>|--ruleset <name> --origin <origin> --method <method>|--curl <command>|--har <file> [--headers <headers>] [--preflight] [--verbatim] [--response-vary] [--allow-credentials] [--dialect oss|s3] [--site <address>] [--max-rules <n>] [--address <admin>] [--json]",
		Short: "Shows which rule allows a request, and why the others do not match",
		Long: `Shows what each rule of a document says of a request from another origin, which rule
decides, which headers the response gets, and what to change if no rule allows it.

What a browser would send is evaluated: --origin may be the address of a page, and
--headers may be lines "Name: value" as developer tools show them. Headers that a browser
sets itself or that need no preflight (CORS-safelisted, such as Accept) are left out, and
the output says so. --verbatim evaluates the values exactly as they are.

The rules are a document's or those in a Caddyfile, as rule blocks or inline (--rules), or
those in force of a running Caddy (--ruleset).
Instead of --origin and --method, --curl and --har take what browsers copy.

Both requests are evaluated: the preflight and the actual request. A browser sends a
preflight unless the method is GET, HEAD or POST and no header is left;
--preflight or --preflight=false overrides this.

Exit status: 0 if the browser allows the request, by the preflight if it sends one,
else by the actual request; 1 if not; 2 if nothing could be evaluated.`,
		Example: `  caddy oss-cors explain --rules cors.xml --origin https://app.example.com --method PUT --headers content-type,x-oss-date
  caddy oss-cors explain --rules cors.xml --origin https://app.example.com/upload --method POST --headers "Content-Type: application/json"
  caddy oss-cors explain --ruleset cors.xml --har upload.har`,
	}
	cmd.Flags().String("rules", "", "the rules `file`, or - for the standard input")
	cmd.Flags().String("ruleset", "", "the `name` of a running Caddy's rule set, or a bucket")
	cmd.Flags().String("origin", "", "the page's `origin`, such as https://app.example.com, or its address")
	cmd.Flags().String("method", "", "the request's `method`")
	cmd.Flags().StringArray("headers", nil, "the `headers` that a script sets: names with commas between them, or lines \"Name: value\"; may be repeated")
	cmd.Flags().String("curl", "", "a `command` that a browser copied as cURL (bash), or - for the standard input, which may also be a fetch() call or a line of the browser's console")
	cmd.Flags().String("har", "", "a `file` with an HTTP archive, or - for the standard input: every request with an Origin is explained")
	cmd.Flags().Bool("preflight", false, "whether the browser sends a preflight; without this flag, as the Fetch standard says")
	cmd.Flags().Bool("verbatim", false, "evaluate origin, method and headers exactly as given, not what a browser would send")
	cmd.Flags().Bool("response-vary", false, "as response_vary in the Caddyfile")
	cmd.Flags().Bool("allow-credentials", false, "as allow_credentials in the Caddyfile")
	addDialect(cmd)
	addSite(cmd)
	addMaxRules(cmd)
	addAddress(cmd)
	return command(cmd, "", runExplain)
}

func runExplain(cmd *cobra.Command, _ string) (allowed bool, err error) {
	if err := bothGiven(cmd); err != nil {
		return false, err
	}
	explainer, err := newExplainer(cmd)
	if err != nil {
		return false, err
	}
	requests, err := requestsOf(cmd)
	if err != nil {
		return false, err
	}
	allowed = true
	explanations := make([]explain.Explanation, len(requests))
	for i, q := range requests {
		if explanations[i], err = explainer(q); err != nil {
			return false, err
		}
		allowed = allowed && explanations[i].Allowed
	}
	var result any = explanations
	if len(explanations) == 1 {
		result = explanations[0]
	}
	return allowed, printResult(cmd, result, func(p *printer) {
		for i, e := range explanations {
			if i > 0 {
				p.linef("")
			}
			p.explanation(e)
		}
	})
}

// bothGiven reports what is missing, rules or a request, at once.
func bothGiven(cmd *cobra.Command) error {
	given := func(flags ...string) bool { return slices.ContainsFunc(flags, cmd.Flags().Changed) }
	hasRules, hasRequest := given("rules", "ruleset", "address"), given("origin", "method", "curl", "har")
	const rules, request = "rules (--rules or --ruleset)", "a request (--origin and --method, --curl or --har)"
	switch {
	case !hasRules && !hasRequest:
		return usageError("explain needs " + rules + " and " + request)
	case !hasRules:
		return usageError("explain needs " + rules)
	case !hasRequest:
		return usageError("explain needs " + request)
	}
	return nil
}

// explainer explains a request, by a document or by the rules that a running Caddy has.
type explainer func(explain.Request) (explain.Explanation, error)

func newExplainer(cmd *cobra.Command) (explainer, error) {
	ruleset, _ := cmd.Flags().GetString("ruleset")
	if ruleset != "" || cmd.Flags().Changed("address") {
		if cmd.Flags().Changed("rules") {
			return nil, usageError("--rules is for a document, and --ruleset and --address are for a running Caddy: use one of them")
		}
		return newRemoteExplainer(cmd, ruleset)
	}
	values, err := required(cmd, "rules")
	if err != nil {
		return nil, err
	}
	file := values[0]
	var policy corsrules.Policy
	policy.ResponseVary, _ = cmd.Flags().GetBool("response-vary")
	policy.AllowCredentials, _ = cmd.Flags().GetBool("allow-credentials")
	if policy.Dialect, err = dialectOf(cmd); err != nil {
		return nil, err
	}
	f, err := readRules(cmd, file, policy)
	if err != nil {
		return nil, err
	}
	rules := corsrules.Compile(f.cfg)
	return func(q explain.Request) (explain.Explanation, error) {
		q.Ruleset = file
		return explain.New(rules, f.policy, q), nil
	}, nil
}

func newRemoteExplainer(cmd *cobra.Command, ruleset string) (explainer, error) {
	admin, err := adminOf(cmd)
	if err != nil {
		return nil, err
	}
	return func(q explain.Request) (e explain.Explanation, err error) {
		q.Ruleset = ruleset
		err = callAdmin(cmd.Context(), admin, http.MethodPost, "/oss_cors/explain", q, &e)
		return e, err
	}, nil
}

// requestsOf returns the requests to explain: the one that the flags describe, or those in
// what was pasted.
func requestsOf(cmd *cobra.Command) ([]explain.Request, error) {
	var q explain.Request
	q.Headers, _ = cmd.Flags().GetStringArray("headers")
	q.Verbatim, _ = cmd.Flags().GetBool("verbatim")
	if cmd.Flags().Changed("preflight") {
		preflight, _ := cmd.Flags().GetBool("preflight")
		q.Preflight = &preflight
	}
	pasted, err := pastedText(cmd)
	if err != nil {
		return nil, err
	}
	if pasted != "" {
		return readPasted(cmd, pasted, q)
	}
	values, err := required(cmd, "origin", "method")
	if err != nil {
		return nil, err
	}
	q.Origin, q.Method = values[0], values[1]
	return []explain.Request{q}, nil
}

// pastedText returns what --curl or --har names; "" if there is neither.
func pastedText(cmd *cobra.Command) (string, error) {
	command, _ := cmd.Flags().GetString("curl")
	file, _ := cmd.Flags().GetString("har")
	input := cmd.InOrStdin()
	switch {
	case command != "" && file != "":
		return "", usageError("--curl and --har are both set: use one of them")
	case command != "" && command != stdin:
		return command, nil
	case command == "" && file == "":
		return "", nil
	case file != "" && file != stdin:
		f, err := os.Open(file)
		if err != nil {
			return "", err
		}
		defer f.Close()
		input = f
	}
	text, err := io.ReadAll(io.LimitReader(input, explain.MaxPaste+1))
	return string(text), err
}

// readPasted reads requests from a text. Where it says nothing, the flags may.
func readPasted(cmd *cobra.Command, text string, q explain.Request) ([]explain.Request, error) {
	_, pasted, err := explain.ReadPaste(text)
	if err != nil {
		return nil, err
	}
	if len(pasted) == 0 {
		return nil, usageError("a request ID is looked up by the console (caddy oss-cors console) only: use --curl, --har, or --origin and --method")
	}
	requests := make([]explain.Request, len(pasted))
	for i, p := range pasted {
		origin, _ := cmd.Flags().GetString("origin")
		method, _ := cmd.Flags().GetString("method")
		requests[i] = p.Request
		requests[i].Origin = cmp.Or(origin, p.Origin)
		requests[i].Method = cmp.Or(method, p.Method, http.MethodGet)
		requests[i].Headers = append(requests[i].Headers, q.Headers...)
		requests[i].Verbatim = requests[i].Verbatim || q.Verbatim
		if q.Preflight != nil {
			requests[i].Preflight = q.Preflight
		}
		if requests[i].Origin == "" {
			return nil, usageError("what was pasted does not say the origin: add --origin")
		}
	}
	return requests, nil
}
