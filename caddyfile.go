package osscors

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"go.uber.org/zap"

	"github.com/caddy-oss-cors/caddy-oss-cors/bucketapi"
	"github.com/caddy-oss-cors/caddy-oss-cors/corsrules"
	"github.com/caddy-oss-cors/caddy-oss-cors/rulesource"
)

func init() {
	httpcaddyfile.RegisterDirective("oss_cors", parseDirective)

	// Ahead of header, so that what it sets late cannot override ours; ahead of
	// authentication and redirects, for a browser fails a preflight that meets them;
	// and ahead of request_body, so that its 413 can be read across origins.
	httpcaddyfile.RegisterDirectiveOrder("oss_cors", httpcaddyfile.Before, "header")
}

// parseDirective parses the oss_cors directive. Syntax:
//
//	oss_cors [<matcher>] [<file>] {
//		rule [<id>] { … }
//		rules <source> …
//		bucket path | host <domain…> | name <name>
//		bucket_api {
//			access_key <id> <secret> <bucket…>
//		}
//		response_vary
//		allow_credentials
//		dialect oss | s3
//		name <label>
//		shadow <file>
//		denied_origins <n>
//		debug_header
//		debug_preflights
//	}
//
// A file is short for "rules file". As with root, one lone argument is the file even if
// it begins with "/"; where the block has rules or a rule, an argument is a matcher.
func parseDirective(h httpcaddyfile.Helper) ([]httpcaddyfile.ConfigValue, error) {
	args, hasRules := lookAhead(h.Dispenser)
	h.Next() // consume directive name
	fileArgs := 1
	if hasRules {
		fileArgs = 0
	}
	var matcher caddy.ModuleMap
	switch {
	case hasRules && len(args) > 0 && !isMatcher(args[len(args)-1]):
		return nil, h.Errf("the rules are given twice: by %s and in the block; remove one", args[len(args)-1])
	case len(args) > fileArgs+1:
		return nil, h.Errf("too many arguments for oss_cors: %s; it takes a matcher and a rules file, or a matcher alone if its block has rules", strings.Join(args, " "))
	case len(args) == fileArgs+1:
		if !isMatcher(args[0]) {
			return nil, h.Errf("one file is allowed, and there are two: %s; a matcher begins with /, * or @", strings.Join(args, " and "))
		}
		var err error
		if matcher, _, err = h.MatcherToken(); err != nil {
			return nil, err
		}
		h.Delete()
	case len(args) == 1 && strings.HasPrefix(args[0], "@"):
		return nil, h.Errf("oss_cors %s has a matcher but no rules: add a file (oss_cors %s cors.xml) or a block with rules", args[0], args[0])
	}
	h.Reset()
	handler := new(Handler)
	if err := handler.UnmarshalCaddyfile(h.Dispenser); err != nil {
		return nil, err
	}
	warnOfMethods(h, matcher)
	return h.NewRoute(matcher, handler), nil
}

// isMatcher reports whether Caddy takes an argument as a matcher.
func isMatcher(arg string) bool {
	return arg == "*" || strings.HasPrefix(arg, "/") || strings.HasPrefix(arg, "@")
}

// warnOfMethods warns of a matcher that no preflight matches, because it selects methods. Caddy
// has no warning that a directive can add to.
func warnOfMethods(h httpcaddyfile.Helper, matcher caddy.ModuleMap) {
	var methods []string
	if json.Unmarshal(matcher["method"], &methods) == nil && !slices.Contains(methods, http.MethodOptions) {
		caddy.Log().Named("http.handlers.oss_cors").Warn("the matcher of oss_cors selects methods, without OPTIONS: preflights do not reach oss_cors; match by path or host",
			zap.String("file", h.File()), zap.Int("line", h.Line()), zap.Strings("methods", methods))
	}
}

// lookAhead returns the directive's arguments and whether its block has rules or a rule, and
// rewinds.
func lookAhead(d *caddyfile.Dispenser) (args []string, hasRules bool) {
	d.Next() // consume directive name
	args = d.RemainingArgs()
	for d.NextBlock(0) {
		hasRules = hasRules || d.Val() == "rules" || d.Val() == "rule"
		d.RemainingArgs()
		for nesting := d.Nesting(); d.NextBlock(nesting); { // a source's own options
		}
	}
	d.Reset()
	return args, hasRules
}

// UnmarshalCaddyfile sets up the handler from the directive's tokens, its matcher left
// out.
func (h *Handler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume directive name
	if d.NextArg() {
		h.RulesRaw = sourceJSON(&rulesource.File{Path: d.Val()}, "file")
	}
	if d.NextArg() {
		return d.Errf("oss_cors takes one file; found another argument: %s", d.Val())
	}
	seen, last := map[string]bool{}, ""
	var blocks rulesource.RuleBlocks
	for d.NextBlock(0) {
		option := d.Val()
		switch {
		case option == "rule":
			blocks.UnmarshalRule(d)
			continue
		case option == "{":
			return d.Errf("%s does not take a block { … }", last)
		case seen[option]:
			return d.Errf("%s is given twice", option)
		}
		seen[option], last = true, option
		if err := h.unmarshalOption(d, option); err != nil {
			return err
		}
	}
	return h.useBlocks(d, &blocks)
}

// useBlocks makes the rule blocks the source of the rules, unless there are none and there
// is another source.
func (h *Handler) useBlocks(d *caddyfile.Dispenser, blocks *rulesource.RuleBlocks) error {
	hasBlocks, hasSource := len(blocks.Source.Blocks) > 0, len(h.RulesRaw) > 0
	switch {
	case hasBlocks && hasSource:
		return d.Err("oss_cors has rule blocks and another source of rules: keep one of them")
	case hasBlocks:
		h.RulesRaw = sourceJSON(&blocks.Source, "config")
		if faults := blocks.Check(h.AllowCredentials); len(faults) > 0 {
			return fmt.Errorf("oss_cors rules:\n%w", faults)
		}
	case !hasSource:
		return d.Err("oss_cors has no rules: give it a file (oss_cors cors.xml) or a block with rule { … }, rules file, rules inline or another source")
	}
	return nil
}

func (h *Handler) unmarshalOption(d *caddyfile.Dispenser, option string) error {
	switch option {
	case "rules":
		return h.unmarshalRules(d)
	case "bucket":
		return h.unmarshalBucket(d)
	case "bucket_api":
		return h.unmarshalBucketAPI(d)
	case "response_vary":
		return flag(d, &h.ResponseVary)
	case "allow_credentials":
		return flag(d, &h.AllowCredentials)
	case "dialect":
		return h.unmarshalDialect(d)
	case "name":
		return argument(d, &h.Name, "the ruleset label of metrics and logs")
	case "shadow":
		return argument(d, &h.Shadow, "the path of a document of candidate rules")
	case "denied_origins":
		return h.unmarshalDeniedOrigins(d)
	case "debug_header":
		return flag(d, &h.DebugHeader)
	case "debug_preflights":
		return flag(d, &h.DebugPreflights)
	}
	return d.Err(rulesource.UnrecognizedByDirective(option))
}

func (h *Handler) unmarshalDialect(d *caddyfile.Dispenser) error {
	if err := argument(d, &h.Dialect, "oss or s3"); err != nil {
		return err
	}
	if _, err := corsrules.DialectNamed(h.Dialect); err != nil {
		return d.Err(err.Error())
	}
	return nil
}

func (h *Handler) unmarshalRules(d *caddyfile.Dispenser) error {
	if !d.NextArg() {
		return d.Errf("rules takes a source: there are %s", strings.Join(sourceNames(), ", "))
	}
	source := d.Val()
	if source == "config" {
		return d.Err("rules config is for JSON: in a Caddyfile write rule blocks, rule { … }")
	}
	if _, err := caddy.GetModule(rulesource.Namespace + "." + source); err != nil {
		return d.Errf("unknown source of rules '%s': there are %s", source, strings.Join(sourceNames(), ", "))
	}
	module, err := caddyfile.UnmarshalModule(d, rulesource.Namespace+"."+source)
	if err != nil {
		return err
	}
	h.RulesRaw = sourceJSON(module, source)
	return nil
}

func (h *Handler) unmarshalBucket(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	switch {
	case len(args) == 1 && args[0] == "path":
		h.Bucket = &Bucket{Path: true}
	case len(args) >= 2 && args[0] == "host":
		h.Bucket = &Bucket{Host: args[1:]}
	case len(args) == 2 && args[0] == "name":
		h.Bucket = &Bucket{Name: args[1]}
	default:
		return d.Errf("bucket is one of: bucket path, bucket host <domain…>, bucket name <name>; found: %s", asWritten("bucket", args))
	}
	return nil
}

func (h *Handler) unmarshalBucketAPI(d *caddyfile.Dispenser) error {
	if d.NextArg() {
		return d.Errf("bucket_api takes a block with access_key <id> <secret> <bucket…>; found: bucket_api %s", d.Val())
	}
	h.BucketAPI = new(BucketAPI)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		switch d.Val() {
		case "access_key":
		case "{":
			return d.Err("access_key does not take a block { … }")
		default:
			return d.Err(rulesource.Unrecognized(d.Val(), "bucket_api", []string{"access_key"}))
		}
		args := d.RemainingArgs()
		if len(args) < 3 {
			return d.Errf("access_key takes an ID, a secret, and one or more buckets (* for all): access_key <id> <secret> <bucket…>; found %s", rulesource.ArgumentCount(args)) // one may be a secret
		}
		h.BucketAPI.AccessKeys = append(h.BucketAPI.AccessKeys, bucketapi.Key{ID: args[0], Secret: args[1], Buckets: args[2:]})
	}
	return nil
}

func (h *Handler) unmarshalDeniedOrigins(d *caddyfile.Dispenser) error {
	var arg string
	if err := argument(d, &arg, "how many are shown by name, 0 for none"); err != nil {
		return err
	}
	n, err := strconv.Atoi(arg)
	if err != nil || n < 0 {
		return d.Errf("denied_origins %s: a whole number is needed, 0 for none", arg)
	}
	h.DeniedOrigins = &n
	return nil
}

func sourceJSON(source any, name string) []byte {
	return caddyconfig.JSONModuleObject(source, "source", name, nil)
}

func sourceNames() []string {
	var names []string
	for _, module := range caddy.GetModules(rulesource.Namespace) {
		if name := module.ID.Name(); name != "config" { // which is written as rule blocks
			names = append(names, name)
		}
	}
	return names
}

// argument sets an option that takes one argument; what says what that is.
func argument(d *caddyfile.Dispenser, option *string, what string) error {
	name, args := d.Val(), d.RemainingArgs()
	if len(args) != 1 || args[0] == "" {
		return d.Errf("%s takes exactly one argument: %s; found: %s", name, what, asWritten(name, args))
	}
	*option = args[0]
	return nil
}

// asWritten returns an option with its arguments, for a message.
func asWritten(name string, args []string) string {
	return strings.Join(append([]string{name}, args...), " ")
}

// flag sets an option that takes no argument.
func flag(d *caddyfile.Dispenser, option *bool) error {
	if name := d.Val(); d.NextArg() {
		return d.Errf("%s takes no argument; found: %s", name, d.Val())
	}
	*option = true
	return nil
}

var _ caddyfile.Unmarshaler = (*Handler)(nil)
