package explain

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/caddy-oss-cors/caddy-oss-cors/corsrules"
)

const (
	// MaxPaste bounds a pasted text, in bytes: a HAR of some hundred requests whose
	// responses have been left out fits in.
	MaxPaste = 8 << 20

	// maxPasted bounds the requests that are read from one text: as many as a person
	// chooses from.
	maxPasted = 50
)

// Pasted is a request that was read from text that people copy from browsers.
type Pasted struct {
	Request

	// URL is where the request was sent; empty if the text does not say.
	URL string `json:"url,omitempty"`
}

// The formats that ReadPaste knows.
const (
	PastedCurl    = "curl"
	PastedFetch   = "fetch"
	PastedHAR     = "har"
	PastedConsole = "console"

	// PastedRequestID is one word: the caller looks it up among the latest denials.
	PastedRequestID = "request_id"
)

// ReadPaste reads the requests in a text: a cURL command in bash's syntax, a fetch() call, a
// HAR, a line of Chromium's or Firefox's console, or a request ID. What the text does not say
// is empty in a request. Of a HAR, requests without Origin are left out, and of those that are
// equal all but one.
func ReadPaste(text string) (format string, requests []Pasted, err error) {
	if len(text) > MaxPaste {
		return "", nil, fmt.Errorf("the text has more than %d bytes: paste one request of it", MaxPaste)
	}
	text = strings.TrimSpace(text)
	switch {
	case strings.HasPrefix(text, "{"):
		requests, err = readHAR(text)
		return PastedHAR, requests, err
	case strings.HasPrefix(text, "curl "), strings.HasPrefix(text, "$ curl "):
		p, err := readCurl(text)
		return PastedCurl, []Pasted{p}, err
	case strings.Contains(text, "blocked by CORS policy"), strings.Contains(text, "Cross-Origin Request Blocked"):
		return PastedConsole, []Pasted{readConsole(text)}, nil
	case strings.Contains(text, "fetch("):
		p, err := readFetch(text)
		return PastedFetch, []Pasted{p}, err
	case text != "" && len(text) <= maxRequestID && !strings.ContainsAny(text, " \t\r\n/"):
		return PastedRequestID, nil, nil
	}
	return "", nil, errors.New("the text is not a cURL command, a fetch() call, a HAR, a message of the browser's console about CORS, or a request ID")
}

// maxRequestID bounds a request ID, in bytes: several times what OSS's has.
const maxRequestID = 128

// newPasted makes a request of what a browser sent: it takes out what a script did not set.
// The origin comes from Origin, or from Referer if that is all there is.
func newPasted(method, target string, header http.Header) Pasted {
	p := Pasted{URL: target}
	p.Origin = header.Get("Origin")
	if p.Origin == "" {
		p.Origin = originOf(header.Get("Referer"))
	}
	if asked := header.Get("Access-Control-Request-Method"); method == http.MethodOptions && asked != "" {
		preflight := true
		p.Method, p.Preflight, p.Verbatim = asked, &preflight, true
		p.Headers = header.Values("Access-Control-Request-Headers")
		return p
	}
	p.Method = method
	for name, values := range header {
		if !needsNoPreflight(name, strings.Join(values, ", ")) {
			p.Headers = append(p.Headers, strings.ToLower(name))
		}
	}
	slices.Sort(p.Headers)
	return p
}

// originOf returns the origin of a URL; "" if it has none.
func originOf(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Scheme == "" || u.Host == "" {
		return ""
	}
	return strings.ToLower(u.Scheme + "://" + u.Host)
}

// browsersOwn are headers that a script could set, in lower case, but that in a pasted request
// are the browser's own. Those need no preflight.
var browsersOwn = []string{
	"cache-control", "if-modified-since", "if-none-match", "pragma", "priority", "upgrade-insecure-requests", "user-agent",
}

// needsNoPreflight reports whether a header of a pasted request is CORS-safelisted, or set by
// the browser.
func needsNoPreflight(name, value string) bool {
	name = strings.ToLower(name)
	return strings.HasPrefix(name, ":") || corsrules.IsForbiddenHeader(name) || slices.Contains(browsersOwn, name) ||
		isSafelisted(header{name, value, true})
}

// readHAR reads an HTTP archive (http://www.softwareishard.com/blog/har-12-spec/).
func readHAR(text string) ([]Pasted, error) {
	var har struct {
		Log struct {
			Entries []struct {
				Request struct {
					Method  string                         `json:"method"`
					URL     string                         `json:"url"`
					Headers []struct{ Name, Value string } `json:"headers"`
				} `json:"request"`
			} `json:"entries"`
		} `json:"log"`
	}
	if err := json.Unmarshal([]byte(text), &har); err != nil {
		return nil, fmt.Errorf("the text begins with { but is not a HAR: %w", err)
	}
	var requests []Pasted
	for _, entry := range har.Log.Entries {
		header := http.Header{}
		for _, h := range entry.Request.Headers {
			header.Add(h.Name, h.Value)
		}
		if header.Get("Origin") == "" {
			continue
		}
		p := newPasted(entry.Request.Method, entry.Request.URL, header)
		if len(requests) < maxPasted && !slices.ContainsFunc(requests, p.equals) {
			requests = append(requests, p)
		}
	}
	if requests == nil {
		return nil, errors.New("the HAR has no request with an Origin header")
	}
	return requests, nil
}

// equals reports whether the rules cannot tell the requests apart.
func (p Pasted) equals(other Pasted) bool {
	return p.Origin == other.Origin && p.Method == other.Method && p.URL == other.URL &&
		slices.Equal(p.Headers, other.Headers) && (p.Preflight == nil) == (other.Preflight == nil)
}

// readConsole reads a line of a browser's console. It names the URL and, in Chromium, the
// origin; the method or the header only where the server does not allow them.
func readConsole(text string) Pasted {
	var p Pasted
	if strings.Contains(text, "Cross-Origin Request Blocked") { // Firefox
		p.URL = strings.TrimSuffix(firstWord(after(text, "remote resource at ")), ".")
		p.Headers = quoted(text, "header ‘", "’ is not allowed")
	} else {
		p.URL = strings.Join(quoted(text, " at '", "'"), "")
		p.Origin = strings.Join(quoted(text, "from origin '", "'"), "")
		p.Headers = quoted(text, "Request header field ", " is not allowed")
		p.Method = strings.Join(quoted(text, "policy: Method ", " is not allowed"), "")
	}
	if strings.Contains(text, "preflight") {
		preflight := true
		p.Preflight = &preflight
	}
	return p
}

// after returns what follows mark; "" without one.
func after(text, mark string) string {
	_, rest, _ := strings.Cut(text, mark)
	return rest
}

func firstWord(text string) string {
	word, _, _ := strings.Cut(text, " ")
	return word
}

// quoted returns the first word between two marks, if there is one.
func quoted(text, before, end string) []string {
	word, _, found := strings.Cut(after(text, before), end)
	if !found || word == "" {
		return nil
	}
	return []string{word}
}
