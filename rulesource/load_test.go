package rulesource

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/caddy-oss-cors/caddy-oss-cors/corsrules"
	"github.com/caddy-oss-cors/caddy-oss-cors/metrics"
)

// trouble stands between a source of buckets and what it reads.
type trouble struct {
	read  func(ctx context.Context, bucket string) ([]byte, error)
	hangs atomic.Pointer[chan struct{}] // until it is closed
	fails atomic.Bool
	reads atomic.Int64
}

func (tr *trouble) between(b *buckets) {
	tr.read, b.read = b.read, func(ctx context.Context, bucket string) ([]byte, error) {
		tr.reads.Add(1)
		if hang := tr.hangs.Load(); hang != nil {
			<-*hang
		}
		if tr.fails.Load() {
			return nil, errors.New("no answer")
		}
		return tr.read(ctx, bucket)
	}
}

// hang has reads hang until heal is called.
func (tr *trouble) hang(t *testing.T) (heal func()) {
	hang := make(chan struct{})
	tr.hangs.Store(&hang)
	heal = func() {
		if tr.hangs.Swap(nil) != nil {
			close(hang)
		}
	}
	t.Cleanup(heal)
	return heal
}

// slack is what a busy machine may add to the time that a request takes.
const slack = 300 * time.Millisecond

// A storage that hangs delays requests of a bucket that is not loaded, for a bounded time,
// and those of a bucket that is until the first read has failed; after that, hardly. Once
// it answers, the rules are as new as ever.
func TestBuckets_aHangingStorage(t *testing.T) {
	const refresh = 40 * time.Millisecond
	dir := t.TempDir()
	write(t, dir, "loaded", "https://app.example.com")
	write(t, dir, "idle", "https://app.example.com")
	s := openDirectory(t, dir, refresh)
	var tr trouble
	tr.between(&s.buckets)
	reason(t, s, "loaded")
	reason(t, s, "idle")
	heal := tr.hang(t)
	time.Sleep(refresh)

	ask := func(bucket, want string, within time.Duration) {
		t.Helper()
		start := time.Now()
		got := reason(t, s, bucket)
		if took := time.Since(start); got != want || took > within {
			t.Errorf("%s: %q after %s; want %q within %s", bucket, got, took, want, within)
		}
	}
	ask("another", "unreachable", loadDeadline+slack)
	for end := time.Now().Add(loadDeadline + 10*refresh); time.Now().Before(end) && !t.Failed(); time.Sleep(refresh / 4) {
		ask("loaded", "", troubleWait+slack)
	}
	ask("idle", "", troubleWait+slack)

	write(t, dir, "loaded", "https://other.example.com")
	write(t, dir, "idle", "https://other.example.com")
	heal()
	time.Sleep(refresh)
	for _, bucket := range []string{"loaded", "idle"} {
		ask(bucket, "origin", slack)
	}
}

// A read that hangs holds nobody for long who comes while it does: not one after another.
func TestBuckets_aReadThatHangsIsWaitedForOnce(t *testing.T) {
	const refresh = 40 * time.Millisecond
	dir := t.TempDir()
	write(t, dir, "loaded", "https://app.example.com")
	s := openDirectory(t, dir, refresh)
	var tr trouble
	tr.between(&s.buckets)
	reason(t, s, "loaded")
	tr.fails.Store(true)
	time.Sleep(refresh)
	reason(t, s, "loaded")
	tr.hang(t)
	time.Sleep(refresh)
	start := time.Now()
	for range 50 {
		if got := reason(t, s, "loaded"); got != "" {
			t.Fatalf("got %q", got)
		}
	}
	if took := time.Since(start); took > troubleWait+slack {
		t.Errorf("50 requests, one after another, took %s", took)
	}
}

// A storage that fails at once is not asked at the rate of requests, and once it answers,
// no request sees rules older than refresh: not the first one either.
func TestBuckets_aFailingStorage(t *testing.T) {
	const refresh = 200 * time.Millisecond
	dir := t.TempDir()
	write(t, dir, "busy", "https://app.example.com")
	write(t, dir, "idle", "https://app.example.com")
	s := openDirectory(t, dir, refresh)
	var tr trouble
	tr.between(&s.buckets)
	reason(t, s, "busy")
	reason(t, s, "idle")

	tr.fails.Store(true)
	began, before := time.Now(), tr.reads.Load()
	for asked := 0; time.Since(began) < 5*refresh; asked++ {
		if got := reason(t, s, "busy"); got != "" {
			t.Fatalf("got %q", got)
		}
	}
	most := int64(time.Since(began)/(refresh/2)) + 1
	if reads := tr.reads.Load() - before; reads > most || reads < 4 {
		t.Errorf("%d reads in 5 times refresh; want some, and %d at most", reads, most)
	}

	write(t, dir, "busy", "https://other.example.com")
	write(t, dir, "idle", "https://other.example.com")
	tr.fails.Store(false)
	time.Sleep(refresh)
	answers := make(chan string, 20)
	for i := range cap(answers) {
		go func() { answers <- reason(t, s, []string{"idle", "busy"}[i%2]) }()
	}
	for range cap(answers) {
		if got := <-answers; got != "origin" {
			t.Errorf("refresh after the storage is well, the old rules answer: %q", got)
		}
	}
}

// A document that can never be read is one trouble, however often others can be: it is
// logged once, and its end once.
func TestBuckets_aDocumentThatCannotBeRead(t *testing.T) {
	const refresh = 40 * time.Millisecond
	dir := t.TempDir()
	write(t, dir, "good", "https://app.example.com")
	write(t, dir, "bad", "https://app.example.com")
	core, lines := observer.New(zap.InfoLevel)
	s := openLogged(t, dir, refresh, zap.New(core))
	read, fails := s.read, atomic.Bool{}
	s.read = func(ctx context.Context, bucket string) ([]byte, error) {
		if bucket == "bad" && fails.Load() {
			return nil, errors.New("permission denied")
		}
		return read(ctx, bucket)
	}
	ask := func() {
		for began := time.Now(); time.Since(began) < 10*refresh; time.Sleep(refresh / 8) {
			reason(t, s, "good")
			reason(t, s, "bad")
		}
	}
	troubles := func() int { return lines.FilterMessageSnippet("of buckets can").Len() }
	fails.Store(true)
	if ask(); troubles() != 1 {
		t.Errorf("%d lines; want 1: %v", troubles(), lines.All())
	}
	fails.Store(false)
	if ask(); troubles() != 2 {
		t.Errorf("%d lines; want 2: %v", troubles(), lines.All())
	}
}

// Nor does it make others old: their reads are waited for as ever, be they slow.
func TestBuckets_aSlowReadBesideADocumentThatCannotBeRead(t *testing.T) {
	const refresh = 400 * time.Millisecond
	dir := t.TempDir()
	write(t, dir, "good", "https://app.example.com")
	s := openDirectory(t, dir, refresh)
	read := s.read
	s.read = func(ctx context.Context, bucket string) ([]byte, error) {
		if bucket == "bad" {
			return nil, errors.New("permission denied")
		}
		time.Sleep(2 * troubleWait)
		return read(ctx, bucket)
	}
	reason(t, s, "bad")
	reason(t, s, "good")
	write(t, dir, "good", "https://other.example.com")
	time.Sleep(refresh)
	if got := reason(t, s, "good"); got != "origin" {
		t.Errorf("the old rules answer: %q", got)
	}
}

// What stands for all other buckets shows no load and no rules of its own. Rules are
// counted by number from the first bucket that has no room for counters of its own.
func TestBuckets_other(t *testing.T) {
	dir, store := t.TempDir(), metrics.NewStore()
	core, lines := observer.New(zap.ErrorLevel)
	s := &Directory{Path: filepath.Join(dir, "late"), RefreshOptions: RefreshOptions{Refresh: caddy.Duration(time.Hour)}}
	if err := s.Open(newContext(t), &Options{Logger: zap.New(core), Store: store}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Cleanup() })
	expectOther := func(desc string, successful float64, ruleSeries int) {
		t.Helper()
		if got, want := gauges(t, store, metrics.OtherBuckets), map[string]float64{"load_successful": successful}; !maps.Equal(got, want) {
			t.Errorf("%s: %v, want %v", desc, got, want)
		}
		if got := strings.Count(exposition(t, store), `caddy_oss_cors_rule_hits_total{kind="actual",rule=`); got != ruleSeries {
			t.Errorf("%s: %d rule series, want %d", desc, got, ruleSeries)
		}
	}
	expectOther("at first", 1, 0)
	reason(t, s, "one")
	expectOther("without the directory", 0, 0)
	if logged := lines.TakeAll(); len(logged) != 1 || logged[0].Message != "CORS rules of buckets cannot be read; none are loaded" {
		t.Errorf("logged %v", logged)
	}

	s.read = func(context.Context, string) ([]byte, error) {
		return fmt.Appendf(nil, document, "https://app.example.com"), nil
	}
	for i := range metrics.MaxBuckets {
		reason(t, s, fmt.Sprint(i))
	}
	expectOther("with as many buckets as have counters", 0, metrics.MaxBuckets)
	rules, _ := s.Rules(t.Context(), "one-more")
	expectOther("with one more", 0, metrics.MaxBuckets+corsrules.DefaultMaxRules)
	rules.Count(metrics.Actual, rules.Decide(fromApp), fromApp.Origin)
	if want := `caddy_oss_cors_rule_hits_total{kind="actual",rule="1",ruleset="_other"} 1`; !strings.Contains(exposition(t, store), want) {
		t.Errorf("not counted: %s", want)
	}
}
