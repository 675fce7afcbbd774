# Caddy's own builds leave out the same databases, of its ACME server. All commands here
# share the tags, and so one build cache; "make build TAGS=" builds with everything.
TAGS ?= nobadger,nomysql,nopgx
export GOFLAGS := $(shell go env GOFLAGS) -tags=$(TAGS)

# How long each fuzz target runs.
FUZZTIME ?= 1m

# How long each server is loaded at a time, and how long the soak takes.
BENCHTIME ?= 2s
SOAKTIME ?= 10m

# One package at a time. Two at once take a fifth less time on two cores, but then tests that
# depend on time, such as Prometheus's rates over five seconds, fail now and then.
E2EFLAGS = -shuffle=on -count=1 -timeout=20m -p=1

# The end-to-end tests of "make test-fast": an SDK, HTTP/1 and other handlers.
SMOKE = TestSDKOptionObject|TestRequestValuesInLists|TestWrongWirings

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "%-12s%s\n", $$1, $$2 }' Makefile

.PHONY: test
test: deps fmt vet lint unit e2e ## Run every check and test

.PHONY: fmt
fmt: ## Check the formatting
	@files=$$(gofmt -s -l $$(find . -name node_modules -prune -o -name '*.go' -print)) || exit 1; \
	if [ -n "$$files" ]; then printf 'to be formatted with gofmt -s -w:\n%s\n' "$$files"; exit 1; fi

.PHONY: test-fast
test-fast: fmt vet ## Run what takes less than two minutes: no race detector, three end-to-end tests
	go test ./...
	go build -o bin/caddy ./cmd/caddy
	cd test && CADDY_BIN=$(CURDIR)/bin/caddy go test -count=1 -run '^($(SMOKE))$$' ./clients ./hostile ./wiring

.PHONY: vet
vet: ## Run go vet
	go vet ./...
	cd test && go vet -tags=$(TAGS),measure ./...
	cd test/rediscaddy && go vet ./...

.PHONY: lint
lint: ## Run golangci-lint and actionlint, at the versions of tools/go.mod
	go tool -modfile=tools/go.mod actionlint
	go tool -modfile=tools/go.mod golangci-lint run
	cd test && go tool -modfile=../tools/go.mod golangci-lint run --build-tags=$(TAGS),measure

.PHONY: unit
unit: ## Run the packages' tests with the race detector
	go test -race -shuffle=on ./...

.PHONY: e2e
e2e: deps ## Run the end-to-end tests: a real Caddy, real clients and browsers
	go build -o bin/caddy ./cmd/caddy
	cd test && CADDY_BIN=$(CURDIR)/bin/caddy go test $(E2EFLAGS) ./...

.PHONY: e2e-xcaddy
e2e-xcaddy: deps ## The same with the binary that xcaddy builds, at the oldest Caddy supported
	cd test && XCADDY_GO_BUILD_FLAGS=-ldflags=-w CGO_ENABLED=$$(go env CGO_ENABLED) go tool xcaddy build \
		$$(cd .. && go list -m -f '{{.Version}}' github.com/caddyserver/caddy/v2) \
		--with github.com/caddy-oss-cors/caddy-oss-cors@v0.0.0=$(CURDIR) --output $(CURDIR)/bin/caddy-xcaddy
	cd test && CADDY_BIN=$(CURDIR)/bin/caddy-xcaddy go test $(E2EFLAGS) ./...

.PHONY: deps
deps: ## Check for what the end-to-end tests need; root on Debian installs it
	sh test/deps.sh

.PHONY: bench
bench: ## Measure for BENCHTIME each, with peers and other servers; writes docs/benchmarks.md
	go test -run '^$$' -bench . -benchmem ./...
	cd test && BENCHTIME=$(BENCHTIME) go test -tags=$(TAGS),measure -run '^TestBench' -count=1 -timeout 60m -v ./bench

.PHONY: soak
soak: ## Load Caddy for SOAKTIME while everything changes and fails; writes docs/reliability.md
	cd test && SOAKTIME=$(SOAKTIME) go test -run '^TestSoak$$' -count=1 -timeout 24h -v ./soak

.PHONY: fuzz
fuzz: ## Run every fuzz target for FUZZTIME, one after another; writes docs/reliability.md
	cd test && FUZZTIME=$(FUZZTIME) go test -tags=$(TAGS),measure -run '^TestFuzz$$' -count=1 -timeout 24h -v ./soak

.PHONY: vuln
vuln: ## Look for known vulnerabilities in what is called
	go tool -modfile=tools/go.mod govulncheck ./...

.PHONY: build
build: ## Build bin/caddy
	go build -o bin/caddy ./cmd/caddy

.PHONY: quickstart
quickstart: ## Run the quickstart, at http://localhost:8080
	go run ./cmd/caddy run --config examples/quickstart/Caddyfile

.PHONY: clean
clean: ## Remove what was built
	rm -rf bin
