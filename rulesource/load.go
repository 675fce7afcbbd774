package rulesource

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"go.uber.org/zap"
)

const (
	// loadDeadline bounds how long a request waits for rules: longer than any storage
	// in order takes, shorter than a browser's user waits.
	loadDeadline = 3 * time.Second

	// maxLoads bounds how many documents are read at the same time, so that a flood of
	// names does not take all of the storage's connections.
	maxLoads = 64
)

// update waits until what is known of a bucket is younger than refresh. A read that is
// under way may have begun too long ago, but not so the next one.
func (b *buckets) update(ctx context.Context, name string, now time.Time) (err error) {
	for range 2 {
		err = b.wait(ctx, name, now.Add(-b.refresh/2))
		if err != nil || b.isKnownSince(name, now.Add(-b.refresh)) {
			break
		}
	}
	return err
}

// wait has a document loaded, once however many wait for it, unless it has been since.
func (b *buckets) wait(ctx context.Context, name string, since time.Time) error {
	done := b.flights.DoChan(name, func() (any, error) {
		if b.isKnownSince(name, since) { // by a flight that has just ended
			return nil, nil
		}
		return nil, b.load(name)
	})
	select {
	case result := <-done:
		return result.Err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// isKnownSince reports whether it is known, by a read that began after since, what document
// a bucket has.
func (b *buckets) isKnownSince(name string, since time.Time) bool {
	if known, ok := b.find(name); ok {
		return known.checked.Load() > since.UnixNano()
	}
	return b.unknown.has(name, since)
}

// load reads a bucket's document and publishes what it finds. An error means that it is
// not known whether there is one.
func (b *buckets) load(name string) error {
	// Requests that are under way when the configuration ends still need their rules.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(b.ctx), loadDeadline)
	defer cancel()
	read, began := b.reads.Add(1), time.Now()
	content, err := b.readOne(ctx, name)
	absent := errors.Is(err, fs.ErrNotExist)
	if err != nil && !absent {
		b.failed(name, err)
		return err
	}
	b.publish(name, content, absent, read, began)
	b.recovered()
	return nil
}

// publish puts in force what a read has found, unless a later one has been there. It is as
// old as the beginning of the read: however long that took, the document may have been
// replaced meanwhile.
func (b *buckets) publish(name string, content []byte, absent bool, read uint64, began time.Time) {
	mu := b.change(name)
	defer mu.Unlock()
	known, _ := b.find(name)
	switch {
	case b.unknown.lastRead(name) > read || known != nil && known.read > read:
	case absent:
		b.unknown.add(name, read, began)
		b.forget(name)
	case known == nil:
		b.unknown.remove(name)
		known = &bucket{document: b.newDocument(name)}
		known.used.Store(began.UnixNano())
		known.load(content, read, began)
		b.known.Store(name, known)
	default:
		known.load(content, read, began)
	}
	if known != nil && b.closed {
		known.document.Close()
	}
}

func (known *bucket) load(content []byte, read uint64, began time.Time) {
	known.read = read
	if err := known.document.Load(content); err != nil && known.document.Rules() == nil {
		known.document.denyAll(err)
	}
	known.checked.Store(began.UnixNano())
}

// readOne reads a document when there is room, and gives up at the deadline even if the
// storage does not.
func (b *buckets) readOne(ctx context.Context, name string) ([]byte, error) {
	select {
	case b.loads <- struct{}{}:
	case <-ctx.Done():
		return nil, fmt.Errorf("bucket %s: %d other documents are being read: %w", name, maxLoads, ctx.Err())
	}
	type result struct {
		content []byte
		err     error
	}
	done := make(chan result, 1)
	go func() {
		defer func() { <-b.loads }()
		content, err := b.read(ctx, name)
		done <- result{content, err}
	}()
	select {
	case r := <-done:
		return r.content, r.err
	case <-ctx.Done():
		return nil, fmt.Errorf("bucket %s: reading its rules: %w", name, ctx.Err())
	}
}

// reload reads a document that was just written or deleted, so that the answer to that
// finds it in force.
func (b *buckets) reload(ctx context.Context, name string) error {
	b.flights.Forget(name) // a read under way may have seen the old one
	return b.wait(ctx, name, time.Now())
}

// failed records that a document could not be read. One that is loaded stays in force, and
// is tried again in the background only, after half its time.
func (b *buckets) failed(name string, err error) {
	if b.ctx.Err() != nil { // which may be why
		return
	}
	if known, ok := b.find(name); ok {
		known.checked.Store(time.Now().Add(-b.refresh / 2).UnixNano())
	}
	text := err.Error()
	if b.trouble.Swap(&text) == nil {
		b.other.Metrics.Failed()
		b.opts.Logger.Error("CORS rules of buckets cannot be read; those that are loaded stay in force", zap.Error(err))
	}
}

func (b *buckets) recovered() {
	if b.trouble.Load() != nil && b.trouble.Swap(nil) != nil {
		b.other.Metrics.Recovered()
		b.opts.Logger.Info("CORS rules of buckets can be read again")
	}
}
