package soak

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"os/exec"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/harness"
)

// reload loads the same configuration again.
func (s *soak) reload(t *testing.T, _ int) {
	s.reloads.begin()
	s.post(t, s.config, http.StatusOK)
	s.reloads.end()
}

// failReload tries to load a configuration whose rules file does not exist.
func (s *soak) failReload(t *testing.T, _ int) {
	s.post(t, bytes.Replace(s.config, []byte("cors.xml"), []byte("missing.xml"), 1), http.StatusBadRequest)
}

// adapted is the Caddyfile as JSON for the admin API.
func adapted(t *testing.T, tb *harness.Testbed) []byte {
	t.Helper()
	cmd := exec.Command(harness.CaddyBinary(t), "adapt", "--config", "Caddyfile")
	cmd.Dir = tb.Dir
	config, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return config
}

// post loads a configuration. The admin endpoint belongs to the old configuration, and may
// close the connection before it has answered: then post tries again.
func (s *soak) post(t *testing.T, config []byte, status int) {
	t.Helper()
	response, err := s.tryPost(config)
	if harness.WasDropped(err) {
		response, err = s.tryPost(config)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if body, _ := io.ReadAll(response.Body); response.StatusCode != status {
		t.Fatalf("loading a configuration: %s %s", response.Status, body)
	}
}

func (s *soak) tryPost(config []byte) (*http.Response, error) {
	request, err := http.NewRequest(http.MethodPost, s.Admin+"/load", bytes.NewReader(config))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Cache-Control", "must-revalidate") // load even what has not changed
	return http.DefaultClient.Do(request)
}

// flakyOrigin is an origin server that stops and returns at the same port.
type flakyOrigin struct {
	port   string
	server *http.Server

	away periods
}

// periods are times from a beginning to an end, one after another.
type periods struct {
	mu  sync.Mutex
	all [][2]time.Time // the zero time: not yet at its end
}

func (p *periods) begin() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all = append(p.all, [2]time.Time{time.Now()})
}

func (p *periods) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all[len(p.all)-1][1] = time.Now()
}

// runs reports whether a period has begun so long ago and not ended.
func (p *periods) runs(d time.Duration) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.all)
	return n > 0 && p.all[n-1][1].IsZero() && time.Since(p.all[n-1][0]) >= d
}

// overlap reports whether a period, with some time after it for its effects, overlaps the time
// between from and to.
func (p *periods) overlap(from, to time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	const while = time.Second
	return slices.ContainsFunc(p.all, func(one [2]time.Time) bool {
		return one[0].Before(to) && (one[1].IsZero() || from.Before(one[1].Add(while)))
	})
}

func (o *flakyOrigin) start(t *testing.T) {
	o.port = harness.FreePorts(t, 1)[0]
	o.serve(t)
	t.Cleanup(func() { _ = o.server.Close() })
}

func (o *flakyOrigin) serve(t *testing.T) {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:"+o.port)
	if err != nil {
		t.Fatal(err)
	}
	block := bytes.Repeat([]byte("x"), 64*harness.Kilobyte)
	o.server = &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*") // to be removed
		if r.URL.Path != "/large" {
			_, _ = io.WriteString(w, "origin")
			return
		}
		for range 64 {
			if _, err := w.Write(block); err != nil {
				return
			}
		}
	})}
	server := o.server
	go func() {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			panic(err)
		}
	}()
}

// die ends the server at once, whatever it is doing.
func (o *flakyOrigin) die() {
	if !o.away.runs(0) {
		o.away.begin()
		_ = o.server.Close()
	}
}

// live starts the server again if it is stopped.
func (o *flakyOrigin) live(t *testing.T) {
	if o.away.runs(0) {
		o.serve(t)
		o.away.end()
	}
}
