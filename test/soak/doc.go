// Package soak loads Caddy while everything changes and fails at once: for 20 seconds in an
// ordinary test run, for SOAKTIME in "make soak". TestFuzz, which has the build tag measure,
// runs every fuzz target of the module: "make fuzz". Both write docs/reliability.md.
//
//	cd test && go test ./soak
package soak
