package command

import (
	"fmt"
	"text/tabwriter"

	"github.com/caddy-oss-cors/caddy-oss-cors/corsrules"
)

func (p *printer) replayResult(result replayResult) {
	p.replayGroups(result, "Newly allowed", green, corsrules.NowAllowed)
	p.replayGroups(result, "Newly denied", red, corsrules.NowDenied)
	if result.OtherGroups > 0 {
		p.linef("%d more changed requests are of other origins, methods and headers than the %d groups that are told apart.", result.OtherGroups, maxGroups)
	}
	p.linef("%s, %s that the rules apply to: %d allowed and %d denied as before, %d newly allowed, %d newly denied.",
		count(result.Lines, "line"), count(result.Requests, "request"), result.StillAllowed, result.StillDenied, result.NowAllowed, result.NowDenied)
	if result.Undecided > 0 {
		p.linef("%s left out, without a decision of oss_cors in the log: --live takes a document instead.", count(result.Undecided, "request"))
	}
	if bad := result.NotLogs + result.TooLong; bad > 0 {
		p.linef("%s left out, not of an access log in JSON, or too long.", count(bad, "line"))
	}
}

func (p *printer) replayGroups(result replayResult, title, color, change string) {
	table := tabwriter.NewWriter(p, 0, 0, 2, ' ', 0)
	shown, more := 0, 0
	for _, g := range result.Changes {
		if g.Change != change {
			continue
		}
		if shown++; shown > shownGroups {
			more++
			continue
		}
		if shown == 1 {
			p.linef("%s:", p.color(color, title))
			fmt.Fprintln(table, "  REQUESTS\tORIGIN\tMETHOD\tKIND\tHEADERS\tWHY")
		}
		fmt.Fprintf(table, "  %d\t%s\t%s\t%s\t%s\t%s\n", g.Requests, printable(g.Origin), printable(g.Method), g.Kind, printable(g.Headers), printable(g.why()))
	}
	table.Flush()
	if more > 0 {
		p.linef("  and %d more groups, which --json prints.", more)
	}
}

func (g *group) why() string {
	switch {
	case g.Reason == "":
		return "rule " + g.Rule
	case g.Rule != "":
		return fmt.Sprintf("%s %s; nearest rule %s", g.Reason, g.Value, g.Rule)
	}
	return g.Reason
}
