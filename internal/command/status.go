package command

import (
	"fmt"
	"net/http"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
)

func statusCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status [--address <admin>] [--json]",
		Short: "Shows the rule sets of a running Caddy",
		Long: `Shows the rule sets that a running Caddy has in force: where they come from, since when,
how many requests they allowed and denied, and which rules nothing has matched.

Exit status: 0; 1 if newer rules of a rule set could not be loaded; 2 if Caddy does not
answer.`,
		Example: `  caddy oss-cors status
  caddy oss-cors status --address unix//run/caddy/admin.sock --json`,
	}
	addAddress(cmd)
	return command(cmd, "", runStatus)
}

// rulesetStatus is what status shows of a rule set in GET /oss_cors/rulesets.
type rulesetStatus struct {
	Name          string                       `json:"name"`
	Source        string                       `json:"source"`
	Document      string                       `json:"document,omitempty"`
	NumberOfRules int                          `json:"number_of_rules"`
	Rules         []ruleStatus                 `json:"rules"`
	Loaded        *time.Time                   `json:"loaded,omitempty"`
	LastError     string                       `json:"last_error,omitempty"`
	Unavailable   bool                         `json:"unavailable,omitempty"`
	Denied        map[string]map[string]uint64 `json:"denied,omitempty"`
}

type ruleStatus struct {
	Name string            `json:"name"`
	Hits map[string]uint64 `json:"hits,omitempty"`
}

func runStatus(cmd *cobra.Command, _ string) (ok bool, err error) {
	admin, err := adminOf(cmd)
	if err != nil {
		return false, err
	}
	rulesets := []rulesetStatus{}
	if err := callAdmin(cmd.Context(), admin, http.MethodGet, "/oss_cors/rulesets", nil, &rulesets); err != nil {
		return false, err
	}
	ok = true
	for _, r := range rulesets {
		ok = ok && r.LastError == ""
	}
	return ok, printResult(cmd, rulesets, func(p *printer) { p.status(rulesets) })
}

func (p *printer) status(rulesets []rulesetStatus) {
	if len(rulesets) == 0 {
		p.linef("No oss_cors handler is running.")
		return
	}
	table := tabwriter.NewWriter(p, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "RULE SET\tSOURCE\tRULES\tLOADED\tALLOWED\tDENIED\tWITHOUT HITS")
	for _, r := range rulesets {
		loaded := "never"
		if r.Loaded != nil {
			loaded = r.Loaded.Local().Format(time.DateTime)
		}
		var allowed, denied uint64
		unused := 0
		for _, rule := range r.Rules {
			hits := sum(rule.Hits)
			allowed += hits
			if hits == 0 {
				unused++
			}
		}
		for _, reasons := range r.Denied {
			denied += sum(reasons)
		}
		fmt.Fprintf(table, "%s\t%s\t%d\t%s\t%d\t%d\t%s\n", printable(r.Name), printable(r.Source), r.NumberOfRules, loaded, allowed, denied, count(unused, "rule"))
	}
	table.Flush()
	for _, r := range rulesets {
		if r.LastError != "" {
			p.linef("\n%s %s: %s: %s", p.color(red, "Error:"), printable(r.Name), r.consequence(), printable(r.LastError))
		}
	}
}

// consequence says what requests get while rules cannot be loaded.
func (r *rulesetStatus) consequence() string {
	ofBuckets := r.Source == "directory" || r.Source == "storage"
	switch {
	case r.Unavailable && ofBuckets: // this stands for all buckets
		return "buckets' rules cannot be read: those that are known stay in force, preflights for other buckets get 503"
	case r.Unavailable:
		return "no rules are known, preflights get 503"
	case ofBuckets && r.Loaded == nil && r.NumberOfRules == 0:
		return "there are no earlier rules, and this bucket denies all"
	}
	return "newer rules are not in force"
}

func sum(counts map[string]uint64) (total uint64) {
	for _, n := range counts {
		total += n
	}
	return total
}
