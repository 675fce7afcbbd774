package rulesource

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/caddy/v2"
)

const refresh = DefaultRefresh

// tick is the least that tells before from after.
const tick = time.Millisecond

// A change is in force within refresh, whether or not the bucket is in use meanwhile.
func TestFreshness_aChangeIsInForceWithinRefresh(t *testing.T) {
	for _, c := range []struct {
		desc          string
		every         time.Duration // a request; 0: none
		before, after string        // the origin that is allowed; "": no document
		was, is       string
	}{
		{"idle, the origin is revoked", 0, app, other, "", "origin"},
		{"idle, the origin is added", 0, other, app, "origin", ""},
		{"idle, deleted", 0, app, "", "", "no_rules"},
		{"idle, made", 0, "", app, "no_rules", ""},
		{"busy, the origin is revoked", refresh / 100, app, other, "", "origin"},
		{"busy, deleted", refresh / 100, app, "", "", "no_rules"},
		{"busy, made", refresh / 100, "", app, "no_rules", ""},
		{"seldom, the origin is revoked", refresh * 2 / 3, app, other, "", "origin"},
	} {
		t.Run(c.desc, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, documents := openShelf(t, refresh, newLogged().Options)
				set := func(origin string) {
					documents.mu.Lock()
					defer documents.mu.Unlock()
					delete(documents.documents, "b")
					if origin != "" {
						documents.documents["b"] = documentFor(origin)
					}
				}
				set(c.before)
				for range 7 {
					expect(t, s, "b", c.was, 0)
					time.Sleep(refresh/3 + tick)
				}
				set(c.after)
				for passed := c.every; c.every > 0 && passed < refresh; passed += c.every {
					time.Sleep(c.every)
					_ = reason(t, s, "b") // by the old or the new document
				}
				time.Sleep(refresh - (refresh-tick)/max(c.every, tick)*c.every)
				if c.every == 0 {
					time.Sleep(tick)
				}
				expect(t, s, "b", c.is, 0)
			})
		})
	}
}

// A bucket in use is read in the background: no request waits for it, and it is read twice
// in refresh.
func TestFreshness_aBusyBucketWaitsForNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, documents := openShelf(t, refresh, newLogged().Options)
		documents.put("b", app)
		documents.takes = newerWait / 2
		expect(t, s, "b", "", documents.takes)
		const lasts = 10 * refresh
		for range lasts / (10 * tick) {
			time.Sleep(10 * tick)
			expect(t, s, "b", "", 0)
		}
		if reads := documents.readsOf("b"); reads < 19 || reads > 21 {
			t.Errorf("%d reads in %s; want about 20", reads, lasts)
		}
	})
}

// What is found counts as read when the read began.
func TestFreshness_aSlowReadIsOldWhenItEnds(t *testing.T) {
	const refresh, takes = 60 * time.Millisecond, 50 * time.Millisecond
	for _, c := range []struct {
		desc      string
		requested time.Duration // when rules are requested, since the read began
	}{
		{"after it", refresh + tick},
		{"during the next one", refresh + refresh/2 + takes - tick},
	} {
		synctest.Test(t, func(t *testing.T) {
			s, documents := openShelf(t, refresh, newLogged().Options)
			documents.put("b", other)
			expect(t, s, "b", "origin", 0)
			documents.takes = takes
			time.Sleep(refresh / 2)
			expect(t, s, "b", "origin", 0) // a read begins
			synctest.Wait()
			documents.put("b", app)
			time.Sleep(c.requested)
			expect(t, s, "b", "", newerWait)
		})
	}
}

func TestFreshness_oneReadHoweverManyWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, documents := openShelf(t, refresh, newLogged().Options)
		documents.put("b", app)
		documents.takes = tick
		for range 3 {
			var requests sync.WaitGroup
			for range 100 {
				requests.Go(func() { expect(t, s, "b", "", tick) })
			}
			requests.Wait()
			time.Sleep(2 * refresh)
		}
		if reads := documents.readsOf("b"); reads != 3 {
			t.Errorf("%d reads; want 3", reads)
		}
	})
}

// Where there are rules, no request waits more than newerWait for newer ones, and none while
// it is known that they cannot be read. Of several requests, one after another, it is the
// first that waits. Once reads return, the rules are as new as ever.
func TestFreshness_readsThatHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, documents := openShelf(t, refresh, newLogged().Options)
		names := make([]string, 20)
		for i := range names {
			names[i] = fmt.Sprintf("loaded-%d", i)
		}
		for _, name := range append(names, "idle") {
			documents.put(name, app)
			expect(t, s, name, "", 0)
		}
		heal := documents.hang(t)
		time.Sleep(refresh)
		for _, name := range names {
			expect(t, s, name, "", newerWait)
			for range 50 {
				expect(t, s, name, "", 0)
			}
		}
		for range 20 * refresh / (100 * tick) {
			time.Sleep(100 * tick)
			for _, name := range names {
				expect(t, s, name, "", 0)
			}
		}

		for _, name := range append(names, "idle") {
			documents.put(name, other)
		}
		heal()
		time.Sleep(refresh)
		for _, name := range append(names, "idle") {
			expect(t, s, name, "origin", 0)
		}
	})
}

// A bucket that cannot be read fails at once for half of refresh after a failure. The first
// request after that waits for at most newerWait.
func TestFreshness_aBucketThatCannotBeRead(t *testing.T) {
	for _, c := range []struct {
		desc   string
		hangs  bool
		first  time.Duration // how long the first request waits
		second time.Duration // and the first one after half of refresh
	}{
		{"reads hang", true, readDeadline, newerWait},
		{"reads fail", false, 0, 0},
	} {
		t.Run(c.desc, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, documents := openShelf(t, refresh, newLogged().Options)
				documents.put("b", app)
				heal := func() { documents.fail(nil) }
				if c.hangs {
					heal = documents.hang(t)
				} else {
					documents.fail(errors.New("broken"))
				}
				expect(t, s, "b", "unreachable", c.first)
				reads := documents.readsOf("b")
				for range refresh/2/tick - 1 {
					time.Sleep(tick)
					expect(t, s, "b", "unreachable", 0)
				}
				if n := documents.readsOf("b"); n != reads {
					t.Errorf("%d reads in half of refresh after a failure", n-reads)
				}
				time.Sleep(refresh)
				expect(t, s, "b", "unreachable", c.second)
				time.Sleep(readDeadline)
				heal()
				time.Sleep(refresh)
				expect(t, s, "b", "", 0)
			})
		})
	}
}

// A storage that fails at once is not read at the rate of requests. Once it is healthy, no
// request sees rules older than refresh, not even the first.
func TestFreshness_readsThatFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, documents := openShelf(t, refresh, newLogged().Options)
		documents.put("busy", app)
		documents.put("idle", app)
		expect(t, s, "busy", "", 0)
		expect(t, s, "idle", "", 0)
		documents.fail(errors.New("broken"))
		before := documents.readsOf("busy")
		for range 5 * refresh / (10 * tick) {
			time.Sleep(10 * tick)
			expect(t, s, "busy", "", 0)
		}
		if reads := documents.readsOf("busy") - before; reads < 9 || reads > 11 {
			t.Errorf("%d reads in 5 times refresh; want about 10", reads)
		}
		documents.put("busy", other)
		documents.put("idle", other)
		documents.fail(nil)
		time.Sleep(refresh)
		var requests sync.WaitGroup
		for i := range 20 {
			requests.Go(func() { expect(t, s, []string{"idle", "busy"}[i%2], "origin", 0) })
		}
		requests.Wait()
	})
}

// A failure that is long ago is not known trouble: it keeps no request from the newest rules.
func TestFreshness_aFailureLongAgo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, documents := openShelf(t, refresh, newLogged().Options)
		documents.put("b", app)
		expect(t, s, "b", "", 0)
		documents.fail(errors.New("broken"))
		time.Sleep(refresh)
		expect(t, s, "b", "", 0)
		documents.fail(nil)
		documents.put("b", other)
		documents.takes = newerWait / 2
		time.Sleep(refresh)
		var requests sync.WaitGroup
		for range 10 {
			requests.Go(func() { expect(t, s, "b", "origin", documents.takes) })
		}
		requests.Wait()
	})
}

// That one document cannot be read does not make the others old.
func TestFreshness_aFaultyDocumentLeavesTheOthersAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, documents := openShelf(t, refresh, newLogged().Options)
		documents.put("good", app)
		documents.fail(errors.New("permission denied"), "bad")
		documents.takes = newerWait / 2
		expect(t, s, "good", "", documents.takes)
		documents.put("good", other)
		time.Sleep(refresh)
		expect(t, s, "bad", "unreachable", documents.takes)
		expect(t, s, "good", "origin", documents.takes)
	})
}

// Reads that hang take no slots from those of loaded buckets, and no more than their own.
func TestFreshness_slots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, documents := openShelf(t, refresh, newLogged().Options)
		documents.put("loaded", app)
		expect(t, s, "loaded", "", 0)
		heal := documents.hang(t)
		var requests sync.WaitGroup
		for i := range 2 * maxReads {
			requests.Go(func() { expect(t, s, fmt.Sprintf("unknown-%d", i), "unreachable", readDeadline) })
		}
		synctest.Wait()
		documents.mu.Lock()
		if documents.most != maxReads/2 {
			t.Errorf("%d reads at a time; want %d", documents.most, maxReads/2)
		}
		documents.hangs = nil // of those that begin from now on
		documents.mu.Unlock()
		requests.Wait()

		documents.put("loaded", other)
		time.Sleep(refresh)
		expect(t, s, "loaded", "origin", 0)
		heal()
		time.Sleep(refresh)
		expect(t, s, "unknown-0", "no_rules", 0)
	})
}

// Reads of one document that never return do not take all slots: each waits twice as long
// as the one before.
func TestFreshness_readsThatNeverReturn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, documents := openShelf(t, refresh, newLogged().Options)
		documents.put("b", app)
		expect(t, s, "b", "", 0)
		documents.hang(t)
		for range time.Hour / time.Second {
			time.Sleep(time.Second)
			expect(t, s, "b", "", newerWait)
		}
		if reads := documents.readsOf("b"); reads < 5 || reads > 12 {
			t.Errorf("%d reads hang after an hour", reads)
		}
	})
}

// However many other names are sent, a bucket whose read hangs is remembered, and not read again
// at the rate of requests.
func TestFreshness_aReadThatNeverReturnsIsRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, documents := openShelf(t, refresh, newLogged().Options)
		documents.hang(t)
		expect(t, s, "hangs", "unreachable", readDeadline)
		documents.mu.Lock()
		documents.hangs = nil // of those that begin from now on
		documents.mu.Unlock()
		for i := range 5 * maxUnloaded {
			expect(t, s, fmt.Sprintf("name-%d", i), "no_rules", 0)
		}
		expect(t, s, "hangs", "unreachable", newerWait)
		if reads := documents.readsOf("hangs"); reads != 1 {
			t.Errorf("%d reads", reads)
		}
	})
}

// No age is told by the wall clock: while the clock that a source was given stands still,
// rules stay fresh, and they age by it alone.
func TestFreshness_agesAreOfTheClockThatIsHandedIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, documents := openShelf(t, refresh, newLogged().Options)
		var now time.Duration
		s.now = func() time.Duration { return now }
		documents.put("loaded", app)
		documents.fail(errors.New("broken"), "broken")
		for _, name := range []string{"loaded", "absent", "broken"} {
			_ = reason(t, s, name)
		}
		documents.put("loaded", other)
		documents.put("absent", app)
		documents.fail(nil, "broken")
		time.Sleep(24 * time.Hour)
		expect(t, s, "loaded", "", 0)
		expect(t, s, "absent", "no_rules", 0)
		expect(t, s, "broken", "unreachable", 0)
		synctest.Wait() // reads look at the clock a last time
		now += refresh
		expect(t, s, "loaded", "origin", 0)
		expect(t, s, "absent", "", 0)
		expect(t, s, "broken", "no_rules", 0)
	})
}

// What a request of a client that has gone waits for goes on for the others.
func TestFreshness_aRequestThatEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, documents := openShelf(t, refresh, newLogged().Options)
		documents.put("b", app)
		documents.takes = time.Second
		ctx, cancel := context.WithTimeout(t.Context(), tick)
		defer cancel()
		if rules, err := s.Rules(ctx, "b"); !errors.Is(err, context.DeadlineExceeded) || rules != s.other {
			t.Errorf("%v, %v", rules, err)
		}
		expect(t, s, "b", "", documents.takes)
		if reads := documents.readsOf("b"); reads != 1 {
			t.Errorf("%d reads", reads)
		}
	})
}

// Requests that are under way when the configuration ends still get their rules.
func TestFreshness_theConfigurationEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLogged()
		ctx, end := caddy.NewContext(caddy.Context{Context: t.Context()})
		s, documents := &Directory{Path: t.TempDir()}, newShelf()
		if err := s.Open(ctx, l.Options); err != nil {
			t.Fatal(err)
		}
		s.document = func(bucket string) reader { return shelved{documents, bucket} }
		documents.put("b", app)
		documents.takes = time.Second
		var request sync.WaitGroup
		request.Go(func() { expect(t, s, "b", "", time.Second) })
		time.Sleep(tick)
		end()
		_ = s.Cleanup()
		request.Wait()
		expect(t, s, "b", "", 0)
		if got := l.exposition(t); got != "" {
			t.Errorf("metrics show\n%s", got)
		}
	})
}

// A bucket that nobody requests is dropped, and loaded again when it is.
func TestFreshness_unusedBucketsAreDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, documents := openShelf(t, refresh, newLogged().Options)
		names := func() (names []string) {
			for _, report := range s.Reports() {
				names = append(names, report.Rules.Name)
			}
			return names
		}
		documents.put("unused", app)
		documents.put("used", app)
		expect(t, s, "unused", "", 0)
		for range 2 * unusedTime / time.Minute {
			expect(t, s, "used", "", 0)
			time.Sleep(time.Minute)
		}
		if got, want := names(), []string{"used", "_other"}; !slices.Equal(got, want) {
			t.Errorf("loaded are %q; want %q", got, want)
		}
		expect(t, s, "unused", "", 0)
		if got, want := names(), []string{"unused", "used", "_other"}; !slices.Equal(got, want) {
			t.Errorf("loaded are %q; want %q", got, want)
		}
	})
}
