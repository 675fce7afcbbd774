// Package clients runs the real clients of OSS against a real Caddy: ossutil, the Go SDKs
// and ali-oss, in Node and in a browser. They send preflights (OptionObject) and use
// the bucket API: PutBucketCors, GetBucketCors and DeleteBucketCors.
//
//	cd test && go test ./clients
package clients
