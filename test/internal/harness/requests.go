package harness

import (
	"fmt"
	"strings"
)

// Names returns n header names of size bytes each, joined with commas.
func Names(n, size int) string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf("x-%0*d", size-2, i)
	}
	return strings.Join(list, ",")
}

// Header lines that TestbedRules have rules for, and the counter (see Counts) of a preflight
// that the rule app allows.
const (
	FromApp = "Origin: https://app.example.com"
	FromSub = "Origin: https://x.preview.example.com"
	ForGet  = "Access-Control-Request-Method: GET"
	ForPut  = "Access-Control-Request-Method: PUT"
	AsksFor = "Access-Control-Request-Headers: "
	HitsApp = "rule_hits preflight app"

	Kilobyte = 1 << 10
)

// RequestText is the text of an HTTP/1.1 request without a body.
func RequestText(requestLine string, lines ...string) string {
	return requestLine + "\r\n" + strings.Join(append(lines, "\r\n"), "\r\n")
}

// PreflightText is the text of an OPTIONS request with these header lines.
func PreflightText(lines ...string) string {
	return RequestText("OPTIONS /k.txt HTTP/1.1", append([]string{"Host: bucket.example"}, lines...)...)
}
