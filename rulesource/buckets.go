package rulesource

import (
	"context"
	"errors"
	"hash/maphash"
	"strconv"
	"sync"
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
	known    sync.Map        // bucket to *bucket: those that have a document
	unknown  unknownBuckets
	changes  [stripes]sync.Mutex // by bucket, guards what is known of it while that changes
	closed   bool                // guarded by all of changes
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
	checked atomic.Int64 // when the read began that was last published, in Unix nanoseconds
	tried   atomic.Int64 // when the last read began, whatever came of it
	used    atomic.Int64

	reading    atomic.Bool // a read is under way
	failing    atomic.Bool // the last read that ended has failed
	refreshing atomic.Bool // in the background

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
	if known, ok := b.find(name); ok {
		return b.current(ctx, name, known, now), nil
	}
	if name == "" || b.unknown.has(name, now.Add(-b.refresh)) {
		return b.other, nil
	}
	if err := b.update(ctx, name, now); err != nil {
		return b.other, err
	}
	if known, ok := b.find(name); ok {
		return known.document.Rules(), nil
	}
	return b.other, nil
}

// change locks what is known of a bucket.
func (b *buckets) change(name string) *sync.Mutex {
	mu := &b.changes[stripe(name)]
	mu.Lock()
	return mu
}

// stripes is how many buckets can be changed at the same time. Which those are is chance.
const stripes = 64

var seed = maphash.MakeSeed()

func stripe(bucket string) uint64 { return maphash.String(seed, bucket) % stripes }

func (b *buckets) find(name string) (known *bucket, ok bool) {
	found, ok := b.known.Load(name)
	if !ok {
		return nil, false
	}
	return found.(*bucket), true
}

func (b *buckets) newBucket(name string) *bucket {
	known := new(bucket)
	d := &known.document
	d.init(name, b.file(name), b.maxRules, b.opts)
	d.numbered, d.other = b.numbered, b.other
	return known
}

// forget drops a bucket's rules. The caller has the lock that change takes.
func (b *buckets) forget(name string) {
	if found, ok := b.known.LoadAndDelete(name); ok {
		found.(*bucket).document.Close()
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
			b.known.Range(func(name, found any) bool {
				if elapsed(&found.(*bucket).used, now) > unusedTime {
					mu := b.change(name.(string))
					b.forget(name.(string))
					mu.Unlock()
				}
				return true
			})
		}
	}
}

func (b *buckets) close() {
	if b.other == nil {
		return
	}
	for i := range b.changes { // so that none is being published
		b.changes[i].Lock()
		defer b.changes[i].Unlock()
	}
	b.closed = true
	b.known.Range(func(_, found any) bool { // and keep it, for requests that are under way
		found.(*bucket).document.Close()
		return true
	})
	b.other.Metrics.Close()
}
