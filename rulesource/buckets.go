package rulesource

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io/fs"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"go.uber.org/zap"
	"golang.org/x/sync/singleflight"

	"github.com/caddy-oss-cors/caddy-oss-cors/corsrules"
	"github.com/caddy-oss-cors/caddy-oss-cors/metrics"
)

const (
	// loadDeadline bounds how long a request waits for rules: longer than any storage
	// in order takes, shorter than a browser's user waits.
	loadDeadline = 3 * time.Second

	// maxLoads bounds how many documents are read at the same time, so that a flood of
	// names does not take all of the storage's connections.
	maxLoads = 64

	// maxUnknown bounds how many names without a document are remembered. Past it some
	// are forgotten and looked for again.
	maxUnknown = 10_000

	// unusedTime is how long a document stays loaded that nobody asks for.
	unusedTime = time.Hour
)

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

	ctx     context.Context // of the configuration
	known   sync.Map        // bucket to *bucket: those that have a document
	unknown unknownBuckets
	changes [64]sync.Mutex // by bucket, guards what is known of it while that changes
	closed  bool           // guarded by all of changes
	flights singleflight.Group
	loads   chan struct{}
	reads   atomic.Uint64 // numbers the reads, so that a slow one never undoes a later one
	other   *Rules        // for all buckets without a document
	trouble atomic.Pointer[string]
}

// bucket is a bucket that has a document.
type bucket struct {
	document *Document // with rules, from the start
	read     uint64    // the read that was last published

	checked    atomic.Int64 // when the last read of the document began, in Unix nanoseconds
	used       atomic.Int64
	refreshing atomic.Bool
}

// BucketOptions are what every source of many documents can be told.
type BucketOptions struct {
	// Refresh is how old a document may be when it is used: a change is in force
	// within it. Default: 5s; at least 10ms.
	Refresh caddy.Duration `json:"refresh,omitempty"`

	// MaxRules is how many rules a document may have. Default: 10, as in OSS.
	MaxRules int `json:"max_rules,omitempty"`
}

func (o *BucketOptions) unmarshalOptions(d *caddyfile.Dispenser) error {
	return eachOption(d, map[string]func() error{
		"refresh":   func() error { return unmarshalRefresh(d, &o.Refresh) },
		"max_rules": func() error { return unmarshalMaxRules(d, &o.MaxRules) },
	})
}

// open begins to serve until ctx is done.
func (b *buckets) open(ctx context.Context, options BucketOptions, opts *Options) error {
	if opts.AllowCredentials {
		return errors.New("allow_credentials stands beside rules file or rules inline only: where tenants write the rules, anyone could allow themselves")
	}
	var err error
	if b.refresh, err = checkRefresh(options.Refresh); err != nil {
		return err
	}
	if err = checkMaxRules(options.MaxRules); err != nil {
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

// current returns the rules of a bucket that has a document. One that is used is read
// again in the background at half its time, so that no request waits for it; a request for
// one past its time does, so that no change comes later than refresh.
func (b *buckets) current(ctx context.Context, name string, known *bucket, now time.Time) *Rules {
	known.used.Store(now.UnixNano())
	switch age := now.Sub(time.Unix(0, known.checked.Load())); {
	case age >= b.refresh:
		_ = b.update(ctx, name, now) // there is the last good copy
		var ok bool
		if known, ok = b.find(name); !ok {
			return b.other
		}
	case age >= b.refresh/2 && known.refreshing.CompareAndSwap(false, true):
		go func() {
			defer known.refreshing.Store(false)
			_ = b.wait(b.ctx, name, now.Add(-b.refresh/2))
		}()
	}
	return known.document.Rules()
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

// change locks what is known of a bucket.
func (b *buckets) change(name string) *sync.Mutex {
	mu := &b.changes[maphash.String(seed, name)%uint64(len(b.changes))]
	mu.Lock()
	return mu
}

var seed = maphash.MakeSeed()

func (b *buckets) find(name string) (known *bucket, ok bool) {
	found, ok := b.known.Load(name)
	if !ok {
		return nil, false
	}
	return found.(*bucket), true
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

func (b *buckets) newDocument(name string) *Document {
	d := NewDocument(name, b.file(name), b.maxRules, b.opts)
	d.name, d.numbered, d.other = name, b.numbered, b.other
	return d
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
				if now.Sub(time.Unix(0, found.(*bucket).used.Load())) > unusedTime {
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
