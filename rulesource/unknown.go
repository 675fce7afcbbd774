package rulesource

import (
	"sync"
	"time"
)

// maxUnknown bounds how many names without a document are remembered. Past it some are
// forgotten and looked for again.
const maxUnknown = 10_000

// unknownBuckets remembers names without a document.
type unknownBuckets struct {
	mu   sync.Mutex
	seen map[string]unknownBucket
}

type unknownBucket struct {
	read uint64 // the read that found no document
	at   time.Time
}

// has reports whether a name was seen to have no document since a time.
func (u *unknownBuckets) has(name string, since time.Time) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.seen[name].at.After(since)
}

func (u *unknownBuckets) add(name string, read uint64, at time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.seen == nil {
		u.seen = map[string]unknownBucket{}
	}
	for some := range u.seen {
		if len(u.seen) < maxUnknown {
			break
		}
		delete(u.seen, some)
	}
	u.seen[name] = unknownBucket{read, at}
}

// lastRead returns the read that found a name to have no document; 0 if none is known.
func (u *unknownBuckets) lastRead(name string) uint64 {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.seen[name].read
}

func (u *unknownBuckets) remove(name string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.seen, name)
}
