package osscors

import (
	"net/http"
	"testing"
)

// Over HTTP/2 a WebSocket is opened by CONNECT, which no Go client sends.
func TestWebSocketOverHTTP2NeedsNoCORS(t *testing.T) {
	for _, test := range []struct {
		desc   string
		header http.Header
		want   bool
	}{
		{"a WebSocket", http.Header{":protocol": {"websocket"}}, false},
		{"a tunnel", http.Header{}, true},
	} {
		t.Run(test.desc, func(t *testing.T) {
			r := &http.Request{Method: http.MethodConnect, Host: "bucket.example.com", Header: test.header}
			r.Header.Set("Origin", "https://stranger.example.net")
			if got := needsCORS(r); got != test.want {
				t.Errorf("needsCORS: %v; want %v", got, test.want)
			}
		})
	}
}
