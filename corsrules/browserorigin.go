package corsrules

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// A browser sends "null", or scheme, "://", host, and ":" with the port unless that is the
// scheme's own (https://html.spec.whatwg.org/#ascii-serialisation-of-an-origin), each as a
// URL has it (https://url.spec.whatwg.org/#host-serializing): lower case, punycode, an
// IPv4 address as four decimal numbers, an IPv6 address compressed and in brackets.

// defaultPorts are the schemes of web pages with the ports that browsers leave out.
var defaultPorts = map[string]string{"https": "443", "http": "80"}

// noOrigins are schemes that no page's origin has: a WebSocket has the origin of its page,
// and the origin of the others is "null", or that of another URL (blob).
var noOrigins = []string{"ws", "wss", "ftp", "blob", "data", "about", "javascript", "mailto", "urn"}

// schemeRuns and hostRuns are for the * of a pattern, so that a browser could send what
// comes of it.
var (
	schemeRuns = piecesOf("https")
	hostRuns   = piecesOf("a.b", "1.1.1.1:1", "[1:1::1]:1")
)

// appOrigins are what pages without an origin of the web send: those of browser extensions,
// of apps, and any in a sandboxed frame.
var appOrigins = []string{
	"null",
	"chrome-extension://abcdefghijklmnopabcdefghijklmnop", "moz-extension://00000000-0000-4000-8000-000000000000",
	"safari-web-extension://00000000-0000-4000-8000-000000000000",
	"capacitor://localhost", "ionic://localhost", "tauri://localhost", "app://localhost", "file://",
}

func piecesOf(origins ...string) []string {
	var pieces []string
	for _, o := range origins {
		for from := range o {
			for to := from; to <= len(o); to++ {
				pieces = append(pieces, o[from:to])
			}
		}
	}
	slices.SortFunc(pieces, func(a, b string) int { return len(a) - len(b) })
	return slices.Compact(pieces)
}

// sendable reports whether a browser could send an origin that a value in lower case
// matches.
func sendable(value string) bool {
	prefix, suffix, wild := strings.Cut(value, "*")
	if !wild {
		return isBrowserOrigin(value)
	}
	origins := []string{prefix} // as far as the run
	runs := hostRuns
	switch {
	case strings.Contains(prefix, "://"):
	case strings.Contains(suffix, "://"):
		runs = schemeRuns
	default:
		origins = slices.DeleteFunc([]string{"https://", "http://"}, func(scheme string) bool { return !strings.HasPrefix(scheme, prefix) })
	}
	for _, origin := range origins {
		if canEndOrigin(suffix) && slices.ContainsFunc(runs, func(run string) bool { return isBrowserOrigin(origin + run + suffix) }) {
			return true
		}
	}
	return slices.ContainsFunc(appOrigins, func(origin string) bool { return covers(value, origin) })
}

// canEndOrigin tells in short time that no run helps a pattern with this suffix.
func canEndOrigin(suffix string) bool {
	if _, rest, ok := strings.Cut(suffix, "://"); ok {
		suffix = rest
	}
	_, port := splitPort(suffix)
	return strings.Trim(suffix, hostBytes+":[]") == "" && strings.Trim(port, "0123456789") == ""
}

func isBrowserOrigin(origin string) bool {
	if origin == "null" {
		return true
	}
	scheme, rest, ok := strings.Cut(origin, "://")
	host, port := splitPort(rest)
	_, isWeb := defaultPorts[scheme]
	switch {
	case !ok || len(origin) > MaxOriginBytes || schemeProblem(scheme) != "":
		return false
	case rest != host && portProblem(scheme, port) != "":
		return false
	case !isWeb && host == "":
		return true // file://, and app:// where the app says no more
	}
	return hostProblem(host, isWeb) == ""
}

// Each of these returns why no browser sends a part of an origin, or "".

func schemeProblem(scheme string) string {
	const letters = "abcdefghijklmnopqrstuvwxyz"
	switch {
	case scheme == "":
		return "has no scheme"
	case strings.Trim(scheme, letters+"0123456789+-.") != "" || !strings.ContainsRune(letters, rune(scheme[0])):
		return "does not begin with a scheme"
	case slices.Contains(noOrigins, scheme):
		return "matches no browser's origin: no page has an origin with the scheme " + scheme
	case misspeltScheme(scheme) != "":
		return "has a misspelt scheme"
	}
	return ""
}

// misspeltScheme returns what is meant by a scheme that is nearly that of web pages.
func misspeltScheme(scheme string) string {
	if _, ok := defaultPorts[scheme]; ok {
		return ""
	}
	return Closest(scheme, []string{"https", "http"})
}

func portProblem(scheme, port string) string {
	n, err := strconv.ParseUint(port, 10, 16)
	switch {
	case port == "":
		return "ends with a colon, which browsers do not send"
	case port == defaultPorts[scheme]:
		return fmt.Sprintf("matches no browser's origin: the port %s is left out of an origin", port)
	case err != nil:
		return fmt.Sprintf("has the port %s: a port is a number up to 65535", quoteShort(port))
	case port != strconv.FormatUint(n, 10):
		return "has a port that begins with 0, which browsers leave out"
	}
	return ""
}

const hostBytes = "abcdefghijklmnopqrstuvwxyz0123456789-_."

const notASCII = "matches no request: an Origin header has ASCII characters only"

func hostProblem(host string, isWeb bool) string {
	const ipv6 = "has an IPv6 address that is not written as browsers write it, as in http://[::1]:3000"
	inner, bracketed := strings.CutPrefix(host, "[")
	name := strings.TrimSuffix(host, ".")
	foreign := strings.TrimLeft(host, hostBytes)
	switch {
	case host == "":
		return "has no host"
	case bracketed && "["+serializeIPv6(strings.TrimSuffix(inner, "]"))+"]" == host:
		return ""
	case strings.Contains(host, ":"):
		return ipv6
	case foreign != "" && foreign[0] >= 0x80:
		return notASCII
	case foreign != "":
		return fmt.Sprintf("has %q in its host, which no host name has", foreign[:1])
	case !isWeb:
		return ""
	case hasEmptyLabel(name):
		return "has a dot too many in its host"
	case endsInNumber(name[strings.LastIndexByte(name, '.')+1:]) && !isIPv4(host):
		return "has an IPv4 address that is not written as browsers write it, as in http://127.0.0.1:3000"
	}
	return ""
}

func hasEmptyLabel(name string) bool { return strings.Contains("."+name+".", "..") }

// serializeIPv6 returns an IPv6 address as browsers write it; "" where it is none.
func serializeIPv6(address string) string {
	a, err := netip.ParseAddr(address)
	switch {
	case err != nil || !a.Is6() || a.Zone() != "":
		return ""
	case a.Is4In6(): // without IPv4's dots
		b := a.As16()
		return fmt.Sprintf("::ffff:%x:%x", uint16(b[12])<<8|uint16(b[13]), uint16(b[14])<<8|uint16(b[15]))
	}
	return a.String()
}

// endsInNumber reports whether a host with this last label is an IPv4 address
// (https://url.spec.whatwg.org/#ends-in-a-number-checker).
func endsInNumber(last string) bool {
	hex, isHex := strings.CutPrefix(last, "0x")
	return strings.Trim(last, "0123456789") == "" || isHex && strings.Trim(hex, "0123456789abcdef") == ""
}

func isIPv4(host string) bool {
	a, err := netip.ParseAddr(host)
	return err == nil && a.Is4()
}
