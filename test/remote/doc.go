// Package remote tests rules that another server has: a document at a URL, and the rules of a
// bucket in OSS. That server changes them, is in every kind of trouble, and is away while Caddy
// restarts.
//
//	cd test && go test ./remote
package remote
