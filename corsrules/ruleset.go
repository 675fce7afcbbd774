package corsrules

import (
	"slices"
	"strconv"
	"strings"
)

// Ruleset is a compiled Configuration: immutable, and safe for any number of
// goroutines. A nil *Ruleset is a bucket without CORS configuration.
type Ruleset struct {
	rules        []Rule
	origins      origins
	responseVary bool
	unavailable  bool
	form         Form
}

// Unavailable stands for rules that exist but cannot be read: it denies each request that
// needs CORS, with the reason RulesUnavailable.
var Unavailable = &Ruleset{unavailable: true}

// Rule is one compiled rule of a Ruleset.
type Rule struct {
	id      string
	origins []string // as written
	effect  *effect

	number    uint32
	idIsName  bool
	anyOrigin bool
}

// Compile turns a Configuration that Parse returned into a Ruleset. It does not check
// the Configuration again.
func Compile(cfg *Configuration) *Ruleset {
	rs := &Ruleset{rules: make([]Rule, len(cfg.Rules)), responseVary: cfg.ResponseVary, form: cfg.Form}
	origins := copyOrigins(cfg.Rules)
	uses := map[string]int{}
	for _, r := range cfg.Rules {
		uses[r.ID]++
	}
	for i, r := range cfg.Rules {
		rs.rules[i] = Rule{
			id:        r.ID,
			origins:   origins[i],
			effect:    effectOf(r),
			number:    uint32(i + 1),
			idIsName:  uses[r.ID] == 1 && isName(r.ID),
			anyOrigin: slices.Contains(r.AllowedOrigins, "*"),
		}
	}
	rs.origins = newOrigins(rs.rules)
	return rs
}

// copyOrigins returns the origins of each rule: parts of one list, whose texts are parts of one
// text. The fewer objects the rules of very many buckets are, the less the garbage collector has
// to mark.
func copyOrigins(rules []CORSRule) [][]string {
	lists := make([][]string, len(rules))
	for i, r := range rules {
		lists[i] = r.AllowedOrigins
	}
	all := slices.Concat(lists...)
	text := strings.Join(all, "")
	for i, origin := range all {
		all[i], text = text[:len(origin)], text[len(origin):]
	}
	for i, list := range lists {
		lists[i], all = all[:len(list):len(list)], all[len(list):]
	}
	return lists
}

// Configuration returns what rs was compiled from. Do not change its lists.
func (rs *Ruleset) Configuration() *Configuration {
	cfg := &Configuration{Rules: make([]CORSRule, len(rs.rules)), ResponseVary: rs.responseVary, Form: rs.form}
	for i := range rs.rules {
		cfg.Rules[i] = rs.rules[i].Source()
	}
	return cfg
}

// Len returns the number of rules; 0 for a nil Ruleset.
func (rs *Ruleset) Len() int {
	if rs == nil {
		return 0
	}
	return len(rs.rules)
}

// AllowsMethod reports whether some rule allows a method.
func (rs *Ruleset) AllowsMethod(method string) bool {
	return rs != nil && slices.ContainsFunc(rs.rules, func(r Rule) bool {
		return slices.Contains(r.effect.source.AllowedMethods, method)
	})
}

// RuleNames returns the rules' names in their order.
func (rs *Ruleset) RuleNames() []string {
	names := make([]string, rs.Len())
	for i := range names {
		names[i] = rs.rules[i].Name()
	}
	return names
}

// ResponseVary reports whether every response carries "Vary: Origin".
func (rs *Ruleset) ResponseVary() bool { return rs != nil && rs.responseVary }

// Name is the rule's ID if that is unique in its document and 1 to 64 of
// A-Z a-z 0-9 . _ - and not all digits; otherwise its number.
func (r *Rule) Name() string {
	if r.idIsName {
		return r.id
	}
	return strconv.Itoa(r.Number())
}

// Number is the rule's place in its document, from 1.
func (r *Rule) Number() int { return int(r.number) }

// Source is what the rule was compiled from. Do not change its lists.
func (r *Rule) Source() CORSRule {
	source := r.effect.source
	source.ID, source.AllowedOrigins = r.id, r.origins
	return source
}

// AllowMethods is the value of Access-Control-Allow-Methods: all methods of the rule.
func (r *Rule) AllowMethods() string { return r.effect.allowMethods }

// ExposeHeaders is the value of Access-Control-Expose-Headers; empty: none is sent.
func (r *Rule) ExposeHeaders() string { return r.effect.exposeHeaders }

// MaxAge is the value of Access-Control-Max-Age; empty: none is sent.
func (r *Rule) MaxAge() string { return r.effect.maxAge }

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

// Methods are those that a rule of a document can allow. A rule block can allow others.
var Methods = []string{"GET", "PUT", "DELETE", "POST", "HEAD"}

var methodsInWords = strings.Join(Methods[:len(Methods)-1], ", ") + " and " + Methods[len(Methods)-1]
