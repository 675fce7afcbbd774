// Package wiring tests the module as a part of Caddy: next to other handlers, in the wrong
// order among them, with rules that cannot be read, and in the binary that xcaddy builds at
// the oldest Caddy supported. "make test-fast" runs some of it.
//
//	cd test && go test ./wiring
package wiring
