package adminapi

import (
	"errors"
	"net/http"
	"slices"

	"github.com/caddy-oss-cors/caddy-oss-cors/corsrules"
	"github.com/caddy-oss-cors/caddy-oss-cors/rulesource"
)

// maxShown bounds the faults, the findings and the changes of one document that are shown:
// there can be thousands, and nobody reads more than this at once.
const maxShown = 100

// checkRequest is the body of POST /oss_cors/check.
type checkRequest struct {
	Ruleset  string `json:"ruleset,omitempty"`
	Document string `json:"document"`
}

// checkResult is what is wrong with a document, or unwise.
type checkResult struct {
	Valid    bool           `json:"valid"`
	Faults   []checkFault   `json:"faults"`
	Findings []checkFinding `json:"findings"`

	// More is how many faults and findings are not shown.
	More int `json:"more,omitempty"`

	// Changes are what the document would change if it took the place of the rules in
	// force, if the request names a rule set; MoreChanges is how many are not shown.
	// ChangesError says why they are not known.
	Changes      []corsrules.Change `json:"changes,omitempty"`
	MoreChanges  int                `json:"more_changes,omitempty"`
	ChangesError string             `json:"changes_error,omitempty"`

	// XML is a valid document as GetBucketCors shows it. Caddyfile are rule blocks that XML
	// cannot say.
	XML       string `json:"xml,omitempty"`
	Caddyfile string `json:"caddyfile,omitempty"`
}

type checkFault struct {
	Line    int    `json:"line"`
	Column  int    `json:"column"`
	Message string `json:"message"`
	OSSCode string `json:"oss_code,omitempty"`
	EC      string `json:"ec,omitempty"`
}

type checkFinding struct {
	Line    int    `json:"line"`
	Column  int    `json:"column"`
	Code    string `json:"code"`
	Message string `json:"message"`
	Advice  string `json:"advice"`
}

func serveCheck(w http.ResponseWriter, r *http.Request) error {
	var q checkRequest
	if err := readJSON(w, r, maxExplainBody, &q, `{"document": "<CORSConfiguration>…</CORSConfiguration>"}`); err != nil {
		return err
	}
	opts := corsrules.Options{File: "candidate"}
	var inForce *corsrules.Configuration
	var policy corsrules.Policy
	if q.Ruleset != "" {
		site, rules, err := find(r.Context(), q.Ruleset)
		if err != nil {
			return err
		}
		opts, policy = candidateOptions(site), site.Policy
		if rules.Ruleset != nil {
			inForce = rules.Configuration()
		}
	}
	return writeJSON(w, check([]byte(q.Document), opts, inForce, policy))
}

// check checks a document, and compares it with the rules in force, if they are not nil.
// The policy is that of their oss_cors directive.
func check(document []byte, opts corsrules.Options, inForce *corsrules.Configuration, policy corsrules.Policy) checkResult {
	result := checkResult{Faults: []checkFault{}, Findings: []checkFinding{}}
	cfg, findings, err := readCandidate(document, opts)
	var faults corsrules.Faults
	if errors.As(err, &faults) {
		for _, f := range faults[:min(maxShown, len(faults))] {
			result.Faults = append(result.Faults, checkFault{max(f.Line, 1), max(f.Column, 1), f.Message, f.Code, f.EC})
		}
		result.More = len(faults) - len(result.Faults)
		return result
	}
	result.Valid = true
	if text, isXML, err := documentText(cfg); isXML {
		result.XML = string(text)
	} else if err == nil {
		result.Caddyfile = string(text)
	}
	isS3 := policy.Dialect == corsrules.DialectS3 // what it allows has Vary anyway

	if isS3 || policy.ResponseVary && cfg.Form != corsrules.FormBlocks { // which say it themselves
		cfg.ResponseVary = true
		findings = slices.DeleteFunc(findings, func(f corsrules.Finding) bool { return f.Code == corsrules.LintEchoWithoutVary })
	}
	for _, f := range findings[:min(maxShown, len(findings))] {
		result.Findings = append(result.Findings, checkFinding{f.Line, max(f.Column, 1), f.Code, f.Message, f.Advice})
	}
	result.More = len(findings) - len(result.Findings)
	if inForce != nil {
		before := *inForce
		before.ResponseVary = before.ResponseVary || policy.ResponseVary
		changes, err := policy.Dialect.Diff(corsrules.Compile(&before), corsrules.Compile(cfg))
		if err != nil {
			result.ChangesError = err.Error()
		}
		result.Changes = changes[:min(maxShown, len(changes))]
		result.MoreChanges = len(changes) - len(result.Changes)
	}
	return result
}

// readCandidate reads candidate rules, a document or rule blocks, and what may be a mistake in
// them. Placeholders are not expanded: whoever sees the answer need not see the environment and
// the files of this process.
func readCandidate(text []byte, opts corsrules.Options) (*corsrules.Configuration, []corsrules.Finding, error) {
	return rulesource.ParseAndLint(text, opts, false)
}

// documentText returns rules as GetBucketCors shows them; rule blocks that OSS's XML cannot say
// are returned as blocks.
func documentText(cfg *corsrules.Configuration) (text []byte, isXML bool, err error) {
	text = cfg.Marshal()
	if cfg.Form == corsrules.FormBlocks {
		if _, err := corsrules.Parse(text, corsrules.Options{MaxRules: corsrules.MaxBlocks}); err != nil {
			text, err = cfg.MarshalBlocks()
			return text, false, err
		}
	}
	return text, true, nil
}

// brief shortens the error of Parse: a document can have thousands of faults.
func brief(err error) error {
	var faults corsrules.Faults
	if errors.As(err, &faults) {
		return faults.Brief()
	}
	return err
}
