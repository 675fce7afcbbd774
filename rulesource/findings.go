package rulesource

import (
	"crypto/sha256"
	"slices"
	"sync"

	"go.uber.org/zap"

	"github.com/caddy-oss-cors/caddy-oss-cors/corsrules"
)

const (
	// maxFindings is how many findings one log line has: as many as a person reads.
	maxFindings = 10

	// maxFindingBuckets and maxFindingContents bound how many buckets' documents are warned
	// of while a configuration runs, and how many contents of each: as many as an operator
	// looks into. Whoever writes one bucket's rules cannot use up the others' lines.
	maxFindingBuckets  = 100
	maxFindingContents = 10
)

// logFindings warns of what is valid in rules that were just loaded, and may be a mistake.
func (d *Document) logFindings(findings []corsrules.Finding) {
	if d.opts.ResponseVary || d.opts.Dialect == corsrules.DialectS3 { // all of whose answers have Vary
		findings = withoutVary(findings)
	}
	warn(d.log(), findings)
}

// withoutVary leaves out that caches are not told that responses depend on the origin.
func withoutVary(findings []corsrules.Finding) []corsrules.Finding {
	return slices.DeleteFunc(findings, func(f corsrules.Finding) bool { return f.Code == corsrules.LintEchoWithoutVary })
}

func warn(log *zap.Logger, findings []corsrules.Finding) {
	if len(findings) == 0 {
		return
	}
	var shown []string
	for _, f := range findings[:min(len(findings), maxFindings)] {
		shown = append(shown, f.String())
	}
	log.Warn("CORS rules are valid, and may have mistakes; caddy oss-cors lint shows all",
		zap.Int("findings", len(findings)),
		zap.Strings("first", shown))
}

// bucketFindings are the buckets whose documents were warned of.
type bucketFindings struct {
	mu     sync.Mutex
	warned map[string]warnedOf
}

type warnedOf struct {
	last     [sha256.Size]byte // of its contents
	contents int
}

// logFindings warns of what may be a mistake in a bucket's content that was just loaded. It
// takes longer than parsing, so no request may wait for it. Most documents do not say
// ResponseVary, and the metrics tell where that does harm: it is left out.
func (bs *buckets) logFindings(name string, content []byte, sum [sha256.Size]byte) {
	if !bs.findings.wants(name, sum) {
		return
	}
	findings, err := corsrules.Lint(content, bs.parsing(name))
	if findings = withoutVary(findings); err != nil || len(findings) == 0 {
		return
	}
	wanted, full := bs.findings.take(name, sum)
	if !wanted { // since a moment ago
		return
	}
	warn(documentLog(bs.opts.Logger, name, bs.file(name)), findings)
	if full {
		bs.opts.Logger.Warn("many buckets' CORS rules may have mistakes; those of further buckets are not logged before the next reload",
			zap.Int("buckets", maxFindingBuckets))
	}
}

// wants reports whether findings in a content would be logged.
func (f *bucketFindings) wants(name string, sum [sha256.Size]byte) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.mayLog(name, sum)
}

func (f *bucketFindings) mayLog(name string, sum [sha256.Size]byte) bool {
	w, known := f.warned[name]
	if !known {
		return len(f.warned) < maxFindingBuckets
	}
	return w.last != sum && w.contents < maxFindingContents
}

// take records that findings in a content are logged, if they may be. full reports that this
// is the last bucket.
func (f *bucketFindings) take(name string, sum [sha256.Size]byte) (wanted, full bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.mayLog(name, sum) {
		return false, false
	}
	_, known := f.warned[name]
	f.warned[name] = warnedOf{sum, f.warned[name].contents + 1}
	return true, !known && len(f.warned) == maxFindingBuckets
}
