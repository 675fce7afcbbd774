package corsrules

import "fmt"

// Form is how rules are written. Faults and advice call things by its names.
type Form uint8

const (
	// FormXML is a CORSConfiguration document. It is the default.
	FormXML Form = iota

	// FormBlocks is the rule blocks of a Caddyfile, and what they are in Caddy's JSON.
	FormBlocks
)

// blockNames are what a rule block calls the elements of a CORSRule.
var blockNames = map[string]string{
	"CORSRule":      "rule",
	"ID":            "id",
	"AllowedOrigin": "origin",
	"AllowedMethod": "method",
	"AllowedHeader": "header",
	"ExposeHeader":  "expose",
	"MaxAgeSeconds": "max_age",
}

// name returns what f calls an element of a CORSRule.
func (f Form) name(element string) string {
	if f == FormBlocks {
		return blockNames[element]
	}
	return element
}

// apart says where each of several values of an element belongs.
func (f Form) apart(element string) string {
	if f == FormBlocks {
		return "as an argument of its own"
	}
	return fmt.Sprintf("in an %s of its own", element)
}

// add says how to add a value to a rule.
func (f Form) add(element, value, rule string) string {
	if f == FormBlocks {
		return fmt.Sprintf("add %q to %s", f.name(element)+" "+value, rule)
	}
	return fmt.Sprintf("add <%[1]s>%[2]s</%[1]s> to %[3]s", element, value, rule)
}
