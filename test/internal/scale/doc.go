// Package scale runs a Caddy that has rules for each of many buckets, sends it preflights and
// measures what it needs. The tests of package buckets and the benchmarks use it.
package scale
