package wiring

import (
	"slices"
	"strings"
	"testing"

	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/harness"
)

// A header's values are a slice. If two responses share it, or it has spare capacity, a change
// of one response may show in another header or in the next response. In this test Caddy's
// header directive, which runs after oss_cors in this route, appends to some values and edits
// others in place.
func TestSharedHeaderSlices(t *testing.T) {
	tb := harness.StartTestbed(t, harness.TestbedConfig{Site: `route {
		header /appended {
			+Access-Control-Allow-Origin added
			+Access-Control-Allow-Methods added
			+Access-Control-Expose-Headers added
			+Access-Control-Max-Age added
			+Vary added
			defer
		}
		header /edited {
			Access-Control-Allow-Origin app EDITED
			Access-Control-Allow-Methods GET EDITED
			Access-Control-Allow-Headers date EDITED
			Access-Control-Expose-Headers ETag EDITED
			Access-Control-Max-Age 600 EDITED
			Vary Origin EDITED
			defer
		}
		oss_cors {
			rules file cors.xml
			response_vary
		}
		reverse_proxy {{origin}}
	}
`})
	appended := make([]string, len(harness.GoodPreflightHeaders))
	for i, line := range harness.GoodPreflightHeaders {
		appended[i] = line + " | added"
	}
	appended[0] = harness.GoodPreflightHeaders[0] // Allow-Headers is left as it is: actual requests have none
	changed := map[string][]string{
		"/k.txt":    harness.GoodPreflightHeaders,
		"/appended": appended,
		"/edited": {
			"Allow-Headers: content-type, x-oss-EDITED",
			"Allow-Methods: EDITED, PUT",
			"Allow-Origin: https://EDITED.example.com",
			"Expose-Headers: EDITED",
			"Max-Age: EDITED",
		},
	}
	varies := map[string]string{"/k.txt": "Origin", "/appended": "Origin | added", "/edited": "EDITED"}
	for _, path := range []string{"/k.txt", "/appended", "/k.txt", "/edited", "/k.txt", "/appended", "/edited"} {
		expect := func(kind string, a harness.RawResponse, want []string) {
			t.Helper()
			if got := harness.AccessControl(a.Header); !slices.Equal(got, want) {
				t.Errorf("%s %s: %q; want %q", kind, path, got, want)
			}
			if got := strings.Join(a.Header["Vary"], " | "); got != varies[path] {
				t.Errorf("%s %s: Vary %q; want %q", kind, path, got, varies[path])
			}
		}
		want := changed[path]
		expect("preflight", tb.Exchange(t, "OPTIONS", path, harness.FromApp, harness.ForPut, harness.AsksFor+"content-type,x-oss-date"), want)
		expect("actual", tb.Exchange(t, "GET", path, harness.FromApp), want[1:])
	}
}
