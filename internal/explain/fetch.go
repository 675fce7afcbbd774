package explain

import (
	"errors"
	"net/http"
	"slices"
	"strings"
)

// readFetch reads a call of fetch() as developer tools copy it, or as people write it where
// method, headers and referrer are literals. It skips what it does not understand.
func readFetch(text string) (Pasted, error) {
	tokens := scriptTokens(after(text, "fetch("))
	if len(tokens) == 0 || !tokens[0].isString {
		return Pasted{}, errors.New("the URL of the fetch() call is not a string literal")
	}
	target, method := tokens[0].text, http.MethodGet
	header := http.Header{}
	depth, inHeaders := 0, false
	for i, token := range tokens {
		switch {
		case token.isString:
		case slices.Contains([]string{"{", "[", "("}, token.text):
			depth++
			isHeaders := depth == 2 && i >= 2 && tokens[i-1].text == ":" && tokens[i-2].text == "headers"
			inHeaders = isHeaders || (inHeaders && depth > 2)
		case slices.Contains([]string{"}", "]", ")"}, token.text):
			if depth--; depth < 0 {
				return newPasted(method, target, header), nil // the end of the call
			}
			inHeaders = inHeaders && depth >= 2
		}
		if token.isPunctuation() || i+2 >= len(tokens) || tokens[i+1].text != ":" || tokens[i+1].isString {
			continue
		}
		value := tokens[i+2].text
		switch {
		case depth == 2 && inHeaders:
			header.Add(token.text, value)
		case depth == 1 && token.text == "method" && tokens[i+2].isString:
			method = value
		case depth == 1 && token.text == "referrer" && tokens[i+2].isString:
			header.Set("Referer", value)
		}
	}
	return newPasted(method, target, header), nil
}

// scriptToken is a string, a word or a punctuation mark of JavaScript.
type scriptToken struct {
	text     string
	isString bool
}

func (t scriptToken) isPunctuation() bool {
	return !t.isString && len(t.text) == 1 && !isWordByte(t.text[0])
}

// maxTokens bounds what is kept of a script: far more than a call of fetch() has.
const maxTokens = 10_000

// scriptTokens splits a script roughly: comments and regular expressions are not understood.
func scriptTokens(script string) (tokens []scriptToken) {
	for i := 0; i < len(script) && len(tokens) < maxTokens; {
		c := script[i]
		switch {
		case c == '"' || c == '\'' || c == '`':
			text, n := scriptString(script[i:])
			tokens = append(tokens, scriptToken{text, true})
			i += n
		case isWordByte(c):
			start := i
			for i < len(script) && isWordByte(script[i]) {
				i++
			}
			tokens = append(tokens, scriptToken{script[start:i], false})
		case c == ' ' || c == '\t' || c == '\r' || c == '\n':
			i++
		default:
			tokens = append(tokens, scriptToken{script[i : i+1], false})
			i++
		}
	}
	return tokens
}

// scriptString reads a string literal, and returns how long it is with its quotation marks.
func scriptString(script string) (text string, n int) {
	var b strings.Builder
	for i := 1; i < len(script); i++ {
		switch c := script[i]; {
		case c == script[0]:
			return b.String(), i + 1
		case c == '\\' && i+1 < len(script):
			value, size := ansiC(script[i:]) // whose escapes are the same
			b.WriteString(value)
			i += size - 1
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), len(script)
}

func isWordByte(c byte) bool {
	return c == '_' || c == '$' || '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z' || c >= 0x80
}
