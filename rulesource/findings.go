package rulesource

import (
	"slices"

	"go.uber.org/zap"

	"github.com/caddy-oss-cors/caddy-oss-cors/corsrules"
)

// maxFindings is how many findings one log line has: as many as a person reads.
const maxFindings = 10

// logFindings warns of what is valid in content that was just loaded, and may be a mistake.
// Only a Document calls it, and no bucket's document: their authors do not read this log.
func (d *Document) logFindings(content []byte) {
	findings, err := corsrules.Lint(content, d.parsing)
	if err != nil { // a document that Lint does not take, though Parse does
		return
	}
	findings = slices.DeleteFunc(findings, func(f corsrules.Finding) bool {
		return f.Code == corsrules.LintEchoWithoutVary && d.opts.ResponseVary
	})
	if len(findings) == 0 {
		return
	}
	var shown []string
	for _, f := range findings[:min(len(findings), maxFindings)] {
		shown = append(shown, f.String())
	}
	d.log().Warn("CORS rules are valid, and may have mistakes; caddy oss-cors lint shows all",
		zap.Int("findings", len(findings)),
		zap.Strings("first", shown))
}
