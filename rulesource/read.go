package rulesource

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/caddy-oss-cors/caddy-oss-cors/corsrules"
)

const (
	// readDeadline bounds a read: longer than any healthy storage takes, shorter than a
	// browser's user waits.
	readDeadline = 3 * time.Second

	// settleTime is how long a document must be unchanged before its content is used.
	// Times of change are no finer than the kernel's tick, at most 10 ms: two changes
	// within one leave the same time.
	settleTime = 20 * time.Millisecond

	// maxLooks is how many times a read is repeated when the document changes meanwhile.
	maxLooks = 3
)

// callWithin runs call in a goroutine, holding a slot, and returns when it does or when ctx
// is done. The slot is held until call returns: certmagic's FileStorage, for one, ignores
// its context.
func callWithin[T any](ctx context.Context, slots chan struct{}, call func() (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	var none T
	select {
	case slots <- struct{}{}:
	case <-ctx.Done():
		return none, fmt.Errorf("not started, because earlier calls have not returned: %w", ctx.Err())
	}
	done := make(chan result, 1)
	go func() {
		defer func() { <-slots }()
		var r result
		defer func() { done <- r }()
		defer panicAsError(&r.err)
		r.value, r.err = call()
	}()
	select {
	case r := <-done:
		return r.value, r.err
	case <-ctx.Done():
		return none, fmt.Errorf("no answer: %w", ctx.Err())
	}
}

// panicAsError is deferred where code of others runs in a goroutine of this package.
func panicAsError(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("panic: %s", cut(fmt.Sprint(p)))
	}
}

// reader reads one document. Its methods return fs.ErrNotExist where it is certain that
// there is none.
type reader interface {
	read(ctx context.Context) ([]byte, look, error)
	look(ctx context.Context) (look, error)
}

// look is what can be seen of a document without reading it.
type look struct {
	size     int64
	modified int64 // Unix nanoseconds by the clock of whoever keeps the document; 0: not known
}

func newLook(size int64, modified time.Time) look {
	l := look{size: size}
	if !modified.IsZero() {
		l.modified = modified.UnixNano()
	}
	return l
}

// isSettled reports whether the last write is at least settleTime away, by either clock, or
// its time is not known: the second look still finds most changes.
func (l look) isSettled() bool {
	return time.Since(time.Unix(0, l.modified)).Abs() >= settleTime
}

// readSettled reads a document that nobody is writing to: content that is not in force yet
// counts only if a second look, after it was read, agrees with the first.
func readSettled(ctx context.Context, document reader, inForce func([]byte) bool) ([]byte, error) {
	for range maxLooks {
		content, first, err := document.read(ctx)
		if err != nil || inForce(content) {
			return content, err
		}
		second, err := document.look(ctx)
		switch {
		case err != nil:
			return nil, err
		case second == first && first.isSettled():
			return content, nil
		}
		select {
		case <-time.After(settleTime):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return nil, errors.New("the document changes while it is read")
}

// regularFile reads a document from a file by its path.
type regularFile string

// read opens the file with O_NONBLOCK, because opening a named pipe would block. It calls Stat
// on the open file, so that the content and the size are of the same file.
func (path regularFile) read(context.Context) ([]byte, look, error) {
	f, err := os.OpenFile(string(path), os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		if wd, wdErr := os.Getwd(); wdErr == nil && !filepath.IsAbs(string(path)) {
			return nil, look{}, fmt.Errorf("%w (looked for in the working directory, %s)", err, wd)
		}
		return nil, look{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, look{}, err
	}
	if !info.Mode().IsRegular() {
		return nil, look{}, fmt.Errorf("%s is not a regular file: rules are read from regular files only", path)
	}
	content, err := corsrules.DialectAny.ReadDocument(f, info.Size()) // Parse knows the dialect
	return content, newLook(info.Size(), info.ModTime()), err
}

func (path regularFile) look(context.Context) (look, error) {
	info, err := os.Stat(string(path))
	if err != nil {
		return look{}, err
	}
	return newLook(info.Size(), info.ModTime()), nil
}
