package hostile

import "github.com/caddy-oss-cors/caddy-oss-cors/test/internal/harness"

// Short names for what the tables of requests are made of.
const (
	fromApp = harness.FromApp
	fromSub = harness.FromSub
	forGet  = harness.ForGet
	forPut  = harness.ForPut
	asksFor = harness.AsksFor
	hitsApp = harness.HitsApp

	kilobyte = harness.Kilobyte
)

// names returns n header names of size bytes each, joined with commas.
func names(n, size int) string { return harness.Names(n, size) }
