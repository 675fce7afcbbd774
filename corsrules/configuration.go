package corsrules

import (
	"bytes"
	"strconv"

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
}

// CORSRule is one CORSRule element.
type CORSRule struct {
	// ID is S3's name of a rule. OSS has none; it may be any text, or empty.
	ID string

	// AllowedOrigins has at least one origin, each exact or with one "*", which
	// stands for any run of characters, the empty one included.
	AllowedOrigins []string

	// AllowedMethods has at least one of GET, PUT, DELETE, POST and HEAD.
	AllowedMethods []string

	// AllowedHeaders are the names that a preflight may ask for, in lower case,
	// each exact or with one "*". Without any, no preflight that asks for a
	// header matches this rule.
	AllowedHeaders []string

	// ExposeHeaders are the response headers that scripts may read, as written.
	ExposeHeaders []string

	// MaxAgeSeconds is how long browsers may cache a preflight's answer, in
	// seconds, 0 to 999999999. nil: the rule does not say, and no
	// Access-Control-Max-Age is sent.
	MaxAgeSeconds *int
}

// Marshal returns c as OSS's GetBucketCors does: UTF-8, two-space indent, no
// namespace, each element only if set, but ResponseVary always. An ID, which OSS
// does not know, comes first in its rule.
func (c *Configuration) Marshal() []byte {
	var b bytes.Buffer
	b.WriteString("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<CORSConfiguration>\n")
	for i := range c.Rules {
		c.Rules[i].marshal(&b)
	}
	b.WriteString("  <ResponseVary>" + strconv.FormatBool(c.ResponseVary) + "</ResponseVary>\n</CORSConfiguration>\n")
	return b.Bytes()
}

func (r *CORSRule) marshal(b *bytes.Buffer) {
	element := func(name string, values ...string) {
		for _, value := range values {
			b.WriteString("    <" + name + ">" + xmltext.Escape(value) + "</" + name + ">\n")
		}
	}
	b.WriteString("  <CORSRule>\n")
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
	b.WriteString("  </CORSRule>\n")
}
