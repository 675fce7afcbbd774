package corsrules

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// maxMaxAgeSeconds is the largest MaxAgeSeconds that OSS takes.
const maxMaxAgeSeconds = 999_999_999

// Options are what Parse needs to know besides the document.
type Options struct {
	// File names the document in faults. Default: "cors.xml".
	File string

	// MaxRules is how many rules the document may have. Default: Dialect.DefaultMaxRules.
	MaxRules int

	// Dialect is whose documents are taken. Default: DialectOSS.
	Dialect Dialect

	// Credentials refuses origins that are too wide to be answered with
	// Access-Control-Allow-Credentials. Default: false.
	Credentials bool

	// XMLOnly refuses a document in JSON, as a store's API does. Default: false.
	XMLOnly bool
}

const utf8BOM = "\uFEFF"

// Parse reads a document: a CORSConfiguration in XML, or JSON as the AWS command line, S3's
// console or ossutil 2 writes it. It is as strict as OSS, and stricter where a misspelling
// would be skipped: unknown elements and fields, attributes and text between elements are
// faults. The error, if any, is of type Faults and has all of them.
func Parse(doc []byte, opts Options) (*Configuration, error) {
	cfg, _, err := parse(doc, opts)
	return cfg, err
}

// parse is Parse, and returns the parser too, which knows where each value stands.
func parse(doc []byte, opts Options) (*Configuration, *parser, error) {
	if opts.File == "" {
		opts.File = "cors.xml"
	}
	if opts.MaxRules <= 0 {
		opts.MaxRules = opts.Dialect.DefaultMaxRules()
	}
	p := &parser{doc: bytes.TrimPrefix(doc, []byte(utf8BOM)), opts: opts}
	if limit := opts.Dialect.MaxBytes(); len(doc) > limit {
		p.fault(limit-len(doc)+len(p.doc), CodeMalformedXML, "",
			"the document has more than %d bytes, which is the limit: remove comments, or match the origins of one domain with a *", limit)
		return nil, p, p.faults
	}
	cfg, err := p.parse()
	return cfg, p, err
}

func (p *parser) parse() (*Configuration, error) {
	if beginsJSON(p.doc) && !p.opts.XMLOnly {
		p.form = jsonFormOf(p.doc)
	}
	if problem := otherForm(p.doc, p.opts.XMLOnly); problem != "" {
		p.malformed(0, "%s", problem)
		return nil, p.faults
	}
	var cfg *Configuration
	if p.form != FormXML {
		cfg = p.jsonDocument()
		if problem := otherJSON(p.doc); problem != "" && len(p.faults) > 0 {
			p.faults = slices.DeleteFunc(p.faults, func(f *Fault) bool { return f != p.syntax })
			p.malformed(0, "%s", problem)
		}
	} else {
		p.dec = xml.NewDecoder(bytes.NewReader(p.doc))
		p.dec.CharsetReader = asUTF8
		cfg = p.document()
	}
	if len(p.faults) > 0 {
		slices.SortStableFunc(p.faults, func(a, b *Fault) int { return a.offset - b.offset })
		return nil, p.faults
	}
	return cfg, nil
}

// parser walks the tokens of a document; encoding/xml's own Unmarshal would skip in
// silence most of what must be a fault.
type parser struct {
	doc      []byte
	opts     Options
	form     Form
	dec      *xml.Decoder
	json     *json.Decoder
	depth    int    // of the JSON that was read
	broken   bool   // no more tokens can be read
	syntax   *Fault // why, of JSON
	prefixed bool   // the root has a namespace prefix
	faults   Faults
	places   []places // of each rule
}

// places are the offsets at which a rule's values begin: by element, in the order of the
// document. Where the rule itself begins stands under CORSRule.
type places map[string][]int

// document = declaration? comment* CORSConfiguration comment*
func (p *parser) document() *Configuration {
	var cfg *Configuration
	var root xml.Name
	for {
		tok, at := p.next()
		switch tok := tok.(type) {
		case nil:
			if root.Local == "" && !p.broken {
				p.malformed(0, "the document has no element: it needs a CORSConfiguration with at least one CORSRule")
			}
			return cfg
		case xml.StartElement:
			switch {
			case root.Local != "":
				p.malformed(at, "a second root element <%s>: put all rules into one CORSConfiguration", tok.Name.Local)
				p.skip()
			case tok.Name.Local != "CORSConfiguration":
				root = tok.Name
				p.fault(at, CodeMalformedXML, ecWrongRoot, "%s", rootProblem(tok.Name.Local))
				p.skip()
			default:
				root = tok.Name
				cfg = p.configuration(tok, at)
			}
		case xml.CharData:
			p.noText(tok, at, "outside CORSConfiguration")
		}
	}
}

// configuration = CORSRule+ ResponseVary?, in any order.
func (p *parser) configuration(root xml.StartElement, rootAt int) *Configuration {
	p.rootAttributes(root, rootAt)
	cfg := &Configuration{Rules: make([]CORSRule, 0, min(bytes.Count(p.doc, []byte("<CORSRule>")), p.opts.MaxRules))}
	rules, varies := 0, 0
	var misspelt *Fault // the first, of an element that is meant to be a CORSRule
	for {
		tok, at := p.next()
		switch tok := tok.(type) {
		case nil, xml.EndElement:
			switch {
			case rules > 0 || p.broken:
			case misspelt != nil: // OSS may skip it, and then answer that a rule is missing
				misspelt.EC = ecNoRule
			default:
				p.fault(rootAt, CodeMalformedXML, ecNoRule, "CORSConfiguration has no CORSRule: at least one is needed")
			}
			return cfg
		case xml.CharData:
			p.noText(tok, at, "in CORSConfiguration, where only elements are allowed")
		case xml.StartElement:
			switch name := p.element(tok, at, root.Name.Space); {
			case name == "CORSRule":
				if rules++; rules == p.opts.MaxRules+1 {
					p.fault(at, CodeBeyondLimit, ecTooManyRules, "%s", limitProblem(rules, p.opts.MaxRules))
				}
				cfg.Rules = append(cfg.Rules, p.rule(root.Name.Space, at))
			case name == "ResponseVary" && p.opts.Dialect != DialectS3:
				value, valueAt := p.text(tok, at)
				if varies++; varies > 1 {
					p.malformed(at, "a second ResponseVary: remove one")
				}
				if value != "true" && value != "false" && !p.broken {
					p.fault(valueAt, CodeMalformedXML, ecResponseVary, "ResponseVary is %s: write true or false", quoteShort(value))
				}
				cfg.ResponseVary = value == "true"
			default:
				here := len(p.faults)
				if p.unknown(tok, at, "CORSConfiguration", p.opts.Dialect.rootElements()) == "CORSRule" && misspelt == nil {
					misspelt = p.faults[here]
				}
			}
		}
	}
}

func limitProblem(number, limit int) string {
	problem := fmt.Sprintf("rule %d is one too many: at most %d are allowed. ", number, limit)
	if limit >= MostRules {
		return problem + "Remove rules"
	}
	return problem + fmt.Sprintf("Remove rules, or set max_rules (up to %d) in the oss_cors directive, and --max-rules for a command", MostRules)
}

// rule = ID? AllowedOrigin+ AllowedMethod+ AllowedHeader* ExposeHeader* MaxAgeSeconds?, in any order.
func (p *parser) rule(space string, ruleAt int) CORSRule {
	var r CORSRule
	p.places = append(p.places, places{"CORSRule": {ruleAt}})
	seen := map[string]int{}
	for {
		tok, at := p.next()
		switch tok := tok.(type) {
		case nil, xml.EndElement:
			if !p.broken {
				p.required(seen, ruleAt)
			}
			return r
		case xml.CharData:
			p.noText(tok, at, "in CORSRule, where only elements are allowed")
		case xml.StartElement:
			name := p.element(tok, at, space)
			seen[name]++
			switch name {
			case "ID":
				var valueAt int
				r.ID, valueAt = p.text(tok, at)
				p.note(name, valueAt)
				if seen[name] > 1 {
					p.malformed(at, "a second ID in the rule: remove one")
				}
				if problem := p.opts.Dialect.check(FormXML, name, r.ID); problem != "" {
					p.malformed(at, "ID %s", problem)
				}
			case "AllowedOrigin":
				r.AllowedOrigins = append(r.AllowedOrigins, p.value(tok, at))
			case "AllowedMethod":
				r.AllowedMethods = append(r.AllowedMethods, p.value(tok, at))
			case "AllowedHeader":
				r.AllowedHeaders = append(r.AllowedHeaders, p.opts.Dialect.storedHeader(p.value(tok, at)))
			case "ExposeHeader":
				r.ExposeHeaders = append(r.ExposeHeaders, p.value(tok, at))
			case "MaxAgeSeconds":
				value := p.value(tok, at)
				if seconds, err := strconv.Atoi(value); err == nil {
					r.MaxAgeSeconds = &seconds
				}
				if seen[name] > 1 {
					p.argument(at, ecMaxAge, name, value, "a second MaxAgeSeconds in the rule: remove one")
				}
			default:
				seen[p.unknown(tok, at, "CORSRule", ruleElements)]++
			}
		}
	}
}

// required reports what a rule lacks.
func (p *parser) required(seen map[string]int, ruleAt int) {
	where := ""
	if p.form == FormS3JSON || p.form == FormOSSJSON {
		where = ", between the rule's own { and }"
	}
	if seen["AllowedOrigin"] == 0 {
		p.fault(ruleAt, CodeMalformedXML, "", "the rule has no %s: at least one is needed%s", p.form.name("AllowedOrigin"), where)
	}
	if seen["AllowedMethod"] == 0 {
		p.fault(ruleAt, CodeMalformedXML, "", "the rule has no %s: at least one of %s is needed%s", p.form.name("AllowedMethod"), methodsInWords, where)
	}
}

// value reads the text of a scalar element of a rule and checks it.
func (p *parser) value(start xml.StartElement, startAt int) string {
	value, at := p.text(start, startAt)
	p.check(start.Name.Local, value, at)
	return value
}

// check notes where a value of the last rule stands, and reports what is wrong with it. Where
// Options.Credentials refuses what OSS takes, OSS has no Code for the fault.
func (p *parser) check(element, value string, at int) {
	p.note(element, at)
	if p.broken {
		return
	}
	problem := p.opts.Dialect.check(p.form, element, value)
	if problem != "" && hasPlaceholder(value) {
		problem = quoteShort(value) + " has a placeholder: " + notExpanded + "; write the value itself"
	}
	if problem != "" {
		p.argument(at, argumentECs[element], element, value, p.form.name(element)+" "+problem)
		return
	}
	if element == "AllowedOrigin" && p.opts.Credentials && value != "" {
		if problem := checkCredentialedOrigin(value); problem != "" {
			p.fault(at, "", "", "%s %s", p.form.name(element), problem)
		}
	}
}

// note notes where a value of the last rule stands.
func (p *parser) note(element string, at int) {
	here := p.places[len(p.places)-1]
	here[element] = append(here[element], at)
}

// text reads the rest of a scalar element: text alone. It returns the trimmed value
// and where it begins, or where the element does if there is none.
func (p *parser) text(start xml.StartElement, startAt int) (value string, at int) {
	at = int(p.dec.InputOffset())
	var b strings.Builder
	for {
		tok, tokAt := p.nextRaw()
		switch tok := tok.(type) {
		case nil, xml.EndElement:
			value = strings.Trim(b.String(), xmlSpace)
			if value == "" {
				return "", startAt
			}
			for strings.IndexByte(xmlSpace, p.doc[at]) >= 0 {
				at++
			}
			return value, at
		case xml.CharData:
			b.Write(tok)
		case xml.Comment:
			p.malformed(tokAt, "a comment inside <%s>: put it between elements", start.Name.Local)
		case xml.StartElement:
			p.elementInText(start.Name.Local, tok.Name.Local, tokAt)
		}
	}
}

// elementInText reports an element where only text may stand, and skips it. One that is not ended
// is what a template has in place of a value, such as <your-domain>, and has no other fault.
func (p *parser) elementInText(outer, inner string, at int) {
	err := p.dec.Skip()
	cure := "remove it, or end the outer one with </" + outer + "> before it"
	isTemplate := err != nil && strings.HasSuffix(err.Error(), "element <"+inner+"> closed by </"+outer+">") && !slices.Contains(ruleElements, inner)
	if isTemplate {
		cure = "write the value itself in its place"
		p.broken = true
	}
	p.malformed(at, "<%s> inside <%s>, where only text is allowed: %s", inner, outer, cure)
	p.skipped(err)
}

// rootAttributes allows the root's xmlns, whatever it names, and nothing else.
func (p *parser) rootAttributes(root xml.StartElement, at int) {
	space := ""
	for i, a := range root.Attr {
		if i > 0 || a.Name.Space != "" || a.Name.Local != "xmlns" {
			p.malformed(at, "attribute %s on <CORSConfiguration>: remove it, only one xmlns is allowed", writtenName(a.Name))
		} else {
			space = a.Value
		}
	}
	if p.prefixed = root.Name.Space != space; p.prefixed {
		p.malformed(at, "a namespace prefix on <CORSConfiguration>: write the elements without prefixes")
	}
}

// writtenName returns an attribute's name with its prefix, if that declares one.
func writtenName(name xml.Name) string {
	if name.Space == "xmlns" {
		return "xmlns:" + name.Local
	}
	return name.Local
}

// element returns the local name of a child, or "" if it is not in the root's
// namespace, and reports attributes.
func (p *parser) element(start xml.StartElement, at int, space string) string {
	for _, a := range start.Attr {
		p.malformed(at, "attribute %s on <%s>: remove it, the element may have none", writtenName(a.Name), start.Name.Local)
	}
	prefixed := !bytes.HasPrefix(p.doc[at:], []byte("<"+start.Name.Local))
	if start.Name.Space != space || prefixed != p.prefixed {
		return ""
	}
	return start.Name.Local
}

var ruleElements = []string{"ID", "AllowedOrigin", "AllowedMethod", "AllowedHeader", "ExposeHeader", "MaxAgeSeconds"}

// unknown reports a child element that parent, which may have those that are allowed, does
// not have. It returns the allowed one that is meant; "" if none is.
func (p *parser) unknown(start xml.StartElement, at int, parent string, allowed []string) (meant string) {
	name := start.Name.Local
	const found = "element <%s> in %s"
	similar := Closest(name, slices.Concat(allowed, DialectAny.rootElements(), ruleElements))
	switch {
	case slices.Contains(allowed, name):
		p.malformed(at, found+" has a prefix or an xmlns of its own: write <%[1]s>, without either", name, parent)
	case similar == name && parent == "CORSRule":
		p.malformed(at, found+": it belongs in CORSConfiguration, after </CORSRule>", name, parent)
	case slices.Contains(ruleElements, name):
		p.malformed(at, found+": it belongs in a CORSRule", name, parent)
		similar = "CORSRule"
	case slices.Contains(allowed, similar):
		p.malformed(at, "unknown "+found+": did you mean <%s>?", name, parent, similar)
	case isCredentials(name):
		p.malformed(at, "unknown "+found+": "+notInRules, name, parent)
	default:
		p.malformed(at, "unknown "+found+": it may have %s", name, parent, inWords(allowed))
	}
	p.skip()
	return similar
}

// isCredentials reports whether other products' rules have a name for allow_credentials.
func isCredentials(name string) bool { return strings.Contains(lower(name), "credential") }

const notInRules = "remove it, and write allow_credentials in the oss_cors directive if pages send cookies"

const xmlSpace = " \t\r\n"

// noText reports text where only elements may stand.
func (p *parser) noText(text xml.CharData, at int, where string) {
	trimmed := bytes.TrimLeft(text, xmlSpace)
	if len(trimmed) == 0 {
		return
	}
	found, cure := string(bytes.TrimRight(trimmed, xmlSpace)), "remove it"
	if hasPlaceholder(found) {
		cure = notExpanded + "; write the elements themselves"
	}
	p.malformed(at+len(text)-len(trimmed), "text %s %s: %s", quoteShort(found), where, cure)
}

func (p *parser) malformed(at int, format string, args ...any) {
	p.fault(at, CodeMalformedXML, ecMalformed, format, args...)
}

func (p *parser) argument(at int, ec, name, value, message string) {
	p.fault(at, CodeInvalidArgument, ec, "%s", message)
	f := p.faults[len(p.faults)-1]
	f.ArgumentName, f.ArgumentValue = name, value
}

func (p *parser) fault(at int, code, ec, format string, args ...any) {
	if code == CodeMalformedXML && (p.form == FormS3JSON || p.form == FormOSSJSON) {
		code, ec = "", ""
	}
	at = min(at, len(p.doc))
	line, column := p.position(at)
	p.faults = append(p.faults, &Fault{
		File:    p.opts.File,
		Line:    line,
		Column:  column,
		Message: fmt.Sprintf(format, args...),
		Code:    code,
		EC:      ec,
		offset:  at,
	})
}

// position returns the line and the column of an offset, both from 1.
func (p *parser) position(at int) (line, column int) {
	before := p.doc[:at]
	return 1 + bytes.Count(before, []byte("\n")), at - bytes.LastIndexByte(before, '\n')
}
