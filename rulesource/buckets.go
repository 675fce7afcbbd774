package rulesource

import (
	"context"
	"errors"
	"strconv"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/caddy-oss-cors/caddy-oss-cors/corsrules"
	"github.com/caddy-oss-cors/caddy-oss-cors/metrics"
)

// unusedTime is how long a document stays loaded that nobody asks for.
const unusedTime = time.Hour

// usedPrecision is how exactly it is known when a bucket was asked for last: not so that each
// request has to write that down.
const usedPrecision = time.Minute

// buckets are the rules of many buckets, a document each: loaded on first use,
// revalidated by age when used, served from the last good copy while there is trouble,
// dropped when long unused. Nothing is read for a bucket that nobody asks for.
type buckets struct {
	// read returns a bucket's document; fs.ErrNotExist: it has none.
	read     func(ctx context.Context, bucket string) ([]byte, error)
	file     func(bucket string) string // what faults call the document
	opts     *Options
	maxRules int
	refresh  time.Duration
	numbered bool // rules are named by their numbers: tenants chose the IDs

	ctx      context.Context // of the configuration
	known    *table          // those that have a document; its locks guard what is known while it changes
	unknown  unknownBuckets
	closed   bool // guarded by all locks
	flights  singleflight.Group
	loads    chan struct{}
	reads    atomic.Uint64 // numbers the reads, so that a slow one never undoes a later one
	other    *Rules        // for all buckets without a document
	trouble  atomic.Pointer[string]
	failedAt atomic.Int64 // the last read that did, in Unix nanoseconds
	failing  atomic.Bool  // the last read that ended has failed, of whatever bucket
}

// bucket is a bucket that has a document. What a request looks at comes first: it lies
// together, for where there are very many buckets it has to come from memory each time.
type bucket struct {
	next    atomic.Pointer[bucket] // in a chain of the table
	checked atomic.Int64           // when the read began that was last published, in Unix nanoseconds
	tried   atomic.Int64           // when the last read began, whatever came of it
	used    atomic.Int64

	reading    atomic.Bool // a read is under way
	failing    atomic.Bool // the last read that ended has failed
	refreshing atomic.Bool // in the background

	name     bucketName
	document Document // with rules, from the start
	read     uint64   // the read that was last published
}

// open begins to serve until ctx is done.
func (b *buckets) open(ctx context.Context, options RefreshOptions, opts *Options) error {
	if opts.AllowCredentials {
		return errors.New("allow_credentials stands beside rules file or rules inline only: where tenants write the rules, anyone could allow themselves")
	}
	var err error
	if b.refresh, err = options.check(); err != nil {
		return err
	}
	b.ctx, b.opts, b.maxRules = ctx, opts, options.MaxRules
	b.known = new(table)
	b.loads = make(chan struct{}, maxLoads)
	hold := Metrics.Open(metrics.OtherBuckets, *b.opts.Metrics)
	numbers := make([]string, max(b.maxRules, corsrules.DefaultMaxRules))
	for i := range numbers {
		numbers[i] = strconv.Itoa(i + 1)
	}
	b.other = &Rules{Name: metrics.OtherBuckets, Metrics: hold, hits: hold.Loaded(numbers)}
	go b.dropUnused()
	return nil
}

// PerBucket implements PerBucket.
func (b *buckets) PerBucket() {}

// Rules implements Source. The empty name stands for a request that names no bucket.
func (b *buckets) Rules(ctx context.Context, name string) (*Rules, error) {
	now := time.Now()
	if known := b.known.find(name); known != nil {
		return b.current(ctx, name, known, now), nil
	}
	if name == "" || b.unknown.has(name, now.Add(-b.refresh)) {
		return b.other, nil
	}
	if err := b.update(ctx, name, now); err != nil {
		return b.other, err
	}
	if known := b.known.find(name); known != nil {
		return known.document.Rules(), nil
	}
	return b.other, nil
}

func (b *buckets) newBucket(name string) *bucket {
	known := &bucket{name: newBucketName(name)}
	d := &known.document
	d.init(name, b.file(name), b.maxRules, b.opts)
	d.numbered, d.other = b.numbered, b.other
	return known
}

// forget drops a bucket's rules. The caller has its lock.
func (b *buckets) forget(name string) {
	if known := b.known.remove(name); known != nil {
		known.document.Close()
	}
}

// dropUnused drops what nobody has asked for in a long time, until the configuration ends.
func (b *buckets) dropUnused() {
	ticker := time.NewTicker(unusedTime / 10)
	defer ticker.Stop()
	for {
		select {
		case <-b.ctx.Done():
			return
		case now := <-ticker.C:
			for known := range b.known.all() {
				if elapsed(&known.used, now) > unusedTime {
					name := known.name.String()
					mu := b.known.lock(name)
					b.forget(name)
					mu.Unlock()
				}
			}
		}
	}
}

func (b *buckets) close() {
	if b.other == nil {
		return
	}
	for i := range b.known.locks { // so that none is being published
		b.known.locks[i].Lock()
		defer b.known.locks[i].Unlock()
	}
	b.closed = true
	for known := range b.known.all() { // and keep it, for requests that are under way
		known.document.Close()
	}
	b.other.Metrics.Close()
}
