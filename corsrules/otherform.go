package corsrules

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"
)

// otherForm says what a document is that is neither XML nor JSON that Parse reads, and what to
// do; "" where it may be. What people have in hand is often another product's form.
func otherForm(doc []byte, xmlOnly bool) string {
	text := bytes.TrimLeft(doc, xmlSpace)
	switch {
	case bytes.HasPrefix(doc, []byte("\xff\xfe")), bytes.HasPrefix(doc, []byte("\xfe\xff")),
		bytes.HasPrefix(doc, []byte("<\x00")), bytes.HasPrefix(doc, []byte("\x00<")):
		return "the document is in UTF-16, as Windows PowerShell's > writes it: save it as UTF-8"
	case bytes.HasPrefix(doc, []byte("\x1f\x8b")):
		return "the document is compressed by gzip: decompress it"
	case bytes.HasPrefix(text, []byte("<<<<<<< ")):
		return "the document begins with " + conflictMarker
	case isHTML(text), !xmlOnly && isHTML(withoutProlog(text)):
		return "the document is a web page, perhaps an error page that was saved in place of the rules: fetch the rules again"
	case bytes.HasPrefix(text, []byte("&lt;")):
		return "the document is escaped: write < in place of &lt;, and > in place of &gt;"
	case bytes.HasPrefix(text, []byte("{'")), bytes.HasPrefix(text, []byte("[{'")):
		return `the document is JSON with single quotes: write " in place of '`
	case beginsJSON(doc) && xmlOnly:
		return "the document is JSON: write a CORSConfiguration in XML"
	case beginsComment(text):
		return noComments
	case beginsJSON(doc):
		return ""
	case !xmlOnly && (bytes.HasPrefix(text, []byte("oss_cors ")) || bytes.HasPrefix(text, []byte("rule "))):
		return "the document is rule blocks: import it in the Caddyfile, or let caddy oss-cors convert --to oss-xml rewrite it"
	case len(text) > 0 && text[0] != '<' && !bytes.Contains(text, []byte("<CORSConfiguration")):
		return notADocument(text)
	}
	return ""
}

const (
	noComments = "JSON cannot have comments: remove them"
	noQuotes   = `a name or a text in JSON is not in quotation marks: write " before and after it`

	conflictMarker = "a conflict marker of git: resolve the conflict"
)

// inConflict reports whether the line of an offset is the first of a conflict that git left.
func inConflict(doc []byte, at int) bool {
	line := doc[bytes.LastIndexByte(doc[:at], '\n')+1:]
	return bytes.HasPrefix(line, []byte("<<<<<<< "))
}

// notADocument says what a text is that has nothing of a document.
func notADocument(text []byte) string {
	line := firstLine(text)
	isFile := len(bytes.Fields(text)) == 1 && slices.Contains([]string{".xml", ".json"}, strings.ToLower(path.Ext(line)))
	switch {
	case isFile:
		return fmt.Sprintf("%s looks like a file name: write rules file %[1]s", line)
	case line[0] == '$', line[0] == '{' && hasPlaceholder(line):
		return fmt.Sprintf("the document begins with %s, and %s: write the document itself", quoteShort(line), notExpanded)
	}
	cure := "write a CORSConfiguration in XML"
	if strings.HasSuffix(line, "{") {
		cure += "; of a Caddyfile, the directive oss_cors with its rules is read"
	}
	return "the document is neither XML nor JSON, for it begins with " + quoteShort(line) + ": " + cure
}

func firstLine(text []byte) string {
	line, _, _ := bytes.Cut(text, []byte("\n"))
	return strings.TrimRight(string(line), xmlSpace)
}

func isHTML(text []byte) bool {
	const longest = "<!doctype html"
	beginning := string(bytes.ToLower(text[:min(len(text), len(longest))]))
	return strings.HasPrefix(beginning, longest) || strings.HasPrefix(beginning, "<html")
}

// withoutProlog returns what follows a declaration and comments. What a web page may begin with
// in place of <html> becomes <html>. To OSS all of these are XML with another root.
func withoutProlog(text []byte) []byte {
	for _, prolog := range [][2]string{{"<?", "?>"}, {"<!--", "-->"}} {
		for bytes.HasPrefix(text, []byte(prolog[0])) {
			_, rest, _ := bytes.Cut(text, []byte(prolog[1]))
			text = bytes.TrimLeft(rest, xmlSpace)
		}
	}
	for _, element := range []string{"<head", "<body", "<title", "<h1"} {
		if bytes.HasPrefix(bytes.ToLower(text[:min(len(text), len(element))]), []byte(element)) {
			return []byte("<html>")
		}
	}
	return text
}

// otherJSON says what a bad document in JSON is, and what to do; "" where it is not known. It
// recognizes other products' forms by the names that are in them.
func otherJSON(doc []byte) string {
	has := func(name string) bool { return hasField(doc, name) }
	switch {
	case has("origin") && (has("method") || has("responseHeader")):
		return "the document is JSON as Google Cloud Storage has it: caddy oss-cors convert --to s3-json rewrites it"
	case has("allowed") && has("origins"):
		return "the document is JSON as Cloudflare's wrangler has it: caddy oss-cors convert --to s3-json rewrites it"
	case has("corsRuleName"), has("allowedOperations"):
		return "the document is JSON as Backblaze's own API has it: write it as S3 has it, an array of rules with AllowedOrigins, AllowedMethods and so on"
	case has("CorsRules"):
		return `the document is JSON as AWS CloudFormation has it: write {"CORSRules": …} with the value of CorsRules, and rename ExposedHeaders to ExposeHeaders, MaxAge to MaxAgeSeconds and Id to ID`
	case has("CORSConfiguration"):
		return `the document is JSON with a "CORSConfiguration" around the rules: write only its value`
	case isOneRule(doc):
		return "the document is one rule in JSON: write [ and ] around it"
	}
	return ""
}

// hasField reports whether JSON, which may be bad, has a field of a name, however deep.
func hasField(doc []byte, name string) bool {
	for {
		_, rest, found := bytes.Cut(doc, []byte(`"`+name+`"`))
		if !found || bytes.HasPrefix(bytes.TrimLeft(rest, xmlSpace), []byte(":")) {
			return found
		}
		doc = rest
	}
}

// isOneRule reports whether JSON is an object with the origins of a rule.
func isOneRule(doc []byte) bool {
	var fields map[string]json.RawMessage
	return json.NewDecoder(bytes.NewReader(doc)).Decode(&fields) == nil && fields["AllowedOrigins"] != nil
}

// beginsJSON tells JSON, even with comments, without quotation marks or with those and the spaces
// of a web page, from a placeholder in braces.
func beginsJSON(doc []byte) bool {
	text := bytes.TrimLeft(doc, xmlSpace)
	if beginsComment(text) {
		return true
	}
	if len(text) == 0 || text[0] != '{' && text[0] != '[' {
		return false
	}
	next := bytes.TrimLeft(text[1:], xmlSpace)
	return len(next) == 0 || next[0] >= 0x80 || bytes.HasPrefix(next, []byte("CORSRule")) ||
		bytes.IndexByte([]byte(`"'{}]/#\\`), next[0]) >= 0 && !bytes.HasPrefix(text, []byte("{{"))
}

func beginsComment(text []byte) bool {
	return bytes.HasPrefix(text, []byte("//")) || bytes.HasPrefix(text, []byte("/*"))
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
	if strings.EqualFold(name, "CORSConfiguration") {
		return fmt.Sprintf(found+"and upper and lower case count: write <CORSConfiguration>", name)
	}
	return fmt.Sprintf(found+"not <CORSConfiguration>: write the rules as a CORSConfiguration", name)
}

// hasPlaceholder reports whether a value has what stands for another value in a Caddyfile,
// a shell or a template: {env.X}, {$X}, ${X}, {{ x }}.
func hasPlaceholder(value string) bool {
	_, rest, ok := strings.Cut(value, "{")
	return ok && strings.IndexByte(rest, '}') > 0
}

const notExpanded = "placeholders are not expanded in a rules document"

// Closest returns the one of names that is meant by a name that is nearly it; "" if none.
func Closest(name string, names []string) string {
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
