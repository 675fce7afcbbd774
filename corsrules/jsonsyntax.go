package corsrules

import (
	"bytes"
	"strings"
)

const textAfterEnd = "text after the end of the document: remove it"

// jsonSyntax reports that the document is not well-formed where package encoding/json cannot
// read the next token. What the text shows is said in words of its own, because those of the
// package do not say what to do.
func (p *parser) jsonSyntax(err error) {
	at := int(p.json.InputOffset())
	at += len(p.doc[at:]) - len(bytes.TrimLeft(p.doc[at:], xmlSpace))
	here, before := byteAt(p.doc, at), byte(0)
	if text := bytes.TrimRight(p.doc[:at], xmlSpace); len(text) > 0 {
		before = text[len(text)-1]
	}
	in := func(c byte, set string) bool { return strings.IndexByte(set, c) >= 0 }
	switch {
	case in(here, "/#"):
		p.malformed(at, noComments)
	case p.depth == 0:
		p.malformed(at, textAfterEnd)
	case in(here, "}]") && before == ',':
		p.malformed(at, "a comma before %c: remove it", here)
	case here == ',' && in(before, ",:[{"):
		p.malformed(at, "a comma too many: remove it")
	case strings.HasSuffix(err.Error(), "after object key"):
		p.malformed(at, "a colon is missing between a name and its value: write one")
	case isWordByte(here) && isWordByte(p.doc[at-1]):
		p.malformed(at, "not a number: write digits alone, such as 600, the first not 0")
	case (in(here, `"[{`) || isWordByte(here)) && (in(before, `"]}`) || isWordByte(before)):
		p.malformed(at, "a comma is missing between two values: write one")
	case here == '"':
		p.malformed(at, "not well-formed JSON: %s: write \\n for the end of a line, \\\\ for a \\, and \" at the end of the text", err)
	case here == '\'', here >= 0x80, isWordByte(here):
		p.malformed(at, noQuotes)
	case in(here, "}]"):
		p.malformed(at, "not well-formed JSON: %s: end each { with }, and each [ with ]", err)
	default:
		p.malformed(at, "not well-formed JSON: %s", err)
	}
}

func byteAt(doc []byte, at int) byte {
	if at < len(doc) {
		return doc[at]
	}
	return 0
}

func isWordByte(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z'
}
