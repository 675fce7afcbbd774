package corsrules_test

import (
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/caddy-oss-cors/caddy-oss-cors/corsrules"
)

// middleware serves CORS with this package and net/http alone. It answers preflights, and
// puts the headers on the responses of next, which must set no Access-Control headers.
func middleware(rules *corsrules.Ruleset, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		req := corsrules.ReadRequest(r)
		d := rules.Decide(req)
		for name, value := range d.Headers(corsrules.Policy{ResponseVary: true}) {
			w.Header().Add(name, value)
		}
		switch {
		case req.Kind != corsrules.Preflight:
			next.ServeHTTP(w, r)
		case d.Outcome == corsrules.Denied:
			http.Error(w, "CORS preflight denied: "+d.Reason.String(), http.StatusForbidden)
		}
	})
}

// CORS without Caddy.
func Example_middleware() {
	cfg, err := corsrules.Parse([]byte(document), corsrules.Options{File: "cors.xml"})
	if err != nil {
		log.Fatal(err)
	}
	server := middleware(corsrules.Compile(cfg), http.NotFoundHandler())

	for _, method := range []string{"PUT", "DELETE"} {
		r := httptest.NewRequest(http.MethodOptions, "/photo.jpg", nil)
		r.Header.Set("Origin", "https://app.example.com")
		r.Header.Set("Access-Control-Request-Method", method)
		w := httptest.NewRecorder()
		server.ServeHTTP(w, r)
		fmt.Println(method, w.Code, strings.TrimSpace(w.Header().Get("Access-Control-Allow-Origin")+" "+w.Body.String()))
	}

	r := httptest.NewRequest(http.MethodGet, "/photo.jpg", nil)
	r.Header.Set("Origin", "https://other.example")
	w := httptest.NewRecorder()
	server.ServeHTTP(w, r)
	fmt.Println("GET", w.Code, w.Header().Get("Access-Control-Allow-Origin"), w.Header().Get("Vary"))
	// Output:
	// PUT 200 https://app.example.com
	// DELETE 403 CORS preflight denied: method
	// GET 404 * Origin
}
