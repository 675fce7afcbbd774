package metrics

import (
	"testing"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"
)

// FuzzDenied: no Origin keeps the metrics from being shown, and each is shown by a label
// of bounded length.
func FuzzDenied(f *testing.F) {
	for _, seed := range []string{"", "https://app.example.com", "\xff\x00\n", "null, null"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, origin string) {
		s := NewStore()
		s.Open("a", showing(1)).Denied(Preflight, "origin", origin)
		label := OriginLabel(origin)
		if most := utf8.UTFMax * (maxOriginLabel + 1); !utf8.ValidString(label) || len(label) > most {
			t.Errorf("%q", label)
		}
		registry := prometheus.NewPedanticRegistry()
		registry.MustRegister(s)
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, family := range families {
			if family.GetName() == "caddy_oss_cors_denied_origin_requests" && family.GetMetric()[0].GetLabel()[0].GetValue() != label {
				t.Errorf("%v; want %q", family, label)
			}
		}
	})
}
