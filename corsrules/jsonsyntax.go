package corsrules

import (
	"bytes"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

const textAfterEnd = "text after the end of the document: remove it"

// notJSON reports why no more of a document in JSON can be read.
func (p *parser) notJSON(at int, format string, args ...any) {
	p.malformed(at, format, args...)
	p.syntax = p.faults[len(p.faults)-1]
	p.broken = true
}

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
	word := wordAt(p.doc, at)
	switch {
	case p.typographic(at):
	case inConflict(p.doc, at):
		p.notJSON(at, conflictMarker)
	case in(here, "/#"):
		p.notJSON(at, noComments)
	case p.depth == 0:
		p.notJSON(at, textAfterEnd)
	case in(here, "}]") && before == ',':
		p.notJSON(at, "a comma before %c: remove it", here)
	case here == ',' && in(before, ",:[{"):
		p.notJSON(at, "a comma too many: remove it")
	case in(here, "$%<"), here == '{' && before == '{':
		p.forget(at - 1) // the first {
		p.notJSON(at, notExpanded+"; write the values themselves")
	case strings.HasSuffix(err.Error(), "after object key"):
		p.notJSON(at, "a colon is missing between a name and its value: write one")
	case isWordByte(here) && isWordByte(p.doc[at-1]):
		p.notJSON(at, "not a number: write digits alone, such as 600, the first not 0")
	case (in(here, `"[{`) || isWordByte(here)) && (in(before, `"]}`) || isWordByte(before)):
		p.notJSON(at, "a comma is missing between two values: write one")
	case here == '"':
		p.notJSON(at, "not well-formed JSON: %s: write \\n for the end of a line, \\\\ for a \\, and \" at the end of the text", err)
	case here == '\'':
		p.notJSON(at, "single quotation marks: write \" in place of each '")
	case here == '\\':
		p.notJSON(at, "the document is escaped, as for a shell or a program: write \" in place of each \\\"")
	case pythonWords[word] != "":
		p.notJSON(at, "%s is not a word of JSON: %s", word, pythonWords[word])
	case here >= 0x80, here == '*', isWordByte(here):
		p.notJSON(at, noQuotes)
	case in(here, "}]"):
		p.notJSON(at, "not well-formed JSON: %s: end each { with }, and each [ with ]", err)
	default:
		p.notJSON(at, "not well-formed JSON: %s: remove it", err)
	}
}

// pythonWords are what to write in place of words that are values in other languages.
var pythonWords = map[string]string{
	"True": "write true", "False": "write false",
	"None": "leave the field out", "nil": "leave the field out", "undefined": "leave the field out",
}

// typographic reports signs that web pages and word processors put in place of those of JSON, if
// one is why the document cannot be read on at an offset: a white space, or a quotation mark.
func (p *parser) typographic(at int) bool {
	const singleQuotes = "‘’‚"
	sign, _ := utf8.DecodeRune(p.doc[at:])
	switch {
	case sign == utf8.RuneError, sign < utf8.RuneSelf:
		begin, text := p.textAround(at)
		quote := bytes.IndexAny(text, typographicQuotes)
		if quote < 0 {
			return false
		}
		at = begin + quote
		p.forget(begin - 1) // which is about a text that the author means to end here
	case unicode.IsSpace(sign), unicode.Is(unicode.Cf, sign):
		p.notJSON(at, "a white space that JSON does not have (%U): write a space, or nothing, in place of each", sign)
		return true
	case !strings.ContainsRune(typographicQuotes+singleQuotes, sign):
		return false
	}
	sign, _ = utf8.DecodeRune(p.doc[at:])
	p.notJSON(at, "%c is not the quotation mark of JSON: write \" in place of each", sign)
	return true
}

const typographicQuotes = "“”„"

// textAround returns the text in quotation marks that begins at an offset and does not end in its
// line or, if none begins there, that ends before the offset; and where it begins.
func (p *parser) textAround(at int) (begin int, text []byte) {
	if byteAt(p.doc, at) == '"' {
		text, _, _ = bytes.Cut(p.doc[at+1:], []byte("\n"))
		return at + 1, text
	}
	text, ended := bytes.CutSuffix(bytes.TrimRight(p.doc[:at], xmlSpace), []byte(`"`))
	begin = bytes.LastIndexByte(text, '"') + 1
	if !ended && at < len(p.doc) || begin == 0 {
		return 0, nil
	}
	return begin, text[begin:]
}

// forget takes the faults back that are at an offset.
func (p *parser) forget(at int) {
	p.faults = slices.DeleteFunc(p.faults, func(f *Fault) bool { return f.offset == at })
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

// wordAt returns the letters and digits from an offset on.
func wordAt(doc []byte, at int) string {
	end := at
	for end < len(doc) && isWordByte(doc[end]) {
		end++
	}
	return string(doc[at:end])
}
