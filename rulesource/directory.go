package rulesource

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"go.uber.org/zap"
)

func init() {
	caddy.RegisterModule(new(Directory))
}

// Directory reads the rules of each bucket from <bucket>.xml in a directory, when the
// bucket is first requested, and again as it is used. It never writes. A bucket whose first
// document is bad denies everything; a bad one later leaves the last good rules in force.
// While the directory cannot be read, Caddy starts and goes on with the rules that are loaded;
// preflights for other buckets are answered 503.
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
	if err := oneArgument(d, "rules directory", "the directory of the documents", &s.Path); err != nil {
		return err
	}
	return s.unmarshalOptions(d)
}

// Open implements Source.
func (s *Directory) Open(ctx caddy.Context, opts *Options) error {
	if s.Path == "" {
		return errors.New("rules directory: the path is empty: give that of the directory of the documents")
	}
	dir, err := Expand(s.Path)
	if err != nil {
		return fmt.Errorf("rules directory %s: %w", s.Path, err)
	}
	looked := make(chan struct{})
	go func() {
		defer close(looked)
		warnOfDirectory(ctx, dir, opts.Logger)
	}()
	select {
	case <-looked:
	case <-time.After(newerWait): // one that hangs does not keep Caddy from starting
	}
	s.file = func(bucket string) string { return filepath.Join(dir, bucket+".xml") }
	s.document = func(bucket string) reader { return directoryFile{regularFile(s.file(bucket)), dir} }
	s.dialect = opts.Dialect.Documents()
	return s.open(ctx, s.RefreshOptions, opts)
}

// directoryFile is a bucket's document in a directory. While the directory itself is
// missing, as when a mount is late, it is not certain that there is no document.
type directoryFile struct {
	regularFile
	dir string
}

func (f directoryFile) read(ctx context.Context) ([]byte, look, error) {
	content, seen, err := f.regularFile.read(ctx)
	return content, seen, f.certain(err)
}

func (f directoryFile) look(ctx context.Context) (look, error) {
	seen, err := f.regularFile.look(ctx)
	return seen, f.certain(err)
}

// certain returns the error of an operation on the file. It is fs.ErrNotExist only where the
// directory exists.
func (f directoryFile) certain(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		if _, dirErr := os.Stat(f.dir); dirErr != nil {
			return fmt.Errorf("rules directory: %s", dirErr) // not as fs.ErrNotExist
		}
	}
	return err
}

const (
	// maxListed is how many entries of a directory are looked at: listing a very large one
	// would delay the start.
	maxListed = 10_000

	// maxStrayFiles is how many names a warning has.
	maxStrayFiles = 10
)

// StrayFiles returns those of the names in a directory of documents that look like documents and
// are never read. OSS's names of buckets do not have dots, upper-case letters or underscores.
func StrayFiles(names []string) (stray []string) {
	for _, name := range names {
		extension := strings.ToLower(filepath.Ext(name))
		bucket, ok := strings.CutSuffix(name, ".xml")
		if (extension == ".xml" || extension == ".json") && !(ok && IsBucketName(bucket)) {
			stray = append(stray, name)
		}
	}
	slices.Sort(stray)
	return stray
}

// WhyStray is why StrayFiles are never read.
const WhyStray = "a bucket's document is <bucket>.xml, also if its content is JSON, and the bucket's name has 3 to 63 of a-z, 0-9 and -"

// warnOfDirectory warns of a directory that cannot be read when Caddy starts, which may be on
// purpose, and of files in it that are never read.
func warnOfDirectory(ctx context.Context, dir string, log *zap.Logger) {
	ctx, cancel := context.WithTimeout(ctx, readDeadline)
	defer cancel()
	names, err := callWithin(ctx, make(chan struct{}, 1), func() ([]string, error) {
		f, err := os.Open(dir)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		return f.Readdirnames(maxListed)
	})
	if err != nil {
		if !errors.Is(err, io.EOF) { // which an empty one has
			log.Warn("the rules directory cannot be read: until it can, preflights are answered 503, and other requests pass", zap.Error(err))
		}
		return
	}
	stray := StrayFiles(names)
	if len(stray) == 0 {
		return
	}
	log.Warn("files in the rules directory are never read",
		zap.String("reason", WhyStray),
		zap.String("directory", dir),
		zap.Int("files", len(stray)),
		zap.Strings("first", stray[:min(len(stray), maxStrayFiles)]))
}

// Cleanup implements caddy.CleanerUpper.
func (s *Directory) Cleanup() error {
	s.close()
	return nil
}

var (
	_ PerBucket             = (*Directory)(nil)
	_ Reporter              = (*Directory)(nil)
	_ caddy.CleanerUpper    = (*Directory)(nil)
	_ caddyfile.Unmarshaler = (*Directory)(nil)
)
