// Command caddy is a Caddy with the oss_cors module in it, ready to run.
package main

import (
	caddycmd "github.com/caddyserver/caddy/v2/cmd"

	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/caddy-oss-cors/caddy-oss-cors"
)

func main() {
	caddycmd.Main()
}
