package command

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"unicode"

	"github.com/caddy-oss-cors/caddy-oss-cors/internal/explain"
)

// printer collects what a command prints for a person.
type printer struct {
	bytes.Buffer
	colored bool
}

// The colors of terminals. Their codes are equally long, so that columns stay aligned.
const (
	bold   = "01"
	red    = "31"
	green  = "32"
	yellow = "33"
)

func (p *printer) color(color, text string) string {
	if !p.colored {
		return text
	}
	return "\x1b[" + color + "m" + text + "\x1b[0m"
}

func (p *printer) linef(format string, args ...any) { fmt.Fprintf(p, format+"\n", args...) }

// printable replaces what a terminal would take for a command, in text that came from
// elsewhere.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, text)
}

func (p *printer) explanation(e explain.Explanation) {
	asking := ""
	if headers := strings.Join(e.Headers, ","); headers != "" {
		asking = ", asking for " + headers
	}
	p.linef("%s: %s", printable(e.Ruleset), p.color(bold, printable(e.Method+" from "+e.Origin+asking)))
	for _, note := range e.Notes {
		p.linef("  Note: %s.", printable(note))
	}
	p.linef("")
	note := ""
	if !e.PreflightNeeded {
		note = " (a browser sends none for this request)"
	}
	p.decision("Preflight", e.Preflight, note)
	p.linef("")
	note = ""
	if e.PreflightNeeded && !e.Allowed {
		note = " (a browser does not send it after that preflight)"
	}
	p.decision("Actual request", withoutRepeats(e.Actual, e.Preflight), note)
}

// withoutRepeats leaves out of a decision what another one says already.
func withoutRepeats(d, other explain.Decision) explain.Decision {
	if slices.Equal(d.Rules, other.Rules) {
		d.Rules = nil
	}
	if d.Advice == other.Advice {
		d.Advice = ""
	}
	return d
}

func (p *printer) decision(title string, d explain.Decision, note string) {
	switch {
	case d.Rule != "":
		p.linef("%s: %s by rule %s%s", title, p.color(green, d.Outcome), d.Rule, note)
	case d.Nearest != "":
		p.linef("%s: %s for its %s; the nearest is rule %s%s", title, p.color(red, d.Outcome), d.Reason, d.Nearest, note)
	case d.Reason == "origin":
		p.linef("%s: %s for its origin%s", title, p.color(red, d.Outcome), note)
	default:
		p.linef("%s: %s, %s%s", title, p.color(red, d.Outcome), d.Reason, note)
	}
	p.verdicts(d)
	for _, name := range slices.Sorted(maps.Keys(d.ResponseHeaders)) {
		p.linef("  %s: %s", name, printable(d.ResponseHeaders[name]))
	}
	if d.Advice != "" {
		p.linef("  To allow it, %s.", printable(d.Advice))
	}
}

func (p *printer) verdicts(d explain.Decision) {
	if len(d.Rules) == 0 {
		return
	}
	table := tabwriter.NewWriter(p, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "  RULE\t%s\tWHY\n", p.color(bold, "MATCHES"))
	for _, v := range d.Rules {
		matches := p.color(red, "no")
		switch {
		case v.Matches && v.Rule == d.Rule:
			matches = p.color(green, "yes")
		case v.Matches:
			matches = p.color(yellow, "too late")
		}
		fmt.Fprintf(table, "  %s\t%s\t%s\n", v.Rule, matches, printable(v.Why))
	}
	table.Flush()
}

func (p *printer) lintResult(result lintResult) {
	for _, f := range result.Findings {
		place, code := f.Place()+":", p.color(yellow, f.Code)
		if f.OSSCode != "" {
			code = p.color(red, strings.Join(slices.DeleteFunc([]string{f.OSSCode, f.EC}, isEmpty), ", EC "))
		}
		p.linef("%s %s (%s)", p.color(bold, printable(place)), printable(f.Message), code)
		if f.Advice != "" {
			p.linef("    %s", printable(f.Advice))
		}
	}
	p.linef("%s in %s.", count(len(result.Findings), "finding"), count(result.Documents, "document"))
}

func isEmpty(s string) bool { return s == "" }

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func (p *printer) livePreflight(live *livePreflight) {
	if !isSuccess(live.Status) {
		p.linef("%s %s", p.color(red, "Error:"), printable(live.asServiceError()))
		if decision := live.Headers[decisionHeader]; decision != "" {
			p.linef("%s: %s", decisionHeader, printable(decision))
		}
	} else {
		for _, name := range slices.Sorted(maps.Keys(live.Headers)) {
			p.linef("%s: %s", name, printable(live.Headers[name]))
		}
		p.linef("\n%.6f(s) elapsed", live.Seconds)
	}
	if live.Refusal != "" && live.Error == nil {
		p.linef("%s %s.", p.color(red, "A browser would stop here:"), printable(live.Refusal))
	}
	if d := live.Decision; d != nil && d.Reason != "" {
		p.linef("%s %s", p.color(red, "Reason:"), printable(d.inWords()))
	}
}
