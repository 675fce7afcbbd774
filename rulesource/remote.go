package rulesource

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"path"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"

	"github.com/caddy-oss-cors/caddy-oss-cors/corsrules"
)

const (
	// DefaultRemoteRefresh is how often a document is fetched. Its server may serve
	// thousands of proxies.
	DefaultRemoteRefresh = time.Minute

	// fetchDeadline bounds a fetch, and so what the first one adds to a start or reload:
	// longer than any healthy server takes, redirects included.
	fetchDeadline = 5 * time.Second

	// unansweredFor is how long a start does not wait for a server that did not answer in
	// time: a configuration can have hundreds of documents of one server.
	unansweredFor = 2 * time.Minute

	// firstRetry is how long after a failure the next fetch begins. The time doubles with
	// each further failure, up to refresh.
	firstRetry = time.Second
)

// remote keeps a document current that another server has. The last good content is kept in
// Caddy's storage, so that a start while that server is away has rules.
type remote struct {
	document *Document
	server   string // its scheme and host
	client   *http.Client
	storage  certmagic.Storage
	key      string        // in storage
	slots    chan struct{} // the room for one call of storage

	// fetch returns the content as it is now; errNoDocument where the server says that there
	// is none, and so no CORS. A refusal is an answer that does not change by itself; any
	// other error is trouble that may pass.
	fetch func(ctx context.Context) ([]byte, error)

	unsaved    []byte // is good, and not yet in storage
	saveFailed bool   // which was logged
}

// errNoDocument is not fs.ErrNotExist, which an error of a connection can be.
var errNoDocument = errors.New("the bucket has no CORS rules")

// refusal is a definite answer without a document.
type refusal struct{ error }

// mayPass reports whether a status tells of trouble that may pass, and is not a refusal.
func mayPass(status int) bool {
	return status >= 500 || status == http.StatusRequestTimeout || status == http.StatusTooManyRequests
}

// withoutURL returns an error of net/http's without the URL.
func withoutURL(err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		return wrapped.Err
	}
	return err
}

const overHTTP = "the CORS rules are fetched over HTTP: anybody on the way can change them; use https"

// newRemote returns a remote for a document. The identity, which may be a secret, distinguishes
// its saved copy from all others.
func newRemote(document *Document, storage certmagic.Storage, client *http.Client, server *url.URL, identity string, fetch func(context.Context) ([]byte, error)) *remote {
	key := path.Join(defaultPrefix, "last_good", fmt.Sprintf("%x", sha256.Sum256([]byte(identity))))
	return &remote{
		document: document, server: server.Scheme + "://" + server.Host, client: client,
		storage: storage, key: key, slots: make(chan struct{}, 1), fetch: fetch,
	}
}

// open loads the document. It fails if the document is faulty or refused. If the server is in
// trouble, it uses the last good content, if there is any.
func (r *remote) open(ctx context.Context) error {
	if at, ok := unanswered.Load(r.server); ok && time.Since(at.(time.Time)) < unansweredFor {
		r.openWithout(ctx, errors.New("not fetched yet, because the server did not answer a moment ago"))
		return nil
	}
	err := r.update(ctx)
	switch {
	case err == nil, errors.As(err, new(corsrules.Faults)):
		return err
	case errors.As(err, new(refusal)):
		return fmt.Errorf("%s: %w", r.document.parsing.File, err)
	}
	r.openWithout(ctx, err)
	return nil
}

const noneKept = "no earlier CORS rules are kept in Caddy's storage; Caddy fetches them again after 1 s, 2 s, 4 s and so on, then every refresh"

// openWithout loads the document without the server, which is in trouble: the last good content,
// or none.
func (r *remote) openWithout(ctx context.Context, trouble error) {
	if err := r.loadLastGood(ctx); err != nil {
		r.document.log().Warn(noneKept, zap.Error(brief(err)))
		r.document.Unavailable(trouble)
		return
	}
	r.document.log().Warn("these CORS rules were kept in Caddy's storage, and may be out of date")
	r.document.Failed(trouble)
}

// unanswered has the servers that did not answer in time, and when that was. They are those of
// all configurations: a reload need not find out what is known.
var unanswered sync.Map // time.Time by remote.server

// update fetches the document and puts it in force.
func (r *remote) update(ctx context.Context) error {
	content, err := r.fetchInTime(ctx)
	isAbsent := errors.Is(err, errNoDocument)
	if isAbsent {
		content, err = noDocument, nil
	}
	if err != nil {
		return err
	}
	isNew := !r.document.holds(content)
	if isAbsent {
		r.document.LoadAbsent()
	} else if err := r.document.Load(content); err != nil {
		return err
	}
	if isNew {
		r.unsaved = content
	}
	return nil
}

func (r *remote) fetchInTime(ctx context.Context) ([]byte, error) {
	limited, cancel := context.WithTimeout(ctx, fetchDeadline)
	defer cancel()
	if r.document.Status().Err != nil {
		r.client.CloseIdleConnections() // HTTP/2 would use a dead one again, for a quarter of an hour
	}
	content, err := func() (content []byte, err error) {
		defer panicAsError(&err) // of the SDK
		return r.fetch(limited)
	}()
	switch {
	case err == nil || limited.Err() == nil:
		unanswered.Delete(r.server)
	case ctx.Err() == nil:
		unanswered.Store(r.server, time.Now())
		err = fmt.Errorf("not fetched within %s: %w", fetchDeadline, err)
	}
	return content, err
}

// keepCurrent fetches the document again and again until ctx is done.
func (r *remote) keepCurrent(ctx context.Context, refresh time.Duration) {
	retry := firstRetry
	for {
		r.save(ctx)
		wait := refresh
		if r.document.Status().Err != nil {
			wait = min(retry, refresh)
			retry = min(2*retry, refresh)
		} else {
			retry = firstRetry
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		err := r.update(ctx)
		switch {
		case ctx.Err() != nil: // which may be why
			return
		case err != nil:
			r.document.Failed(err)
		}
	}
}

// rules returns the rules in force, and an error while none are known.
func (r *remote) rules() (*Rules, error) {
	status := r.document.Status() // first: the rules may be newer, but not older
	rules := r.document.Rules()
	if rules.unavailable {
		return rules, status.Err
	}
	return rules, nil
}

func (r *remote) close() {
	r.document.Close()
	r.client.CloseIdleConnections()
}

const notKept = "the CORS rules cannot be kept in Caddy's storage: a start while their server is away may have none"

// save keeps the content for the next start. If it cannot, it is called again.
func (r *remote) save(ctx context.Context) {
	if r.unsaved == nil || ctx.Err() != nil {
		return
	}
	content := r.unsaved
	_, err := r.callStorage(ctx, func(ctx context.Context) ([]byte, error) {
		return nil, r.storage.Store(ctx, r.key, content)
	})
	switch {
	case err == nil:
		r.unsaved, r.saveFailed = nil, false
	case !r.saveFailed:
		r.saveFailed = true
		r.document.log().Warn(notKept, zap.Error(err))
	}
}

var errFirstStart = errors.New("this is the first start with these rules")

// loadLastGood puts in force what an earlier start, or another proxy, has saved.
func (r *remote) loadLastGood(ctx context.Context) error {
	var savedAt time.Time
	content, err := r.callStorage(ctx, func(ctx context.Context) ([]byte, error) {
		info, err := r.storage.Stat(ctx, r.key)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, errFirstStart
		}
		if limit := r.document.parsing.Dialect.MaxBytes(); err == nil && info.Size > int64(limit) {
			err = fmt.Errorf("%s has %d bytes: at most %d are allowed", r.key, info.Size, limit)
		}
		if err != nil {
			return nil, err
		}
		savedAt = info.Modified
		return r.storage.Load(ctx, r.key)
	})
	switch {
	case err != nil:
		return err
	case bytes.Equal(content, noDocument):
		r.document.loadAbsentAsOf(savedAt)
		return nil
	}
	return r.document.loadAsOf(content, savedAt)
}

// callStorage bounds a call of the storage in time.
func (r *remote) callStorage(ctx context.Context, call func(context.Context) ([]byte, error)) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, readDeadline)
	defer cancel()
	return callWithin(ctx, r.slots, func() ([]byte, error) { return call(ctx) })
}
