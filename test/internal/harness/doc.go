// Package harness starts what the end-to-end tests need, and stops it when a test ends: a
// real Caddy with the module in it, alone (StartCaddy), with an origin server that records
// requests (StartTestbed) or with the bucket API (StartAPIProxy); S3 stores; a Chromium; and
// the programs that test/tools/go.mod and test/minio/go.mod pin. It also has raw connections,
// which send what no HTTP client would, and what tests read from Caddy: counters, memory,
// goroutines.
//
// The Caddy is the one that CADDY_BIN names. Without CADDY_BIN the first test of a package
// builds it from the sources into bin/caddy-test, which takes a second if nothing has changed.
package harness
