package bucketapi

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/caddy-oss-cors/caddy-oss-cors/corsrules"
)

// Key is an access key. Package fmt never prints its secret; its JSON form, which is how
// it is configured, contains it.
type Key struct {
	// ID names the key: 1 to 128 characters of letters, digits and !#$%&'*+-.^_`|~.
	// Required.
	ID string `json:"id,omitempty"`

	// Secret is what requests are signed with, without white space at its ends. Required.
	Secret string `json:"secret,omitempty"`

	// Buckets are the buckets that the key acts on, each a name, or a pattern with
	// one "*", which stands for any run of characters, including none. At least one is
	// required.
	Buckets []string `json:"buckets,omitempty"`
}

// Format implements fmt.Formatter for every verb, so that no way of printing a key, or a
// value that contains one, shows its secret.
func (k Key) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "access key %q for %q", k.ID, k.Buckets)
}

// maxKeyIDBytes is far above the IDs of OSS and AWS, which have 16 to 30 bytes.
const maxKeyIDBytes = 128

// check reports everything that is wrong with a key.
func (k Key) check() error {
	var errs []error
	wrong := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("access key %q: "+format, append([]any{k.ID}, args...)...))
	}
	if !corsrules.IsToken(k.ID) || len(k.ID) > maxKeyIDBytes {
		wrong("the ID must be 1 to %d characters long, of letters, digits and !#$%%&'*+-.^_`|~", maxKeyIDBytes)
	}
	switch {
	case k.Secret == "":
		wrong("the secret is empty")
	case strings.TrimSpace(k.Secret) != k.Secret:
		wrong("the secret begins or ends with white space: remove it")
	}
	if len(k.Buckets) == 0 {
		wrong("no buckets: name those that the key acts on, or * for all")
	}
	for _, pattern := range k.Buckets {
		if problem := checkPattern(pattern); problem != "" {
			wrong("bucket %q %s", pattern, problem)
		}
	}
	return errors.Join(errs...)
}

func checkPattern(pattern string) string {
	switch {
	case pattern == "":
		return "is empty"
	case strings.Count(pattern, "*") > 1:
		return "has more than one *: at most one is allowed"
	case strings.Trim(pattern, "abcdefghijklmnopqrstuvwxyz0123456789-*") != "":
		return "matches no bucket: bucket names have only a-z, 0-9 and -"
	}
	return ""
}

// actsOn reports whether a bucket is one of the key's.
func (k Key) actsOn(bucket string) bool {
	return slices.ContainsFunc(k.Buckets, func(pattern string) bool { return corsrules.Match(pattern, bucket) })
}
