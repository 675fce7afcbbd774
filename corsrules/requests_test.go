package corsrules

import "net/http"

// preflight returns a preflight with these lines of its three headers.
func preflight(origin, method, headers []string) Request {
	return ReadRequest(preflightRequest(origin, method, headers))
}

func preflightRequest(origin, method, headers []string) *http.Request {
	return &http.Request{Method: http.MethodOptions, Host: "bucket.example", Header: http.Header{
		"Origin":                         origin,
		"Access-Control-Request-Method":  method,
		"Access-Control-Request-Headers": headers,
	}}
}

// actual returns an actual request with these lines of Origin.
func actual(origin []string, method string) Request {
	return ReadRequest(actualRequest(origin, method))
}

func actualRequest(origin []string, method string) *http.Request {
	return &http.Request{Method: method, Host: "bucket.example", Header: http.Header{"Origin": origin}}
}
