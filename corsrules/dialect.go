package corsrules

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Dialect says whose documents Parse takes, OSS's, S3's or both, and whose decisions and
// answers a request gets, OSS's or S3's.
type Dialect uint8

const (
	// DialectOSS takes what OSS's PutBucketCors takes. It is the default.
	DialectOSS Dialect = iota

	// DialectS3 takes what S3's PutBucketCors takes: up to 100 rules and 64 KB, an ID of
	// up to 255 characters, an empty AllowedOrigin, which matches nothing, any printable
	// ASCII in a header name; no ResponseVary. AllowedHeaders keep their case.
	DialectS3

	// DialectAny takes what either of the others takes. It is for loading documents that
	// clients of both stores have put.
	DialectAny
)

const (
	// MaxDocumentBytes is OSS's limit on a CORSConfiguration document.
	MaxDocumentBytes = 16 << 10

	// MaxS3DocumentBytes is S3's limit on a CORSConfiguration document.
	MaxS3DocumentBytes = 64 << 10

	// DefaultMaxRules is how many rules OSS allows; Options.MaxRules raises it.
	DefaultMaxRules = 10

	// MostRules is the most that a user can raise Options.MaxRules to: a document of 16384
	// bytes has no room for more rules, and each has its series in metrics.
	MostRules = 200

	// newerMaxRules is how many rules OSS's newer pages speak of.
	newerMaxRules = 20

	// DefaultMaxS3Rules is how many rules S3 allows; Options.MaxRules lowers or raises it.
	DefaultMaxS3Rules = 100

	// maxS3IDCharacters is S3's limit on the ID of a rule.
	maxS3IDCharacters = 255
)

// MaxBytes is how long a document may be, in bytes.
func (d Dialect) MaxBytes() int {
	if d == DialectOSS {
		return MaxDocumentBytes
	}
	return MaxS3DocumentBytes
}

// DefaultMaxRules is how many rules a document may have, unless Options say otherwise.
func (d Dialect) DefaultMaxRules() int {
	if d == DialectOSS {
		return DefaultMaxRules
	}
	return DefaultMaxS3Rules
}

// rootElements are those of a CORSConfiguration.
func (d Dialect) rootElements() []string {
	if d == DialectS3 {
		return []string{"CORSRule"}
	}
	return []string{"CORSRule", "ResponseVary"}
}

// check returns what is wrong with a value of an element of a CORSRule, in words that
// follow the element's name, or "".
func (d Dialect) check(form Form, element, value string) string {
	switch element {
	case "ID":
		return d.checkID(value)
	case "AllowedOrigin":
		return d.checkOrigin(form, value)
	case "AllowedMethod":
		return checkMethod(form, value)
	case "AllowedHeader":
		return d.checkAllowedHeader(form, value)
	case "ExposeHeader":
		return d.checkExposeHeader(form, value)
	case "MaxAgeSeconds":
		return checkMaxAge(value)
	}
	return ""
}

func (d Dialect) checkOrigin(form Form, origin string) string {
	if origin == "" && d != DialectOSS {
		return ""
	}
	return checkOrigin(form, origin)
}

func (d Dialect) checkAllowedHeader(form Form, name string) string {
	problem := checkAllowedHeader(form, name)
	if d == DialectOSS || problem == "" || strings.Count(name, "*") > 1 {
		return problem
	}
	return checkS3HeaderName(name)
}

func (d Dialect) checkExposeHeader(form Form, name string) string {
	problem := checkExposeHeader(form, name)
	if d == DialectOSS || problem == "" || strings.Contains(name, "*") {
		return problem
	}
	return checkS3HeaderName(name)
}

// checkS3HeaderName takes what S3 takes (it does not check that it is a header name), but
// for what cannot be sent in a header.
func checkS3HeaderName(name string) string {
	if name == "" {
		return "is empty: give a header name"
	}
	for _, c := range name {
		if c < ' ' || '~' < c {
			return fmt.Sprintf("%s has a character that cannot be in a header name (%U)", quoteShort(name), c)
		}
	}
	return ""
}

// storedHeader returns an AllowedHeader as the store keeps it.
func (d Dialect) storedHeader(name string) string {
	if d == DialectOSS {
		return strings.ToLower(name)
	}
	return name
}

func (d Dialect) checkID(id string) string {
	if n := utf8.RuneCountInString(id); d == DialectS3 && n > maxS3IDCharacters {
		return fmt.Sprintf("has %d characters: at most %d are allowed", n, maxS3IDCharacters)
	}
	return ""
}
