// Package bench measures. "make bench" runs it, with the build tag measure, and it writes
// docs/benchmarks.md. Without the tag only TestPeersDecideTheSame is left, which checks that
// the peers in the benchmark make the same decisions.
//
//	cd test && BENCHTIME=2s go test -tags measure -run '^TestBench' -timeout 60m ./bench
package bench
