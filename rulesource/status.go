package rulesource

import (
	"cmp"
	"errors"
	"slices"

	"github.com/caddy-oss-cors/caddy-oss-cors/metrics"
)

// Report is what a source has in force for one rule set.
type Report struct {
	Rules *Rules

	// Document is where the rules come from: a file's path, for instance.
	Document string

	Status Status
}

// Reporter is a Source that tells what it has in force. Reports may be called from any
// goroutine; those of many buckets are of the buckets that are loaded, sorted by name,
// and of OtherBuckets, which all others count as.
type Reporter interface {
	Source
	Reports() []Report
}

// Hits returns how many requests of a kind the i-th rule matched, from 0.
func (r *Rules) Hits(kind metrics.Kind, i int) uint64 { return r.hits[i].Hits(kind) }

// Report returns what the document has in force.
func (d *Document) Report() Report {
	return Report{Rules: d.Rules(), Document: d.parsing.File, Status: d.Status()}
}

// Reports implements Reporter.
func (s *File) Reports() []Report { return []Report{s.document.Report()} }

// Reports implements Reporter.
func (s *Inline) Reports() []Report { return []Report{s.document.Report()} }

// Reports implements Reporter.
func (b *buckets) Reports() []Report {
	var reports []Report
	for known := range b.all() {
		reports = append(reports, known.document.Report())
	}
	slices.SortFunc(reports, func(a, b Report) int { return cmp.Compare(a.Rules.Name, b.Rules.Name) })
	other := Report{Rules: b.other}
	if trouble := b.trouble.Load(); trouble != nil {
		other.Status.Err = errors.New(*trouble)
	}
	return append(reports, other)
}

var (
	_ Reporter = (*File)(nil)
	_ Reporter = (*Inline)(nil)
	_ Reporter = (*Directory)(nil)
	_ Reporter = (*Storage)(nil)
)
