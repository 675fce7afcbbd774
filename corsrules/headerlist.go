package corsrules

import "strings"

const (
	// MaxOriginBytes is the longest Origin that is looked at. A host name has at
	// most 253 bytes; twice that leaves room for any scheme and port.
	MaxOriginBytes = 512

	// MaxRequestHeaderBytes bounds Access-Control-Request-Headers, all its lines
	// added up: what common servers allow for one header line.
	MaxRequestHeaderBytes = 8 << 10

	// MaxRequestHeaders bounds how many names Access-Control-Request-Headers may
	// have: several times what any browser's application asks for.
	MaxRequestHeaders = 128
)

// trim removes the whitespace that RFC 9110, section 5.6.3, allows around list elements;
// in a quarter of the time that strings.Trim takes.
func trim(s string) string {
	for s != "" && (s[0] == ' ' || s[0] == '\t') {
		s = s[1:]
	}
	for s != "" && (s[len(s)-1] == ' ' || s[len(s)-1] == '\t') {
		s = s[:len(s)-1]
	}
	return s
}

// single returns the one value among a header's lines; a line without a value counts
// as absent. ok is false where several lines have one.
func single(lines []string) (value string, ok bool) {
	for _, line := range lines {
		line = trim(line)
		if line == "" {
			continue
		}
		if value != "" {
			return value, false
		}
		value = line
	}
	return value, true
}

// isSerializedOrigin reports whether origin has the length and the bytes that an
// Origin header can have: visible ASCII (RFC 6454, section 6.2).
func isSerializedOrigin(origin string) bool {
	for i := range len(origin) {
		if origin[i]-'!' > '~'-'!' {
			return false
		}
	}
	return len(origin) <= MaxOriginBytes
}

// headerList is Access-Control-Request-Headers in the form of the answer: the names in
// lower case, joined with ", ". Empty: the request asks for none.
type headerList []byte

const headerSeparator = ", "

// appendHeaderList appends the names in lines to dst. ok is false where a name is no
// token or a bound is passed.
func appendHeaderList(dst headerList, lines []string) (list headerList, ok bool) {
	size := 0
	for _, line := range lines {
		size += len(line)
	}
	if size > MaxRequestHeaderBytes {
		return nil, false
	}
	count := 0
	for _, line := range lines {
		for line != "" {
			var name string
			if name, line = cutElement(line); name == "" {
				continue
			}
			if count++; count > MaxRequestHeaders {
				return nil, false
			}
			if count > 1 {
				dst = append(dst, headerSeparator...)
			}
			for i := range len(name) {
				c := lowerTokenByte[name[i]]
				if c == 0 {
					return nil, false
				}
				dst = append(dst, c)
			}
		}
	}
	return dst, true
}

// cutElement returns the first element of a comma-separated list and what follows it. An
// empty one is no name (RFC 9110, section 5.6.1).
func cutElement(list string) (element, rest string) {
	if comma := strings.IndexByte(list, ','); comma >= 0 {
		return trim(list[:comma]), list[comma+1:]
	}
	return trim(list), ""
}

// in returns name, an element of the list, as a string: a piece of the request's own
// lines where they are in lower case, which spares an allocation.
func (name headerList) in(lines []string) string {
	for _, line := range lines {
		for line != "" {
			var original string
			if original, line = cutElement(line); name.isFolded(original) {
				return lower(original)
			}
		}
	}
	return string(name)
}

// isFolded reports whether name is s in lower case.
func (name headerList) isFolded(s string) bool {
	if len(s) != len(name) {
		return false
	}
	for i := range len(s) {
		if c := s[i]; c != name[i] && (c < 'A' || 'Z' < c || c+'a'-'A' != name[i]) {
			return false
		}
	}
	return true
}

// cut returns the first name and what follows it.
func (l headerList) cut() (name, rest headerList) {
	for i, c := range l {
		if c == ',' {
			return l[:i], l[i+len(headerSeparator):]
		}
	}
	return l, nil
}

// text returns the list as a string: the request's own line where that is already in
// the answer's form, which spares an allocation.
func (l headerList) text(lines []string) string {
	if len(lines) == 1 && lines[0] == string(l) {
		return lines[0]
	}
	return string(l)
}

// IsToken reports whether s is a token of RFC 9110, section 5.6.2: what a header's
// name may be.
func IsToken(s string) bool {
	for i := range len(s) {
		if lowerTokenByte[s[i]] == 0 {
			return false
		}
	}
	return s != ""
}

// lowerTokenByte has each byte of a token in lower case, and 0 for all others.
var lowerTokenByte = func() (table [256]byte) {
	for _, c := range []byte("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz") {
		table[c] = c
		if 'a' <= c && c <= 'z' {
			table[c-'a'+'A'] = c
		}
	}
	return table
}()
