package test

import (
	"net/http"
	"strings"
)

// matrixPrediction is what the model says of cases, by their paths.
type matrixPrediction struct {
	world    *matrixWorld
	requests map[string][]string // that reach the proxy; see requestLine
	reasons  map[string][]string // of failures
}

func newMatrixPrediction(w *matrixWorld) *matrixPrediction {
	return &matrixPrediction{world: w, requests: map[string][]string{}, reasons: map[string][]string{}}
}

// model returns a browser that plays a case without having been anywhere before.
func (p *matrixPrediction) model(c *matrixCase) *fetchModel {
	send := func(r modelRequest) modelAnswer {
		path, hop := casePath(r.url)
		answer := p.world.originAnswer(c, hop)
		name, _, _ := strings.Cut(hostOf(r.url), ".")
		bucket := p.world.buckets[name]
		if bucket == nil {
			return answer // of a page's server
		}
		answer = bucket.serve(r, caddyAnswer(c, r.url, answer))
		p.requests[path] = append(p.requests[path], requestLine(r, answer.status, answer.verdict))
		return answer
	}
	return &fetchModel{send: send, permitted: map[string]bool{}, stored: map[string]storedAnswer{}}
}

// caddyAnswer is what comes from behind oss_cors: the origin server's answer, unless Caddy
// makes one.
func caddyAnswer(c *matrixCase, url string, answer modelAnswer) modelAnswer {
	empty := map[string]string{"content-length": "0"}
	switch {
	case c.steps[0].kind == "websocket":
		return modelAnswer{status: http.StatusSwitchingProtocols, header: empty}
	case strings.Contains(url, "/locked/") && len(c.steps[0].headers) == 0:
		return modelAnswer{status: http.StatusUnauthorized, header: empty}
	case strings.Contains(url, "/down/"):
		return modelAnswer{status: http.StatusBadGateway, header: empty}
	}
	return answer
}

// step returns what a page learns of a step.
func (p *matrixPrediction) step(model *fetchModel, c *matrixCase, step matrixStep) fetchResult {
	result := model.fetch(p.world.fetchRequest(c, step))
	if result.reason != "" && step.page != "sandbox" { // a process of its own, to which nobody listens
		p.reasons[pathOf(c)] = append(p.reasons[pathOf(c)], result.reason)
	}
	result.reason = ""
	if step.kind != "fetch" && step.kind != "xhr" {
		return fetchResult{Outcome: result.Outcome} // an element does not tell more
	}
	return result
}

// fetchRequest is the request that a step makes, by the standards of fetch(), of
// XMLHttpRequest and of the HTML elements.
func (w *matrixWorld) fetchRequest(c *matrixCase, step matrixStep) fetchRequest {
	r := fetchRequest{
		url:         w.targets(c, step)[0],
		origin:      w.pageOrigin(step.page),
		method:      step.method,
		header:      headerPairs(step.headers),
		body:        step.body,
		mode:        "cors",
		credentials: "same-origin",
		redirect:    step.redirect,
		progress:    step.progress,
	}
	// A site is a scheme and a domain to register: here one label below localhost.
	r.sameSite = strings.HasSuffix(r.origin[:max(0, strings.LastIndex(r.origin, ":"))], ".example.localhost")
	if step.credentials != "" {
		r.credentials = step.credentials
	}
	switch step.kind {
	case "fetch", "xhr":
		r.byScript = true
		// "Normalize a method"
		if upper := strings.ToUpper(step.method); upper != "PATCH" {
			r.method = upper
		}
		if step.mode != "" {
			r.mode = step.mode
		}
	case "script", "style", "image":
		if step.crossorigin == "" {
			r.mode, r.credentials = "no-cors", "include"
		}
	case "events":
		r.noStore = true
	case "frame":
		r.mode, r.credentials = "navigate", "include"
	case "form":
		r.mode, r.credentials, r.method = "navigate", "include", http.MethodPost
	case "websocket":
		r.mode, r.credentials = "websocket", "include"
	}
	if step.crossorigin == "use-credentials" {
		r.credentials = "include"
	}
	return r
}
