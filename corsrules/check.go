package corsrules

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Each check returns what is wrong with a value and what to do, in words that follow its
// element's name, or "".

func checkOrigin(form Form, origin string) string {
	switch {
	case origin == "":
		return "is empty: give an origin such as https://app.example.com"
	case strings.Count(origin, "*") > 1:
		return quoteShort(origin) + " has more than one *: keep one, which stands for any run of characters, dots included"
	}
	for _, c := range origin {
		if unicode.IsSpace(c) || unicode.IsControl(c) {
			cure := "write each origin " + form.apart("AllowedOrigin")
			if len(strings.FieldsFunc(origin, func(c rune) bool { return unicode.IsSpace(c) || unicode.IsControl(c) })) == 1 {
				cure = "remove it"
			}
			return fmt.Sprintf("%s has a white space or control character (%U), which no origin has: %s", quoteShort(origin), c, cure)
		}
	}
	return ""
}

// checkMethod takes the methods of a document.
func checkMethod(form Form, method string) string {
	if form == FormBlocks {
		return checkBlockMethod(method)
	}
	isMethod := func(s string) bool { return slices.Contains(Methods, s) }
	quoted := quoteShort(method)
	switch upper := strings.ToUpper(method); {
	case isMethod(method):
		return ""
	case method == "":
		return "is empty: give one of " + methodsInWords
	case isMethod(upper):
		return quoted + " is not one of " + methodsInWords + ": write " + upper + ", in upper case"
	case slices.Contains(everyMethod, upper):
		return quoted + " is not a method: list " + methodsInWords + ", each " + form.apart("AllowedMethod")
	case upper == "OPTIONS":
		return quoted + " is not needed: preflights are answered without it; take it out"
	case len(splitList(method)) > 1:
		return quoted + " is a list: write each method " + form.apart("AllowedMethod")
	case withoutSigns(method) != "":
		return quoted + hasSigns + withoutSigns(method)
	case !IsToken(method):
		return quoted + " is not a method: write one of " + methodsInWords
	case slices.Contains(forbiddenMethods, upper):
		return quoted + cannotBeUsed
	default:
		return quoted + " cannot be allowed here: OSS's rules know " + methodsInWords + " only; take it out, or write the rules as rule blocks in the Caddyfile (rule { … }), which can have it"
	}
}

// everyMethod are the words by which other products mean all methods.
var everyMethod = []string{"*", "ALL", "ANY"}

// forbiddenMethods are those that scripts cannot use
// (https://fetch.spec.whatwg.org/#forbidden-method).
var forbiddenMethods = []string{"CONNECT", "TRACE", "TRACK"}

const cannotBeUsed = " cannot be used by scripts in browsers: take it out"

// checkBlockMethod takes the methods of a rule block: all that a preflight can ask for.
func checkBlockMethod(method string) string {
	quoted := quoteShort(method)
	switch upper := strings.ToUpper(method); {
	case method == "":
		return "is empty: give a method such as GET"
	case slices.Contains(everyMethod, upper):
		return quoted + " is not a method: list the methods, such as " + methodsInWords
	case len(splitList(method)) > 1:
		return quoted + " is a list: write each method " + FormBlocks.apart("AllowedMethod")
	case withoutSigns(method) != "":
		return quoted + hasSigns + withoutSigns(method)
	case !IsToken(method):
		return quoted + " is not a method: write a name such as GET"
	case upper == "OPTIONS":
		return quoted + " is not needed: preflights are answered without it; take it out"
	case slices.Contains(forbiddenMethods, upper):
		return quoted + cannotBeUsed
	case upper != method:
		return quoted + " has lower-case letters, and methods are case-sensitive: write " + upper
	}
	return ""
}

func checkAllowedHeader(form Form, name string) string {
	switch {
	case name == "":
		return "is empty: give a header name, with at most one *"
	case IsToken(name) && strings.Count(name, "*") > 1:
		return quoteShort(name) + " has more than one *: keep one, which stands for any run of characters"
	case !IsToken(name):
		return notHeaderName(form, name, "AllowedHeader")
	}
	return ""
}

func checkExposeHeader(form Form, name string) string {
	switch {
	case name == "":
		return "is empty: give a header name"
	case IsToken(name) && strings.Contains(name, "*"):
		return quoteShort(name) + " has a *: name each header that scripts may read, " + form.apart("ExposeHeader")
	case strings.ContainsAny(name, "&'") || !IsToken(name):
		return notHeaderName(form, name, "ExposeHeader")
	}
	return ""
}

func notHeaderName(form Form, name, element string) string {
	switch list := splitList(name); {
	case len(list) > 1 && !slices.ContainsFunc(list, func(s string) bool { return !IsToken(s) }):
		return fmt.Sprintf("%s is a list: write each name %s", quoteShort(name), form.apart(element))
	case withoutSigns(name) != "":
		return quoteShort(name) + hasSigns + withoutSigns(name)
	case strings.Contains(name, ":"):
		return quoteShort(name) + " is not a header name: write what stands before the colon"
	}
	return quoteShort(name) + " is not a header name: write letters, digits and -"
}

// splitList splits what other products take as a list.
func splitList(list string) []string {
	return strings.FieldsFunc(list, func(c rune) bool { return strings.ContainsRune(",;| \t\r\n", c) })
}

const hasSigns = " has quotes, a comma or other signs around it: write "

// withoutSigns returns a method or a header name without what a list or a web page has around it,
// and "" if there is nothing around it, or more is wrong with it.
func withoutSigns(value string) string {
	bare := strings.TrimFunc(value, func(c rune) bool {
		return strings.ContainsRune(",;|[](){}\"'` ", c) || c >= utf8.RuneSelf && !unicode.IsLetter(c) && !unicode.IsDigit(c)
	})
	if bare == value || !IsToken(bare) || hasPlaceholder(value) {
		return ""
	}
	return bare
}

func checkMaxAge(seconds string) string {
	digits := strings.Trim(seconds, "0123456789") == "" && seconds != ""
	if n, err := strconv.Atoi(seconds); digits && err == nil && n <= maxMaxAgeSeconds {
		return ""
	}
	if seconds == "" {
		return "is empty: write a whole number of seconds, such as 600"
	}
	return fmt.Sprintf("%s is not a whole number of seconds from 0 to %d: write digits alone, such as 600", quoteShort(seconds), maxMaxAgeSeconds)
}

// checkCredentialedOrigin refuses what would let sites that the rule's author never
// thought of read responses with a user's cookies: null, which any sandboxed frame can
// send; an origin without a scheme; and any * but the port, or a whole leading host label
// before a domain of two labels or more under which not anybody can have a name.
func checkCredentialedOrigin(origin string) string {
	refused := quoteShort(origin) + " is not allowed with allow_credentials: "
	if strings.EqualFold(origin, "null") {
		return refused + "any page can send the null origin from a sandboxed frame"
	}
	if origin == "*" {
		return refused + "every site could read with a user's cookies; list the origins"
	}
	scheme, rest, ok := strings.Cut(origin, "://")
	switch {
	case !ok || scheme == "":
		return refused + "it has no scheme; " + writeOrigin(originCure(origin))
	case strings.Contains(scheme, "*"):
		return refused + "a * cannot stand for the scheme; " + writeOrigin([]string{"https://" + rest})
	}
	if !strings.Contains(rest, "*") {
		return ""
	}
	host, port := splitPort(rest)
	label, domain, _ := strings.Cut(host, ".")
	switch {
	case port == "*" && host != "":
		return ""
	case label == "*" && domain != "" && anybodyUnder(domain):
		return refused + "anybody can have a name under " + domain + "; name your sites, such as https://*.example.com"
	case label != "*" || !strings.Contains(domain, "."):
		return refused + "a * may only be the port (http://localhost:*) or the whole first label of a host, before a domain of two labels or more (https://*.example.com)"
	}
	return ""
}

// writeOrigin says to write the one origin that is meant; where that is not known, or not
// allowed with credentials, an example.
func writeOrigin(cure []string) string {
	if len(cure) == 1 && len(originProblems(cure[0])) == 0 && checkCredentialedOrigin(cure[0]) == "" {
		return "write " + cure[0]
	}
	return "write an origin such as https://app.example.com"
}

// splitPort splits host:port, a bracketed IPv6 address included; port may be "".
func splitPort(hostport string) (host, port string) {
	colon := strings.LastIndexByte(hostport, ':')
	if colon < 0 || strings.Contains(hostport[colon:], "]") {
		return hostport, ""
	}
	return hostport[:colon], hostport[colon+1:]
}

func inWords(names []string) string {
	last := len(names) - 1
	if last == 0 {
		return names[0]
	}
	return strings.Join(names[:last], ", ") + " and " + names[last]
}

// quoteShort quotes a value for a message, cut to what a person reads.
func quoteShort(s string) string {
	const longest = 80
	if len(s) > longest {
		return strconv.Quote(strings.ToValidUTF8(s[:longest], "")) + "…"
	}
	return strconv.Quote(s)
}
