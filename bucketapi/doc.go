// Package bucketapi is OSS's API for a bucket's CORS rules: PutBucketCors, GetBucketCors
// and DeleteBucketCors, signed as OSS's clients sign. It knows nothing of Caddy.
//
//	if bucketapi.IsRequest(r, key) {
//		result := api.Serve(w, r, bucket)
//		// log it
//	}
package bucketapi
