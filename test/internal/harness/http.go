package harness

import (
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// AccessControl returns the Access-Control headers of a response, sorted, each as
// "Name: value" without the prefix.
func AccessControl(h http.Header) (lines []string) {
	for key, values := range h {
		if name, ok := strings.CutPrefix(key, "Access-Control-"); ok {
			lines = append(lines, name+": "+strings.Join(values, " | "))
		}
	}
	slices.Sort(lines)
	return lines
}

// Header makes a header of pairs of name and value.
func Header(pairs ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(pairs); i += 2 {
		h.Add(pairs[i], pairs[i+1])
	}
	return h
}

// PreflightHeader is the header of a preflight; an empty value is left out.
func PreflightHeader(origin, method, requestHeaders string) http.Header {
	h := http.Header{}
	for name, value := range map[string]string{"Origin": origin, "Access-Control-Request-Method": method, "Access-Control-Request-Headers": requestHeaders} {
		if value != "" {
			h.Set(name, value)
		}
	}
	return h
}

// Get returns the body of the response to a GET. It replaces localhost, which may be ::1, with
// 127.0.0.1.
func Get(t *testing.T, url string) string {
	t.Helper()
	response, err := http.Get(strings.Replace(url, "localhost", "127.0.0.1", 1))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// ReadAll returns a response's body, and closes it.
func ReadAll(a *http.Response) (string, error) {
	defer a.Body.Close()
	body, err := io.ReadAll(a.Body)
	return string(body), err
}

// FreshClient opens a connection for each request. A test could not distinguish an idle
// connection that a reload closes from one that broke.
var FreshClient = &http.Client{Timeout: Patience, Transport: &http.Transport{DisableKeepAlives: true}}

// WasDropped reports whether no handler has seen the request that failed so. On a reload,
// Linux resets connections that wait for the old configuration's listener to accept them,
// and Go's server closes those whose request it reads after its shutdown has begun. EPIPE is a
// reset that came before the request was written.
func WasDropped(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, io.EOF)
}
