package rulesource

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"time"

	"github.com/caddy-oss-cors/caddy-oss-cors/corsrules"
)

// A bucket has one state at a time. It follows from what its reads found and from when
// they began, by a clock that never steps back:
//
//	state    what is known                        a request gets
//	fresh    rules, read < refresh/2 ago          these rules
//	due      rules, read < refresh ago            these rules
//	absent   no document, < refresh ago           "CORS is not enabled"
//	failing  the last read failed, < refresh ago, the last good rules, or the error
//	         or one still hangs
//	stale    nothing so new                       what a read finds; the last good rules
//	                                              where it takes longer than patience
//
//	state    a read begins                        a request waits for a read
//	fresh    no                                   no
//	due      once refresh/2 is over               no
//	absent   no                                   no
//	failing  refresh/2 after the failure, twice   no; for patience if there are no rules
//	         that for each read that hangs
//	stale    with the first request               for patience
//
// So a change is in force within refresh, and the last good rules stay in force while there
// is trouble. What is found counts as read when the read began: the document may have been
// replaced while it took place.
type state uint8

const (
	stale state = iota
	fresh
	due
	absent
	failing
)

// newerWait is how long a request waits for newer rules where older ones are known, or for
// the next read of what could not be read: longer than a read takes in a healthy storage,
// shorter than anyone notices.
const newerWait = 100 * time.Millisecond

// clock returns the time since some fixed moment. It never steps back, as the wall clock
// can: no age is the difference of two wall-clock times.
type clock func() time.Duration

func newClock() clock {
	start := time.Now()
	return func() time.Duration { return time.Since(start) } // of its monotonic reading
}

// never is before everything.
const never time.Duration = math.MinInt64 / 2

// state returns the bucket's state at a time. The caller holds b.mu.
func (b *bucket) state(now time.Duration) state {
	age, refresh := now-b.freshAsOf, b.buckets.refresh
	switch {
	case age >= refresh && b.lastError != nil && (now-b.lastFailure < refresh || b.hanging > 0):
		return failing
	case age >= refresh:
		return stale
	case b.document == nil:
		return absent
	case age >= refresh/2:
		return due
	}
	return fresh
}

// patience is how long after a read has begun a request waits for it. The caller holds b.mu.
func (b *bucket) patience(s state) time.Duration {
	switch {
	case s == stale && b.document == nil:
		return 2 * readDeadline // a read has ended by then
	case s == stale, s == failing && b.document == nil:
		return newerWait
	}
	return 0
}

// rules returns the rules in force, new enough if they can be had; nil if the bucket is
// gone.
func (b *bucket) rules(ctx context.Context) (*Rules, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	arrived := b.buckets.now()
	b.lastUsed = arrived
	for !b.gone {
		s := b.state(arrived)
		if b.reading == nil && b.mayRead(s, arrived) {
			b.startRead()
		}
		patience := b.patience(s)
		if b.reading == nil || patience == 0 || !b.await(ctx, min(b.reading.began, arrived)+patience) {
			return b.answer(ctx, s)
		}
	}
	return nil, nil
}

// answer returns what is known. The caller holds b.mu.
func (b *bucket) answer(ctx context.Context, s state) (*Rules, error) {
	switch {
	case b.document != nil:
		return b.document.rules, nil
	case s == absent:
		return b.buckets.other, nil
	case b.lastError != nil:
		return b.buckets.other, b.lastError
	}
	return b.buckets.other, fmt.Errorf("bucket %s: its rules have not been read yet: %w", b.name, cmp.Or(ctx.Err(), context.DeadlineExceeded))
}

// await reports whether the read under way ends before ctx does and the time comes. The caller
// holds b.mu, which await unlocks while it waits.
func (b *bucket) await(ctx context.Context, until time.Duration) bool {
	reading, timer := b.reading, time.NewTimer(until-b.buckets.now())
	defer timer.Stop()
	b.mu.Unlock()
	defer b.mu.Lock()
	select {
	case <-reading.done:
		return true
	case <-timer.C:
	case <-ctx.Done():
	}
	return false
}

// maxBackoffShift bounds the time until the next read of a document whose reads hang: 2^20
// times half of refresh.
const maxBackoffShift = 20

// mayRead reports whether a read may begin in a state. After a failure it waits twice as long
// for each earlier read that still hangs, because each of them holds a slot. The caller holds
// b.mu.
func (b *bucket) mayRead(s state, now time.Duration) bool {
	if b.lastError != nil {
		return now-b.lastFailure >= b.buckets.refresh/2<<min(b.hanging, maxBackoffShift)
	}
	return s == due || s == stale
}

// startRead starts a read. The caller holds b.mu.
func (b *bucket) startRead() {
	b.lastVersion++
	b.reading = &bucketRead{began: b.buckets.now(), version: b.lastVersion, done: make(chan struct{})}
	slots := b.buckets.unloadedReads
	if b.document != nil {
		slots = b.buckets.loadedReads
	}
	go b.read(b.reading, slots)
}

// read reads the document, and puts in force what it finds.
func (b *bucket) read(r *bucketRead, slots chan struct{}) {
	// Requests that are under way when the configuration ends still need their rules.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(b.buckets.ctx), readDeadline)
	defer cancel()
	content, err := callWithin(ctx, slots, func() ([]byte, error) {
		b.called(r)
		defer b.returned(r)
		return readSettled(ctx, b.buckets.document(b.name), b.holds)
	})
	var changed *parsedContent
	if err == nil && !b.holds(content) {
		var lint func(*corsrules.Ruleset) []corsrules.Finding
		changed, lint = b.buckets.parse(b.name, content)
		defer b.buckets.logFindings(b.name, changed, lint) // once requests have their rules
	}

	b.mu.Lock()
	defer b.mu.Unlock()
	defer close(r.done)
	b.reading = nil
	if r.calling {
		r.givenUp = true
		b.hanging++
	}
	switch isAbsent := errors.Is(err, fs.ErrNotExist); {
	case b.gone || r.version < b.version:
	case err != nil && !isAbsent:
		b.failed(err)
	case isAbsent:
		b.unload(r.version, r.began)
	case changed != nil:
		b.load(r.version, r.began, changed)
	default:
		b.found(r.version, r.began)
		b.document.confirm()
	}
}

func (b *bucket) called(r *bucketRead) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r.calling = true
}

func (b *bucket) returned(r *bucketRead) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r.calling = false
	if r.givenUp {
		b.hanging--
	}
}

// holds reports whether content is what is in force.
func (b *bucket) holds(content []byte) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.document != nil && b.document.holds(content)
}
