package corsrules

import (
	"bytes"
	"fmt"
	"strings"
)

// otherForm says what a document is that is neither XML nor JSON that Parse reads, and what to
// do; "" where it may be. What people have in hand is often another product's form.
func otherForm(doc []byte, xmlOnly bool) string {
	switch {
	case bytes.HasPrefix(doc, []byte("\xff\xfe")), bytes.HasPrefix(doc, []byte("\xfe\xff")),
		bytes.HasPrefix(doc, []byte("<\x00")), bytes.HasPrefix(doc, []byte("\x00<")):
		return "the document is in UTF-16, as Windows PowerShell's > writes it: save it as UTF-8"
	case beginsJSON(doc) && xmlOnly:
		return "the document is JSON: write a CORSConfiguration in XML"
	case beginsJSON(doc) && isGoogleJSON(doc):
		return "the document is JSON as Google Cloud Storage has it: caddy oss-cors convert --to s3-json rewrites it"
	}
	return ""
}

// beginsJSON tells JSON from a placeholder in braces.
func beginsJSON(doc []byte) bool {
	text := bytes.TrimLeft(doc, xmlSpace)
	if len(text) == 0 || text[0] != '{' && text[0] != '[' {
		return false
	}
	next := bytes.TrimLeft(text[1:], xmlSpace)
	return len(next) > 0 && bytes.IndexByte([]byte(`"{}]`), next[0]) >= 0 && !bytes.HasPrefix(text, []byte("{{"))
}

// isGoogleJSON recognizes Google Cloud Storage's form by the names that are in it.
func isGoogleJSON(doc []byte) bool {
	has := func(name string) bool { return bytes.Contains(doc, []byte(`"`+name+`"`)) }
	return has("origin") && (has("method") || has("responseHeader"))
}

// rootProblem says what to do about a root element that is another product's, or nearly
// the right one.
func rootProblem(name string) string {
	const found = "the root element is <%s>, "
	switch name {
	case "CorsConfig":
		return fmt.Sprintf(found+"as Google Cloud Storage has it: write <CORSConfiguration>, with an AllowedOrigin for each Origin, an AllowedMethod for each Method, and both an AllowedHeader and an ExposeHeader for each ResponseHeader", name)
	case "Cors", "CorsRule", "StorageServiceProperties":
		return fmt.Sprintf(found+"as Azure Storage has it: write <CORSConfiguration>, with an element of its own for each item of Azure's lists", name)
	case "CORSRule":
		return fmt.Sprintf(found+"which belongs inside <CORSConfiguration>", name)
	case "Error":
		return fmt.Sprintf(found+"so this is a store's error answer, saved in place of its rules: fetch the rules again", name)
	}
	return fmt.Sprintf(found+"not <CORSConfiguration>", name)
}

// hasPlaceholder reports whether a value has what stands for another value in a Caddyfile,
// a shell or a template: {env.X}, {$X}, ${X}, {{ x }}.
func hasPlaceholder(value string) bool {
	_, rest, ok := strings.Cut(value, "{")
	return ok && strings.IndexByte(rest, '}') > 0
}

const notExpanded = "placeholders are not expanded in a rules document"

// closest returns the one of names that is meant by a name that is nearly it; "" if none.
func closest(name string, names []string) string {
	folded := strings.ToLower(name)
	best, bestDistance := "", 1+len(name)/4
	for _, candidate := range names {
		c := strings.ToLower(candidate)
		d := distance(folded, c)
		if len(name) > 3 && (strings.HasPrefix(c, folded) || strings.HasPrefix(folded, c)) {
			d = min(d, 1)
		}
		if d < bestDistance {
			best, bestDistance = candidate, d
		}
	}
	return best
}

// distance is Levenshtein's: how many letters to insert, delete or replace.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
