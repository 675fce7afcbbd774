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
		@changed path /changed
		header @changed {
			+Access-Control-Allow-Origin added
			+Access-Control-Allow-Methods added
			+Access-Control-Allow-Headers added
			+Access-Control-Expose-Headers added
			+Access-Control-Max-Age added
			+Vary added
			Access-Control-Expose-Headers ETag EDITED
			Access-Control-Allow-Methods GET EDITED
			Access-Control-Max-Age 600 EDITED
			defer
		}
		oss_cors {
			rules file cors.xml
			response_vary
		}
		reverse_proxy {{origin}}
	}
`})
	preflightOf := func(path string) answer {
		return tb.askOnce(t, "OPTIONS", path, fromApp, forPut, asksFor+"content-type,x-oss-date")
	}
	changed := []string{
		"Allow-Headers: content-type, x-oss-date | added",
		"Allow-Methods: EDITED, PUT | added",
		"Allow-Origin: https://app.example.com | added",
		"Expose-Headers: EDITED | added",
		"Max-Age: EDITED | added",
	}
	for range 3 {
		if got := accessControl(preflightOf("/changed").Header); !slices.Equal(got, changed) {
			t.Errorf("a changed preflight: %q; want %q", got, changed)
		}
		if a := preflightOf("/k.txt"); !slices.Equal(accessControl(a.Header), goodAnswer) || strings.Join(a.Header["Vary"], "|") != "Origin" {
			t.Errorf("the next one: %q, Vary %q", accessControl(a.Header), a.Header["Vary"])
		}
		tb.askOnce(t, "GET", "/changed", fromApp)
		want := slices.DeleteFunc(slices.Clone(goodAnswer), func(line string) bool { return strings.HasPrefix(line, "Allow-Headers") })
		if a := tb.askOnce(t, "GET", "/k.txt", fromApp); !slices.Equal(accessControl(a.Header), want) || strings.Join(a.Header["Vary"], "|") != "Origin" {
			t.Errorf("the next actual request: %q, Vary %q", accessControl(a.Header), a.Header["Vary"])
		}
	}
}
