package rulesource

import (
	"context"
	"errors"
	"hash/maphash"
	"iter"
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

const (
	// stripes is how many buckets can be changed at the same time. Which those are is
	// chance.
	stripes = 64

	// maxName is how many bytes OSS lets a bucket's name have.
	maxName = 63
)

// seed keeps whoever names buckets from choosing names that meet in one stripe.
var seed = maphash.MakeSeed()

func stripe(name string) uint64 { return maphash.String(seed, name) % stripes }

// buckets are the rules of many buckets, a document each: loaded on first use,
// revalidated by age when used, served from the last good copy while there is trouble,
// dropped when long unused. Nothing is read for a bucket that nobody asks for.
type buckets struct {
	// read returns a bucket's document; fs.ErrNotExist: it has none.
	read     func(ctx context.Context, bucket string) ([]byte, error)
	file     func(bucket string) string // what faults call the document
	opts     *Options
	maxRules int
	dialect  corsrules.Dialect // whose documents are accepted
	refresh  time.Duration
	numbered bool // rules are named by their numbers: tenants chose the IDs

	ctx      context.Context     // of the configuration
	known    sync.Map            // *bucket by name: those that have a document
	locks    [stripes]sync.Mutex // guard what is known of a bucket while it changes
	unknown  unknownBuckets
	closed   bool // guarded by all locks
	flights  singleflight.Group
	loads    chan struct{}
	reads    atomic.Uint64 // numbers the reads, so that a slow one never undoes a later one
	overflow *overflow     // counts for all buckets without counters of their own
	other    *Rules        // for all buckets without a document
	trouble  atomic.Pointer[string]
	failedAt atomic.Int64 // the last read that did, in Unix nanoseconds
	failing  atomic.Bool  // the last read that ended has failed, of whatever bucket
}

// bucket is a bucket that has a document.
type bucket struct {
	checked atomic.Int64 // when the read began that was last published, in Unix nanoseconds
	tried   atomic.Int64 // when the last read began, whatever came of it
	used    atomic.Int64

	reading    atomic.Bool // a read is under way
	failing    atomic.Bool // the last read that ended has failed
	refreshing atomic.Bool // in the background

	name     string
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
	b.overflow = &overflow{handle: opts.Store.Open(metrics.OtherBuckets, opts.metricsOptions()), maxRules: max(b.maxRules, b.dialect.DefaultMaxRules())}
	b.other = &Rules{Name: metrics.OtherBuckets, Metrics: b.overflow.handle}
	go b.dropUnused()
	return nil
}

// PerBucket implements PerBucket.
func (b *buckets) PerBucket() {}

// Rules implements Source. The empty name stands for a request that names no bucket.
func (b *buckets) Rules(ctx context.Context, name string) (*Rules, error) {
	now := time.Now()
	if known := b.find(name); known != nil {
		return b.current(ctx, name, known, now), nil
	}
	if name == "" || b.unknown.has(name, now.Add(-b.refresh)) {
		return b.other, nil
	}
	if err := b.update(ctx, name, now); err != nil {
		return b.other, err
	}
	if known := b.find(name); known != nil {
		return known.document.Rules(), nil
	}
	return b.other, nil
}

// find returns a bucket that has a document; nil: none is known.
func (b *buckets) find(name string) *bucket {
	known, _ := b.known.Load(name)
	found, _ := known.(*bucket)
	return found
}

// all goes through the buckets that have a document.
func (b *buckets) all() iter.Seq[*bucket] {
	return func(yield func(*bucket) bool) {
		b.known.Range(func(_, known any) bool { return yield(known.(*bucket)) })
	}
}

// lock locks what is known of a bucket.
func (b *buckets) lock(name string) *sync.Mutex {
	mu := &b.locks[stripe(name)]
	mu.Lock()
	return mu
}

func (b *buckets) newBucket(name string) *bucket {
	known := &bucket{name: name}
	d := &known.document
	d.init(name, b.file(name), b.maxRules, b.opts)
	d.numbered, d.overflow = b.numbered, b.overflow
	d.parsing.Dialect = b.dialect
	return known
}

// forget drops a bucket's rules. The caller has its lock.
func (b *buckets) forget(name string) {
	if known, loaded := b.known.LoadAndDelete(name); loaded {
		known.(*bucket).document.Close()
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
			for known := range b.all() {
				if elapsed(&known.used, now) > unusedTime {
					mu := b.lock(known.name)
					b.forget(known.name)
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
	for i := range b.locks { // so that none is being published
		b.locks[i].Lock()
		defer b.locks[i].Unlock()
	}
	b.closed = true
	for known := range b.all() { // and keep it, for requests that are under way
		known.document.Close()
	}
	b.other.Metrics.Close()
}

// overflow counts for the buckets that have no counters of their own: those without a
// document, and those past metrics.MaxBuckets.
type overflow struct {
	handle   *metrics.Handle
	maxRules int
	once     sync.Once
	counters []*metrics.Rule
}

// hits returns counters of rules by their numbers. Their series begin with the first
// bucket that needs them.
func (o *overflow) hits() []*metrics.Rule {
	o.once.Do(func() {
		numbers := make([]string, o.maxRules)
		for i := range numbers {
			numbers[i] = strconv.Itoa(i + 1)
		}
		o.counters = o.handle.CountRules(numbers)
	})
	return o.counters
}
