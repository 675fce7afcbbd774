package bucketapi

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"slices"
	"time"

	"github.com/caddy-oss-cors/caddy-oss-cors/corsrules"
	"github.com/caddy-oss-cors/caddy-oss-cors/internal/ossresponse"
)

// Store keeps one document for each bucket. Its methods may be called from any goroutine,
// with bucket names that OSS allows. They return when their contexts are done; a change that
// had begun by then may still happen later. The API gives a call at most 10 seconds.
type Store interface {
	// Load returns a bucket's document; fs.ErrNotExist if there is none.
	Load(ctx context.Context, bucket string) ([]byte, error)

	// Store replaces a bucket's document, whole or not at all. It returns nil only when
	// the document is stored durably.
	Store(ctx context.Context, bucket string, doc []byte) error

	// Delete removes a bucket's document. If there is none, it returns nil or
	// fs.ErrNotExist.
	Delete(ctx context.Context, bucket string) error
}

// storeTimeout is how long the store may take: less than the 30 seconds that clients wait
// for a response.
const storeTimeout = 10 * time.Second

// API answers the requests for which IsRequest holds.
type API struct {
	// Dialect is whose errors requests get that are not signed, or neither as for OSS nor as
	// for S3. Default: OSS's.
	Dialect corsrules.Dialect

	keys     map[string]Key
	store    Store
	maxRules int
	now      func() time.Time
}

// New returns the API over a store. It serves only requests that are signed with one of the
// keys. maxRules is as in corsrules.Options. The error, if any, names everything that is
// wrong with the keys, and contains no secret.
func New(keys []Key, store Store, maxRules int) (*API, error) {
	a := &API{keys: make(map[string]Key, len(keys)), store: store, maxRules: maxRules, now: time.Now}
	var errs []error
	if len(keys) == 0 {
		errs = append(errs, errors.New("no access key: at least one is needed, to sign requests with"))
	}
	for _, key := range keys {
		errs = append(errs, key.check())
		if _, twice := a.keys[key.ID]; twice {
			errs = append(errs, fmt.Errorf("access key %q: there is another one with the same ID", key.ID))
		}
		key.Buckets = slices.Clone(key.Buckets)
		a.keys[key.ID] = key
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return a, nil
}

// Result is how a request ended, for the log. It contains no secrets.
type Result struct {
	// Operation is PutBucketCors, GetBucketCors or DeleteBucketCors.
	Operation string

	// Bucket is the bucket's name, as Serve was given it.
	Bucket string

	// KeyID is the ID of the key that signed the request; empty if none did.
	KeyID string

	// Status is the HTTP status of the response, and RequestID its request id.
	Status    int
	RequestID string

	// Err is why the request was refused or failed; nil if it succeeded. It can say more
	// than the response did: it wraps the corsrules.Faults of a document, or the error of
	// the store.
	Err error
}

// Serve answers r, for which IsRequest holds, on a bucket. The bucket's name is one that
// OSS allows, or empty: then r names none, and is refused.
//
// Signature and scope are checked before the body is read. After a response of 4xx nothing
// has changed. After 5xx either the previous document or the one in the request is stored,
// whole; after 503, where the store did not answer in time, the one in the request may still
// replace the previous one later. PutBucketCors is answered 200 only when the store has
// confirmed that it holds the document.
func (a *API) Serve(w http.ResponseWriter, r *http.Request, bucket string) Result {
	dialect := dialectOf(r, a.Dialect)
	answer := ossresponse.New(w, r, time.Now())
	if dialect == corsrules.DialectS3 {
		answer = ossresponse.NewS3(w)
	}
	result := Result{Operation: operations[r.Method], Bucket: bucket, RequestID: answer.RequestID()}
	var doc string
	result.KeyID, doc, result.Err = a.do(r, bucket, dialect)
	if result.Err != nil {
		e := a.errorAnswer(result.Err, dialect)
		result.Status = e.Status
		_ = answer.Error(e) // an error here means that the client is gone
		return result
	}
	switch r.Method {
	case http.MethodGet:
		result.Status = http.StatusOK
		_ = answer.XML(http.StatusOK, doc)
	case http.MethodDelete:
		result.Status = http.StatusNoContent
		answer.Empty(http.StatusNoContent)
	default:
		result.Status = http.StatusOK
		answer.Empty(http.StatusOK)
	}
	return result
}

// do carries out r. The document is what GetBucketCors returns.
func (a *API) do(r *http.Request, bucket string, dialect corsrules.Dialect) (keyID, doc string, err error) {
	if bucket == "" {
		return "", "", errInvalidBucketName.With("BucketName", requestedBucket(r))
	}
	if dialect == corsrules.DialectS3 {
		if err := checkS3Scheme(r); err != nil {
			return "", "", err
		}
	}
	if keyID, err = a.authenticate(r, bucket); err != nil {
		return keyID, "", err
	}
	switch r.Method {
	case http.MethodGet:
		doc, err = a.get(r.Context(), bucket, dialect)
	case http.MethodDelete:
		err = a.delete(r.Context(), bucket)
	default:
		err = a.put(r, bucket, dialect)
	}
	return keyID, doc, err
}

// put stores the document as it came: what Marshal makes of it can be longer than a
// document may be, and an operator who reads the store finds what the client sent,
// comments included.
func (a *API) put(r *http.Request, bucket string, dialect corsrules.Dialect) error {
	doc, err := readBody(r, dialect)
	if err != nil {
		return err
	}
	if _, err := a.parse(doc, bucket, dialect); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), storeTimeout)
	defer cancel()
	return storeError(a.store.Store(ctx, bucket, doc))
}

// parse takes what a client puts in a dialect, or by DialectAny what is stored, which an
// operator may have written in JSON.
func (a *API) parse(doc []byte, bucket string, dialect corsrules.Dialect) (*corsrules.Configuration, error) {
	cfg, err := corsrules.Parse(doc, corsrules.Options{File: bucket, MaxRules: a.maxRules, Dialect: dialect, XMLOnly: dialect != corsrules.DialectAny})
	var faults corsrules.Faults
	if errors.As(err, &faults) {
		return nil, faults.Brief()
	}
	return cfg, err
}

func (a *API) get(ctx context.Context, bucket string, dialect corsrules.Dialect) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	doc, err := a.store.Load(ctx, bucket)
	if errors.Is(err, fs.ErrNotExist) {
		if dialect == corsrules.DialectS3 {
			return "", errS3NoConfiguration.With("BucketName", bucket)
		}
		return "", errNoConfiguration
	}
	if err != nil {
		return "", storeError(err)
	}
	cfg, err := a.parse(doc, bucket, corsrules.DialectAny) // clients of both stores may have put it
	if err != nil {
		return "", fmt.Errorf("%w %w", errDamaged, err)
	}
	if dialect == corsrules.DialectS3 {
		return string(cfg.MarshalS3()), nil
	}
	return string(cfg.Marshal()), nil
}

func (a *API) delete(ctx context.Context, bucket string) error {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	err := a.store.Delete(ctx, bucket)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return storeError(err)
}

// storeError adds to an error of the store what the client is told.
func storeError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%w %w", errStoreTimeout, err)
	}
	return fmt.Errorf("%w %w", errStore, err)
}

// errorAnswer returns what the client is told of an error. Of several faults that is the
// first.
func (a *API) errorAnswer(err error, dialect corsrules.Dialect) ossresponse.Error {
	var e ossresponse.Error
	if errors.As(err, &e) {
		return e
	}
	var faults corsrules.Faults
	if errors.As(err, &faults) {
		if dialect == corsrules.DialectS3 {
			return s3FaultAnswer(faults[0], cmp.Or(a.maxRules, dialect.DefaultMaxRules()))
		}
		return faultAnswer(faults[0])
	}
	return errStore // not reached: all errors of this package have one of these types
}

// faultAnswer returns OSS's answer to a fault of the rules. Where OSS's message is fixed,
// ours goes into ErrorDetail, with the place of the fault.
func faultAnswer(f *corsrules.Fault) ossresponse.Error {
	e := ossresponse.Error{Status: http.StatusBadRequest, Code: f.Code, Message: f.Message, EC: f.EC}
	switch f.Code {
	case corsrules.CodeMalformedXML:
		e.Message = "The XML you provided was not well-formed or did not validate against our published schema."
	case corsrules.CodeBeyondLimit:
		e.Message = "The CORS Rules num is beyond limit."
	case corsrules.CodeInvalidArgument:
		return e.With("ArgumentName", f.ArgumentName).With("ArgumentValue", f.ArgumentValue)
	default:
		return e
	}
	return e.With("ErrorDetail", faultDetail(f))
}

func faultDetail(f *corsrules.Fault) string {
	return fmt.Sprintf("%d:%d: %s", f.Line, f.Column, f.Message)
}
