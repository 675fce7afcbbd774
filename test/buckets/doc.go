// Package buckets tests a proxy that has rules for each of many buckets: paths that name
// another's bucket, exact counts while the configuration is reloaded, and memory and CPU
// with 10,000 buckets.
//
//	cd test && go test ./buckets
package buckets
