// Package xmltext writes text into the XML documents that this module makes.
package xmltext

import (
	"strings"
	"unicode/utf8"
)

// WriteElement writes an element that holds text alone.
func WriteElement(b *strings.Builder, name, text string) {
	for _, part := range []string{"<", name, ">", escape(text), "</", name, ">"} {
		b.WriteString(part)
	}
}

// escape returns s as the text of an XML element. It escapes what XML parsers would read
// as something else (a bare carriage return is read as a line feed), and no more. What
// XML cannot hold at all (https://www.w3.org/TR/xml/#charsets) becomes U+FFFD.
func escape(s string) string {
	for _, r := range s { // which is faster than strings.ContainsFunc
		if isForbidden(r) {
			s = strings.Map(replaceForbidden, s)
			break
		}
	}
	return escaper.Replace(s)
}

var escaper = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "\r", "&#13;")

// isForbidden holds for U+FFFD itself, too: a byte that is not UTF-8 is read as this rune.
func isForbidden(r rune) bool {
	return r < ' ' && r != '\t' && r != '\n' && r != '\r' || utf8.RuneError <= r && r <= '\uFFFF'
}

func replaceForbidden(r rune) rune {
	if isForbidden(r) {
		return utf8.RuneError
	}
	return r
}
