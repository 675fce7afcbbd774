package osscors

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-oss-cors/caddy-oss-cors/corsrules"
	"github.com/caddy-oss-cors/caddy-oss-cors/rulesource"
)

// ruleBlocks collects the rule blocks of a directive, with their faults and the places of
// their values.
type ruleBlocks struct {
	source rulesource.Config
	places []map[string][]place // of each rule, by element
	faults corsrules.Faults
}

// place is where a token stands. It may be in an imported file.
type place struct {
	file string
	line int
}

// unmarshal reads a rule block. Syntax:
//
//	rule [<id>] {
//		origin  <origin…>
//		method  <method…>
//		header  <header…>
//		expose  <header…>
//		max_age <duration>
//	}
//
// Several lines of one option, except max_age, add up. Faults do not stop it: they are
// reported together.
func (b *ruleBlocks) unmarshal(d *caddyfile.Dispenser) {
	here := map[string][]place{"CORSRule": {{d.File(), d.Line()}}}
	var rule rulesource.Block
	switch names := d.RemainingArgs(); len(names) {
	case 0:
	case 1:
		rule.ID = names[0]
	default:
		b.fault(d, "rule has %d names, %s: give one, or none", len(names), strings.Join(names, " "))
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		b.unmarshalOption(d, &rule, here)
	}
	b.source.Blocks = append(b.source.Blocks, rule)
	b.places = append(b.places, here)
}

var ruleOptions = []string{"origin", "method", "header", "expose", "max_age"}

func (b *ruleBlocks) unmarshalOption(d *caddyfile.Dispenser, rule *rulesource.Block, here map[string][]place) {
	values := func(element string, list []string) []string {
		option, before := d.Val(), len(list)
		for d.NextArg() {
			list = append(list, d.Val())
			here[element] = append(here[element], place{d.File(), d.Line()})
		}
		if len(list) == before {
			b.fault(d, "%s has no value: give at least one", option)
		}
		return list
	}
	switch option := d.Val(); option {
	case "origin":
		rule.AllowedOrigins = values("AllowedOrigin", rule.AllowedOrigins)
	case "method":
		rule.AllowedMethods = values("AllowedMethod", rule.AllowedMethods)
	case "header":
		rule.AllowedHeaders = values("AllowedHeader", rule.AllowedHeaders)
	case "expose":
		rule.ExposeHeaders = values("ExposeHeader", rule.ExposeHeaders)
	case "max_age":
		b.unmarshalMaxAge(d, rule, here)
	default:
		b.fault(d, "unrecognized subdirective '%s': rule takes %s", option, strings.Join(ruleOptions, ", "))
		d.RemainingArgs()
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		b.fault(d, "'%s' is in a block, and the options of a rule have none: write the values on one line", d.Val())
	}
}

func (b *ruleBlocks) unmarshalMaxAge(d *caddyfile.Dispenser, rule *rulesource.Block, here map[string][]place) {
	args := d.RemainingArgs()
	if rule.MaxAge != nil {
		b.fault(d, "max_age is given twice")
	}
	if len(args) != 1 {
		b.fault(d, "max_age takes exactly one argument: a duration such as 10m; found: %s", asWritten("max_age", args))
		return
	}
	age, err := caddy.ParseDuration(args[0])
	if err != nil {
		b.fault(d, "max_age %s: a duration such as 10m is needed", args[0])
	}
	rule.MaxAge = new(caddy.Duration(age))
	here["MaxAgeSeconds"] = []place{{d.File(), d.Line()}}
}

func (b *ruleBlocks) fault(d *caddyfile.Dispenser, format string, args ...any) {
	b.faults = append(b.faults, &corsrules.Fault{File: d.File(), Line: d.Line(), Message: fmt.Sprintf(format, args...)})
}

// check returns all faults of the blocks, in the order of the lines of each file.
func (b *ruleBlocks) check(credentials bool) error {
	faults := slices.Concat(b.faults, b.source.Check(credentials, func(i int, element string, k int) (string, int) {
		p := b.places[i][element][k]
		return p.file, p.line
	}))
	if len(faults) == 0 {
		return nil
	}
	slices.SortStableFunc(faults, func(a, b *corsrules.Fault) int {
		return cmp.Or(strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line))
	})
	return fmt.Errorf("oss_cors rules:\n%w", faults)
}
