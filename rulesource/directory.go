package rulesource

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

func init() {
	caddy.RegisterModule(new(Directory))
}

// Directory reads the rules of each bucket from <bucket>.xml in a directory, when the
// bucket is first asked for, and again as it is used. It never writes.
type Directory struct {
	// Path is the directory, relative to the working directory. Global placeholders
	// such as {env.HOME} work. Required.
	Path string `json:"path,omitempty"`

	RefreshOptions

	buckets
}

// CaddyModule returns the Caddy module information.
func (*Directory) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  Namespace + ".directory",
		New: func() caddy.Module { return new(Directory) },
	}
}

// UnmarshalCaddyfile sets up the source from Caddyfile tokens. Syntax:
//
//	directory <dir> {
//		refresh   <duration>
//		max_rules <n>
//	}
func (s *Directory) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume source name
	if !d.AllArgs(&s.Path) {
		return d.Err("'rules directory' takes exactly one argument: the directory of the XML documents")
	}
	return s.unmarshalOptions(d)
}

// Open implements Source.
func (s *Directory) Open(ctx caddy.Context, opts *Options) error {
	if s.Path == "" {
		return errors.New("rules directory: no path")
	}
	dir, err := caddy.NewReplacer().ReplaceOrErr(s.Path, true, true)
	if err != nil {
		return fmt.Errorf("rules directory %s: %w", s.Path, err)
	}
	s.file = func(bucket string) string { return filepath.Join(dir, bucket+".xml") }
	s.read = func(_ context.Context, bucket string) ([]byte, error) { return readFrom(dir, s.file(bucket)) }
	return s.open(ctx, s.RefreshOptions, opts)
}

// readFrom reads a document of a directory. Where the directory itself is missing, it is
// not known whether there is one: a mount may be late.
func readFrom(dir, path string) ([]byte, error) {
	content, err := readDocument(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return content, err
	}
	if _, dirErr := os.Stat(dir); dirErr != nil {
		return nil, fmt.Errorf("rules directory: %s", dirErr) // not as fs.ErrNotExist
	}
	return nil, err
}

// Cleanup implements caddy.CleanerUpper.
func (s *Directory) Cleanup() error {
	s.close()
	return nil
}

var (
	_ Source                = (*Directory)(nil)
	_ caddy.CleanerUpper    = (*Directory)(nil)
	_ caddyfile.Unmarshaler = (*Directory)(nil)
)
