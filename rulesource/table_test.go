package rulesource

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
)

// chainOf returns n names that meet in one chain.
func chainOf(n int) []string {
	chain := map[uint64][]string{}
	for i := 0; ; i++ {
		name := fmt.Sprintf("bucket-%d", i)
		at := hash(name) % chains
		if chain[at] = append(chain[at], name); len(chain[at]) == n {
			return chain[at]
		}
	}
}

func expectBuckets(t *testing.T, table *table, want ...string) {
	t.Helper()
	var got []string
	for known := range table.all() {
		got = append(got, known.name.String())
		if table.find(got[len(got)-1]) != known {
			t.Errorf("%s is not found", known.name.String())
		}
	}
	if slices.Sort(got); !slices.Equal(got, slices.Sorted(slices.Values(want))) {
		t.Errorf("%q; want %q", got, want)
	}
}

func TestTable(t *testing.T) {
	table, chain := new(table), append(chainOf(3), strings.Repeat("a", maxName), "")
	expectBuckets(t, table)
	for i, name := range chain {
		if table.find(name) != nil || table.remove(name) != nil {
			t.Errorf("%s is there before it is added", name)
		}
		table.add(name, &bucket{name: newBucketName(name)})
		expectBuckets(t, table, chain[:i+1]...)
	}
	for _, i := range []int{1, 2, 0} { // the middle of the chain, its head, its last
		if removed := table.remove(chain[i]); removed == nil || removed.name.String() != chain[i] {
			t.Errorf("%s is not what was removed", chain[i])
		}
		if table.find(chain[i]) != nil {
			t.Errorf("%s is still found", chain[i])
		}
	}
	expectBuckets(t, table, chain[3:]...)
}

// Whatever of its chain is added and removed meanwhile, a bucket that stays is found.
func TestTable_findBesideChanges(t *testing.T) {
	table, chain := new(table), chainOf(3)
	add := func(i int) { table.add(chain[i], &bucket{name: newBucketName(chain[i])}) }
	for i := range chain {
		add(i)
	}
	stays := table.find(chain[1])
	var changes sync.WaitGroup
	changes.Go(func() {
		for range 10_000 {
			for _, i := range []int{2, 0} { // before it, and behind it at first
				table.remove(chain[i])
				add(i)
			}
		}
	})
	done := make(chan struct{})
	go func() { changes.Wait(); close(done) }()
	for {
		select {
		case <-done:
			return
		default:
		}
		if table.find(chain[1]) != stays {
			t.Fatal("not found")
		}
	}
}
