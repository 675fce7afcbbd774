package rulesource

import (
	"hash/maphash"
	"iter"
	"sync"
	"sync/atomic"
)

const (
	// chains is how many lists the buckets of a table are spread over: more than most
	// stores have buckets, and half a megabyte.
	chains = 1 << 16

	// stripes is how many buckets can be changed at the same time. Which those are is
	// chance. Buckets of one chain are of one stripe.
	stripes = 64

	// maxName is how many bytes OSS lets a bucket's name have.
	maxName = 63
)

// table finds buckets by name, and takes no lock for that. Where there are very many, the
// cost of a decision is that of waiting for memory: a look-up here waits for the head of a
// chain and then for the bucket, in a sync.Map for four things more.
type table struct {
	heads [chains]atomic.Pointer[bucket]
	locks [stripes]sync.Mutex
}

// bucketName is a name that lies in the bucket itself. The zero one is empty.
type bucketName struct {
	length uint8
	text   [maxName]byte
}

func newBucketName(name string) (n bucketName) {
	n.length = uint8(copy(n.text[:], name)) //nolint:gosec // maxName
	return n
}

func (n *bucketName) is(name string) bool { return string(n.text[:n.length]) == name }

func (n *bucketName) String() string { return string(n.text[:n.length]) }

// seed keeps whoever names buckets from choosing names that meet in one chain.
var seed = maphash.MakeSeed()

func hash(name string) uint64 { return maphash.String(seed, name) }

func stripe(name string) uint64 { return hash(name) % stripes }

// lock locks what is known of a bucket.
func (t *table) lock(name string) *sync.Mutex {
	mu := &t.locks[stripe(name)]
	mu.Lock()
	return mu
}

func (t *table) head(name string) *atomic.Pointer[bucket] { return &t.heads[hash(name)%chains] }

// find returns a bucket; nil where none has the name.
func (t *table) find(name string) *bucket {
	known := t.head(name).Load()
	for known != nil && !known.name.is(name) {
		known = known.next.Load()
	}
	return known
}

// add adds a bucket that is not there. The caller has its lock.
func (t *table) add(name string, known *bucket) {
	head := t.head(name)
	known.next.Store(head.Load())
	head.Store(known)
}

// remove returns the bucket that it removes; nil where none has the name. Who has found it
// before still gets from it to the rest of its chain. The caller has its lock.
func (t *table) remove(name string) *bucket {
	at := t.head(name)
	for known := at.Load(); known != nil; known = at.Load() {
		if known.name.is(name) {
			at.Store(known.next.Load())
			return known
		}
		at = &known.next
	}
	return nil
}

// all goes through the buckets, those that are added or removed meanwhile perhaps.
func (t *table) all() iter.Seq[*bucket] {
	return func(yield func(*bucket) bool) {
		for i := range t.heads {
			for known := t.heads[i].Load(); known != nil; known = known.next.Load() {
				if !yield(known) {
					return
				}
			}
		}
	}
}
