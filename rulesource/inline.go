package rulesource

import (
	"context"
	"errors"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

func init() {
	caddy.RegisterModule(new(Inline))
}

// Inline holds the rules in the configuration itself, as a document. A fault stops Caddy's
// start.
type Inline struct {
	// XML is the document, in XML or JSON: at most 16384 bytes, and 65536 with the dialect
	// s3. Required.
	XML string `json:"xml,omitempty"`

	// MaxRules is how many rules the document may have, at most 200. Default: 10, as in OSS,
	// and 100, as in S3, with the dialect s3.
	MaxRules int `json:"max_rules,omitempty"`

	document *Document
}

// CaddyModule returns the Caddy module information.
func (*Inline) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  Namespace + ".inline",
		New: func() caddy.Module { return new(Inline) },
	}
}

// UnmarshalCaddyfile sets up the source from Caddyfile tokens. Syntax:
//
//	inline <xml> {
//		max_rules <n>
//	}
func (s *Inline) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume source name
	if err := oneUnshownArgument(d, "rules inline", "the document, best as a heredoc: rules inline <<RULES", &s.XML); err != nil {
		return err
	}
	return eachOption(d, map[string]func() error{
		"max_rules": func() error { return unmarshalMaxRules(d, &s.MaxRules) },
	})
}

// Open implements Source.
func (s *Inline) Open(_ caddy.Context, opts *Options) error {
	if s.XML == "" {
		return errors.New("inline rules: no document; put the CORSConfiguration XML into xml")
	}
	if err := checkMaxRules(s.MaxRules); err != nil {
		return err
	}
	s.document = NewDocument("inline", "inline", s.MaxRules, opts)
	return s.document.Load([]byte(s.XML))
}

// Rules implements Source.
func (s *Inline) Rules(context.Context, string) (*Rules, error) { return s.document.Rules(), nil }

// Reports implements Reporter.
func (s *Inline) Reports() []Report { return []Report{s.document.Report()} }

// MaxDocumentRules implements Limited.
func (s *Inline) MaxDocumentRules() int { return s.MaxRules }

// Shadow implements Shadower.
func (s *Inline) Shadow(path string) Source {
	return &File{Path: path, RefreshOptions: RefreshOptions{MaxRules: s.MaxRules}}
}

// Cleanup implements caddy.CleanerUpper.
func (s *Inline) Cleanup() error {
	if s.document != nil {
		s.document.Close()
	}
	return nil
}

var (
	_ Reporter              = (*Inline)(nil)
	_ Shadower              = (*Inline)(nil)
	_ caddy.CleanerUpper    = (*Inline)(nil)
	_ caddyfile.Unmarshaler = (*Inline)(nil)
)
