// Package xmltext escapes text in the XML documents that this module writes.
package xmltext

import "strings"

// Escape returns s as the text of an XML element: what needs escaping is escaped, and no
// more. A carriage return is among it, for XML parsers read a bare one as a line feed.
// What XML cannot hold at all is left as it is.
func Escape(s string) string { return escaper.Replace(s) }

var escaper = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "\r", "&#13;")
