package rulesource

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-oss-cors/caddy-oss-cors/corsrules"
)

const (
	// DefaultRefresh is how often a document is read again. Editors, ConfigMaps and bind
	// mounts replace files in ways that change notifications miss; reading does not.
	DefaultRefresh = 5 * time.Second

	// MinRefresh keeps a mistyped unit from keeping a core busy.
	MinRefresh = 10 * time.Millisecond

	// MostRules is the most that max_rules can be.
	MostRules = corsrules.MostRules
)

// RefreshOptions are what every source that reads documents again can be told.
type RefreshOptions struct {
	// Refresh is how often a file is read again, and how old a bucket's document may
	// be when it is used: a change is in force within it. Default: 5s, and 1m for a
	// document at a URL or of a bucket in OSS; at least 10ms.
	Refresh caddy.Duration `json:"refresh,omitempty"`

	// MaxRules is how many rules a document may have, at most 200. Default: 10, as in OSS,
	// and 100, as in S3, with the dialect s3 and for documents in a storage. There the
	// bucket API lets clients of OSS store 10, and clients of S3 100.
	MaxRules int `json:"max_rules,omitempty"`
}

// MaxDocumentRules implements Limited, and Writable.
func (o *RefreshOptions) MaxDocumentRules() int { return o.MaxRules }

func (o *RefreshOptions) unmarshalOptions(d *caddyfile.Dispenser) error {
	return eachOption(d, o.options(d))
}

// options says how each option is read.
func (o *RefreshOptions) options(d *caddyfile.Dispenser) map[string]func() error {
	return map[string]func() error{
		"refresh":   func() error { return unmarshalRefresh(d, &o.Refresh) },
		"max_rules": func() error { return unmarshalMaxRules(d, &o.MaxRules) },
	}
}

// check returns the refresh in force; 0 is the default.
func (o *RefreshOptions) check() (refresh time.Duration, err error) {
	switch refresh = time.Duration(o.Refresh); {
	case refresh == 0:
		refresh = DefaultRefresh
	case refresh < MinRefresh:
		return 0, fmt.Errorf("refresh is %s: at least %s is needed", refresh, MinRefresh)
	}
	return refresh, checkMaxRules(o.MaxRules)
}

// eachOption reads a source's block: each option at most once, and no other.
func eachOption(d *caddyfile.Dispenser, options map[string]func() error) error {
	seen, last := map[string]bool{}, ""
	for d.NextBlock(0) {
		option := d.Val()
		unmarshal, ok := options[option]
		switch {
		case option == "{":
			return d.Errf("%s does not take a block { … }", last)
		case !ok:
			return d.Err(Unrecognized(option, "this source", slices.Sorted(maps.Keys(options))))
		case seen[option]:
			return d.Errf("%s is given twice", option)
		}
		seen[option], last = true, option
		if err := unmarshal(); err != nil {
			return err
		}
	}
	return nil
}

// Unrecognized says that of, such as a source, does not take an option, and which one is meant
// or can be.
func Unrecognized(option, of string, options []string) string {
	return unrecognized(option, corsrules.Closest(option, options), of, options)
}

func unrecognized(option, meant, of string, options []string) string {
	if meant != "" {
		return fmt.Sprintf("unrecognized option '%s': did you mean %s?", option, meant)
	}
	return fmt.Sprintf("unrecognized option '%s': %s takes %s", option, of, strings.Join(options, ", "))
}

// asWritten returns an option with its arguments, for a message.
func asWritten(name string, args []string) string {
	return strings.Join(append([]string{name}, args...), " ")
}

// oneArgument reads the only argument of a source or an option; what says what that is.
func oneArgument(d *caddyfile.Dispenser, name, what string, into *string) error {
	args := d.RemainingArgs()
	if len(args) != 1 {
		return d.Errf("%s takes exactly one argument: %s; found: %s", name, what, asWritten(name, args))
	}
	*into = args[0]
	return nil
}

// oneUnshownArgument is oneArgument for what is long, or may have a secret.
func oneUnshownArgument(d *caddyfile.Dispenser, name, what string, into *string) error {
	args := d.RemainingArgs()
	if len(args) != 1 {
		return d.Errf("%s takes exactly one argument: %s; found %s", name, what, ArgumentCount(args))
	}
	*into = args[0]
	return nil
}

// ArgumentCount says how many arguments there are, for a message where one may be a secret.
func ArgumentCount(args []string) string {
	if len(args) == 1 {
		return "1 argument"
	}
	return fmt.Sprintf("%d arguments", len(args))
}

func unmarshalRefresh(d *caddyfile.Dispenser, refresh *caddy.Duration) error {
	var arg string
	if err := oneArgument(d, "refresh", "a duration such as 5s", &arg); err != nil {
		return err
	}
	duration, err := caddy.ParseDuration(arg)
	if err != nil || duration < MinRefresh {
		return d.Errf("refresh %s: a duration such as 5s is needed, of at least %s", arg, MinRefresh)
	}
	*refresh = caddy.Duration(duration)
	return nil
}

func unmarshalMaxRules(d *caddyfile.Dispenser, maxRules *int) error {
	var arg string
	if err := oneArgument(d, "max_rules", fmt.Sprintf("a whole number from 1 to %d", MostRules), &arg); err != nil {
		return err
	}
	n, err := strconv.Atoi(arg)
	if err != nil || n < 1 || n > MostRules {
		return d.Errf("max_rules %s: a whole number from 1 to %d is needed", arg, MostRules)
	}
	*maxRules = n
	return nil
}

func checkMaxRules(maxRules int) error {
	if maxRules < 0 || maxRules > MostRules {
		return fmt.Errorf("max_rules is %d: a whole number from 1 to %d is needed", maxRules, MostRules)
	}
	return nil
}
