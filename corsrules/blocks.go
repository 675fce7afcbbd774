package corsrules

import (
	"fmt"
	"strconv"
)

// MaxBlocks is how many rule blocks a Caddyfile may have for one handler: OSS's newer limit
// on the rules of a bucket. More are better kept in a document.
const MaxBlocks = newerMaxRules

// BlockOptions are what CheckBlocks needs to know besides the rules.
type BlockOptions struct {
	// Credentials is as in Options.
	Credentials bool

	// Placeholders leaves out values with a placeholder, which is not expanded yet.
	// Default: false.
	Placeholders bool

	// Place returns the file and the line of the k-th value, from 0, that rule i has of an
	// element; for the element CORSRule, those of the rule itself. Line 0: there are no
	// lines. Required.
	Place func(i int, element string, k int) (file string, line int)
}

// CheckBlocks checks rules of the form FormBlocks, as Parse checks a document's. The methods
// may be any that a preflight can ask for. It returns all faults.
func CheckBlocks(rules []CORSRule, opts BlockOptions) Faults {
	c := &blockChecker{opts: opts}
	if len(rules) > MaxBlocks {
		c.fault(MaxBlocks, "CORSRule", 0, "rule number %d: at most %d are allowed; write a document instead, and max_rules for it", len(rules), MaxBlocks)
	}
	for i, r := range rules {
		if len(r.AllowedOrigins) == 0 {
			c.fault(i, "CORSRule", 0, "the rule has no origin: at least one is needed")
		}
		if len(r.AllowedMethods) == 0 {
			c.fault(i, "CORSRule", 0, "the rule has no method: at least one is needed, such as GET")
		}
		c.values(i, "AllowedOrigin", r.AllowedOrigins)
		c.values(i, "AllowedMethod", r.AllowedMethods)
		c.values(i, "AllowedHeader", r.AllowedHeaders)
		c.values(i, "ExposeHeader", r.ExposeHeaders)
		if r.MaxAgeSeconds != nil {
			c.values(i, "MaxAgeSeconds", []string{strconv.Itoa(*r.MaxAgeSeconds)})
		}
	}
	if c.size > MaxDocumentBytes {
		c.fault(0, "CORSRule", 0, "the values of all rules have %d bytes: at most %d are allowed, as in a document; match the origins of one domain with a *", c.size, MaxDocumentBytes)
	}
	return c.faults
}

type blockChecker struct {
	opts   BlockOptions
	faults Faults
	size   int // of all values, in bytes
}

func (c *blockChecker) values(i int, element string, values []string) {
	for k, value := range values {
		c.size += len(value)
		if c.opts.Placeholders && hasPlaceholder(value) {
			continue
		}
		problem := DialectOSS.check(FormBlocks, element, value)
		if problem == "" && element == "AllowedOrigin" && c.opts.Credentials {
			problem = checkCredentialedOrigin(value)
		}
		if problem != "" {
			c.fault(i, element, k, "%s %s", FormBlocks.name(element), problem)
		}
	}
}

func (c *blockChecker) fault(i int, element string, k int, format string, args ...any) {
	file, line := c.opts.Place(i, element, k)
	c.faults = append(c.faults, &Fault{File: file, Line: line, Message: fmt.Sprintf(format, args...)})
}
