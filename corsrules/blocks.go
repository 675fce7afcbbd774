package corsrules

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"
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

// CheckBlocks checks rules of the form FormBlocks, as Parse checks a document's: at most
// MaxBlocks rules, and MaxDocumentBytes of values. The methods may be any that a preflight can
// ask for. It returns all faults.
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

// IsBlockMethod reports whether a rule block can allow a method.
func IsBlockMethod(method string) bool { return checkBlockMethod(method) == "" }

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

// MarshalBlocks returns c as an oss_cors directive with rule blocks, formatted as "caddy fmt"
// does. What blocks cannot say is an error.
func (c *Configuration) MarshalBlocks() ([]byte, error) {
	faults := CheckBlocks(c.Rules, BlockOptions{
		Place: func(i int, _ string, _ int) (string, int) { return fmt.Sprintf("rule %d", i+1), 0 },
	})
	if len(faults) > 0 {
		return nil, faults
	}
	w := new(blockWriter)
	w.line(0, "oss_cors", "{")
	for i := range c.Rules {
		w.rule(&c.Rules[i])
	}
	if c.ResponseVary {
		w.line(1, "response_vary")
	}
	w.line(0, "}")
	return []byte(w.text.String()), errors.Join(w.errs...)
}

type blockWriter struct {
	text strings.Builder
	errs []error
}

func (w *blockWriter) line(indent int, words ...string) {
	w.text.WriteString(strings.Repeat("\t", indent) + strings.Join(words, " ") + "\n")
}

func (w *blockWriter) rule(r *CORSRule) {
	if r.ID == "" {
		w.line(1, "rule", "{")
	} else {
		w.line(1, "rule", w.token(r.ID), "{")
	}
	w.option("AllowedOrigin", r.AllowedOrigins...)
	w.option("AllowedMethod", r.AllowedMethods...)
	w.option("AllowedHeader", r.AllowedHeaders...)
	w.option("ExposeHeader", r.ExposeHeaders...)
	if r.MaxAgeSeconds != nil {
		w.option("MaxAgeSeconds", shortDuration(*r.MaxAgeSeconds))
	}
	w.line(1, "}")
}

func (w *blockWriter) option(element string, values ...string) {
	if len(values) == 0 {
		return
	}
	words := []string{FormBlocks.name(element)}
	for _, value := range values {
		words = append(words, w.token(value))
	}
	w.line(2, words...)
}

// shortDuration returns seconds as people write durations: 1h, 10m, 90s.
func shortDuration(seconds int) string {
	switch {
	case seconds > 0 && seconds%3600 == 0:
		return strconv.Itoa(seconds/3600) + "h"
	case seconds > 0 && seconds%60 == 0:
		return strconv.Itoa(seconds/60) + "m"
	}
	return strconv.Itoa(seconds) + "s"
}

// token returns a value as a token of a Caddyfile.
func (w *blockWriter) token(value string) string {
	special := func(c rune) bool { return unicode.IsSpace(c) || strings.ContainsRune("\"`\\#<", c) }
	switch {
	case strings.ContainsAny(value, "{}"):
		w.errs = append(w.errs, fmt.Errorf("%s: Caddy expands what is in braces", quoteShort(value)))
	case !strings.ContainsFunc(value, special):
		return value
	case !strings.Contains(value, "`"):
		return "`" + value + "`"
	case !strings.Contains(value, `\`):
		return `"` + strings.ReplaceAll(value, `"`, `\"`) + `"`
	default:
		w.errs = append(w.errs, fmt.Errorf("%s: a Caddyfile cannot quote both ` and \\", quoteShort(value)))
	}
	return ""
}
