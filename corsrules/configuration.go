package corsrules

import (
	"slices"
	"strconv"
	"strings"

	"github.com/caddy-oss-cors/caddy-oss-cors/internal/xmltext"
)

// Configuration is a CORSConfiguration document as OSS's PutBucketCors takes it.
// Parse makes it; values are trimmed, in the order of the document, duplicates kept.
// One that is built by hand is checked by Parse(c.Marshal(), …).
type Configuration struct {
	// Rules are the CORSRule elements, at least one. The first that matches decides.
	Rules []CORSRule

	// ResponseVary asks for "Vary: Origin" on every response. Default: false.
	ResponseVary bool

	// Form is how the rules are written, which advice uses the words of. Default:
	// FormXML.
	Form Form
}

// CORSRule is one CORSRule element.
type CORSRule struct {
	// ID is S3's name of a rule. OSS has none; it may be any text, or empty.
	ID string

	// AllowedOrigins has at least one origin, each exact or with one "*", which
	// stands for any run of characters, the empty one included. An empty one, which
	// S3 takes, matches nothing.
	AllowedOrigins []string

	// AllowedMethods has at least one of GET, PUT, DELETE, POST and HEAD; in rule blocks
	// it can have others.
	AllowedMethods []string

	// AllowedHeaders are the names that a preflight may ask for, each exact or with
	// one "*", in lower case unless the document was parsed for S3. Without any, no
	// preflight that asks for a header matches this rule.
	AllowedHeaders []string

	// ExposeHeaders are the response headers that scripts may read, as written.
	ExposeHeaders []string

	// MaxAgeSeconds is how long browsers may cache a preflight's answer, in
	// seconds, 0 to 999999999. nil: the rule does not say, and no
	// Access-Control-Max-Age is sent.
	MaxAgeSeconds *int
}

// Marshal returns c as OSS's GetBucketCors does: UTF-8, two-space indent, no
// namespace, AllowedHeaders in lower case, each element only if set, but ResponseVary
// always. An ID, which OSS does not know, comes first in its rule.
func (c *Configuration) Marshal() []byte {
	var b strings.Builder
	b.WriteString("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<CORSConfiguration>\n")
	for _, r := range c.Rules {
		r.AllowedHeaders = slices.Clone(r.AllowedHeaders)
		for i, name := range r.AllowedHeaders {
			r.AllowedHeaders[i] = strings.ToLower(name)
		}
		b.WriteString("  <CORSRule>\n")
		r.marshal(&b, "    ", "\n")
		b.WriteString("  </CORSRule>\n")
	}
	b.WriteString("  <ResponseVary>" + strconv.FormatBool(c.ResponseVary) + "</ResponseVary>\n</CORSConfiguration>\n")
	return []byte(b.String())
}

// MarshalS3 returns c as S3's GetBucketCors does: on one line, in S3's namespace, each
// element only if set, the names of headers as they are in c, and no ResponseVary, which
// S3 does not know. The order of the elements is OSS's: S3's is not known, and its clients
// do not depend on it.
func (c *Configuration) MarshalS3() []byte {
	var b strings.Builder
	b.WriteString("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<CORSConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">")
	for _, r := range c.Rules {
		b.WriteString("<CORSRule>")
		r.marshal(&b, "", "")
		b.WriteString("</CORSRule>")
	}
	b.WriteString("</CORSConfiguration>")
	return []byte(b.String())
}

// marshal writes the elements of a rule, each between before and after.
func (r *CORSRule) marshal(b *strings.Builder, before, after string) {
	element := func(name string, values ...string) {
		for _, value := range values {
			b.WriteString(before)
			xmltext.WriteElement(b, name, value)
			b.WriteString(after)
		}
	}
	if r.ID != "" {
		element("ID", r.ID)
	}
	element("AllowedOrigin", r.AllowedOrigins...)
	element("AllowedMethod", r.AllowedMethods...)
	element("AllowedHeader", r.AllowedHeaders...)
	element("ExposeHeader", r.ExposeHeaders...)
	if r.MaxAgeSeconds != nil {
		element("MaxAgeSeconds", strconv.Itoa(*r.MaxAgeSeconds))
	}
}
