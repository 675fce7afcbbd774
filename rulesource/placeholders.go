package rulesource

import (
	"fmt"
	"strings"

	"github.com/caddyserver/caddy/v2"
)

// Expand expands the global placeholders of a value in the configuration, such as {env.ORIGIN},
// each of which must have a value. The error has the placeholder, and nothing else of the value,
// which may be a secret.
func Expand(value string) (string, error) {
	return caddy.NewReplacer().ReplaceFunc(value, func(key string, expanded any) (any, error) {
		if caddy.ToString(expanded) != "" {
			return expanded, nil
		}
		if variable, ok := strings.CutPrefix(key, "env."); ok {
			return nil, fmt.Errorf("{%s} has no value: set the variable %s in Caddy's environment", key, variable)
		}
		if file, ok := strings.CutPrefix(key, "file."); ok {
			return nil, fmt.Errorf("{%s} has no value: the file %s is empty or cannot be read; write one that Caddy can read", key, file)
		}
		if expanded == nil {
			return nil, fmt.Errorf("{%s} cannot be used here: only global placeholders can, such as {env.ORIGIN} and {file./run/origin}", key)
		}
		return nil, fmt.Errorf("{%s} has no value: write the value itself", key)
	})
}
