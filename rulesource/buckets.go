package rulesource

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/caddy-oss-cors/caddy-oss-cors/corsrules"
	"github.com/caddy-oss-cors/caddy-oss-cors/metrics"
)

const (
	// unusedTime is how long a document stays loaded without a request for its bucket.
	unusedTime = time.Hour

	// maxName is how many bytes OSS lets a bucket's name have.
	maxName = 63

	// maxUnloaded bounds how many names without a document are remembered: past it some
	// are forgotten, and looked for again. Anyone can send any name.
	maxUnloaded = 10_000

	// maxReads bounds how many documents are read at the same time, so that a flood of
	// names does not take all of the storage's connections. Half of them are for buckets
	// that are loaded, whose rules must stay new however many other names are sent.
	maxReads = 64
)

// buckets are the rules of many buckets, a document each: loaded on first use, read again
// as they are used (see state), and dropped when they are not. Nothing is read for a
// bucket that nobody requests. Where two locks are held, a bucket's is taken first.
type buckets struct {
	document          func(bucket string) reader // reads a bucket's document
	file              func(bucket string) string // what faults call it
	nameRulesByNumber bool                       // tenants chose the IDs
	dialect           corsrules.Dialect          // of documents
	opts              *Options
	maxRules          int // of a document; 0: as many as the dialect allows
	refresh           time.Duration
	now               clock

	ctx                        context.Context // of the configuration
	unloadedReads, loadedReads chan struct{}   // slots for reads: of buckets that are not loaded, and that are
	outage                     outage
	overflow                   *overflow // counts for all buckets without counters of their own
	other                      *Rules    // for all buckets without a document
	findings                   bucketFindings

	mu               sync.RWMutex       // guards what follows
	loaded, unloaded map[string]*bucket // those that have a document, and the others
	closed           bool
}

// open begins to serve until ctx is done.
func (bs *buckets) open(ctx context.Context, options RefreshOptions, opts *Options) error {
	var err error
	if bs.refresh, err = options.check(); err != nil {
		return err
	}
	bs.ctx, bs.opts, bs.maxRules = ctx, opts, options.MaxRules
	bs.now = newClock()
	bs.loaded, bs.unloaded = map[string]*bucket{}, map[string]*bucket{}
	bs.unloadedReads, bs.loadedReads = make(chan struct{}, maxReads/2), make(chan struct{}, maxReads/2)
	bs.outage.buckets = bs
	bs.overflow = &overflow{
		handle:   opts.Store.Open(metrics.OtherBuckets, opts.metricsOptions()),
		maxRules: cmp.Or(bs.maxRules, bs.dialect.DefaultMaxRules()),
	}
	bs.other = &Rules{Name: metrics.OtherBuckets, Metrics: bs.overflow.handle}
	go bs.dropUnused()
	return nil
}

// PerBucket implements PerBucket.
func (bs *buckets) PerBucket() {}

// Rules implements Source. The empty name stands for a request that does not name a bucket.
func (bs *buckets) Rules(ctx context.Context, name string) (*Rules, error) {
	if name == "" || len(name) > maxName {
		return bs.other, nil
	}
	for {
		b, err := bs.get(name)
		if err != nil {
			return bs.other, err
		}
		if rules, err := b.rules(ctx); rules != nil {
			return rules, err
		}
	}
}

// get returns the bucket of a name.
func (bs *buckets) get(name string) (*bucket, error) {
	bs.mu.RLock()
	b := bs.known(name)
	bs.mu.RUnlock()
	if b != nil {
		return b, nil
	}
	bs.mu.Lock()
	defer bs.mu.Unlock()
	if b := bs.known(name); b != nil { // since a moment ago
		return b, nil
	}
	if len(bs.unloaded) >= maxUnloaded && !bs.evict() {
		return nil, fmt.Errorf("bucket %s: its rules cannot be read while those of %d other buckets are", name, maxUnloaded)
	}
	name = strings.Clone(name) // a request's strings keep all of its header in memory
	b = &bucket{buckets: bs, name: name, freshAsOf: never}
	bs.unloaded[name] = b
	return b, nil
}

// known returns the bucket of a name, or nil. The caller holds the lock.
func (bs *buckets) known(name string) *bucket {
	if b := bs.loaded[name]; b != nil {
		return b
	}
	return bs.unloaded[name]
}

// evict forgets some bucket that is not loaded or being read, and reports whether it found
// one. It remembers those whose reads hang, so that the next one waits (see mayRead). The
// caller holds the lock.
func (bs *buckets) evict() bool {
	const maxTries = 16
	tries := 0
	for name, b := range bs.unloaded {
		if b.mu.TryLock() { // whoever has it may be waiting for ours
			b.gone = b.reading == nil && b.hanging == 0
			gone := b.gone
			b.mu.Unlock()
			if gone {
				delete(bs.unloaded, name)
				return true
			}
		}
		if tries++; tries == maxTries {
			break
		}
	}
	return false
}

// place puts a bucket where it belongs. The caller holds the bucket's lock.
func (bs *buckets) place(b *bucket) {
	bs.mu.Lock()
	defer bs.mu.Unlock()
	if b.document != nil {
		bs.loaded[b.name] = b
		delete(bs.unloaded, b.name)
		return
	}
	if len(bs.unloaded) >= maxUnloaded {
		bs.evict()
	}
	bs.unloaded[b.name] = b
	delete(bs.loaded, b.name)
}

// forget forgets a loaded bucket. The caller holds the bucket's lock.
func (bs *buckets) forget(b *bucket) {
	bs.mu.Lock()
	defer bs.mu.Unlock()
	delete(bs.loaded, b.name)
}

// all returns the loaded buckets.
func (bs *buckets) all() []*bucket {
	bs.mu.RLock()
	defer bs.mu.RUnlock()
	return slices.Collect(maps.Values(bs.loaded))
}

// written puts in force what was written to a bucket's document: content, or nil if it was
// deleted. The write began at a time of bs.now.
func (bs *buckets) written(name string, content []byte, began time.Duration) {
	name = strings.Clone(name) // see get
	var parsed *parsedContent
	if content != nil {
		var lint func(*corsrules.Ruleset) []corsrules.Finding
		parsed, lint = bs.parse(name, content)
		defer bs.logFindings(name, parsed, lint)
	}
	for {
		b, err := bs.get(name)
		if err != nil {
			return // in force within refresh
		}
		if b.written(parsed, began) {
			return
		}
	}
}

// parse returns what a bucket's content says, and a function that lints it.
func (bs *buckets) parse(name string, content []byte) (*parsedContent, func(*corsrules.Ruleset) []corsrules.Finding) {
	cfg, lint, err := corsrules.ParseThenLint(content, corsrules.Options{File: bs.file(name), MaxRules: bs.maxRules, Dialect: bs.dialect})
	if err != nil {
		return &parsedContent{err: err}, nil
	}
	if bs.nameRulesByNumber {
		for i := range cfg.Rules {
			cfg.Rules[i].ID = ""
		}
	}
	return &parsedContent{sum: sha256.Sum256(content), rules: corsrules.Compile(cfg)}, lint
}

// newDocument returns a document for a bucket. Requests that are under way when the
// configuration ends are still counted: the next configuration shares the counters of a handle
// that is closed.
func (bs *buckets) newDocument(name string) *bucketDocument {
	bs.mu.Lock()
	defer bs.mu.Unlock()
	d := &bucketDocument{buckets: bs, name: name, handle: bs.opts.Store.OpenBucket(name, bs.opts.metricsOptions())}
	if bs.closed {
		d.close()
	}
	return d
}

// dropUnused drops what was not requested for a long time, until the configuration ends.
func (bs *buckets) dropUnused() {
	ticker := time.NewTicker(unusedTime / 10)
	defer ticker.Stop()
	for {
		select {
		case <-bs.ctx.Done():
			return
		case <-ticker.C:
			if bs.outage.current() != nil { // they could not be loaded again
				continue
			}
			for _, b := range bs.all() {
				b.dropIfUnused()
			}
		}
	}
}

func (bs *buckets) close() {
	if bs.overflow == nil {
		return
	}
	bs.mu.Lock()
	bs.closed = true
	all := slices.AppendSeq(slices.Collect(maps.Values(bs.loaded)), maps.Values(bs.unloaded))
	bs.mu.Unlock()
	for _, b := range all {
		b.close()
	}
	bs.overflow.handle.Close()
}

// Reports implements Reporter.
func (bs *buckets) Reports() []Report {
	var reports []Report
	for _, b := range bs.all() {
		if report := b.report(); report.Rules != nil {
			reports = append(reports, report)
		}
	}
	slices.SortFunc(reports, func(a, b Report) int { return cmp.Compare(a.Rules.Name, b.Rules.Name) })
	outage := bs.outage.current()
	return append(reports, Report{Rules: bs.other, Unavailable: outage != nil, Status: Status{Err: outage}})
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
