package adminapi

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/caddy-oss-cors/caddy-oss-cors/internal/explain"
	"github.com/caddy-oss-cors/caddy-oss-cors/internal/running"
)

// maxPasteBody bounds a request to paste: the longest text, with as much room for its escapes,
// as JSON makes the quotation marks, backslashes and line ends of a HAR twice as long.
const maxPasteBody = 2 * explain.MaxPaste

// pasteRequest is the body of POST /oss_cors/paste.
type pasteRequest struct {
	Text string `json:"text"`
}

// pasteResult is what was read from the text.
type pasteResult struct {
	Format   string           `json:"format"`
	Requests []explain.Pasted `json:"requests"`
}

func servePaste(w http.ResponseWriter, r *http.Request) error {
	var q pasteRequest
	if err := readJSON(w, r, maxPasteBody, &q, `{"text": "curl https://…"}`); err != nil {
		return err
	}
	format, requests, err := explain.ReadPaste(q.Text)
	if err != nil {
		return apiErrorf(http.StatusBadRequest, "%w", err)
	}
	switch format {
	case explain.PastedRequestID:
		denial, found := deniedWithID(strings.TrimSpace(q.Text))
		if !found {
			return apiErrorf(http.StatusNotFound, "none of the latest %d denials has the request ID %s", running.MaxDenials, strings.TrimSpace(q.Text))
		}
		requests = []explain.Pasted{fromDenial(denial)}
	case explain.PastedConsole:
		requests[0] = completed(requests[0])
	}
	return writeJSON(w, pasteResult{format, requests})
}

func deniedWithID(id string) (running.Denial, bool) {
	for _, d := range running.Denials() {
		if d.RequestID == id {
			return d, true
		}
	}
	return running.Denial{}, false
}

func fromDenial(d running.Denial) explain.Pasted {
	preflight := d.Kind == "preflight"
	p := explain.Pasted{Request: explain.Request{Ruleset: d.Ruleset, Origin: d.Origin, Method: d.Method, Preflight: &preflight, Verbatim: true}, URL: d.Path}
	if d.Headers != "" {
		p.Headers = []string{d.Headers}
	}
	return p
}

// completed adds what a browser's console does not say, from the latest denial that the line
// can be about.
func completed(p explain.Pasted) explain.Pasted {
	path := ""
	if u, err := url.Parse(p.URL); err == nil {
		path = u.EscapedPath()
	}
	for _, d := range running.Denials() {
		if d.Path == path && (p.Origin == "" || p.Origin == d.Origin) && (p.Method == "" || p.Method == d.Method) {
			denied := fromDenial(d)
			denied.URL = p.URL
			return denied
		}
	}
	return p
}
