// Command rclone is rclone with what the tests need of it, "serve s3" over a local folder.
// The whole of rclone, with its seventy back ends, takes four times as long to build.
package main

import (
	_ "github.com/rclone/rclone/backend/local"
	"github.com/rclone/rclone/cmd"
	_ "github.com/rclone/rclone/cmd/serve/s3"
)

func main() { cmd.Main() }
