package rulesource

import (
	"crypto/sha256"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-oss-cors/caddy-oss-cors/corsrules"
)

const (
	// maxFindings is how many findings one log line has: as many as a person reads.
	maxFindings = 10

	// maxFindingBuckets is how many buckets' documents are warned of in findingsPeriod, and
	// maxLintedContents how many contents of a bucket are linted: as many as an operator
	// looks into. Whoever writes one bucket's rules cannot use up the others' lines, or more
	// of a core than a thousandth.
	maxFindingBuckets = 100
	maxLintedContents = 10

	// maxLintedBuckets bounds the memory for the count of linted contents. The documents of
	// further buckets are not linted.
	maxLintedBuckets = 100_000

	findingsPeriod = time.Hour
)

// logFindings warns of what is valid in rules that were just loaded, and may be a mistake.
func (d *Document) logFindings(findings []corsrules.Finding) {
	if d.opts.ResponseVary || d.opts.Dialect == corsrules.DialectS3 { // what it allows has Vary anyway
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

// bucketFindings are what was linted, and warned of, since a time.
type bucketFindings struct {
	mu     sync.Mutex
	since  time.Duration
	linted map[string]int               // how many contents, by bucket
	warned map[string][sha256.Size]byte // the sum of the last content, by bucket
}

// logFindings warns of what may be a mistake in a bucket's content that was just loaded. lint
// takes longer than parsing: a write waits for it, but no request that needs the rules. Most
// documents do not say ResponseVary, and the metrics tell where that does harm: it is left out.
func (bs *buckets) logFindings(name string, content *parsedContent, lint func(*corsrules.Ruleset) []corsrules.Finding) {
	if content.err != nil || !bs.findings.mayLint(name, content.sum, bs.now()) {
		return
	}
	findings := withoutVary(lint(content.rules))
	if len(findings) == 0 {
		return
	}
	wanted, full := bs.findings.mayWarn(name, content.sum)
	if !wanted {
		return
	}
	warn(documentLog(bs.opts.Logger, name, bs.file(name)), findings)
	if full {
		bs.opts.Logger.Warn("many buckets' CORS rules may have mistakes; those of further buckets are not logged for up to an hour",
			zap.Int("buckets", maxFindingBuckets))
	}
}

// mayLint reports whether a content may be linted, which is then counted.
func (f *bucketFindings) mayLint(name string, sum [sha256.Size]byte, now time.Duration) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.linted == nil || now-f.since >= findingsPeriod {
		f.since, f.linted, f.warned = now, map[string]int{}, map[string][sha256.Size]byte{}
	}
	contents := f.linted[name]
	if f.warned[name] == sum || contents == maxLintedContents || contents == 0 && len(f.linted) == maxLintedBuckets {
		return false
	}
	f.linted[name]++
	return true
}

// mayWarn reports whether findings in a content may be logged, which is then counted. full
// reports that this is the last bucket.
func (f *bucketFindings) mayWarn(name string, sum [sha256.Size]byte) (wanted, full bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	last, known := f.warned[name]
	if last == sum || !known && len(f.warned) == maxFindingBuckets {
		return false, false
	}
	f.warned[name] = sum
	return true, !known && len(f.warned) == maxFindingBuckets
}
