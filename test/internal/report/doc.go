// Package report has what the benchmarks, the soak and the fuzz runs need to write their
// results into a page of docs.
package report
