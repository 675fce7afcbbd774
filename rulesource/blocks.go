package rulesource

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-oss-cors/caddy-oss-cors/corsrules"
)

// RuleBlocks collects the rule blocks of an oss_cors directive, with their faults and the
// places of their values.
type RuleBlocks struct {
	Source Config

	places []map[string][]place // of each rule, by element
	faults corsrules.Faults
}

// place is where a token stands. It may be in an imported file.
type place struct {
	file string
	line int
}

// UnmarshalRule reads a rule block, whose first token is d's current one. Syntax:
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
func (b *RuleBlocks) UnmarshalRule(d *caddyfile.Dispenser) {
	here := map[string][]place{"CORSRule": {{d.File(), d.Line()}}}
	var rule Block
	switch names := d.RemainingArgs(); len(names) {
	case 0:
	case 1:
		rule.ID, here["ID"] = names[0], here["CORSRule"]
	default:
		b.fault(d, "rule has %d names, %s: give one, or none", len(names), strings.Join(names, " "))
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		b.unmarshalOption(d, &rule, here)
	}
	b.Source.Blocks = append(b.Source.Blocks, rule)
	b.places = append(b.places, here)
}

// ruleOptions are the options of a rule block; documentNames are what JSON calls the same.
var (
	ruleOptions   = []string{"origin", "method", "header", "expose", "max_age"}
	documentNames = []string{"AllowedOrigins", "AllowedMethods", "AllowedHeaders", "ExposeHeaders", "MaxAgeSeconds"}
)

// meantOption returns the option that is meant by a name that is nearly it, or nearly what a
// document calls it; "" if none.
func meantOption(name string) string {
	if option := corsrules.Closest(name, ruleOptions); option != "" {
		return option
	}
	i := slices.Index(documentNames, corsrules.Closest(strings.ReplaceAll(name, "_", ""), documentNames))
	if i < 0 {
		return ""
	}
	return ruleOptions[i]
}

// unmarshalOption reads an option. One that is misspelt has a fault, and is then read as what
// is meant, so that the rule does not seem to lack it.
func (b *RuleBlocks) unmarshalOption(d *caddyfile.Dispenser, rule *Block, here map[string][]place) {
	option := d.Val()
	switch {
	case slices.Contains(ruleOptions, option):
	case strings.EqualFold(option, "id"), option == "name":
		b.fault(d, "unrecognized option '%s': write the rule's name before its block: rule <name> { … }", option)
		option = ""
	case slices.Contains(directiveOptions, option):
		b.fault(d, "%s is an option of oss_cors: write it outside of the rule", option)
		option = ""
	default:
		written := option
		option = meantOption(written)
		b.fault(d, "%s", unrecognized(written, option, "rule", ruleOptions))
	}
	values := func(element string, list []string) []string {
		args := d.RemainingArgs()
		if len(args) == 0 {
			args = []string{""} // which is checked with the other values, and then the only fault
		}
		for range args {
			here[element] = append(here[element], place{d.File(), d.Line()})
		}
		return append(list, args...)
	}
	switch option {
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
		d.RemainingArgs()
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		b.fault(d, "'%s' is in a block, and the options of a rule have none: write the values on one line", d.Val())
	}
}

func (b *RuleBlocks) unmarshalMaxAge(d *caddyfile.Dispenser, rule *Block, here map[string][]place) {
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

func (b *RuleBlocks) fault(d *caddyfile.Dispenser, format string, args ...any) {
	b.faults = append(b.faults, &corsrules.Fault{File: d.File(), Line: d.Line(), Message: fmt.Sprintf(format, args...)})
}

// place is where a value stands, as corsrules.BlockOptions asks for it.
func (b *RuleBlocks) place(i int, element string, k int) (file string, line int) {
	p := b.places[i][element][k]
	return p.file, p.line
}

// Check returns all faults of the blocks as they are written: values with a placeholder, which
// are expanded when the configuration is loaded, are left out.
func (b *RuleBlocks) Check(credentials bool) corsrules.Faults {
	_, faults := b.Source.check(corsrules.BlockOptions{Credentials: credentials, Placeholders: true, Place: b.place})
	return sortedFaults(b.faults, faults)
}

// sortedFaults returns faults in the order of the lines of each file.
func sortedFaults(lists ...corsrules.Faults) corsrules.Faults {
	faults := slices.Concat(lists...)
	slices.SortStableFunc(faults, func(a, b *corsrules.Fault) int {
		return cmp.Or(strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line))
	})
	return faults
}
