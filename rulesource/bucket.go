package rulesource

import (
	"fmt"
	"sync"
	"time"
)

// bucket is a bucket that requests have named.
type bucket struct {
	buckets *buckets
	name    string

	mu       sync.Mutex      // guards what follows; it is not held during a read or a parse
	document *bucketDocument // nil: none is known
	gone     bool            // it is not in the table any more: look there again

	freshAsOf   time.Duration // when the read began that found what is known
	lastUsed    time.Duration
	lastError   error // of the last read; nil: it did not fail
	lastFailure time.Duration

	reading     *bucketRead // under way; nil: none
	hanging     int         // reads that were given up, and whose calls have not returned
	version     uint64      // of the read or write that found what is known
	lastVersion uint64      // that a read or write was given
}

// bucketRead is a read under way. Where a later one, or a write, ends before it, what it
// finds is not used.
type bucketRead struct {
	began   time.Duration
	version uint64
	done    chan struct{}

	calling bool // the storage was called, and has not returned
	givenUp bool
}

// load puts in force what a read found, or a write stored, that began at a time.
func (b *bucket) load(version uint64, began time.Duration, content *parsedContent) {
	if b.document == nil {
		b.document = b.buckets.newDocument(b.name)
		b.buckets.place(b)
	}
	b.document.load(content)
	b.found(version, began)
}

// unload is load for a bucket without a document.
func (b *bucket) unload(version uint64, began time.Duration) {
	if b.document != nil {
		b.document.close()
		b.document = nil
		b.buckets.place(b)
	}
	b.found(version, began)
}

// found records that what is in force was known when a read or write began.
func (b *bucket) found(version uint64, began time.Duration) {
	b.version, b.freshAsOf, b.lastError = version, began, nil
	b.buckets.outage.recovered()
}

// failed records that the document could not be read.
func (b *bucket) failed(err error) {
	b.lastError = fmt.Errorf("bucket %s: reading its rules: %w", b.name, err)
	b.lastFailure = b.buckets.now()
	b.buckets.outage.failed(b.lastError)
}

// written puts in force what was written to the document, or that it was deleted. It
// reports false if the bucket is gone.
func (b *bucket) written(content *parsedContent, began time.Duration) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.gone {
		return false
	}
	b.lastUsed = b.buckets.now()
	b.lastVersion++ // a read that is under way may have found what was there before
	if content == nil {
		b.unload(b.lastVersion, began)
	} else {
		b.load(b.lastVersion, began, content)
	}
	return true
}

// dropIfUnused drops a document that was not requested for a long time.
func (b *bucket) dropIfUnused() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.document == nil || b.reading != nil || b.buckets.now()-b.lastUsed <= unusedTime {
		return
	}
	b.document.close()
	b.gone = true
	b.buckets.forget(b)
}

func (b *bucket) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.document != nil {
		b.document.close() // it is kept for requests that are under way
	}
}

func (b *bucket) report() Report {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.document == nil {
		return Report{}
	}
	return b.document.report()
}
