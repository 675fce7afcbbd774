package harness

import (
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
)

// SpyOrigin is an origin server that records the requests that reach it.
type SpyOrigin struct {
	Addr string

	mu   sync.Mutex
	seen []string // "METHOD URI"
}

// NewSpyOrigin starts an origin server; next answers (nil: 200 to every request).
func NewSpyOrigin(t *testing.T, next http.Handler) *SpyOrigin {
	spy := new(SpyOrigin)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		spy.mu.Lock()
		spy.seen = append(spy.seen, r.Method+" "+r.RequestURI)
		spy.mu.Unlock()
		if next != nil {
			next.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(server.Close)
	spy.Addr = server.Listener.Addr().String()
	return spy
}

// Requests returns the requests that reached the origin server since the last call.
func (s *SpyOrigin) Requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := s.seen
	s.seen = nil
	return seen
}
