package rulesource

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/certmagic"
)

func init() {
	caddy.RegisterModule(new(URL))
}

const (
	// maxRedirects is how many redirects a fetch follows: enough for a moved document on
	// a store that has moved.
	maxRedirects = 3

	// maxAnswerHeader bounds the header of a response, in bytes: those of CDNs have a few
	// thousand.
	maxAnswerHeader = 64 << 10
)

// URL fetches one document over HTTPS or HTTP, and again every Refresh. A document that is
// faulty or refused (any final status but 200, 304, 408, 429 and 5xx, or a redirect that is not
// followed) stops Caddy's start. If the server is in trouble at a start, the last good document
// is in force, which Caddy's storage keeps; if there is none, preflights are answered 503 and
// other requests pass until the server is back. Trouble later leaves the last good rules in
// force.
type URL struct {
	// URL is the document's address, of the scheme https or http. Global placeholders such
	// as {env.RULES_URL} work. User information and query are secrets: logs, metrics and
	// the admin API have scheme, host and path only. Required.
	URL string `json:"url,omitempty"`

	RefreshOptions

	remote  *remote
	client  http.Client
	address *url.URL

	// The latest document and its validators.
	content            []byte
	etag, lastModified string
}

// CaddyModule returns the Caddy module information.
func (*URL) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  Namespace + ".url",
		New: func() caddy.Module { return new(URL) },
	}
}

// UnmarshalCaddyfile sets up the source from Caddyfile tokens. Syntax:
//
//	url <url> {
//		refresh   <duration>
//		max_rules <n>
//	}
func (s *URL) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume source name
	if err := oneUnshownArgument(d, "rules url", "the URL of the document", &s.URL); err != nil {
		return err
	}
	return s.unmarshalOptions(d)
}

// Open implements Source.
func (s *URL) Open(ctx caddy.Context, opts *Options) error {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	return s.openOn(ctx, ctx.Storage(), transport, opts)
}

func (s *URL) openOn(ctx context.Context, storage certmagic.Storage, transport *http.Transport, opts *Options) error {
	if s.Refresh == 0 {
		s.Refresh = caddy.Duration(DefaultRemoteRefresh)
	}
	refresh, err := s.check()
	if err != nil {
		return err
	}
	written, err := Expand(s.URL)
	if err != nil {
		return fmt.Errorf("rules url: %w", err)
	}
	if s.address, err = url.Parse(written); err != nil {
		return errors.New("rules url: that cannot be read as a URL: write one of the scheme https or http, such as https://config.example.com/cors.xml") // it may have a secret
	}
	if s.address.Scheme != "https" && s.address.Scheme != "http" || s.address.Host == "" {
		return fmt.Errorf("rules url: the scheme is %q and the host %q: write a URL of the scheme https or http, such as https://config.example.com/cors.xml", s.address.Scheme, s.address.Host)
	}
	transport.MaxResponseHeaderBytes = maxAnswerHeader
	s.client = http.Client{Transport: transport, CheckRedirect: checkRedirect}
	name := withoutSecrets(s.address)
	document := NewDocument(name, name, s.MaxRules, opts)
	if s.address.Scheme == "http" {
		document.log().Warn(overHTTP)
	}
	s.remote = newRemote(document, storage, &s.client, s.address, written, s.fetch)
	if err := s.remote.open(ctx); err != nil {
		return fmt.Errorf("rules url: %w", err)
	}
	go s.remote.keepCurrent(ctx, refresh)
	return nil
}

func withoutSecrets(u *url.URL) string {
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}).String()
}

// checkRedirect allows redirects to another host, because the first server is trusted to choose
// the document; net/http does not send user information there. It refuses a change of scheme,
// which could be from https to http.
func checkRedirect(r *http.Request, earlier []*http.Request) error {
	r.Header.Del("Referer") // the query is a secret
	switch {
	case r.URL.Scheme != earlier[0].URL.Scheme:
		return refusal{fmt.Errorf("redirected from %s to another scheme, %s, which is not followed", earlier[0].URL.Scheme, r.URL.Scheme)}
	case len(earlier) > maxRedirects:
		return refusal{fmt.Errorf("redirected more than %d times", maxRedirects)}
	}
	return nil
}

// fetch asks for the document, unless it is still the latest.
func (s *URL) fetch(ctx context.Context) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.address.String(), http.NoBody)
	if err != nil {
		return nil, errors.New("no request can be made of this URL")
	}
	for name, value := range map[string]string{"If-None-Match": s.etag, "If-Modified-Since": s.lastModified} {
		if value != "" {
			r.Header.Set(name, value)
		}
	}
	resp, err := s.client.Do(r)
	if err != nil {
		return nil, fetchError(err)
	}
	defer resp.Body.Close()
	switch status := resp.StatusCode; {
	case status == http.StatusOK:
	case status == http.StatusNotModified && s.isLatest(resp.Header):
		return s.content, nil
	case status == http.StatusNotModified && s.content != nil:
		s.content, s.etag, s.lastModified = nil, "", ""
		return s.fetch(ctx)
	case mayPass(status):
		return nil, fmt.Errorf("the server answers %d %s", status, http.StatusText(status))
	default:
		return nil, refusal{fmt.Errorf("the server answers %d %s, not 200 and a document", status, http.StatusText(status))}
	}
	content, err := s.remote.document.parsing.Dialect.ReadDocument(resp.Body, resp.ContentLength)
	if err != nil {
		return nil, fmt.Errorf("the document could not be read whole: %w", err)
	}
	s.content, s.etag, s.lastModified = content, resp.Header.Get("ETag"), resp.Header.Get("Last-Modified")
	return content, nil
}

// isLatest reports whether a response without a document is about the latest one. Many servers,
// those of net/http among them, also say that a document was not modified where an older one has
// taken its place; without an ETag, only Last-Modified tells.
func (s *URL) isLatest(h http.Header) bool {
	modified := h.Get("Last-Modified")
	return s.content != nil && (s.etag != "" || modified == "" || modified == s.lastModified)
}

// fetchError returns an error of net/http's without the URL, which may have a secret.
func fetchError(err error) error {
	err = withoutURL(err)
	if strings.Contains(err.Error(), "Location header") { // which it quotes
		return refusal{errors.New("redirected to what is not a URL")}
	}
	return err
}

// Rules implements Source.
func (s *URL) Rules(context.Context, string) (*Rules, error) { return s.remote.rules() }

// Reports implements Reporter.
func (s *URL) Reports() []Report { return []Report{s.remote.document.Report()} }

// Shadow implements Shadower.
func (s *URL) Shadow(path string) Source {
	return &File{Path: path, RefreshOptions: s.RefreshOptions}
}

// Cleanup implements caddy.CleanerUpper.
func (s *URL) Cleanup() error {
	if s.remote != nil {
		s.remote.close()
	}
	return nil
}

var (
	_ Reporter              = (*URL)(nil)
	_ Shadower              = (*URL)(nil)
	_ caddy.CleanerUpper    = (*URL)(nil)
	_ caddyfile.Unmarshaler = (*URL)(nil)
)
