package rulesource

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-oss-cors/caddy-oss-cors/corsrules"
)

func init() {
	caddy.RegisterModule(new(File))
}

// File reads the rules from a file, and again whenever its content changes. A file that
// is missing, empty or bad stops Caddy's start; one that becomes so later leaves the last
// good rules in force.
type File struct {
	// Path is the file, relative to the working directory. Global placeholders such
	// as {env.HOME} work. Required.
	Path string `json:"path,omitempty"`

	RefreshOptions

	document *Document
}

// CaddyModule returns the Caddy module information.
func (*File) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  Namespace + ".file",
		New: func() caddy.Module { return new(File) },
	}
}

// UnmarshalCaddyfile sets up the source from Caddyfile tokens. Syntax:
//
//	file <path> {
//		refresh   <duration>
//		max_rules <n>
//	}
func (s *File) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume source name
	if !d.AllArgs(&s.Path) {
		return d.Err("'rules file' takes exactly one argument: the path of the XML document")
	}
	return s.unmarshalOptions(d)
}

// Open implements Source.
func (s *File) Open(ctx caddy.Context, opts *Options) error {
	refresh, err := s.check()
	if err != nil {
		return err
	}
	path, err := caddy.NewReplacer().ReplaceOrErr(s.Path, true, true)
	if err != nil {
		return fmt.Errorf("rules file %s: %w", s.Path, err)
	}
	s.document = NewDocument(s.Path, path, s.MaxRules, opts)
	content, err := readDocument(path)
	if err != nil {
		return fmt.Errorf("rules file: %w", err)
	}
	if err := s.document.Load(content); err != nil {
		return err
	}
	go s.keepCurrent(ctx, path, refresh)
	return nil
}

// keepCurrent looks at the file until ctx is done.
func (s *File) keepCurrent(ctx context.Context, path string, refresh time.Duration) {
	ticker := time.NewTicker(refresh)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if content, err := readDocument(path); err != nil {
			s.document.Failed(err)
		} else {
			_ = s.document.Load(content) // the document logs and counts it
		}
	}
}

// readDocument reads a document from a regular file.
func readDocument(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		if wd, wdErr := os.Getwd(); wdErr == nil && !filepath.IsAbs(path) {
			return nil, fmt.Errorf("%w (looked for in the working directory, %s)", err, wd)
		}
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file, which rules are read from", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return corsrules.ReadDocument(f, info.Size())
}

// Rules implements Source.
func (s *File) Rules(context.Context, string) (*Rules, error) { return s.document.Rules(), nil }

// Cleanup implements caddy.CleanerUpper.
func (s *File) Cleanup() error {
	if s.document != nil {
		s.document.Close()
	}
	return nil
}

var (
	_ Source                = (*File)(nil)
	_ caddy.CleanerUpper    = (*File)(nil)
	_ caddyfile.Unmarshaler = (*File)(nil)
)
