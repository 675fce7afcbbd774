package corsrules

import (
	"encoding/xml"
	"errors"
	"io"
	"slices"
	"strings"
)

// next returns the next token and its offset, comments left out; nil at the end.
func (p *parser) next() (xml.Token, int) {
	for {
		tok, at := p.nextRaw()
		if _, comment := tok.(xml.Comment); !comment {
			return tok, at
		}
	}
}

// nextRaw returns the next token and its offset; nil at the end of the document, or
// where it is not well-formed, which it reports.
func (p *parser) nextRaw() (xml.Token, int) {
	for !p.broken {
		at := int(p.dec.InputOffset())
		tok, err := p.dec.Token()
		if err != nil {
			p.broken = !errors.Is(err, io.EOF)
			if p.broken {
				p.notWellFormed(err, at)
			}
			return nil, at
		}
		switch tok := tok.(type) {
		case xml.ProcInst:
			switch {
			case tok.Target != "xml":
				p.malformed(at, "a <?%s instruction: remove it; only an XML declaration is allowed, at the very beginning", tok.Target)
			case at > 0:
				p.malformed(at, "the XML declaration is not at the very beginning: remove what stands before it, or the declaration")
			case !isDeclaration(string(tok.Inst)):
				p.malformed(at, wrongDeclaration)
			}
		case xml.Directive:
			p.malformed(at, "a DOCTYPE or other <! declaration: remove it, none is allowed")
		default:
			return tok, at
		}
	}
	return nil, len(p.doc)
}

// asUTF8 has a document read that declares another encoding, which nextRaw reports.
func asUTF8(_ string, doc io.Reader) (io.Reader, error) { return doc, nil }

// notWellFormed reports why the token that begins at an offset cannot be read.
func (p *parser) notWellFormed(err error, at int) {
	var syntax *xml.SyntaxError
	if !errors.As(err, &syntax) { // the only other error is that a declaration is not of XML 1.0
		p.malformed(at, wrongDeclaration)
		return
	}
	end := int(p.dec.InputOffset())
	if inConflict(p.doc, end) {
		p.malformed(at, conflictMarker)
		return
	}
	text := syntax.Msg
	for problem, cure := range wellFormedCures {
		if strings.HasPrefix(text, problem) {
			text += cure
		}
	}
	if name, _, ok := strings.Cut(strings.TrimPrefix(text, "element <"), "> closed by "); ok {
		text += ": end it with </" + name + ">"
	}
	p.malformed(end, "not well-formed XML: %s", text)
}

const wrongDeclaration = `the XML declaration is not <?xml version="1.0" encoding="UTF-8"?>: write that, and save the document as UTF-8; or leave the declaration out`

// wellFormedCures are what to do about the beginnings of what package encoding/xml says.
var wellFormedCures = map[string]string{
	"unexpected EOF":                      ": the document ends before its last element does, as if it were cut off",
	"invalid UTF-8":                       ": save the document as UTF-8",
	`invalid sequence "--"`:               ": write a single - in comments",
	"invalid character entity":            ": write &amp; for an &",
	"expected element name after <":       ": write &lt; for a < that begins no element",
	"expected attribute name in element":  ": write the value itself in place of <…>, or &lt; for a < that begins no element",
	"attribute name without = in element": ": write the value itself in place of <…>, or &lt; for a < that begins no element",
}

func (p *parser) skip() { p.skipped(p.dec.Skip()) }

// skipped reports why an element could not be skipped, if it could not.
func (p *parser) skipped(err error) {
	if err != nil && !p.broken {
		p.broken = true
		p.notWellFormed(err, int(p.dec.InputOffset()))
	}
}

// isDeclaration reports whether what stands between "<?xml " and "?>" declares XML 1.0 in
// UTF-8 (XML 1.0, section 2.8). Package encoding/xml looks for version and encoding too,
// but only where no space is around "=".
func isDeclaration(content string) bool {
	allowed := map[string][]string{"version": {"1.0"}, "encoding": {"utf-8"}, "standalone": {"yes", "no"}}
	first := true
	for rest := strings.Trim(content, xmlSpace); rest != ""; rest = strings.TrimLeft(rest, xmlSpace) {
		name, value, _ := strings.Cut(rest, "=")
		name, value = strings.TrimRight(name, xmlSpace), strings.TrimLeft(value, xmlSpace)
		if value == "" || value[0] != '"' && value[0] != '\'' || first != (name == "version") {
			return false
		}
		var closed bool
		value, rest, closed = strings.Cut(value[1:], value[:1])
		if !closed || !slices.Contains(allowed[name], strings.ToLower(value)) {
			return false
		}
		delete(allowed, name)
		first = false
	}
	return !first
}
