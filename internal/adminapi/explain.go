package adminapi

import (
	"cmp"
	"net/http"
	"strings"

	"github.com/caddy-oss-cors/caddy-oss-cors/corsrules"
	"github.com/caddy-oss-cors/caddy-oss-cors/internal/explain"
	"github.com/caddy-oss-cors/caddy-oss-cors/internal/running"
	"github.com/caddy-oss-cors/caddy-oss-cors/rulesource"
)

// maxExplainBody bounds a request to explain or to check: the longest candidate document, of which
// JSON can write each byte as six, such as < as \u003c, and room for the request to explain.
const maxExplainBody = 6*corsrules.MaxS3DocumentBytes + 16<<10

// explainRequest is the body of POST /oss_cors/explain.
type explainRequest struct {
	explain.Request

	// Document has candidate rules, which are evaluated instead of those in force.
	Document string `json:"document,omitempty"`
}

func serveExplain(w http.ResponseWriter, r *http.Request) error {
	var q explainRequest
	err := readJSON(w, r, maxExplainBody, &q, `{"origin": "https://app.example.com", "method": "PUT", "headers": ["content-type"]}`)
	if err != nil {
		return err
	}
	if strings.TrimSpace(q.Origin) == "" || strings.TrimSpace(q.Method) == "" {
		return apiErrorf(http.StatusBadRequest, "origin and method are needed")
	}
	site, rules, err := find(r.Context(), q.Ruleset)
	if err != nil {
		return err
	}
	q.Ruleset = cmp.Or(q.Ruleset, rules.Name)
	ruleset := rules.Ruleset
	if q.Document != "" {
		cfg, _, err := readCandidate([]byte(q.Document), candidateOptions(site))
		if err != nil {
			return apiErrorf(http.StatusBadRequest, "the candidate document is not valid:\n%w", brief(err))
		}
		ruleset = corsrules.Compile(cfg)
	}
	return writeJSON(w, explain.New(ruleset, site.Policy, q.Request))
}

// candidateOptions are those for rules that could take the place of a site's.
func candidateOptions(site *running.Site) corsrules.Options {
	opts := corsrules.Options{File: "candidate", Dialect: site.Policy.Dialect.Documents(), Credentials: site.Policy.AllowCredentials}
	if source, ok := site.Source.(rulesource.Limited); ok {
		opts.MaxRules = source.MaxDocumentRules()
	}
	if _, ok := site.Source.(rulesource.Writable); ok { // its documents are OSS's or S3's
		opts.Dialect = corsrules.DialectAny
	}
	return opts
}
