package rulesource

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-oss-cors/caddy-oss-cors/corsrules"
)

func init() {
	caddy.RegisterModule(new(Config))
}

// Config holds the rules in the configuration itself, each as an object. In a Caddyfile
// they are the blocks "rule" of the directive oss_cors. A fault stops Caddy's start.
type Config struct {
	// Blocks are the rules, 1 to 20, in the order in which they are evaluated. Their values
	// have at most 16384 bytes together. Global placeholders in their strings, such as
	// {env.ORIGIN}, are expanded when the configuration is loaded; one that is unknown or
	// empty is an error. Required.
	Blocks []Block `json:"rules,omitempty"`

	document *Document
}

// Block is one rule of Config. Its lists are checked as those of a document, but for
// methods.
type Block struct {
	// ID names the rule in metrics, logs and explanations, if it is unique and has 1 to 64
	// of A-Z a-z 0-9 . _ -, not only digits. Default: the rule's number.
	ID string `json:"id,omitempty"`

	// AllowedOrigins are origins such as https://app.example.com, each with at most one
	// *. Required.
	AllowedOrigins []string `json:"allowed_origins,omitempty"`

	// AllowedMethods are methods in upper case: any but CONNECT, TRACE, TRACK and
	// OPTIONS. Required.
	AllowedMethods []string `json:"allowed_methods,omitempty"`

	// AllowedHeaders are the request headers that a preflight may ask for, each with at
	// most one *. Default: none.
	AllowedHeaders []string `json:"allowed_headers,omitempty"`

	// ExposeHeaders are the response headers that scripts may read. Default: none.
	ExposeHeaders []string `json:"expose_headers,omitempty"`

	// MaxAge is how long browsers may keep the answer to a preflight, in whole seconds.
	// Default: the header Access-Control-Max-Age is not sent.
	MaxAge *caddy.Duration `json:"max_age,omitempty"`
}

// CaddyModule returns the Caddy module information.
func (*Config) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  Namespace + ".config",
		New: func() caddy.Module { return new(Config) },
	}
}

// Open implements Source.
func (s *Config) Open(_ caddy.Context, opts *Options) error {
	if len(s.Blocks) == 0 {
		return errors.New("config rules: there are none; put at least one into rules")
	}
	expanded, faults := s.expand(jsonPlace)
	rules, others := expanded.check(corsrules.BlockOptions{
		Credentials:  opts.AllowCredentials,
		Placeholders: len(faults) > 0, // which are reported
		Place:        jsonPlace,
	})
	if faults = append(faults, others...); len(faults) > 0 {
		return faults
	}
	s.document = NewDocument("config", "config", corsrules.MaxBlocks, opts)
	cfg := &corsrules.Configuration{Rules: rules, Form: corsrules.FormBlocks}
	s.document.put(cfg, time.Now())
	s.document.logFindings(corsrules.LintBlocks(cfg, jsonPlace))
	return nil
}

// jsonPlace is where a value stands in the JSON of a Config.
func jsonPlace(i int, element string, k int) (string, int) {
	rule := fmt.Sprintf("rules[%d]", i)
	switch element {
	case "ID":
		return rule + ".id", 0
	case "AllowedOrigin":
		return fmt.Sprintf("%s.allowed_origins[%d]", rule, k), 0
	case "AllowedMethod":
		return fmt.Sprintf("%s.allowed_methods[%d]", rule, k), 0
	case "AllowedHeader":
		return fmt.Sprintf("%s.allowed_headers[%d]", rule, k), 0
	case "ExposeHeader":
		return fmt.Sprintf("%s.expose_headers[%d]", rule, k), 0
	case "MaxAgeSeconds":
		return rule + ".max_age", 0
	}
	return rule, 0
}

// expand returns s with its placeholders expanded, and a fault for each that cannot be.
func (s *Config) expand(place func(i int, element string, k int) (file string, line int)) (*Config, corsrules.Faults) {
	var faults corsrules.Faults
	expand := func(i int, element string, values ...string) []string {
		expanded := slices.Clone(values)
		for k, value := range values {
			var err error
			if expanded[k], err = Expand(value); err != nil {
				file, line := place(i, element, k)
				faults = append(faults, &corsrules.Fault{File: file, Line: line, Message: err.Error()})
				expanded[k] = value
			}
		}
		return expanded
	}
	expanded := &Config{Blocks: make([]Block, len(s.Blocks))}
	for i, r := range s.Blocks {
		expanded.Blocks[i] = Block{
			ID:             expand(i, "ID", r.ID)[0],
			AllowedOrigins: expand(i, "AllowedOrigin", r.AllowedOrigins...),
			AllowedMethods: expand(i, "AllowedMethod", r.AllowedMethods...),
			AllowedHeaders: expand(i, "AllowedHeader", r.AllowedHeaders...),
			ExposeHeaders:  expand(i, "ExposeHeader", r.ExposeHeaders...),
			MaxAge:         r.MaxAge,
		}
	}
	return expanded, faults
}

// check returns the rules as the engine takes them, and all their faults.
func (s *Config) check(opts corsrules.BlockOptions) (rules []corsrules.CORSRule, faults corsrules.Faults) {
	for i, r := range s.Blocks {
		rule := corsrules.CORSRule{
			ID:             r.ID,
			AllowedOrigins: r.AllowedOrigins,
			AllowedMethods: r.AllowedMethods,
			AllowedHeaders: slices.Clone(r.AllowedHeaders),
			ExposeHeaders:  r.ExposeHeaders,
		}
		if r.MaxAge != nil {
			age := time.Duration(*r.MaxAge)
			if age%time.Second != 0 {
				file, line := opts.Place(i, "MaxAgeSeconds", 0)
				faults = append(faults, &corsrules.Fault{File: file, Line: line, Message: fmt.Sprintf("max_age %s: whole seconds are needed, such as 10m", age)})
			}
			rule.MaxAgeSeconds = new(int(age / time.Second))
		}
		rules = append(rules, rule)
	}
	faults = append(faults, corsrules.CheckBlocks(rules, opts)...)
	for _, rule := range rules {
		for k, name := range rule.AllowedHeaders {
			rule.AllowedHeaders[k] = strings.ToLower(name)
		}
	}
	return rules, faults
}

// Rules implements Source.
func (s *Config) Rules(context.Context, string) (*Rules, error) { return s.document.Rules(), nil }

// Reports implements Reporter.
func (s *Config) Reports() []Report { return []Report{s.document.Report()} }

// MaxDocumentRules implements Limited.
func (s *Config) MaxDocumentRules() int { return corsrules.MaxBlocks }

// Shadow implements Shadower. The file can have rule blocks, so that candidates can allow what
// only blocks can.
func (s *Config) Shadow(path string) Source {
	return &File{Path: path, blocks: true, RefreshOptions: RefreshOptions{MaxRules: corsrules.MaxBlocks}}
}

// Cleanup implements caddy.CleanerUpper.
func (s *Config) Cleanup() error {
	if s.document != nil {
		s.document.Close()
	}
	return nil
}

var (
	_ Reporter           = (*Config)(nil)
	_ Shadower           = (*Config)(nil)
	_ caddy.CleanerUpper = (*Config)(nil)
)
