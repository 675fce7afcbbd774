package explain

import (
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
	var target, method, implied string
	header := http.Header{}
	for len(words) > 0 {
		option, value := words[0], ""
		words = words[1:]
		if name, inline, found := strings.Cut(option, "="); found && strings.HasPrefix(option, "--") {
			option, value = name, inline
		} else if isShort(option) && len(option) > 2 {
			option, value = option[:2], option[2:] // as in -XPUT
		}
		if takesValue(option) && value == "" && len(words) > 0 {
			value, words = words[0], words[1:]
		}
		switch option {
		case "-X", "--request":
			method = value
		case "-H", "--header":
			name, text, _ := strings.Cut(value, ":")
			header.Add(strings.TrimSpace(name), strings.TrimSpace(text))
		case "-e", "--referer":
			header.Set("Referer", value)
		case "-I", "--head":
			implied = http.MethodHead
		case "-T", "--upload-file":
			implied = http.MethodPut
		case "--json":
			implied = http.MethodPost
			header.Set("Content-Type", "application/json")
		case "--url":
			target = value
		default:
			switch {
			case isData(option):
				implied = http.MethodPost
			case !strings.HasPrefix(option, "-") && target == "":
				target = option
			}
		}
	}
	if target == "" {
		return Pasted{}, errors.New("the cURL command has no URL")
	}
	if method == "" {
		method = implied
	}
	if method == "" {
		method = http.MethodGet
	}
	return newPasted(method, target, header), nil
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
