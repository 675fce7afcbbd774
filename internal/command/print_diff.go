package command

import (
	"strings"

	"github.com/caddy-oss-cors/caddy-oss-cors/corsrules"
)

// diffTitles are the headings of the kinds of changes, in their order.
var diffTitles = []struct{ kind, title, color string }{
	{corsrules.NowAllowed, "Newly allowed", green},
	{corsrules.NowDenied, "Newly denied", red},
	{corsrules.NowDifferent, "Allowed with other response headers", yellow},
}

func (p *printer) diff(result diffResult) {
	for _, t := range diffTitles {
		titled := false
		for _, c := range result.Changes {
			if c.Kind != t.kind {
				continue
			}
			if !titled {
				p.linef("%s:", p.color(t.color, t.title))
				titled = true
			}
			p.change(c)
		}
	}
	p.linef("%s.", count(len(result.Changes), "change"))
}

func (p *printer) change(c corsrules.Change) {
	line := "  " + strings.Join(c.Methods, ", ") + " from " + p.color(bold, printable(strings.Join(c.Origins, ", ")))
	if len(c.Except) > 0 {
		line += " except " + printable(strings.Join(c.Except, ", "))
	}
	p.linef("%s", line)
	if len(c.Headers) > 0 {
		var combinations []string
		for _, names := range c.Headers {
			combinations = append(combinations, strings.Join(names, " with "))
		}
		except := ""
		if len(c.HeadersExcept) > 0 {
			except = ", except " + strings.Join(c.HeadersExcept, ", ")
		}
		p.linef("    if it asks for %s%s", printable(strings.Join(combinations, ", or ")), printable(except))
	}
	if len(c.With) > 0 {
		p.linef("    with or without %s", printable(strings.Join(c.With, ", ")))
	}
	for _, h := range c.Response {
		p.linef("    %s: %s, before: %s", h.Name, sent(h.After), sent(h.Before))
	}
}

func sent(value string) string {
	if value == "" {
		return "not sent"
	}
	return printable(value)
}
