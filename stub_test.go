package osscors

import (
	"errors"
	"net/http"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// stub is a handler that runs a function of a test's, where an origin server must
// misbehave in ways that a proxied one cannot, or a module must fail to start.
type stub struct {
	Name string `json:"name"`
}

var (
	stubs     = map[string]caddyhttp.HandlerFunc{}
	errNoStub = errors.New("there is no such stub")
)

func init() {
	caddy.RegisterModule(stub{})
	httpcaddyfile.RegisterHandlerDirective("stub", func(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
		var s stub
		h.Next() // consume directive name
		if !h.AllArgs(&s.Name) {
			return nil, h.ArgErr()
		}
		return s, nil
	})
	httpcaddyfile.RegisterDirectiveOrder("stub", httpcaddyfile.Before, "respond")
}

func (stub) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.stub", New: func() caddy.Module { return new(stub) }}
}

func (s stub) Provision(caddy.Context) error {
	if stubs[s.Name] == nil {
		return errNoStub
	}
	return nil
}

func (s stub) ServeHTTP(w http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	return stubs[s.Name](w, r)
}

// withStub registers a stub for the time of a test.
func withStub(t testing.TB, name string, serve caddyhttp.HandlerFunc) {
	t.Helper()
	stubs[name] = serve
	t.Cleanup(func() {
		_ = caddy.Stop() // before the stub is gone that a request may be in
		delete(stubs, name)
	})
}

var (
	_ caddy.Provisioner           = stub{}
	_ caddyhttp.MiddlewareHandler = stub{}
)
