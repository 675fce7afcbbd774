package rulesource

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"
)

// markerText tells who finds the marker what it is.
const markerText = "This key shows that the storage of CORS rules can be read. Keep it next to the rules.\n"

// marker is a key that is always in the storage. Many storage modules, those for Redis,
// Valkey and S3 among them, say that a key does not exist when their engine cannot be
// reached, and an empty directory stands where a mount was lost. So a key is known not to
// exist only if the marker can be read afterwards. While it cannot, the storage is in
// trouble: the last good rules stay in force.
//
// It is made when a configuration is loaded, and with a write. If it was there and is gone,
// the storage was emptied, or another is in its place: it is not made again until a
// configuration is loaded anew, so that an operator can look first.
type marker struct {
	storage certmagic.Storage
	key     string
	now     clock
	pause   time.Duration // between two attempts to make it
	log     *zap.Logger

	mu      sync.Mutex
	seen    bool          // it was there
	lastErr error         // of the last attempt to make it; nil: there was none, or it is there
	retry   time.Duration // after such an error, no attempt before
}

// open makes the marker if it is not there.
func (m *marker) open(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, readDeadline)
	defer cancel()
	_ = m.prove(ctx) // which logs what has to be known
}

// prove returns nil if the marker can be read. The first time it may have to be made.
func (m *marker) prove(ctx context.Context) error {
	isThere, err := m.check(ctx)
	if isThere || err != nil {
		return err
	}
	m.mu.Lock()
	lastErr, isEarly := m.lastErr, m.now() < m.retry
	m.mu.Unlock()
	if lastErr != nil && isEarly {
		return lastErr
	}
	return m.make(ctx)
}

// require is prove for a write, after which the marker has to be there.
func (m *marker) require(ctx context.Context) error {
	isThere, err := m.check(ctx)
	if isThere || err != nil {
		return err
	}
	return m.make(ctx)
}

// check reports whether the marker is there. It returns an error where it should be: where it
// was before the storage is called, since it may be made meanwhile.
func (m *marker) check(ctx context.Context) (bool, error) {
	m.mu.Lock()
	wasSeen := m.seen
	m.mu.Unlock()
	_, err := m.storage.Load(ctx, m.key)
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case err == nil:
		m.seen = true
		return true, nil
	case !errors.Is(err, fs.ErrNotExist):
		return false, fmt.Errorf("the storage's marker %s: %w", m.key, err)
	case wasSeen:
		return false, fmt.Errorf("the storage's marker %s is gone: the storage cannot be reached, was emptied, or is another one; if it is as it should be, run caddy reload --force", m.key)
	}
	return false, nil
}

// make stores the marker, and makes sure that it can be read.
func (m *marker) make(ctx context.Context) error {
	err := m.storage.Store(ctx, m.key, []byte(markerText))
	if err == nil {
		_, err = m.storage.Load(ctx, m.key)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err == nil {
		m.seen, m.lastErr = true, nil
		return nil
	}
	isNew := m.lastErr == nil
	m.retry = m.now() + m.pause
	m.lastErr = fmt.Errorf("the storage's marker %s cannot be made: %s", m.key, err) // not as fs.ErrNotExist
	if isNew {
		m.log.Warn("it cannot be proven that a bucket has no CORS rules: store the marker, with any content, or let Caddy store it",
			zap.String("marker", m.key), zap.Error(err))
	}
	return m.lastErr
}
