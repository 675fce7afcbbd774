package rulesource

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"sync/atomic"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/certmagic"

	"github.com/caddy-oss-cors/caddy-oss-cors/corsrules"
)

func init() {
	caddy.RegisterModule(new(Storage))
}

// DefaultPrefix is where Storage keeps its documents.
const DefaultPrefix = "oss_cors"

// Storage keeps the rules of each bucket in Caddy's configured storage: files by default;
// Redis, Consul or a database with a storage module, so that a fleet shares its rules. A
// bucket's document is read when it is first asked for, and again as it is used, so that
// a change at one proxy is in force at all within refresh. The bucket API writes here.
type Storage struct {
	// Prefix is what the keys begin with: a bucket's document is at
	// <prefix>/<bucket>.xml. Default: "oss_cors".
	Prefix string `json:"prefix,omitempty"`

	RefreshOptions

	buckets
	storage certmagic.Storage
	mounted atomic.Bool            // of a storage of files: its directory has been there
	writes  [stripes]chan struct{} // by bucket, the room for one write
}

// CaddyModule returns the Caddy module information.
func (*Storage) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  Namespace + ".storage",
		New: func() caddy.Module { return new(Storage) },
	}
}

// UnmarshalCaddyfile sets up the source from Caddyfile tokens. Syntax:
//
//	storage [<prefix>] {
//		refresh   <duration>
//		max_rules <n>
//	}
func (s *Storage) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume source name
	if d.NextArg() {
		s.Prefix = d.Val()
	}
	if d.NextArg() {
		return d.Err("'rules storage' takes one argument at most: the prefix of its keys")
	}
	return s.unmarshalOptions(d)
}

// Open implements Source.
func (s *Storage) Open(ctx caddy.Context, opts *Options) error {
	prefix := s.Prefix
	if prefix == "" {
		prefix = DefaultPrefix
	}
	if !fs.ValidPath(prefix) || prefix == "." {
		return fmt.Errorf("rules storage: the prefix %q is no path of names divided by single slashes, such as %s", prefix, DefaultPrefix)
	}
	s.storage = ctx.Storage()
	s.file = func(bucket string) string { return path.Join(prefix, bucket+".xml") }
	s.read = s.stored
	s.numbered = true
	s.dialect = corsrules.DialectAny // the bucket API stores what clients of OSS and of S3 put
	for i := range s.writes {
		s.writes[i] = make(chan struct{}, 1)
	}
	s.noteMount(ctx)
	return s.open(ctx, s.RefreshOptions, opts)
}

// Load returns a bucket's document as it is stored now; fs.ErrNotExist: it has none.
func (s *Storage) Load(ctx context.Context, bucket string) ([]byte, error) {
	return s.readOne(ctx, bucket)
}

func (s *Storage) stored(ctx context.Context, bucket string) ([]byte, error) {
	content, err := s.storage.Load(ctx, s.file(bucket))
	switch {
	case err == nil:
		s.mounted.Store(true)
	case errors.Is(err, fs.ErrNotExist):
		if mountErr := s.checkMount(); mountErr != nil {
			return nil, mountErr
		}
	}
	return content, err
}

// Store stores a bucket's document and puts it in force. When it returns nil the document
// has been stored. When ctx was done before that, it may still be stored later.
func (s *Storage) Store(ctx context.Context, bucket string, document []byte) error {
	return s.write(ctx, bucket, func() error {
		err := s.storage.Store(ctx, s.file(bucket), document)
		if err == nil {
			s.mounted.Store(true)
		}
		return err
	})
}

// Delete deletes a bucket's document, if there is one. When ctx was done before that, it
// may still be deleted later.
func (s *Storage) Delete(ctx context.Context, bucket string) error {
	return s.write(ctx, bucket, func() error {
		err := s.storage.Delete(ctx, s.file(bucket))
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
}

// write changes a bucket's document and puts that in force. A storage of files heeds no
// context, so that a change can take place after it was given up. No other one of the
// bucket begins before that here, lest the older undo the newer.
func (s *Storage) write(ctx context.Context, bucket string, change func() error) error {
	_, err := bounded(ctx, s.writes[stripe(bucket)], func() (any, error) {
		if err := s.checkMount(); err != nil {
			return nil, err
		}
		return nil, change()
	})
	switch {
	case err == nil:
		_ = s.reload(ctx, bucket) // else in force within refresh, as at every other proxy
	case ctx.Err() != nil:
		err = fmt.Errorf("bucket %s: %w; what has begun may still take place", bucket, err)
	}
	return err
}

// noteMount looks whether the storage's directory is there, but lets no mount that hangs
// keep Caddy from starting.
func (s *Storage) noteMount(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, loadDeadline)
	defer cancel()
	_, _ = bounded(ctx, make(chan struct{}, 1), func() (any, error) { return nil, s.checkMount() })
}

// checkMount reports that the directory of a storage of files was there and is not any
// more, as when a mount is lost. Otherwise every document would seem to have been deleted,
// and what is written would lie hidden once the mount is back.
func (s *Storage) checkMount() error {
	files, ok := s.storage.(*certmagic.FileStorage)
	if !ok {
		return nil
	}
	_, err := os.Stat(files.Path)
	switch {
	case err == nil:
		s.mounted.Store(true)
		return nil
	case !s.mounted.Load() && errors.Is(err, fs.ErrNotExist): // the first write makes it
		return nil
	}
	return fmt.Errorf("the storage's directory: %s", err) // not as fs.ErrNotExist
}

// Cleanup implements caddy.CleanerUpper.
func (s *Storage) Cleanup() error {
	s.close()
	return nil
}

var (
	_ Source                = (*Storage)(nil)
	_ caddy.CleanerUpper    = (*Storage)(nil)
	_ caddyfile.Unmarshaler = (*Storage)(nil)
)
