package explain

import (
	"mime"
	"regexp"
	"slices"
	"strings"
)

// https://fetch.spec.whatwg.org/#cors-safelisted-request-header
const (
	maxSafelistedValue = 128  // bytes of one header
	maxSafelistedTotal = 1024 // bytes of all of a request
)

// isSafelisted reports whether a browser sends a header without asking for it in a
// preflight. Where the value is not known, Accept, Accept-Language and Content-Language count
// as safelisted, as nearly all of their values are; Content-Type and Range do not, as scripts
// set them for values such as application/json.
func isSafelisted(h header) bool {
	name := strings.ToLower(h.name)
	if !h.hasValue {
		return slices.Contains([]string{"accept", "accept-language", "content-language"}, name)
	}
	if len(h.value) > maxSafelistedValue {
		return false
	}
	switch name {
	case "accept":
		return !strings.ContainsFunc(h.value, isUnsafe)
	case "accept-language", "content-language":
		return !strings.ContainsFunc(h.value, isNotOfLanguage)
	case "content-type":
		essence, _, err := mime.ParseMediaType(h.value)
		return err == nil && !strings.ContainsFunc(h.value, isUnsafe) && slices.Contains(safelistedTypes, essence)
	case "range":
		return simpleRange.MatchString(h.value)
	}
	return false
}

var safelistedTypes = []string{"application/x-www-form-urlencoded", "multipart/form-data", "text/plain"}

// simpleRange matches one range that has a beginning
// (https://fetch.spec.whatwg.org/#simple-range-header-value).
var simpleRange = regexp.MustCompile(`^bytes=\d+-\d*$`)

// isUnsafe reports whether r is a CORS-unsafe request-header byte
// (https://fetch.spec.whatwg.org/#cors-unsafe-request-header-byte).
func isUnsafe(r rune) bool {
	return r < ' ' && r != '\t' || r == 0x7f || strings.ContainsRune(`"():<>?@[\]{}`, r)
}

func isNotOfLanguage(r rune) bool {
	letter := 'a' <= r|0x20 && r|0x20 <= 'z'
	digit := '0' <= r && r <= '9'
	return !letter && !digit && !strings.ContainsRune(" *,-.;=", r)
}

// allSafelisted reports whether the values of all safelisted headers are together short
// enough for any to be (https://fetch.spec.whatwg.org/#cors-unsafe-request-header-names).
func allSafelisted(headers []header) bool {
	total := 0
	for _, h := range headers {
		if isSafelisted(h) {
			total += len(h.value)
		}
	}
	return total <= maxSafelistedTotal
}
