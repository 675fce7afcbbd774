package corsrules

import (
	"bytes"
	"fmt"
	"slices"
)

// Form is how rules are written. Faults and advice call things by its names.
type Form uint8

const (
	// FormXML is a CORSConfiguration document. It is the default.
	FormXML Form = iota

	// FormS3JSON is a document in JSON as the AWS command line and S3's console write it.
	FormS3JSON

	// FormOSSJSON is a document in JSON as ossutil 2 writes it.
	FormOSSJSON

	// FormBlocks is the rule blocks of a Caddyfile, and what they are in Caddy's JSON.
	FormBlocks
)

// s3Names and blockNames are what a form calls the elements of a CORSRule, if it does not
// call them as XML does.
var (
	s3Names = map[string]string{
		"AllowedOrigin": "AllowedOrigins",
		"AllowedMethod": "AllowedMethods",
		"AllowedHeader": "AllowedHeaders",
		"ExposeHeader":  "ExposeHeaders",
	}
	blockNames = map[string]string{
		"CORSRule":      "rule",
		"ID":            "id",
		"AllowedOrigin": "origin",
		"AllowedMethod": "method",
		"AllowedHeader": "header",
		"ExposeHeader":  "expose",
		"MaxAgeSeconds": "max_age",
	}
)

// name returns what f calls an element of a CORSRule.
func (f Form) name(element string) string {
	name := element
	switch f {
	case FormS3JSON:
		name = s3Names[element]
	case FormBlocks:
		name = blockNames[element]
	}
	if name == "" {
		return element
	}
	return name
}

// singular returns what f calls one value of an element.
func (f Form) singular(element string) string {
	if f == FormS3JSON {
		return element
	}
	return f.name(element)
}

// element returns the element of a CORSRule that f calls by a name.
func (f Form) element(name string) string {
	i := slices.IndexFunc(ruleElements, func(element string) bool { return f.name(element) == name })
	return ruleElements[i]
}

// ruleFields are the names of all elements of a CORSRule.
func (f Form) ruleFields() []string {
	names := make([]string, len(ruleElements))
	for i, element := range ruleElements {
		names[i] = f.name(element)
	}
	return names
}

// rootFields are the fields of a document in JSON, first that of the rules.
func (f Form) rootFields() []string {
	if f == FormOSSJSON {
		return []string{"CORSRule", "ResponseVary"}
	}
	return []string{"CORSRules"}
}

// jsonFormOf returns whose names a document in JSON has.
func jsonFormOf(doc []byte) Form {
	if bytes.Contains(doc, []byte(`"CORSRule"`)) && !bytes.Contains(doc, []byte(`"CORSRules"`)) {
		return FormOSSJSON
	}
	return FormS3JSON
}

// apart says where each of several values of an element belongs.
func (f Form) apart(element string) string {
	switch f {
	case FormXML:
		return fmt.Sprintf("in an %s of its own", element)
	case FormBlocks:
		return "as an argument of its own"
	}
	return "as a string of its own"
}

// add says how to add a value to a rule.
func (f Form) add(element, value, rule string) string {
	switch f {
	case FormXML:
		return fmt.Sprintf("add <%[1]s>%[2]s</%[1]s> to %[3]s", element, value, rule)
	case FormBlocks:
		return fmt.Sprintf("add %q to %s", f.name(element)+" "+value, rule)
	}
	return fmt.Sprintf("add %q to %s of %s", value, f.name(element), rule)
}

// addVary says how to have caches told that responses depend on the origin.
func (f Form) addVary() string {
	switch f {
	case FormXML:
		return "add <ResponseVary>true</ResponseVary> to CORSConfiguration, or response_vary to the oss_cors directive"
	case FormOSSJSON:
		return `add "ResponseVary": true to the document, or response_vary to the oss_cors directive`
	}
	return "add response_vary to the oss_cors directive"
}
