package rulesource

import (
	"errors"

	"github.com/caddy-oss-cors/caddy-oss-cors/corsrules"
)

// ShadowOf returns a source of candidate rules, to be judged beside those of live: a file,
// with live's refresh and max_rules. Only a source of one document has a shadow.
func ShadowOf(live Source, path string) (Source, error) {
	switch live := live.(type) {
	case *File:
		return &File{Path: path, RefreshOptions: live.RefreshOptions}, nil
	case *Inline:
		return &File{Path: path, RefreshOptions: RefreshOptions{MaxRules: live.MaxRules}}, nil
	case *Config:
		return &File{Path: path, RefreshOptions: RefreshOptions{MaxRules: corsrules.MaxBlocks}}, nil
	}
	return nil, errors.New("shadow stands beside rules file or rules inline only: other sources have many documents")
}
