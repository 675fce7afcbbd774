package rulesource

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io/fs"
	"path"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/certmagic"

	"github.com/caddy-oss-cors/caddy-oss-cors/corsrules"
)

func init() {
	caddy.RegisterModule(new(Storage))
}

// defaultPrefix is where Storage keeps its documents.
const defaultPrefix = "oss_cors"

// maxWrites bounds how many documents are written at the same time.
const maxWrites = 64

// Storage keeps the rules of each bucket in Caddy's configured storage: files by default;
// Redis, Consul or a database with a storage module, so that a fleet shares its rules. A
// bucket's document is read when it is first requested, and again as it is used, so that
// a change at one proxy is in force at all within refresh. The bucket API writes here.
//
// The storage is believed that a bucket has no document only if it has the marker, a key that
// Caddy stores next to the documents. Bad documents, and a storage that cannot be read, have
// the same effects as with Directory.
type Storage struct {
	// Prefix is what the keys begin with: a bucket's document is at
	// <prefix>/<bucket>.xml, the marker at <prefix>/.oss_cors. Default: "oss_cors".
	Prefix string `json:"prefix,omitempty"`

	RefreshOptions

	buckets
	storage certmagic.Storage
	marker  marker
	seed    maphash.Seed             // so that nobody chooses names that wait for each other
	writes  [maxWrites]chan struct{} // by bucket, the slot for one write
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
	args := d.RemainingArgs()
	if len(args) > 1 {
		return d.Errf("rules storage takes one argument at most: the prefix of its keys; found: %s", asWritten("rules storage", args))
	}
	if len(args) == 1 {
		s.Prefix = args[0]
	}
	return s.unmarshalOptions(d)
}

// Open implements Source.
func (s *Storage) Open(ctx caddy.Context, opts *Options) error {
	return s.openOn(ctx, ctx.Storage(), opts)
}

func (s *Storage) openOn(ctx context.Context, storage certmagic.Storage, opts *Options) error {
	prefix := s.Prefix
	if prefix == "" {
		prefix = defaultPrefix
	}
	if !fs.ValidPath(prefix) || prefix == "." {
		return fmt.Errorf("rules storage: the prefix %q is not a path of names divided by single slashes, such as %s", prefix, defaultPrefix)
	}
	s.storage = storage
	s.file = func(bucket string) string { return path.Join(prefix, bucket+".xml") }
	s.document = func(bucket string) reader { return storedDocument{s, s.file(bucket)} }
	s.nameRulesByNumber = true
	s.dialect = corsrules.DialectAny // clients of OSS and of S3 may have put a document
	s.seed = maphash.MakeSeed()
	for i := range s.writes {
		s.writes[i] = make(chan struct{}, 1)
	}
	if err := s.open(ctx, s.RefreshOptions, opts); err != nil {
		return err
	}
	s.marker = marker{storage: storage, key: path.Join(prefix, ".oss_cors"), now: s.now, pause: s.refresh, log: opts.Logger}
	go s.marker.open(ctx) // a storage that hangs does not keep Caddy from starting
	return nil
}

// storedDocument is a bucket's document in a storage.
type storedDocument struct {
	source *Storage
	key    string
}

func (d storedDocument) read(ctx context.Context) ([]byte, look, error) {
	seen, err := d.look(ctx)
	if err != nil {
		return nil, look{}, err
	}
	if seen.size > maxStoredBytes {
		return tooLong, seen, nil
	}
	content, err := d.source.storage.Load(ctx, d.key)
	return content, seen, d.certain(ctx, err)
}

// maxStoredBytes is how long a stored document may be.
const maxStoredBytes = corsrules.MaxS3DocumentBytes

// tooLong stands for documents that are too long to be loaded: they are faulty in the same
// way.
var tooLong = make([]byte, maxStoredBytes+1)

// look returns fs.ErrNotExist only where the marker can still be read, and the key still does
// not exist after that: a storage that says so of a single failure would have passed otherwise.
// If it exists by then, another proxy has just stored it.
func (d storedDocument) look(ctx context.Context) (look, error) {
	info, err := d.source.storage.Stat(ctx, d.key)
	if errors.Is(err, fs.ErrNotExist) {
		if err := d.source.marker.prove(ctx); err != nil {
			return look{}, err
		}
		info, err = d.source.storage.Stat(ctx, d.key)
	}
	return newLook(info.Size, info.Modified), err
}

// certain returns the error of an operation on the key. It is fs.ErrNotExist only where look
// returns that.
func (d storedDocument) certain(ctx context.Context, err error) error {
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if _, err = d.look(ctx); err == nil {
		return fmt.Errorf("the storage said that %s does not exist, and then that it does", d.key)
	}
	return err
}

// Load implements Writable.
func (s *Storage) Load(ctx context.Context, bucket string) ([]byte, error) {
	return callWithin(ctx, s.unloadedReads, func() ([]byte, error) {
		content, _, err := s.document(bucket).read(ctx)
		return content, err
	})
}

// Store implements Writable.
func (s *Storage) Store(ctx context.Context, bucket string, document []byte) error {
	return s.write(ctx, bucket, document, func() error {
		return s.storage.Store(ctx, s.file(bucket), document)
	})
}

// Delete implements Writable.
func (s *Storage) Delete(ctx context.Context, bucket string) error {
	return s.write(ctx, bucket, nil, func() error {
		key := s.file(bucket)
		err := storedDocument{s, key}.certain(ctx, s.storage.Delete(ctx, key))
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
}

// write changes a bucket's document and puts that in force. FileStorage ignores its context,
// so a write can finish after its caller gave up. Writes of one bucket by this source therefore
// never overlap.
func (s *Storage) write(ctx context.Context, bucket string, document []byte, change func() error) error {
	slots := s.writes[maphash.String(s.seed, bucket)%maxWrites]
	_, err := callWithin(ctx, slots, func() (any, error) {
		began := s.now()
		if err := s.marker.require(ctx); err != nil {
			return nil, err
		}
		err := change()
		if err == nil {
			s.written(bucket, document, began)
		}
		return nil, err
	})
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("bucket %s: %w; what has begun may still take place", bucket, err)
	}
	return err
}

// Cleanup implements caddy.CleanerUpper.
func (s *Storage) Cleanup() error {
	s.close()
	return nil
}

var (
	_ PerBucket             = (*Storage)(nil)
	_ Reporter              = (*Storage)(nil)
	_ Writable              = (*Storage)(nil)
	_ caddy.CleanerUpper    = (*Storage)(nil)
	_ caddyfile.Unmarshaler = (*Storage)(nil)
)
