package osscors

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-oss-cors/caddy-oss-cors/rulesource"
)

// Bucket says which bucket a request is for. Exactly one of its fields is set.
type Bucket struct {
	// Path takes the first segment of the path: /bucket/key.
	Path bool `json:"path,omitempty"`

	// Host takes what stands before one of these domains in the request's Host:
	// bucket.domain/key; and where Host is the domain itself, the first segment of
	// the path, as stores do. Domains are without scheme, port, path and *.
	Host []string `json:"host,omitempty"`

	// Name is the bucket's name; it may have placeholders, such as
	// {http.request.host.labels.3}. The whole path is the key.
	Name string `json:"name,omitempty"`
}

func (b *Bucket) validate() error {
	var found []string
	for kind, isSet := range map[string]bool{"path": b.Path, "host": len(b.Host) > 0, "name": b.Name != ""} {
		if isSet {
			found = append(found, kind)
		}
	}
	if len(found) != 1 {
		slices.Sort(found)
		return fmt.Errorf("bucket takes exactly one of path, host and name; found %d of them: %s", len(found), strings.Join(found, ", "))
	}
	for _, domain := range b.Host {
		if net.ParseIP(domain) == nil && !isDomain(domain) {
			return fmt.Errorf("bucket host %q is not a domain: write it without scheme, port, path and *, such as oss.example.com", domain)
		}
	}
	if b.Name != "" && !strings.Contains(b.Name, "{") && !rulesource.IsBucketName(b.Name) {
		return fmt.Errorf("bucket name %q cannot be a bucket's name: write 3 to 63 of a-z, 0-9 and -, and no - at either end; or a placeholder", b.Name)
	}
	return nil
}

// isDomain reports whether a request's Host, without its port, can be a domain.
func isDomain(domain string) bool {
	return domain != "" && strings.Trim(strings.ToLower(domain), "abcdefghijklmnopqrstuvwxyz0123456789-_.") == "" &&
		!strings.HasPrefix(domain, ".") && !strings.Contains(domain, "..")
}

// of returns what r names as its bucket, which may be any text, and the rest of the path,
// the object's key.
func (b *Bucket) of(r *http.Request) (name, key string) {
	path := strings.TrimPrefix(r.URL.EscapedPath(), "/")
	switch {
	case b.Path:
		name, key, _ = strings.Cut(path, "/")
		return name, key
	case b.Name != "":
		repl := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
		return repl.ReplaceAll(b.Name, ""), path
	}
	return b.ofHost(r.Host, path)
}

// validBucket returns name, or "" where it is not a bucket's: OSS does not allow the name, or
// the path has a "." or ".." segment, so that the origin server may take it for another
// bucket's.
func validBucket(name, path string) string {
	if !rulesource.IsBucketName(name) || hasDotSegment(path) {
		return ""
	}
	return name
}

func (b *Bucket) ofHost(host, path string) (bucket, key string) {
	bracketed := strings.HasPrefix(host, "[")
	host = strings.ToLower((&url.URL{Host: host}).Hostname()) // an IPv6 address without its brackets
	if bracketed && !strings.Contains(host, ":") {            // which nothing else has (RFC 3986, section 3.2.2)
		return "", path
	}
	for _, domain := range b.Host {
		domain = strings.ToLower(domain)
		if host == domain {
			bucket, key, _ = strings.Cut(path, "/")
			return bucket, key
		}
		if bucket, ok := strings.CutSuffix(host, "."+domain); ok {
			return bucket, path
		}
	}
	return "", path
}

// hasDotSegment reports whether a path has a "." or ".." segment, be it between slashes or
// the backslashes that some servers take for such.
func hasDotSegment(path string) bool {
	for segment := range strings.FieldsFuncSeq(path, func(r rune) bool { return r == '/' || r == '\\' }) {
		if segment == "." || segment == ".." {
			return true
		}
	}
	return false
}
