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
				p.notWellFormed(err)
			}
			return nil, at
		}
		switch tok := tok.(type) {
		case xml.ProcInst:
			if tok.Target != "xml" || at > 0 {
				p.malformed(at, "a processing instruction <?%s: only the XML declaration at the very beginning is allowed", tok.Target)
			} else if !isDeclaration(string(tok.Inst)) {
				p.malformed(at, "the XML declaration is not <?xml version=\"1.0\" encoding=\"UTF-8\"?>, which may leave the encoding out")
			}
		case xml.Directive:
			p.malformed(at, "a DOCTYPE or other <! declaration: none is allowed")
		default:
			return tok, at
		}
	}
	return nil, len(p.doc)
}

func (p *parser) notWellFormed(err error) {
	text := err.Error()
	var syntax *xml.SyntaxError
	if errors.As(err, &syntax) {
		text = syntax.Msg
	}
	p.malformed(int(p.dec.InputOffset()), "not well-formed XML: %s", text)
}

func (p *parser) skip() {
	if err := p.dec.Skip(); err != nil && !p.broken {
		p.broken = true
		p.notWellFormed(err)
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
