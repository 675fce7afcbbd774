// Package adminapi is the part of Caddy's admin API that shows the running rule sets and the
// latest denials, and explains decisions.
package adminapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-oss-cors/caddy-oss-cors/internal/explain"
)

func init() {
	caddy.RegisterModule(API{})
}

// API is a part of Caddy's admin API. It changes nothing:
//
//	GET  /oss_cors/rulesets                   the rule sets in force, where they come from, and their counts
//	GET  /oss_cors/rulesets/{name}/document   what is in force, as XML
//	GET  /oss_cors/denials                    the denied origins, and the latest denials
//	POST /oss_cors/explain                    what rules decide for a request; see explain.Request
//	POST /oss_cors/check                      a document's faults and findings
//	POST /oss_cors/paste                      the requests in a text such as a cURL command
type API struct{}

// CaddyModule returns the Caddy module information.
func (API) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "admin.api.oss_cors",
		New: func() caddy.Module { return new(API) },
	}
}

// Routes implements caddy.AdminRouter.
func (API) Routes() []caddy.AdminRoute {
	return []caddy.AdminRoute{
		{Pattern: "/oss_cors/rulesets", Handler: onlyMethod(http.MethodGet, serveRulesets)},
		{Pattern: "/oss_cors/rulesets/{name}/document", Handler: onlyMethod(http.MethodGet, serveDocument)},
		{Pattern: "/oss_cors/denials", Handler: onlyMethod(http.MethodGet, serveDenials)},
		{Pattern: "/oss_cors/explain", Handler: onlyMethod(http.MethodPost, serveExplain)},
		{Pattern: "/oss_cors/check", Handler: onlyMethod(http.MethodPost, serveCheck)},
		{Pattern: "/oss_cors/paste", Handler: onlyMethod(http.MethodPost, servePaste)},
	}
}

// onlyMethod refuses all other methods.
func onlyMethod(method string, serve caddy.AdminHandlerFunc) caddy.AdminHandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		if r.Method != method {
			w.Header().Set("Allow", method)
			return apiErrorf(http.StatusMethodNotAllowed, "%s %s: use %s", r.Method, r.URL.Path, method)
		}
		return serve(w, r)
	}
}

func apiErrorf(status int, format string, args ...any) error {
	return caddy.APIError{HTTPStatus: status, Err: fmt.Errorf(format, args...)}
}

// readJSON reads the body of a request, of at most limit bytes, into q. The example says what
// is expected.
func readJSON(w http.ResponseWriter, r *http.Request, limit int64, q any, example string) error {
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, limit))
	dec.DisallowUnknownFields()
	err := dec.Decode(q)
	if err == nil && dec.Decode(new(any)) != io.EOF {
		err = errors.New("there is more after the JSON object")
	}
	switch {
	case errors.As(err, new(*http.MaxBytesError)):
		return apiErrorf(http.StatusRequestEntityTooLarge, "the body has more than %d bytes", limit)
	case err != nil:
		return apiErrorf(http.StatusBadRequest, "the body is not what is expected: %w; send JSON such as %s", err, example)
	}
	return nil
}

func writeJSON(w http.ResponseWriter, result any) error {
	w.Header().Set("Content-Type", "application/json")
	return explain.WriteJSON(w, result)
}

// Interface guards
var (
	_ caddy.AdminRouter = API{}
)
