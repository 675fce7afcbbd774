// Package examples does what the examples' READMEs, docs/install.md and docs/migration.md say, and
// checks the compose files against the Caddyfiles. The examples that need a browser, a store
// or Prometheus are run in browsers, stores and observability.
//
//	cd test && go test ./examples
package examples
