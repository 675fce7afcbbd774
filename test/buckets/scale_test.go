package buckets

import (
	"runtime"
	"testing"

	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/scale"
)

// TestScale has many buckets with ten rules each, all in use, in one process.
// TestBenchScale has more of them, and measures more.
func TestScale(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Fatal("memory and CPU of a process are read from Linux's /proc: run this on Linux")
	}
	p := scale.NewProxy(t, 10_000)
	u := p.Use(t)
	u.Log(t)
	if u.Grown > 3*p.Bytes {
		t.Errorf("resident memory grew by more than 3 times the XML")
	}
	if u.Rest > 0.02 {
		t.Error("more than 2% of a core at rest")
	}
}

// TestScaleUnknownNames requests buckets that do not exist, each once. Nothing grows.
func TestScaleUnknownNames(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Fatal("memory of a process is read from Linux's /proc: run this on Linux")
	}
	t.Log(scale.UnknownNames(t, 200_000))
}
