package explain

import (
	"cmp"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// readCurl reads a cURL command as browsers' developer tools copy it for bash.
func readCurl(command string) (Pasted, error) {
	words, err := shellWords(command)
	if err != nil {
		return Pasted{}, err
	}
	words = words[slices.Index(words, "curl")+1:]
	c := curlCommand{header: http.Header{}}
	for len(words) > 0 {
		var option, value string
		option, value, words = nextOption(words)
		c.apply(option, value)
	}
	if c.target == "" {
		return Pasted{}, errors.New("the cURL command has no URL")
	}
	return newPasted(cmp.Or(c.method, c.implied, http.MethodGet), c.target, c.header), nil
}

// curlCommand is what the options of a command say. The implied method is that of other options
// than -X.
type curlCommand struct {
	target, method, implied string
	header                  http.Header
}

// nextOption splits the first option, or what is not one, and its value off from words.
func nextOption(words []string) (option, value string, rest []string) {
	option, rest = words[0], words[1:]
	if name, inline, found := strings.Cut(option, "="); found && strings.HasPrefix(option, "--") {
		option, value = name, inline
	} else if isShort(option) && len(option) > 2 {
		option, value = option[:2], option[2:] // as in -XPUT
	}
	if takesValue(option) && value == "" && len(rest) > 0 {
		value, rest = rest[0], rest[1:]
	}
	return option, value, rest
}

func (c *curlCommand) apply(option, value string) {
	switch option {
	case "-X", "--request":
		c.method = value
	case "-H", "--header":
		name, text, _ := strings.Cut(value, ":")
		c.header.Add(strings.TrimSpace(name), strings.TrimSpace(text))
	case "-e", "--referer":
		c.header.Set("Referer", value)
	case "-I", "--head":
		c.implied = http.MethodHead
	case "-T", "--upload-file":
		c.implied = http.MethodPut
	case "--json":
		c.implied = http.MethodPost
		c.header.Set("Content-Type", "application/json")
	case "--url":
		c.target = value
	default:
		switch {
		case isData(option):
			c.implied = http.MethodPost
		case !strings.HasPrefix(option, "-") && c.target == "":
			c.target = option
		}
	}
}

func isShort(option string) bool {
	return strings.HasPrefix(option, "-") && !strings.HasPrefix(option, "--")
}

// isData reports whether an option gives the request a body, which makes it a POST.
func isData(option string) bool {
	return option == "-d" || option == "-F" || strings.HasPrefix(option, "--data") || strings.HasPrefix(option, "--form")
}

// takesValue reports whether a value follows an option, for those that are common in what
// developer tools copy and people write.
func takesValue(option string) bool {
	return isData(option) || slices.Contains([]string{
		"-X", "--request", "-H", "--header", "-e", "--referer", "-T", "--upload-file", "--json", "--url",
		"-A", "--user-agent", "-b", "--cookie", "-c", "--cookie-jar", "-o", "--output", "-u", "--user",
		"-m", "--max-time", "--connect-timeout", "-x", "--proxy", "--resolve", "--cacert", "-E", "--cert", "--key", "-w", "--write-out",
	}, option)
}

// shellWords splits a command into its words, by bash's rules for quotes and backslashes. It
// ends at the end of the command. Nothing is expanded.
func shellWords(command string) (words []string, err error) {
	var word strings.Builder
	inWord := false
	for i := 0; i < len(command); {
		c := command[i]
		i++
		switch {
		case c == '\\' && i < len(command):
			if command[i] != '\n' {
				word.WriteByte(command[i])
				inWord = true
			}
			i++
		case c == '\'' || c == '"' || c == '$' && i < len(command) && command[i] == '\'':
			quote := command[i-1:][:1]
			if c == '$' {
				quote = "$'"
				i++
			}
			text, n, closed := unquote(command[i:], quote)
			if !closed {
				return nil, errors.New("the cURL command has an open quotation mark")
			}
			word.WriteString(text)
			i += n
			inWord = true
		case c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == ';' || c == '|':
			if inWord {
				words = append(words, word.String())
				word.Reset()
			}
			inWord = false
			if c == ';' || c == '|' || c == '\n' && len(words) > 0 {
				return words, nil
			}
		default:
			word.WriteByte(c)
			inWord = true
		}
	}
	if inWord {
		words = append(words, word.String())
	}
	return words, nil
}

// unquote reads a quoted text up to the end of its quotation, and returns how long that is.
// The quote is ', " or $'.
func unquote(text, quote string) (unquoted string, n int, closed bool) {
	var b strings.Builder
	end := quote[len(quote)-1]
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case c == end:
			return b.String(), i + 1, true
		case c == '\\' && quote == "$'" && i+1 < len(text):
			value, size := ansiC(text[i:])
			b.WriteString(value)
			i += size - 1
		case c == '\\' && quote == `"` && i+1 < len(text) && strings.IndexByte("\\\"$`\n", text[i+1]) >= 0:
			i++
			if text[i] != '\n' {
				b.WriteByte(text[i])
			}
		default:
			b.WriteByte(c)
		}
	}
	return "", 0, false
}

// ansiC reads one escape of bash's $'…', which has at least two bytes.
func ansiC(text string) (value string, size int) {
	letters := map[byte]string{'n': "\n", 't': "\t", 'r': "\r"}
	if value, ok := letters[text[1]]; ok {
		return value, 2
	}
	digits := map[byte]int{'x': 2, 'u': 4, 'U': 8}[text[1]]
	for size = 2; size < len(text) && size-2 < digits && strings.IndexByte("0123456789abcdefABCDEF", text[size]) >= 0; {
		size++
	}
	if n, err := strconv.ParseUint(text[2:size], 16, 32); err == nil {
		return string(rune(n)), size //nolint:gosec // what is not a character becomes U+FFFD
	}
	return text[1:2], 2
}
