package rulesource

import (
	"errors"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-oss-cors/caddy-oss-cors/corsrules"
)

// inlineRules are the rules inline of a Directive.
type inlineRules struct {
	document string
	line     int // of the Caddyfile, where the document begins
	maxRules int
}

// readInline reads rules inline from its document on, which is the current token.
func readInline(d *caddyfile.Dispenser) *inlineRules {
	document := d.Token()
	r := &inlineRules{document: document.Text, line: document.Line}
	if document.NumLineBreaks() > strings.Count(document.Text, "\n") { // it is a heredoc
		r.line++
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if d.Val() == "max_rules" {
			_ = unmarshalMaxRules(d, &r.maxRules) // an error is for Caddy to report
		}
	}
	return r
}

func (c *Directive) inlineOptions() corsrules.Options {
	return corsrules.Options{File: c.File, MaxRules: c.inline.maxRules, Dialect: c.Dialect.Documents()}
}

// inlineConfiguration is Configuration for rules inline, in which nothing is expanded.
func (c *Directive) inlineConfiguration(credentials bool) (*corsrules.Configuration, error) {
	opts := c.inlineOptions()
	opts.Credentials = credentials || c.AllowCredentials
	cfg, err := corsrules.Parse([]byte(c.inline.document), opts)
	var faults corsrules.Faults
	errors.As(err, &faults)
	for _, f := range faults {
		c.inline.move(&f.Line, &f.Column)
	}
	if faults = sortedFaults(c.blocks.faults, faults); len(faults) > 0 {
		return nil, faults
	}
	cfg.ResponseVary = cfg.ResponseVary || c.ResponseVary
	return cfg, nil
}

// lintInline is Lint for rules inline.
func (c *Directive) lintInline() []corsrules.Finding {
	findings, _ := corsrules.Lint([]byte(c.inline.document), c.inlineOptions()) // which has no fault
	for i := range findings {
		c.inline.move(&findings[i].Line, &findings[i].Column)
	}
	return findings
}

// move makes a place in the document one in the Caddyfile, which has no columns: the document may
// be indented there.
func (r *inlineRules) move(line, column *int) {
	*line, *column = r.line+max(*line, 1)-1, 0
}
