package corsrules

import (
	"slices"
	"strconv"
	"strings"
)

// Ruleset is a compiled Configuration: immutable, and safe for any number of
// goroutines. A nil *Ruleset is a bucket without CORS configuration.
type Ruleset struct {
	config *Configuration
	rules  []Rule

	// listing has, for each exact origin in lower case that an Origin header can have,
	// where in listers the indexes of the rules stand that list it, ascending: one
	// look-up however many origins there are.
	listing map[string]span
	listers []uint32
}

// span is a piece of a slice.
type span struct{ start, end uint32 }

// Rule is one compiled rule of a Ruleset.
type Rule struct {
	name   string
	number int

	anyOrigin      bool
	originPatterns []pattern
	methods        methodSet
	headers        *headerSet

	allowMethods, exposeHeaders, maxAge string
}

// Compile turns a Configuration that Parse returned into a Ruleset. It does not check
// it again, and keeps it: do not change it afterwards.
func Compile(cfg *Configuration) *Ruleset {
	rs := &Ruleset{config: cfg, rules: make([]Rule, len(cfg.Rules))}
	names, common := ruleNames(cfg.Rules), shared{map[string]string{}, map[string]*headerSet{}}
	for i, r := range cfg.Rules {
		rs.rules[i] = compileRule(r, names[i], i+1, common)
	}
	rs.list(cfg.Rules)
	return rs
}

func compileRule(r CORSRule, name string, number int, common shared) Rule {
	c := Rule{
		name:          name,
		number:        number,
		headers:       common.headerSet(r.AllowedHeaders),
		allowMethods:  common.text(strings.Join(r.AllowedMethods, ", ")),
		exposeHeaders: common.text(strings.Join(r.ExposeHeaders, ", ")),
	}
	for _, origin := range r.AllowedOrigins {
		if origin == "*" {
			c.anyOrigin = true
		} else if p, ok := newPattern(lower(origin)); ok {
			c.originPatterns = append(c.originPatterns, p)
		}
	}
	for _, method := range r.AllowedMethods {
		c.methods |= methodBit(method)
	}
	if r.MaxAgeSeconds != nil {
		c.maxAge = common.text(strconv.Itoa(*r.MaxAgeSeconds))
	}
	return c
}

// list makes the listing.
func (rs *Ruleset) list(rules []CORSRule) {
	listers := map[string][]uint32{}
	for i, r := range rules {
		for _, origin := range r.AllowedOrigins {
			key := lower(origin)
			if strings.Contains(key, "*") || !isSerializedOrigin(key) { // no Origin header can have that
				continue
			}
			if of := listers[key]; len(of) == 0 || of[len(of)-1] != uint32(i) {
				listers[key] = append(of, uint32(i))
			}
		}
	}
	rs.listing = make(map[string]span, len(listers))
	for key, of := range listers {
		start := uint32(len(rs.listers)) //nolint:gosec // a document of 16 KB lists few origins
		rs.listers = append(rs.listers, of...)
		rs.listing[key] = span{start, uint32(len(rs.listers))} //nolint:gosec // as above
	}
	rs.listers = slices.Clip(rs.listers)
}

// Configuration returns what rs was compiled from. Do not change it.
func (rs *Ruleset) Configuration() *Configuration { return rs.config }

// Len returns the number of rules; 0 for a nil Ruleset.
func (rs *Ruleset) Len() int {
	if rs == nil {
		return 0
	}
	return len(rs.rules)
}

// RuleNames returns the rules' names in their order.
func (rs *Ruleset) RuleNames() []string {
	names := make([]string, rs.Len())
	for i := range names {
		names[i] = rs.rules[i].name
	}
	return names
}

// ResponseVary reports whether every response carries "Vary: Origin".
func (rs *Ruleset) ResponseVary() bool { return rs != nil && rs.config.ResponseVary }

// Name is the rule's ID if that is unique in its document and 1 to 64 of
// A-Z a-z 0-9 . _ - and not all digits; otherwise its number.
func (r *Rule) Name() string { return r.name }

// Number is the rule's place in its document, from 1.
func (r *Rule) Number() int { return r.number }

// AllowMethods is the value of Access-Control-Allow-Methods: all methods of the rule.
func (r *Rule) AllowMethods() string { return r.allowMethods }

// ExposeHeaders is the value of Access-Control-Expose-Headers; empty: none is sent.
func (r *Rule) ExposeHeaders() string { return r.exposeHeaders }

// MaxAge is the value of Access-Control-Max-Age; empty: none is sent.
func (r *Rule) MaxAge() string { return r.maxAge }

// ruleNames returns each rule's ID where it can serve as a name, else its number.
func ruleNames(rules []CORSRule) []string {
	uses := map[string]int{}
	for _, r := range rules {
		uses[r.ID]++
	}
	names := make([]string, len(rules))
	for i, r := range rules {
		if names[i] = r.ID; uses[r.ID] > 1 || !isName(r.ID) {
			names[i] = strconv.Itoa(i + 1)
		}
	}
	return names
}

// maxNameBytes keeps a rule's name short enough to read in a dashboard's legend.
const maxNameBytes = 64

func isName(id string) bool {
	allDigits := true
	for _, c := range []byte(id) {
		digit := '0' <= c && c <= '9'
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		if !digit && !letter && strings.IndexByte("._-", c) < 0 {
			return false
		}
		allDigits = allDigits && digit
	}
	return !allDigits && len(id) <= maxNameBytes
}

// methodSet has a bit for each of OSS's five methods.
type methodSet uint8

// methodBit returns 0 for a method that no rule can allow. Methods are case-sensitive.
func methodBit(method string) methodSet {
	switch method {
	case "GET":
		return 1 << 0
	case "PUT":
		return 1 << 1
	case "DELETE":
		return 1 << 2
	case "POST":
		return 1 << 3
	case "HEAD":
		return 1 << 4
	}
	return 0
}

// lower folds ASCII letters only: origins and header names have no others, and Unicode
// folds other letters into these. It does not allocate where nothing changes.
func lower(s string) string {
	for i := range len(s) {
		if s[i]-'A' <= 'Z'-'A' { // one comparison, on every request's origin
			return string(appendLower(make([]byte, 0, len(s)), s))
		}
	}
	return s
}

func appendLower(dst []byte, s string) []byte {
	for i := range len(s) {
		c := s[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		dst = append(dst, c)
	}
	return dst
}
