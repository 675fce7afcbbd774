package corsrules

import (
	_ "embed"
	"slices"
	"strings"

	"golang.org/x/net/publicsuffix"
)

// suffixParents are the domains, one a line, that are not public suffixes themselves but
// have public suffixes below them: amazonaws.com has s3.amazonaws.com. Package
// publicsuffix does not tell. TestSuffixParents writes the file anew.
//
//go:embed suffix_parents.txt
var suffixParents string

// privateNames are those under which nobody can register a name: RFC 6761, RFC 8375, and
// the names that RFC 6762, appendix G, found in private networks.
var privateNames = []string{
	"localhost", "test", "example", "invalid", "home.arpa",
	"local", "internal", "intranet", "private", "corp", "home", "lan",
}

// anybodyUnder reports whether anybody can have a host whose name ends in "."+domain. That
// is so where domain is a public suffix (https://publicsuffix.org, both the part about
// registries, such as co.uk, and the part about services, such as vercel.app), or has one
// below it: kawasaki.jp, by the list's rule *.kawasaki.jp. A top-level domain that is not
// on the list counts as public: the list is as old as this program.
func anybodyUnder(domain string) bool {
	domain = strings.TrimSuffix(lower(domain), ".")
	isPrivate := func(name string) bool { return domain == name || strings.HasSuffix(domain, "."+name) }
	switch {
	case hasEmptyLabel(domain):
		return true // no domain that a name can end in
	case endsInNumber(domain[strings.LastIndexByte(domain, '.')+1:]):
		return true // the end of an IPv4 address
	case slices.ContainsFunc(privateNames, isPrivate):
		return false
	}
	return isPublicSuffix(domain) || isPublicSuffix("any."+domain) ||
		strings.Contains(suffixParents, "\n"+domain+"\n")
}

func isPublicSuffix(domain string) bool {
	suffix, _ := publicsuffix.PublicSuffix(domain)
	return suffix == domain
}

// isSubdomain reports whether a domain is below one that somebody registered, who then
// has all names that end like it.
func isSubdomain(domain string) bool {
	registered, err := publicsuffix.EffectiveTLDPlusOne(domain)
	return err == nil && registered != domain
}
