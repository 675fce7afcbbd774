package adminapi

import (
	"errors"
	"net/http"

	"github.com/caddy-oss-cors/caddy-oss-cors/corsrules"
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
	Changes     []corsrules.Change `json:"changes,omitempty"`
	MoreChanges int                `json:"more_changes,omitempty"`

	// XML is a valid document as GetBucketCors shows it.
	XML string `json:"xml,omitempty"`
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
	var inForce *corsrules.Ruleset
	if q.Ruleset != "" {
		site, rules, err := find(r.Context(), q.Ruleset)
		if err != nil {
			return err
		}
		opts, inForce = candidateOptions(site), rules.Ruleset
	}
	return writeJSON(w, check([]byte(q.Document), opts, inForce))
}

// check checks a document, and compares it with the rules in force, if they are not nil.
func check(document []byte, opts corsrules.Options, inForce *corsrules.Ruleset) checkResult {
	result := checkResult{Faults: []checkFault{}, Findings: []checkFinding{}}
	findings, err := corsrules.Lint(document, opts)
	var faults corsrules.Faults
	if errors.As(err, &faults) {
		for _, f := range faults[:min(maxShown, len(faults))] {
			result.Faults = append(result.Faults, checkFault{f.Line, f.Column, f.Message, f.Code, f.EC})
		}
		result.More = len(faults) - len(result.Faults)
		return result
	}
	for _, f := range findings[:min(maxShown, len(findings))] {
		result.Findings = append(result.Findings, checkFinding{f.Line, f.Column, f.Code, f.Message, f.Advice})
	}
	result.More = len(findings) - len(result.Findings)
	cfg, err := corsrules.Parse(document, opts)
	if err != nil {
		return result
	}
	result.Valid, result.XML = true, string(cfg.Marshal())
	if inForce != nil {
		changes := corsrules.Diff(inForce, corsrules.Compile(cfg))
		result.Changes = changes[:min(maxShown, len(changes))]
		result.MoreChanges = len(changes) - len(result.Changes)
	}
	return result
}

// brief shortens the error of Parse: a document can have thousands of faults.
func brief(err error) error {
	var faults corsrules.Faults
	if errors.As(err, &faults) {
		return faults.Brief()
	}
	return err
}
