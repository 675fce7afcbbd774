package rulesource

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync/atomic"
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

	// troubleWait is how long a read is waited for of a bucket that is loaded, while
	// there is trouble: longer than any storage in order takes, so that the first
	// request after the trouble sees what is stored, shorter than anyone notices.
	troubleWait = 100 * time.Millisecond
)

// current returns the rules of a bucket that has a document. One that is used is read
// again in the background at half its time, so that no request waits for it; a request for
// one past its time does, so that no change comes later than refresh.
func (b *buckets) current(ctx context.Context, name string, known *bucket, now time.Time) *Rules {
	if elapsed(&known.used, now) > usedPrecision {
		known.used.Store(now.UnixNano())
	}
	switch {
	case elapsed(&known.checked, now) >= b.refresh:
		b.renew(ctx, name, known, now)
		if known = b.find(name); known == nil {
			return b.other
		}
	case elapsed(&known.tried, now) >= b.refresh/2 && known.refreshing.CompareAndSwap(false, true):
		go func() {
			defer known.refreshing.Store(false)
			_ = b.wait(b.ctx, name, now.Add(-b.refresh/2))
		}()
	}
	return known.document.Rules()
}

// renew waits for newer rules of a bucket past its time. While there is trouble, a read is
// waited for only until troubleWait after its beginning, and one that has failed is not
// tried again before half the bucket's time is over: there is the last good copy.
func (b *buckets) renew(ctx context.Context, name string, known *bucket, now time.Time) {
	if b.failing.Load() || known.failing.Load() {
		patience, sinceTry := troubleWait, elapsed(&known.tried, now)
		if known.reading.Load() { // since a moment ago, perhaps
			patience -= elapsed(&known.tried, now)
		} else if sinceTry < b.refresh/2 {
			return
		}
		if patience <= 0 {
			return
		}
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, patience)
		defer cancel()
	}
	_ = b.update(ctx, name, now)
}

// elapsed returns the time from at, in Unix nanoseconds, to now.
func elapsed(at *atomic.Int64, now time.Time) time.Duration {
	return now.Sub(time.Unix(0, at.Load()))
}

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

// wait has a document loaded, once however many wait for it, unless that has been tried
// since.
func (b *buckets) wait(ctx context.Context, name string, since time.Time) error {
	done := b.flights.DoChan(name, func() (any, error) {
		if b.isTriedSince(name, since) { // by a flight that has just ended
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
	if known := b.find(name); known != nil {
		return known.checked.Load() > since.UnixNano()
	}
	return b.unknown.has(name, since)
}

// isTriedSince reports whether a read began after since, even one that failed. Of a bucket
// that is not loaded, one that failed is none: its requests have no other answer.
func (b *buckets) isTriedSince(name string, since time.Time) bool {
	if known := b.find(name); known != nil {
		return known.tried.Load() > since.UnixNano()
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
	if known := b.find(name); known != nil {
		known.tried.Store(began.UnixNano()) // before reading is set
		known.reading.Store(true)
		defer known.reading.Store(false)
	}
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
	mu := b.lock(name)
	defer mu.Unlock()
	known := b.find(name)
	switch {
	case b.unknown.lastRead(name) > read || known != nil && known.read > read:
	case absent:
		b.unknown.add(name, read, began)
		b.forget(name)
	case known == nil:
		b.unknown.remove(name)
		known = b.newBucket(name)
		known.used.Store(began.UnixNano())
		known.tried.Store(began.UnixNano())
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
	known.failing.Store(false)
}

// readOne reads a document when there is room, and gives up when ctx is done even if the
// storage does not.
func (b *buckets) readOne(ctx context.Context, name string) ([]byte, error) {
	if len(name) > maxName {
		return nil, fmt.Errorf("%w: a bucket's name has at most %d bytes", fs.ErrNotExist, maxName)
	}
	content, err := bounded(ctx, b.loads, func() ([]byte, error) { return b.read(ctx, name) })
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("bucket %s: reading its rules: %w", name, err)
	}
	return content, err
}

// reload reads a document that was just written or deleted, so that the answer to that
// finds it in force.
func (b *buckets) reload(ctx context.Context, name string) error {
	b.flights.Forget(name) // a read under way may have seen the old one
	return b.wait(ctx, name, time.Now())
}

// failed records that a document could not be read. One that is loaded stays in force.
func (b *buckets) failed(name string, err error) {
	if b.ctx.Err() != nil { // which may be why
		return
	}
	if known := b.find(name); known != nil {
		known.failing.Store(true)
	}
	b.failing.Store(true)
	b.failedAt.Store(time.Now().UnixNano())
	text := err.Error()
	if b.trouble.Swap(&text) == nil {
		b.other.Metrics.Failed()
		outcome := "CORS rules of buckets cannot be read; none are loaded"
		for range b.all() {
			outcome = "CORS rules of buckets cannot be read; those that are loaded stay in force"
			break
		}
		b.opts.Logger.Error(outcome, zap.Error(err))
	}
}

// recovered records that a document could be read. The trouble is over when no other has
// failed for as long as one in use is not read: one that never can be is no new trouble
// each time.
func (b *buckets) recovered() {
	b.failing.Store(false)
	if b.trouble.Load() != nil && elapsed(&b.failedAt, time.Now()) >= b.refresh && b.trouble.Swap(nil) != nil {
		b.other.Metrics.Recovered()
		b.opts.Logger.Info("CORS rules of buckets can be read again")
	}
}
