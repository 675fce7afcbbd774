// Package osscors is a Caddy module that gives any origin server the CORS behaviour of an
// Alibaba Cloud OSS bucket: it loads rules from the Caddyfile or from a document, answers
// preflights as OSS does, puts the Access-Control headers on proxied responses, and counts
// what each rule allows and what is denied. It can also do what an S3 bucket does.
//
// Build it into Caddy with xcaddy:
//
//	xcaddy build --with github.com/caddy-oss-cors/caddy-oss-cors
//
// and put one line above reverse_proxy or file_server:
//
//	cdn.example.com {
//		oss_cors /etc/caddy/cors.xml
//		reverse_proxy 127.0.0.1:9000
//	}
//
// The rules themselves are in package corsrules, which needs no Caddy.
package osscors
