package osscors

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddy-oss-cors/caddy-oss-cors/bucketapi"
	"github.com/caddy-oss-cors/caddy-oss-cors/corsrules"
	"github.com/caddy-oss-cors/caddy-oss-cors/rulesource"
)

// BucketAPI serves the API of a bucket's CORS rules, so that clients of OSS and of S3 manage
// them: requests with ?cors on a bucket, signed with one of the access keys.
type BucketAPI struct {
	// AccessKeys are who may use the API, and on which buckets. Global placeholders
	// such as {env.*} and {file.*} work in ID and Secret. At least one is required.
	AccessKeys []bucketapi.Key `json:"access_keys,omitempty"`

	api *bucketapi.API
	log *zap.Logger
}

func (b *BucketAPI) provision(source rulesource.Source, dialect corsrules.Dialect, log *zap.Logger) error {
	store, ok := source.(rulesource.Writable)
	if !ok {
		return fmt.Errorf("bucket_api needs a source that can be written, rules storage; found: %s", sourceName(source))
	}
	keys := make([]bucketapi.Key, len(b.AccessKeys))
	for i, key := range b.AccessKeys {
		var errs [2]error
		key.ID, errs[0] = rulesource.Expand(key.ID)
		key.Secret, errs[1] = rulesource.Expand(key.Secret)
		if err := errors.Join(errs[:]...); err != nil {
			return fmt.Errorf("access_key number %d: %w", i+1, err)
		}
		keys[i] = key
	}
	api, err := bucketapi.New(keys, store, store.MaxDocumentRules())
	if err != nil {
		return err
	}
	api.Dialect = dialect
	b.api, b.log = api, log.Named("bucket_api")
	return nil
}

// handler returns what serves the API's requests on a bucket; bucket is empty if the request
// does not name a valid one.
func (b *BucketAPI) handler(bucket string) caddyhttp.Handler {
	return caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		result := b.api.Serve(w, r, bucket)
		log := b.log.Info
		switch {
		case result.Status >= http.StatusInternalServerError:
			log = b.log.Error
		case result.KeyID == "": // anyone can send these; the access log has them
			log = b.log.Debug
		}
		log("bucket API request",
			zap.String("operation", result.Operation),
			zap.String("bucket", result.Bucket),
			zap.String("access_key", result.KeyID),
			zap.Int("status", result.Status),
			zap.String("request_id", result.RequestID),
			zap.Error(result.Err))
		return nil
	})
}
