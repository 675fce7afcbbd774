package test

import (
	"testing"
	"time"
)

// TestBucketsWhileReloading reloads Caddy's configuration as fast as it can, while requests
// for buckets are under way: those that the old configuration has begun get the right
// answer, too, and are counted.
func TestBucketsWhileReloading(t *testing.T) {
	run := startCounted(t)
	run.whileReloading(t, 5*time.Millisecond, run.start(t, countedBuckets, countedRequests))
	<-run.start(t, countedBuckets, len(countedBuckets)) // so that all have their series
	t.Logf("%d requests, %d reloads, %d failed ones, %d requests sent again", countedRequests, run.reloads, run.failed, run.again.Load())
	run.check(t)
}
