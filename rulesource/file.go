package rulesource

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

func init() {
	caddy.RegisterModule(new(File))
}

// maxFileReads bounds the reads of a file that hang, one after another, as on a lost mount.
const maxFileReads = 8

// File reads the rules from a file, and reads it again every Refresh. A file that is missing, empty or bad stops Caddy's start; one that becomes so later leaves the last
// good rules in force.
type File struct {
	// Path is the file, relative to the working directory. Global placeholders such
	// as {env.HOME} work. Required.
	Path string `json:"path,omitempty"`

	RefreshOptions

	blocks   bool // the file can have rule blocks, too
	document *Document
	file     reader
	reads    chan struct{} // slots
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
	if err := oneArgument(d, "rules file", "the path of the document", &s.Path); err != nil {
		return err
	}
	return s.unmarshalOptions(d)
}

// Open implements Source.
func (s *File) Open(ctx caddy.Context, opts *Options) error {
	if s.Path == "" {
		return errors.New("rules file: the path is empty: give that of the document, such as cors.xml")
	}
	path, err := Expand(s.Path)
	if err != nil {
		return fmt.Errorf("rules file %s: %w", s.Path, err)
	}
	return s.openOn(ctx, path, regularFile(path), opts)
}

func (s *File) openOn(ctx context.Context, path string, file reader, opts *Options) error {
	refresh, err := s.check()
	if err != nil {
		return err
	}
	s.document = NewDocument(s.Path, path, s.MaxRules, opts)
	s.document.blocks = s.blocks
	s.file, s.reads = file, make(chan struct{}, maxFileReads)
	content, err := s.read(ctx)
	if err != nil {
		return fmt.Errorf("rules file: %w", err)
	}
	if err := s.document.Load(content); err != nil {
		return err
	}
	go s.keepCurrent(ctx, refresh)
	return nil
}

// keepCurrent reads the file again and again until ctx is done. After a failure it waits twice as
// long for each read that hangs, because each of them holds a slot: the calls of a mount that was
// lost may never return, even if another takes its place.
func (s *File) keepCurrent(ctx context.Context, refresh time.Duration) {
	ticker := time.NewTicker(refresh)
	defer ticker.Stop()
	failed, ticks := false, 0 // of the last read, and since it
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if ticks++; failed && ticks < 1<<len(s.reads) {
			continue
		}
		content, err := s.read(ctx)
		ticks, failed = 0, err != nil
		switch {
		case ctx.Err() != nil: // which may be why
			return
		case err != nil:
			s.document.Failed(err)
		default:
			_ = s.document.Load(content) // the document logs and counts it
		}
	}
}

// read reads the file, but does not wait for it longer than readDeadline.
func (s *File) read(ctx context.Context) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, readDeadline)
	defer cancel()
	content, err := callWithin(ctx, s.reads, func() ([]byte, error) {
		return readSettled(ctx, s.file, s.document.holds)
	})
	if ctx.Err() != nil && err != nil {
		err = fmt.Errorf("%s: %w", s.document.parsing.File, err)
	}
	return content, err
}

// Rules implements Source.
func (s *File) Rules(context.Context, string) (*Rules, error) { return s.document.Rules(), nil }

// Reports implements Reporter.
func (s *File) Reports() []Report { return []Report{s.document.Report()} }

// Shadow implements Shadower.
func (s *File) Shadow(path string) Source {
	return &File{Path: path, RefreshOptions: s.RefreshOptions}
}

// Cleanup implements caddy.CleanerUpper.
func (s *File) Cleanup() error {
	if s.document != nil {
		s.document.Close()
	}
	return nil
}

var (
	_ Reporter              = (*File)(nil)
	_ Shadower              = (*File)(nil)
	_ caddy.CleanerUpper    = (*File)(nil)
	_ caddyfile.Unmarshaler = (*File)(nil)
)
