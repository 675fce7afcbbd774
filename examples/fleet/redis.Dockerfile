# A Caddy with this module and a public one that keeps Caddy's storage in Redis,
# github.com/pberkel/caddy-storage-redis. From the root of the repository:
#
#	docker build --file examples/fleet/redis.Dockerfile --tag caddy-oss-cors-redis .
#
# What was run: the tests run redis.Caddyfile with three proxies over a real redis-server, which
# is killed, frozen and emptied, by a storage module of their own that behaves as public ones do
# (test/rediscaddy). What was not: this image, and the public module, for want of a Docker engine
# and of that module where the tests run. Try it before you rely on it, and then pin its version.
FROM golang:1.26-alpine AS build
RUN go install github.com/caddyserver/xcaddy/cmd/xcaddy@v0.4.5
WORKDIR /src
COPY . .
ENV CGO_ENABLED=0 XCADDY_GO_BUILD_FLAGS="-tags=nobadger,nomysql,nopgx -ldflags=-w"
RUN xcaddy build v2.11.9 --output /caddy \
	--with github.com/caddy-oss-cors/caddy-oss-cors=/src \
	--with github.com/pberkel/caddy-storage-redis

FROM alpine:3
RUN adduser -D -u 1000 caddy
COPY --from=build /caddy /usr/bin/caddy
USER caddy
ENTRYPOINT ["/usr/bin/caddy"]
