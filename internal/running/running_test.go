package running

import (
	"slices"
	"testing"
)

func TestSites(t *testing.T) {
	a, b := new(Site), new(Site)
	Remove(a) // as after a Provision that failed
	Remove(nil)
	Add(a)
	Add(b)
	if got := Sites(); !slices.Equal(got, []*Site{a, b}) {
		t.Errorf("got %v", got)
	}
	Remove(a)
	if got := Sites(); !slices.Equal(got, []*Site{b}) {
		t.Errorf("got %v", got)
	}
	Remove(b)
}
