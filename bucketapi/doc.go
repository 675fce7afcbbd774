// Package bucketapi is the API for a bucket's CORS rules: PutBucketCors, GetBucketCors and
// DeleteBucketCors, signed as OSS's clients sign, or as S3's do. The signature decides whose
// API a request gets: the words and the layout of the responses, and the limits on a
// document. The stored document is one for both. The package does not know Caddy.
//
//	if bucketapi.IsRequest(r, key) {
//		result := api.Serve(w, r, bucket)
//		// log it
//	}
package bucketapi
