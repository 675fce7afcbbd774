package console

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
)

// Admin is a running Caddy's admin endpoint.
type Admin struct {
	address string
	url     string
	client  *http.Client
}

// answerTime bounds how long the admin endpoint may take. A bucket's rules may have to be
// read for an answer.
const answerTime = 20 * time.Second

// maxAnswer bounds what is read of an answer: some thousand rule sets of the longest documents.
const maxAnswer = 64 << 20

// NewAdmin returns the admin endpoint at an address in one of the forms of "caddy reload
// --address": host:port, or unix/ and a socket's path.
func NewAdmin(address string) (*Admin, error) {
	parsed, err := caddy.ParseNetworkAddress(address)
	if err != nil || address == "" || parsed.PortRangeSize() > 1 {
		return nil, fmt.Errorf("the admin address %q is not one: write host:port, such as localhost:2019, or unix//path/to/socket", address)
	}
	a := &Admin{address: address, url: "http://127.0.0.1"} // any loopback host is right for a socket
	if parsed.IsUnixNetwork() {
		parsed.Host, _, _ = strings.Cut(parsed.Host, "|") // the permissions
	} else {
		if parsed.StartPort == 0 {
			return nil, fmt.Errorf("the admin address %q does not have a port: write %s:2019", address, strings.TrimSuffix(address, ":"))
		}
		if parsed.Host == "" {
			parsed.Host = "localhost"
		}
		a.url = "http://" + parsed.JoinHostPort(0)
	}
	a.client = &http.Client{
		Timeout:       answerTime,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			MaxIdleConnsPerHost: 4,
			IdleConnTimeout:     30 * time.Second,
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, parsed.Network, parsed.JoinHostPort(0))
			},
		},
	}
	return a, nil
}

// Do sends a request to a path, with a body that is JSON or nil. The caller closes the
// response's body, which ends after maxAnswer.
func (a *Admin) Do(ctx context.Context, method, path string, body io.Reader) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, method, a.url+path, body)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Origin", a.url) // which Caddy checks if it is told to
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	response, err := a.client.Do(r)
	if err != nil {
		return nil, fmt.Errorf("Caddy cannot be reached at %s: %w; is it running, with its admin endpoint on?", a.address, err) //nolint:staticcheck // Caddy is a name
	}
	response.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(response.Body, maxAnswer), response.Body}
	return response, nil
}
