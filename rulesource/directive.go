package rulesource

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-oss-cors/caddy-oss-cors/corsrules"
)

// MaxCaddyfileBytes bounds a Caddyfile that is read for its rule blocks: more than any has
// that a person wrote.
const MaxCaddyfileBytes = 1 << 20

// Directive is an oss_cors directive that has its rules in it, as blocks or by rules inline,
// without what is not about rules.
type Directive struct {
	// Site has the addresses of its site; empty in a snippet. Name is the option name.
	Site, Name string

	// File and Line are where the directive stands.
	File string
	Line int

	ResponseVary, AllowCredentials bool
	Dialect                        corsrules.Dialect

	blocks RuleBlocks
	inline *inlineRules // nil: there are none
	other  string       // where its rules are instead
}

// HasRuleBlocks reports whether a text is neither XML nor JSON, and has an oss_cors directive
// or a rule block.
func HasRuleBlocks(text []byte) bool {
	text = bytes.TrimLeft(bytes.TrimPrefix(text, []byte("\uFEFF")), " \t\r\n")
	if inBraces, ok := bytes.CutPrefix(text, []byte("{")); ok && bytes.HasPrefix(bytes.TrimLeft(inBraces, " \t\r\n"), []byte(`"`)) {
		return false
	}
	if len(text) == 0 || text[0] == '<' || text[0] == '[' {
		return false
	}
	for line := range bytes.Lines(text) {
		if words := bytes.Fields(line); len(words) > 0 && (string(words[0]) == "oss_cors" || string(words[0]) == "rule") {
			return true
		}
	}
	return false
}

// ReadCaddyfile returns the directives of a Caddyfile, or of a snippet, that have their rules in
// them: at least one. It imports what the Caddyfile imports.
func ReadCaddyfile(text []byte, file string) ([]*Directive, error) {
	if len(text) > MaxCaddyfileBytes {
		return nil, fmt.Errorf("%s: more than %d bytes: put the directive oss_cors into a file of its own", file, MaxCaddyfileBytes)
	}
	tokens, err := caddyfile.Tokenize(text, file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if isSnippet(tokens) {
		return []*Directive{readSnippet(tokens)}, nil
	}
	sites, err := caddyfile.Parse(file, text)
	if err != nil {
		return nil, err
	}
	var found, faulty []*Directive
	other := ""
	for _, site := range sites {
		for _, segment := range site.Segments {
			for _, directive := range directivesIn(segment) {
				directive.Site = strings.Join(site.GetKeysText(), ", ")
				switch {
				case directive.hasRules():
					found = append(found, directive)
				case len(directive.blocks.faults) > 0:
					faulty = append(faulty, directive)
				case directive.other == "":
					other = fmt.Sprintf(": that at %s:%d has no rules; give it rule blocks, or name a document", directive.File, directive.Line)
				default:
					other = fmt.Sprintf(": that at %s:%d has %q; name the document itself", directive.File, directive.Line, directive.other)
				}
			}
		}
	}
	if len(found) == 0 {
		found = faulty // which may be why
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("%s: no oss_cors directive has rule blocks or rules inline%s", file, other)
	}
	return found, nil
}

// ParseAndLint is corsrules.ParseAndLint, and takes rule blocks, too: an oss_cors directive, or
// blocks alone. Only if expand is true does it read anything else, for their placeholders.
func ParseAndLint(text []byte, opts corsrules.Options, expand bool) (*corsrules.Configuration, []corsrules.Finding, error) {
	if !HasRuleBlocks(text) {
		return corsrules.ParseAndLint(text, opts)
	}
	directive, err := ReadSnippet(text, opts.File)
	if err != nil {
		return nil, nil, err
	}
	cfg, err := directive.Configuration(expand, opts.Credentials)
	if err != nil {
		return nil, nil, err
	}
	return cfg, directive.Lint(cfg), nil
}

// ReadSnippet reads an oss_cors directive, or rule blocks alone. It does not read anything
// else: no files, and no variables of the environment. The error is of type corsrules.Faults.
func ReadSnippet(text []byte, file string) (*Directive, error) {
	tokens, err := caddyfile.Tokenize(text, file)
	if err != nil {
		return nil, corsrules.Faults{{File: file, Message: err.Error()}}
	}
	if !isSnippet(tokens) {
		return nil, corsrules.Faults{{File: file, Line: 1, Message: "this is a Caddyfile: keep one oss_cors directive of it, or its rule blocks alone"}}
	}
	return readSnippet(tokens), nil
}

func isSnippet(tokens []caddyfile.Token) bool {
	return len(tokens) > 0 && (tokens[0].Text == "oss_cors" || tokens[0].Text == "rule")
}

func readSnippet(tokens []caddyfile.Token) *Directive {
	d := caddyfile.NewDispenser(tokens)
	directive := &Directive{File: tokens[0].File, Line: tokens[0].Line}
	whole := tokens[0].Text == "oss_cors"
	if whole {
		d.Next()
		directive.read(d)
	}
	for d.Next() {
		if whole {
			directive.blocks.fault(d, "%s is after the oss_cors directive: keep one directive, alone", d.Val())
			break
		}
		directive.option(d)
	}
	if d.Nesting() > 0 {
		directive.blocks.fault(d, "the text ends inside of a block: write } at its end")
	}
	if !directive.hasRules() && len(directive.blocks.faults) == 0 {
		directive.blocks.fault(d, "the directive does not have a rule block")
	}
	return directive
}

// directivesIn finds oss_cors at the beginnings of lines, however deep in blocks.
func directivesIn(segment caddyfile.Segment) (found []*Directive) {
	d := caddyfile.NewDispenser(segment)
	for d.Next() {
		if d.Val() != "oss_cors" {
			d.RemainingArgs()
			continue
		}
		directive := &Directive{File: d.File(), Line: d.Line()}
		directive.read(d)
		found = append(found, directive)
	}
	return found
}

// read reads a directive from its name on.
func (c *Directive) read(d *caddyfile.Dispenser) {
	if args := d.RemainingArgs(); len(args) > 0 {
		c.other = args[len(args)-1]
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		c.option(d)
	}
}

// directiveOptions are those of oss_cors.
var directiveOptions = []string{
	"rule", "rules", "bucket", "bucket_api", "response_vary", "allow_credentials", "dialect", "name", "shadow",
	"denied_origins", "debug_header", "debug_preflights",
}

// UnrecognizedByDirective says that oss_cors does not take an option, and which one is meant or can
// be.
func UnrecognizedByDirective(option string) string {
	if corsrules.Closest(option, directiveOptions) == "" && meantOption(option) != "" {
		return fmt.Sprintf("unrecognized option '%s': %s is an option of a rule: write it in rule { … }", option, meantOption(option))
	}
	return Unrecognized(option, "oss_cors", directiveOptions)
}

// option reads an option. Those that are not about the rules are for Caddy to check, if there
// are such.
func (c *Directive) option(d *caddyfile.Dispenser) {
	switch option := d.Val(); option {
	case "rule":
		c.blocks.UnmarshalRule(d)
		return
	case "response_vary":
		c.ResponseVary = c.flag(d, option)
	case "allow_credentials":
		c.AllowCredentials = c.flag(d, option)
	case "import":
		c.blocks.fault(d, "import is for a whole Caddyfile: write here what it imports")
	case "name":
		c.Name = strings.Join(d.RemainingArgs(), " ")
	case "dialect":
		var err error
		if c.Dialect, err = corsrules.DialectNamed(strings.Join(d.RemainingArgs(), " ")); err != nil {
			c.blocks.fault(d, "%s", err)
		}
	case "rules":
		args := d.RemainingArgs()
		if len(args) == 2 && args[0] == "inline" {
			c.inline = readInline(d)
			return
		}
		if len(args) > 0 && args[0] == "inline" {
			c.blocks.fault(d, "rules inline takes exactly one argument: the document; found %s", ArgumentCount(args[1:]))
		}
		c.other = asWritten(option, args)
	default:
		if !slices.Contains(directiveOptions, option) {
			c.blocks.fault(d, "%s", UnrecognizedByDirective(option))
		}
	}
	d.RemainingArgs()
	for nesting := d.Nesting(); d.NextBlock(nesting); {
	}
}

// flag reads an option that takes no argument, and is true.
func (c *Directive) flag(d *caddyfile.Dispenser, option string) bool {
	if args := d.RemainingArgs(); len(args) > 0 {
		c.blocks.fault(d, "%s takes no argument; found: %s", option, strings.Join(args, " "))
	}
	return true
}

func (c *Directive) hasRules() bool { return len(c.blocks.places) > 0 || c.inline != nil }

// Configuration returns the rules. Their global placeholders are expanded if that is wanted,
// as when Caddy starts. The error has all faults.
func (c *Directive) Configuration(expand, credentials bool) (*corsrules.Configuration, error) {
	if c.inline != nil {
		return c.inlineConfiguration(credentials)
	}
	source, missing := &c.blocks.Source, corsrules.Faults(nil)
	opts := corsrules.BlockOptions{Credentials: credentials || c.AllowCredentials, Place: c.blocks.place}
	if expand {
		source, missing = source.expand(c.blocks.place)
		opts.Placeholders = len(missing) > 0 // which are reported
	}
	rules, others := source.check(opts)
	if faults := sortedFaults(c.blocks.faults, missing, others); len(faults) > 0 {
		return nil, faults
	}
	return &corsrules.Configuration{Rules: rules, ResponseVary: c.ResponseVary, Form: corsrules.FormBlocks}, nil
}

// Lint returns what is valid in the rules and may be a mistake. It takes what Configuration
// returned.
func (c *Directive) Lint(cfg *corsrules.Configuration) []corsrules.Finding {
	var findings []corsrules.Finding
	if c.inline != nil {
		findings = c.lintInline()
	} else {
		findings = corsrules.LintBlocks(cfg, c.blocks.place)
	}
	if cfg.ResponseVary || c.Dialect == corsrules.DialectS3 {
		findings = withoutVary(findings)
	}
	return findings
}

// String says which directive this is.
func (c *Directive) String() string {
	text := c.Site
	if c.Name != "" {
		text += ", name " + c.Name
	}
	return fmt.Sprintf("%s (%s:%d)", text, c.File, c.Line)
}
