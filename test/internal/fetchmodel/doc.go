// Package fetchmodel predicts what a page learns of a cross-origin request: a model of the
// Fetch standard's CORS parts (fetch.go), and a second implementation of OSS's rules
// (rules.go) that shares no code with the module. The browser matrix compares its
// predictions with what browsers do.
//
//	cd test && go test ./internal/fetchmodel
package fetchmodel
