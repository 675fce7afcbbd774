package browsers

import (
	"net/http"
	"strings"

	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/fetchmodel"
)

// matrixPrediction is what the model predicts for cases, by their paths.
type matrixPrediction struct {
	world    *matrixWorld
	requests map[string][]string // that reach the proxy; see requestLine
	reasons  map[string][]string // of failures
}

func newMatrixPrediction(w *matrixWorld) *matrixPrediction {
	return &matrixPrediction{world: w, requests: map[string][]string{}, reasons: map[string][]string{}}
}

// model returns a browser with empty caches for one case.
func (p *matrixPrediction) model(c *matrixCase) *fetchmodel.Model {
	send := func(r fetchmodel.WireRequest) fetchmodel.WireResponse {
		path, hop := casePath(r.URL)
		answer := p.world.originAnswer(c, hop)
		name, _, _ := strings.Cut(fetchmodel.HostOf(r.URL), ".")
		bucket := p.world.buckets[name]
		if bucket == nil {
			return answer // of a page's server
		}
		answer = bucket.Serve(r, caddyAnswer(c, r.URL, answer))
		p.requests[path] = append(p.requests[path], requestLine(r, answer.Status, answer.Decision))
		return answer
	}
	return fetchmodel.New(send)
}

// caddyAnswer returns what oss_cors gets from the next handler: the origin server's response,
// or one of Caddy's own.
func caddyAnswer(c *matrixCase, url string, answer fetchmodel.WireResponse) fetchmodel.WireResponse {
	empty := map[string]string{"content-length": "0"}
	switch {
	case c.steps[0].kind == "websocket":
		return fetchmodel.WireResponse{Status: http.StatusSwitchingProtocols, Header: empty}
	case strings.Contains(url, "/locked/") && len(c.steps[0].headers) == 0:
		return fetchmodel.WireResponse{Status: http.StatusUnauthorized, Header: empty}
	case strings.Contains(url, "/down/"):
		return fetchmodel.WireResponse{Status: http.StatusBadGateway, Header: empty}
	}
	return answer
}

// step returns what a page learns of a step.
func (p *matrixPrediction) step(model *fetchmodel.Model, c *matrixCase, step matrixStep) fetchmodel.Result {
	result := model.Fetch(p.world.fetchRequest(c, step))
	if result.Reason != "" && step.page != "sandbox" { // the test does not listen to its process
		p.reasons[pathOf(c)] = append(p.reasons[pathOf(c)], result.Reason)
	}
	result.Reason = ""
	if step.kind != "fetch" && step.kind != "xhr" {
		return fetchmodel.Result{Outcome: result.Outcome} // an element does not tell more
	}
	return result
}

// fetchRequest returns the request that a step makes, by the standards of fetch(), of
// XMLHttpRequest and of the HTML elements.
func (w *matrixWorld) fetchRequest(c *matrixCase, step matrixStep) fetchmodel.Request {
	r := fetchmodel.Request{
		URL:         w.targets(c, step)[0],
		Origin:      w.pageOrigin(step.page),
		Method:      step.method,
		Header:      headerPairs(step.headers),
		Body:        step.body,
		Mode:        "cors",
		Credentials: "same-origin",
		Redirect:    step.redirect,
		Progress:    step.progress,
	}
	// A site is a scheme and a domain to register: here one label below localhost.
	r.SameSite = strings.HasSuffix(r.Origin[:max(0, strings.LastIndex(r.Origin, ":"))], ".example.localhost")
	if step.credentials != "" {
		r.Credentials = step.credentials
	}
	switch step.kind {
	case "fetch", "xhr":
		r.ByScript = true
		// "Normalize a method"
		if upper := strings.ToUpper(step.method); upper != "PATCH" {
			r.Method = upper
		}
		if step.mode != "" {
			r.Mode = step.mode
		}
	case "script", "style", "image":
		if step.crossorigin == "" {
			r.Mode, r.Credentials = "no-cors", "include"
		}
	case "events":
		r.NoStore = true
	case "frame":
		r.Mode, r.Credentials = "navigate", "include"
	case "form":
		r.Mode, r.Credentials, r.Method = "navigate", "include", http.MethodPost
	case "websocket":
		r.Mode, r.Credentials = "websocket", "include"
	}
	if step.crossorigin == "use-credentials" {
		r.Credentials = "include"
	}
	return r
}
