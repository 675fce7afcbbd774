// Package browsers lets real browsers, Chromium and Firefox, send requests through a real
// Caddy. The matrix compares what pages learn, what reaches the proxy, and what it counts
// with the predictions of internal/fetchmodel. The quickstart is run as its README says.
//
//	cd test && go test ./browsers
package browsers
