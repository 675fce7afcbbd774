package corsrules

import (
	"fmt"
	"strings"
	"testing"
)

func TestDebugAnswer(t *testing.T) {
	rs := Compile(&Configuration{ResponseVary: true, Rules: []CORSRule{
		{AllowedOrigins: []string{"https://a"}, AllowedMethods: []string{"PUT", "GET"}, AllowedHeaders: []string{"content-type", "x-oss-*"}},
		{AllowedOrigins: []string{"*"}, AllowedMethods: []string{"GET"}},
		{AllowedOrigins: []string{"https://put"}, AllowedMethods: []string{"PUT"}, AllowedHeaders: []string{"*"}},
	}})
	const vary = " [Vary: Origin]"
	cases := []struct {
		desc, origin, method, headers string
		want                          string // "": a plain denial
	}{
		{"a header is missing", "https://a", "PUT", "content-type,x-foo,x-oss-date",
			"[Access-Control-Allow-Origin: https://a] [Access-Control-Allow-Methods: PUT, GET] [Access-Control-Allow-Headers: content-type, x-oss-date]" + vary},
		{"all headers are missing, and the rule is for all origins", "https://b", "GET", "x-foo",
			"[Access-Control-Allow-Origin: *] [Access-Control-Allow-Methods: GET]" + vary},
		{"the method is missing", "https://a", "DELETE", "",
			"[Access-Control-Allow-Origin: https://a] [Access-Control-Allow-Methods: PUT, GET]" + vary},
		{"the method is missing, and browsers would send it all the same", "https://b", "POST", "", ""},
		{"the same, though another rule allows the headers", "https://put", "POST", "x-foo", ""},
		{"the nearest rule is the one that allows the method", "https://put", "GET", "x-foo",
			"[Access-Control-Allow-Origin: *] [Access-Control-Allow-Methods: GET]" + vary},
		{"malformed", "https://a", "PUT,GET", "", ""},
	}
	for _, c := range cases {
		t.Run(c.desc, func(t *testing.T) {
			req := preflight(lines(c.origin), lines(c.method), lines(c.headers))
			d := rs.Decide(req)
			if d.Outcome != Denied {
				t.Fatal("the preflight is not denied")
			}
			got := ""
			if answer := d.DebugAnswer(req); answer != nil {
				for name, value := range answer.Headers(Policy{}) {
					got += fmt.Sprintf(" [%s: %s]", name, value)
				}
			}
			if got = strings.TrimSpace(got); got != c.want {
				t.Errorf("\n got %s\nwant %s", got, c.want)
			}
		})
	}
	closed := Compile(configuration(ruleSpec{origins: "https://a", methods: "GET"}))
	req := preflight(lines("https://b"), lines("GET"), nil)
	if d := closed.Decide(req); d.DebugAnswer(req) != nil {
		t.Error("an origin that no rule allows got an answer")
	}
}
