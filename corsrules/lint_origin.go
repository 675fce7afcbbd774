package corsrules

import (
	"fmt"
	"slices"
	"strings"
)

// originProblem is a finding on an AllowedOrigin by itself.
type originProblem struct {
	code, message string
	advice        string // where there is no cure
}

// originProblems returns what is wrong with an AllowedOrigin.
func originProblems(origin string) []originProblem {
	checks := []func(origin string) originProblem{unsendable, checkUpperCase}
	if sendable(lower(origin)) && len(strings.Replace(origin, "*", "", 1)) <= MaxOriginBytes {
		checks = []func(origin string) originProblem{checkNull, checkNoScheme, checkUpperCase, checkWildcard}
	}
	var problems []originProblem
	for _, check := range checks {
		if p := check(origin); p.code != "" {
			problems = append(problems, p)
		}
	}
	return problems
}

// maxCure is how many origins are advised at most for one value: what fits in a message.
const maxCure = 20

// originCure returns what to write in place of an origin that has problems: one origin, or
// several in a list. It is nil where that is not known, or has problems itself.
func originCure(origin string) []string {
	list := splitList(origin)
	if hasPlaceholder(origin) || len(list) > maxCure {
		return nil
	}
	var all, cure []string
	for _, part := range list {
		all = append(all, cureOne(part)...)
	}
	for i, o := range all {
		wider := func(other string) bool { return other != o && covers(other, o) }
		if !slices.Contains(all[:i], o) && !slices.ContainsFunc(all, wider) {
			cure = append(cure, o)
		}
	}
	if len(cure) == 0 || slices.ContainsFunc(cure, func(o string) bool { return len(originProblems(o)) > 0 }) {
		return nil
	}
	return cure
}

func cureOne(origin string) []string {
	origin = lower(origin)
	if checkNoScheme(origin).code != "" {
		if _, rest, ok := strings.Cut(origin, "://"); ok {
			origin = rest
		}
		origin = "https://" + origin
	}
	if !sendable(origin) {
		origin = repairOrigin(origin).text
	}
	// https://*example.com: the domain and its sub-domains are meant.
	scheme, domain, ok := strings.Cut(origin, "://*")
	if ok && checkWildcard(origin).code == LintGluedWildcard && !strings.HasPrefix(domain, "-") {
		return []string{scheme + "://*." + domain, scheme + "://" + domain}
	}
	return []string{origin}
}

// unsendable says why no browser sends an origin.
func unsendable(origin string) originProblem {
	bytes := len(strings.Replace(origin, "*", "", 1))
	quoted := quoteShort(origin)
	switch {
	case origin == "": // S3 takes it
		return originProblem{LintUnmatchableOrigin, "an empty AllowedOrigin matches no request", "remove it"}
	case bytes > MaxOriginBytes:
		return originProblem{
			LintUnmatchableOrigin,
			fmt.Sprintf("an origin of %d bytes matches no request: longer ones than %d are not looked at", bytes, MaxOriginBytes),
			"remove it, or correct it: a host name has at most 253",
		}
	case hasPlaceholder(origin), strings.HasPrefix(origin, "$"), strings.Contains(origin, "://$"):
		return originProblem{LintPlaceholder, quoted + " matches no browser's origin: " + notExpanded, "write the origin itself, such as https://app.example.com"}
	case len(splitList(origin)) > 1 && !isRegexp(origin):
		return originProblem{LintUnmatchableOrigin, quoted + " is a list, which is compared as one origin", "write each origin in an AllowedOrigin of its own"}
	}
	r := repairOrigin(origin)
	if r.problem == "" {
		r.code, r.problem = LintUnmatchableOrigin, "matches no browser's origin: put the * in the place of a host, of its first label or of a port"
	}
	return originProblem{r.code, quoted + " " + r.problem, "write what browsers send, such as https://app.example.com"}
}

func checkNull(origin string) originProblem {
	if origin == "*" || !covers(origin, "null") {
		return originProblem{}
	}
	return originProblem{
		LintNullOrigin,
		quoteShort(origin) + " lets every site in: any page can send the null origin, from a sandboxed frame",
		"serve the page from an origin of its own, local files from http://localhost, and list that origin",
	}
}

// checkNoScheme finds patterns whose * stands for the scheme. That of http*:// is not open: it
// says http.
func checkNoScheme(origin string) originProblem {
	scheme, _, ok := strings.Cut(lower(origin), "://")
	isOpen, found := strings.HasPrefix(origin, "*"), " has no scheme: its * stands for that too"
	if ok {
		isOpen, found = Match(scheme, "http") && !strings.HasPrefix(scheme, "http"), " has a * for its scheme"
	}
	if origin == "*" || !isOpen || covers(origin, "null") {
		return originProblem{}
	}
	return originProblem{LintNoScheme, quoteShort(origin) + found + ", so that pages over plain http match", "begin it with https://"}
}

func checkUpperCase(origin string) originProblem {
	if lower(origin) == origin || hasPlaceholder(origin) {
		return originProblem{}
	}
	return originProblem{
		LintUpperCase,
		quoteShort(origin) + " has upper-case letters, which browsers never send and other stores compare exactly",
		"write it in lower case",
	}
}

// checkWildcard finds a * behind which anybody's site can be.
func checkWildcard(origin string) originProblem {
	const nameThem = "name your sites, such as https://*.example.com"
	prefix, tail, ok := hostWildcard(lower(origin))
	if !ok {
		return originProblem{}
	}
	host, _ := splitPort(tail)
	domain, dotted := strings.CutPrefix(host, ".")
	switch {
	case host == "":
		message := fmt.Sprintf("%s matches anybody's site, such as %s", quoteShort(origin), strangerAfter(prefix)+tail)
		if strings.HasSuffix(prefix, "://") {
			message += ", and OSS may refuse it"
		}
		return originProblem{LintWideOrigin, message, nameThem}
	case endsInNumber(domain[strings.LastIndexByte(domain, '.')+1:]) && !strings.HasSuffix(prefix, "://"):
		return originProblem{} // addresses of one network
	case anybodyUnder(domain):
		return originProblem{
			LintWideOrigin,
			fmt.Sprintf("%s matches anybody's site: anybody can have a name under %s", quoteShort(origin), domain),
			"list each of your sites, or serve them under a domain of your own, such as https://*.example.com",
		}
	case !dotted && !isSubdomain(domain):
		return originProblem{
			LintGluedWildcard,
			fmt.Sprintf("%s matches other sites whose names end like it, such as %s", quoteShort(origin), prefix+"evil"+tail),
			"list each site, in an AllowedOrigin of its own",
		}
	}
	return originProblem{}
}

// hostWildcard splits an origin at a * that stands in its host, or for it. prefix has the
// scheme, completed where the * stands for a piece of http:// or https://.
func hostWildcard(origin string) (prefix, tail string, ok bool) {
	prefix, tail, ok = strings.Cut(origin, "*")
	if !ok || origin == "*" || strings.Contains(tail, "://") {
		return "", "", false
	}
	_, host, hasScheme := strings.Cut(prefix, "://")
	switch {
	case strings.ContainsAny(host, ":[/?#"): // in the port, an address or a path
		return "", "", false
	case hasScheme:
		return prefix, tail, true
	case strings.HasPrefix("https://", prefix):
		return "https://", tail, true
	case strings.HasPrefix("http://", prefix):
		return "http://", tail, true
	}
	return "", "", false
}

// strangerAfter returns a stranger's site whose origin begins with prefix.
func strangerAfter(prefix string) string {
	if strings.HasSuffix(prefix, "/") || strings.HasSuffix(prefix, ".") {
		return prefix + "evil.example"
	}
	return prefix + ".evil.example"
}
