// Package hostile attacks the module: requests that no honest client sends, in HTTP/1 and
// HTTP/2, clients that vanish, floods, the CORS vulnerabilities of other projects by their
// CVE numbers, cache poisoning, log injection. It also checks that the tests and limits
// that SECURITY.md names exist.
//
//	cd test && go test ./hostile
package hostile
