package osscors

import (
	"os"
	"testing"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
)

// asCaddy makes the test binary a Caddy, so that tests run commands as users do.
const asCaddy = "OSS_CORS_TEST_AS_CADDY"

func TestMain(m *testing.M) {
	if os.Getenv(asCaddy) != "" {
		caddycmd.Main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}
