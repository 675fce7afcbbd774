package console

import (
	"testing"

	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/harness"
)

// TestMain stops the browser when the tests have ended.
func TestMain(m *testing.M) { harness.Main(m) }
