package corsrules

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// jsonNull is the token null, which package encoding/json gives as nil.
type jsonNull struct{}

// jsonDocument reads a document in JSON. AWS's form is {"CORSRules": […]}, or the array
// alone; ossutil 2's is {"CORSRule": […], "ResponseVary": …}, where a list of one value may
// be that value, and numbers and booleans may be strings: it is made of XML.
func (p *parser) jsonDocument() *Configuration {
	cfg := &Configuration{Form: p.form}
	if !utf8.Valid(p.doc) {
		p.malformed(firstInvalid(p.doc), "not well-formed JSON: invalid UTF-8: save the document as UTF-8")
		return cfg
	}
	p.json = json.NewDecoder(bytes.NewReader(p.doc))
	p.json.UseNumber()
	if root, at := p.jsonNext(); root == json.Delim('[') {
		p.jsonRules(cfg, root, at)
	} else {
		p.jsonFields(p.form.rootFields(), "the document", func(name string, value json.Token, at int) {
			if name == "ResponseVary" {
				cfg.ResponseVary = p.jsonBool(name, value, at)
			} else {
				p.jsonRules(cfg, value, at)
			}
		})
	}
	if len(cfg.Rules) == 0 && len(p.faults) == 0 {
		p.malformed(0, "the document has no rule: %q with at least one is needed", p.form.rootFields()[0])
	}
	if tok, at := p.jsonNext(); tok != nil {
		p.malformed(at, textAfterEnd)
	}
	return cfg
}

func firstInvalid(doc []byte) int {
	at := 0
	for {
		r, size := utf8.DecodeRune(doc[at:])
		if r == utf8.RuneError && size <= 1 {
			return at
		}
		at += size
	}
}

// jsonRules reads the array of the rules.
func (p *parser) jsonRules(cfg *Configuration, tok json.Token, at int) {
	if tok == json.Delim('{') && p.form == FormOSSJSON {
		cfg.Rules = append(cfg.Rules, p.jsonRule(at))
		return
	}
	if tok != json.Delim('[') {
		p.malformed(at, "the rules are not an array: write [ and ] around them")
		p.jsonSkip(tok)
		return
	}
	rules, begin := 0, at
	for {
		tok, at := p.jsonNext()
		switch tok {
		case nil, json.Delim(']'):
			if rules == 0 && !p.broken {
				p.malformed(begin, "the list of rules is empty: at least one rule is needed")
			}
			return
		case json.Delim('{'):
			if rules++; rules == p.opts.MaxRules+1 {
				p.fault(at, CodeBeyondLimit, ecTooManyRules, "%s", limitProblem(rules, p.opts.MaxRules))
			}
			cfg.Rules = append(cfg.Rules, p.jsonRule(at))
		default:
			rules++
			p.malformed(at, "a rule is not an object: write { and } around its fields")
			p.jsonSkip(tok)
		}
	}
}

// jsonRule reads a rule, whose { was read.
func (p *parser) jsonRule(ruleAt int) CORSRule {
	var r CORSRule
	p.places = append(p.places, places{"CORSRule": {ruleAt}})
	faulty := p.jsonFields(p.form.ruleFields(), "a rule", func(name string, value json.Token, at int) {
		switch element := p.form.element(name); element {
		case "ID":
			r.ID = p.jsonID(value, at)
		case "AllowedOrigin":
			r.AllowedOrigins = p.jsonValues(element, value, at)
		case "AllowedMethod":
			r.AllowedMethods = p.jsonValues(element, value, at)
		case "AllowedHeader":
			for _, header := range p.jsonValues(element, value, at) {
				r.AllowedHeaders = append(r.AllowedHeaders, p.opts.Dialect.storedHeader(header))
			}
		case "ExposeHeader":
			r.ExposeHeaders = p.jsonValues(element, value, at)
		case "MaxAgeSeconds":
			r.MaxAgeSeconds = p.jsonSeconds(element, value, at)
		}
	})
	if !p.broken {
		p.requiredJSON(&r, faulty, ruleAt)
	}
	return r
}

// requiredJSON reports what a rule lacks, but for fields that have a fault of their own.
func (p *parser) requiredJSON(r *CORSRule, faulty map[string]bool, ruleAt int) {
	seen := map[string]int{"AllowedOrigin": len(r.AllowedOrigins), "AllowedMethod": len(r.AllowedMethods)}
	for element := range seen {
		if faulty[p.form.name(element)] {
			seen[element]++
		}
	}
	p.required(seen, ruleAt)
}

func (p *parser) jsonID(tok json.Token, at int) string {
	id, ok := tok.(string)
	if !ok {
		p.jsonWrong("ID", "a string: write it in quotes", tok, at)
		return ""
	}
	p.note("ID", at)
	id = strings.Trim(id, xmlSpace) // as in XML
	notInXML := func(c rune) bool {
		return unicode.IsControl(c) && !strings.ContainsRune(xmlSpace, c) || c == '\uFFFE' || c == '\uFFFF'
	}
	if strings.ContainsFunc(id, notInXML) {
		p.malformed(at, "ID %s has a control character: remove it", quoteShort(id))
	}
	if problem := p.opts.Dialect.check(p.form, "ID", id); problem != "" {
		p.malformed(at, "ID %s", problem)
	}
	return id
}

func (p *parser) jsonValues(element string, tok json.Token, at int) (values []string) {
	one := func(tok json.Token, at int) {
		value, ok := tok.(string)
		if !ok {
			p.jsonWrong(p.form.name(element), "made of strings: write each value in quotes", tok, at)
			return
		}
		p.check(element, value, at)
		values = append(values, value)
	}
	if _, isString := tok.(string); isString && p.form == FormOSSJSON {
		one(tok, at)
		return values
	}
	if tok != json.Delim('[') {
		p.jsonWrong(p.form.name(element), "an array of strings: write [ and ] around its values", tok, at)
		return nil
	}
	for {
		tok, at := p.jsonNext()
		if tok == nil || tok == json.Delim(']') {
			return values
		}
		one(tok, at)
	}
}

func (p *parser) jsonSeconds(element string, tok json.Token, at int) *int {
	var value string
	number, isNumber := tok.(json.Number)
	text, isString := tok.(string)
	switch {
	case isNumber:
		value = number.String()
	case isString && p.form == FormOSSJSON:
		value = text
	case isString && checkMaxAge(text) == "":
		p.malformed(at, "%s is text: write %s without quotation marks", element, text)
		return nil
	default:
		p.jsonWrong(element, "a number: write digits without quotation marks, such as 600", tok, at)
		return nil
	}
	p.check(element, value, at)
	if seconds, err := strconv.Atoi(value); err == nil {
		return &seconds
	}
	return nil
}

func (p *parser) jsonBool(name string, tok json.Token, at int) bool {
	switch tok {
	case true, "true":
		return true
	case false, "false":
		return false
	}
	p.jsonWrong(name, "true or false: write one of these", tok, at)
	return false
}

// jsonWrong reports a value of another type than its field has, and skips it.
func (p *parser) jsonWrong(name, want string, tok json.Token, at int) {
	if _, null := tok.(jsonNull); null {
		p.malformed(at, "%s is null: leave it out, or give a value", name)
	} else if !p.broken {
		p.malformed(at, "%s is not %s", name, want)
	}
	p.jsonSkip(tok)
}

// jsonFields reads the fields of an object, whose { was read: those that are allowed, each at
// most once. It returns those that have a fault, or are nearly named by an unknown field.
func (p *parser) jsonFields(allowed []string, where string, field func(name string, value json.Token, at int)) (faulty map[string]bool) {
	seen, faulty := map[string]bool{}, map[string]bool{}
	for {
		tok, nameAt := p.jsonNext()
		name, ok := tok.(string)
		if !ok { // the end
			return faulty
		}
		value, at := p.jsonNext()
		if p.broken {
			return faulty
		}
		switch similar := Closest(name, allowed); {
		case seen[name]:
			p.malformed(nameAt, "a second %s in %s: remove one", quoteShort(name), where)
			p.jsonSkip(value)
		case slices.Contains(allowed, name):
			before := len(p.faults)
			seen[name] = true
			field(name, value, at)
			faulty[name] = len(p.faults) > before
		case similar != "":
			p.malformed(nameAt, "unknown field %s in %s: did you mean %q?", quoteShort(name), where, similar)
			faulty[similar] = true
			p.jsonSkip(value)
		case name == "ResponseVary" && p.form == FormS3JSON:
			p.malformed(nameAt, "S3's form does not have ResponseVary: remove it, and write response_vary in the oss_cors directive")
			p.jsonSkip(value)
		case isCredentials(name):
			p.malformed(nameAt, "unknown field %s in %s: "+notInRules, quoteShort(name), where)
			p.jsonSkip(value)
		default:
			p.malformed(nameAt, "unknown field %s in %s: it may have %s", quoteShort(name), where, inWords(allowed))
			p.jsonSkip(value)
		}
	}
}

// jsonSkip reads to the end of a value whose first token was read.
func (p *parser) jsonSkip(tok json.Token) {
	for depth := 0; ; tok, _ = p.jsonNext() {
		switch tok {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
		if depth == 0 || p.broken {
			return
		}
	}
}

// jsonNext returns the next token and its offset; nil at the end of the document, or where it
// is not well-formed, which it reports.
func (p *parser) jsonNext() (json.Token, int) {
	if p.broken {
		return nil, len(p.doc)
	}
	at := int(p.json.InputOffset())
	for at < len(p.doc) && strings.IndexByte(xmlSpace+",:", p.doc[at]) >= 0 {
		at++
	}
	tok, err := p.json.Token()
	switch tok {
	case json.Delim('{'), json.Delim('['):
		p.depth++
	case json.Delim('}'), json.Delim(']'):
		p.depth--
	}
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF), err != nil && at == len(p.doc) && p.depth > 0:
		if !p.typographic(len(p.doc)) {
			p.notJSON(len(p.doc), "not well-formed JSON: the document ends before its last value does, as if it were cut off")
		}
	case err != nil && !errors.Is(err, io.EOF):
		p.jsonSyntax(err)
	case err == nil && tok == nil:
		return jsonNull{}, at
	}
	return tok, at
}
