package test

import (
	"slices"
	"strings"
	"testing"
)

// A header's values are a slice. One that two responses share, or that has room behind its
// values, lets what a handler does to one response show in another header or in the next
// response. Here Caddy's own header directive, which runs beyond oss_cors in this route,
// appends to some values and edits others in place.
func TestSharedHeaderSlices(t *testing.T) {
	tb := startTestbed(t, testbedConfig{site: `route {
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
	appended := make([]string, len(goodAnswer))
	for i, line := range goodAnswer {
		appended[i] = line + " | added"
	}
	appended[0] = goodAnswer[0] // Allow-Headers is left as it is: actual requests have none
	changed := map[string][]string{
		"/k.txt":    goodAnswer,
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
		expect := func(kind string, a answer, want []string) {
			t.Helper()
			if got := accessControl(a.Header); !slices.Equal(got, want) {
				t.Errorf("%s %s: %q; want %q", kind, path, got, want)
			}
			if got := strings.Join(a.Header["Vary"], " | "); got != varies[path] {
				t.Errorf("%s %s: Vary %q; want %q", kind, path, got, varies[path])
			}
		}
		want := changed[path]
		expect("preflight", tb.askOnce(t, "OPTIONS", path, fromApp, forPut, asksFor+"content-type,x-oss-date"), want)
		expect("actual", tb.askOnce(t, "GET", path, fromApp), want[1:])
	}
}
