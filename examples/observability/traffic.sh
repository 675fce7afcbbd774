#!/bin/sh
# Sends traffic of every kind to the example, for the dashboard to show:
#
#	sh traffic.sh [<proxy> [<rounds>]]
#
# The proxy is http://localhost:8080; without rounds it goes on until it is stopped.
set -eu
proxy=${1:-http://localhost:8080}
rounds=${2:-}

# get <path> <origin> [<method>]
get() {
	curl -sS -o /dev/null -X "${3:-GET}" -H "Origin: $2" "$proxy$1"
}

# preflight <path> <origin> <method> [<headers>]
preflight() {
	curl -sS -o /dev/null -X OPTIONS -H "Origin: $2" -H "Access-Control-Request-Method: $3" \
		${4:+-H "Access-Control-Request-Headers: $4"} "$proxy$1"
}

app=https://app.example.com
round=0
while [ "$round" != "$rounds" ]; do
	round=$((round + 1))

	# The rules allow these.
	preflight /photo.jpg $app PUT content-type,x-oss-date
	get /photo.jpg $app PUT
	get /photo.jpg $app
	get /static/app.js $app # cacheable, without Vary
	get /legacy/list $app   # the origin server's own CORS headers
	get /downloads/tool.zip https://stranger.example
	preflight /downloads/tool.zip https://stranger.example GET range

	# The candidate rules would not allow these, and would allow the office.
	get /photo.jpg "https://pr-$((round % 7)).preview.example.com"
	get /report.csv https://office.example.com
	preflight /report.csv https://office.example.com GET

	# Denied: for the method, for a header, and for origins that the rules do not allow.
	preflight /photo.jpg $app DELETE
	preflight /photo.jpg $app PUT content-type,x-trace-id
	get /photo.jpg https://app.example.com:8443
	[ $((round % 3)) != 0 ] || get /photo.jpg null

	# These do not need CORS: a form, and a page of the same origin.
	curl -sS -o /dev/null -d text=hello -H 'Origin: https://forum.example.net' -H 'Sec-Fetch-Mode: navigate' "$proxy/comment"
	curl -sS -o /dev/null -d text=hello -H "Origin: $proxy" "$proxy/comment"
done
