// Package fleet tests rules that change under running proxies: several proxies over one
// storage behind a balancer, and over one Redis, which is killed, hangs and is emptied; a
// ConfigMap that the kubelet changes; a process that is killed; documents that hang; and storage
// that is full, read-only or corrupt.
//
//	cd test && go test ./fleet
package fleet
