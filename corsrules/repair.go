package corsrules

import (
	"slices"
	"strings"

	"golang.org/x/net/idna"
)

// repair turns what people write for an origin into what a browser sends for it, step by
// step, and remembers the first thing that was wrong.
type repair struct {
	text    string
	code    string
	problem string // in words that follow the origin
	gaveUp  bool   // it is not known what is meant
}

// repairOrigin repairs a value that no browser could send.
func repairOrigin(value string) repair {
	r := repair{text: lower(value)}
	r.step(unwrapped(r.text), LintUnmatchableOrigin, "has quotes or other signs around it, which browsers do not send")
	if isRegexp(r.text) {
		const problem = "is a regular expression: rules compare text, with one * for any run of characters"
		if text, ok := withoutRegexp(r.text); ok {
			r.step(text, LintUnmatchableOrigin, problem)
		} else {
			r.giveUp(problem)
		}
	}
	if sendable(r.text) {
		return r
	}
	r.step(separatedScheme(r.text), LintNoScheme, "does not have :// between its scheme and its host")
	if !strings.Contains(r.text, "://") {
		r.step("https://"+strings.TrimLeft(r.text, ":/"), LintNoScheme, "matches no browser's origin: an origin begins with its scheme")
	}
	scheme, rest, _ := strings.Cut(r.text, "://")
	if strings.Contains(rest, "://") {
		r.giveUp("has two schemes: each origin needs an AllowedOrigin of its own")
	}
	scheme = r.scheme(scheme, rest)
	rest = r.path(scheme, rest)
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		rest = rest[at+1:]
		r.step(scheme+"://"+rest, LintUnmatchableOrigin, "has a user name, which browsers do not send")
	}
	host, port := splitPort(rest)
	if rest != host {
		port = r.port(scheme, host, port)
	}
	r.host(scheme, host, port)
	return r
}

// step replaces the text, and says why if it is the first thing that was wrong.
func (r *repair) step(text, code, problem string) {
	if r.gaveUp {
		return
	}
	if text != r.text && r.problem == "" {
		r.code, r.problem = code, problem
	}
	r.text = text
}

// giveUp says why, and ends the repair.
func (r *repair) giveUp(problem string) {
	r.step("", LintUnmatchableOrigin, problem)
	r.gaveUp = true
}

func (r *repair) scheme(scheme, rest string) string {
	problem := schemeProblem(scheme)
	if problem == "" || scheme == "*" {
		return scheme
	}
	meant := map[string]string{"wss": "https", "ws": "http"}[scheme]
	if meant == "" {
		meant = misspeltScheme(scheme)
	}
	if meant == "" {
		r.giveUp(problem)
		return scheme
	}
	r.step(meant+"://"+rest, LintUnmatchableOrigin, problem)
	return meant
}

func (r *repair) path(scheme, rest string) string {
	at := strings.IndexAny(rest, `/?#\`)
	if at < 0 {
		return rest
	}
	problem := "has a path: browsers send scheme, host and port alone"
	if rest[at:] == "/" {
		problem = "ends with a slash, which browsers do not send"
	}
	r.step(scheme+"://"+rest[:at], LintPathInOrigin, problem)
	return rest[:at]
}

// port returns the port with its colon, or "" where browsers leave it out.
func (r *repair) port(scheme, host, port string) string {
	problem := portProblem(scheme, port)
	if problem == "" || strings.Contains(port, "*") {
		return ":" + port
	}
	code, fixed := LintUnmatchableOrigin, ""
	switch trimmed := strings.TrimLeft(port, "0"); {
	case port == "":
	case trimmed == defaultPorts[scheme]:
		code = LintDefaultPort
	case portProblem(scheme, trimmed) == "":
		fixed = ":" + trimmed
	default:
		r.giveUp(problem)
	}
	r.step(scheme+"://"+host+fixed, code, problem)
	return fixed
}

func (r *repair) host(scheme, host, port string) {
	_, isWeb := defaultPorts[scheme]
	problem := hostProblem(strings.Replace(host, "*", "a", 1), isWeb)
	if problem == "" || host == "" && !isWeb {
		return
	}
	fixed := ""
	inner := strings.Trim(host, "[]")
	switch address := serializeIPv6(inner); {
	case strings.HasPrefix(host, "[") && address != "":
		fixed = "[" + address + "]"
	case strings.HasPrefix(host, "[") && !strings.Contains(inner, ":"):
		fixed, problem = inner, "has brackets around a host that is not an IPv6 address"
	case problem == notASCII:
		fixed = punycode(host)
	}
	if fixed == "" {
		r.giveUp(problem)
	}
	r.step(scheme+"://"+fixed+port, LintUnmatchableOrigin, problem)
}

// punycode returns a host with its non-ASCII labels encoded; "" where they cannot be.
func punycode(host string) string {
	labels := strings.Split(host, ".")
	for i, label := range labels {
		if isOriginText(label) {
			continue
		}
		encoded, err := idna.Lookup.ToASCII(label)
		if err != nil {
			return ""
		}
		labels[i] = encoded
	}
	return strings.Join(labels, ".")
}

// unwrapped removes what is around an origin that was copied from code, a list or a text.
func unwrapped(s string) string {
	const quotes, invisible = "\"'`<“”‘’«»", "\u200b\u200e\u2060\ufeff"
	s = strings.TrimRight(strings.Trim(s, invisible), ",;"+invisible)
	if inner := strings.TrimLeft(s, quotes); inner != s {
		return strings.TrimRight(inner, quotes+">,;"+invisible)
	}
	return s
}

// separatedScheme puts :// behind http or https where another sign stands, and removes a
// scheme before another one.
func separatedScheme(s string) string {
	for _, scheme := range []string{"https", "http"} {
		after, ok := strings.CutPrefix(s, scheme)
		host := strings.TrimLeft(after, `:/\`)
		if correct, ok := strings.CutPrefix(after, "://"); ok {
			host = strings.TrimLeft(correct, `/\`)
		}
		switch {
		case !ok || host == after:
			continue
		case strings.HasPrefix(host, "http:/") || strings.HasPrefix(host, "https:/"):
			return separatedScheme(host)
		}
		return scheme + "://" + host
	}
	return s
}

// isRegexp reports whether a value has signs that regular expressions have, and origins do
// not.
func isRegexp(s string) bool {
	has := func(sign string) bool { return strings.Contains(s, sign) }
	return strings.HasPrefix(s, "^") || strings.HasSuffix(s, "$") ||
		slices.ContainsFunc([]string{`\.`, `\/`, `\d`, `\w`, ".*", ".+", "(", "?:", "[^"}, has)
}

// withoutRegexp writes a regular expression as a pattern, if it says no more than one can.
func withoutRegexp(s string) (pattern string, ok bool) {
	s = strings.TrimSuffix(strings.TrimPrefix(s, "^"), "$")
	s = strings.NewReplacer(`\.`, ".", `\/`, "/", `\-`, "-", ".*", "*", ".+", "*").Replace(s)
	return s, !strings.ContainsAny(s, `()[]|+?^$\`)
}
