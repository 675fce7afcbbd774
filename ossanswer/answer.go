// Package ossanswer writes answers as OSS does: the request id and the time taken in
// the header, and errors as XML documents.
package ossanswer

import (
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/caddy-oss-cors/caddy-oss-cors/internal/xmltext"
)

// Answer is the answer to one request. Exactly one of Empty, XML and Error writes it.
type Answer struct {
	w     http.ResponseWriter
	host  string
	id    string
	start time.Time

	// Room for the values of the headers that are set: one allocation with the Answer,
	// in place of one for each.
	values [5]string
	used   int
}

// New begins the answer to r, on which work began at start. What an earlier handler said in
// the header about a body of its own is removed.
func New(w http.ResponseWriter, r *http.Request, start time.Time) *Answer {
	for _, key := range []string{"Content-Type", "Content-Encoding", "Etag", "Last-Modified"} {
		delete(w.Header(), key)
	}
	return &Answer{w: w, host: r.Host, id: requestID(start), start: start}
}

// RequestID is the id that the client is given, in the header and in an error's
// document: 24 hexadecimal digits in upper case, the first 8 the Unix seconds.
func (a *Answer) RequestID() string { return a.id }

func requestID(now time.Time) string {
	var id [24]byte
	putHex(id[:8], uint64(now.Unix()))
	putHex(id[8:], rand.Uint64())
	return string(id[:])
}

// putHex fills dst with the last digits of n: many times faster than package fmt, on the
// path of every preflight.
func putHex(dst []byte, n uint64) {
	for i := len(dst) - 1; i >= 0; i-- {
		dst[i] = "0123456789ABCDEF"[n&0xF]
		n >>= 4
	}
}

// Empty writes an answer without a body.
func (a *Answer) Empty(status int) {
	if status != http.StatusNoContent {
		a.set("Content-Length", "0")
	}
	a.writeHeader(status)
}

// XML writes a document.
func (a *Answer) XML(status int, doc string) error {
	a.set("Content-Type", "application/xml")
	a.set("Content-Length", strconv.Itoa(len(doc)))
	a.writeHeader(status)
	_, err := io.WriteString(a.w, doc)
	return err
}

// Error writes an error's document.
func (a *Answer) Error(e Error) error {
	if e.EC != "" {
		a.set("X-Oss-Ec", e.EC)
	}
	return a.XML(e.Status, e.document(a.id, a.host))
}

func (a *Answer) writeHeader(status int) {
	a.set("X-Oss-Request-Id", a.id)
	a.set("X-Oss-Server-Time", strconv.FormatInt(time.Since(a.start).Milliseconds(), 10))
	a.w.WriteHeader(status)
}

// set sets a header of the answer; the key is canonical.
func (a *Answer) set(key, value string) {
	a.values[a.used] = value
	a.w.Header()[key] = a.values[a.used : a.used+1 : a.used+1]
	a.used++
}

// Error is an error answer of OSS's.
type Error struct {
	// Status is the HTTP status.
	Status int

	// Code is what clients act on, and Message what people read.
	Code, Message string

	// EC helps a person search. Empty: none is known, and none is sent.
	EC string

	// Details are elements that this error alone has.
	Details []Detail
}

// Detail is an element of an error's document.
type Detail struct{ Element, Text string }

// With returns e with one more detail.
func (e Error) With(element, text string) Error {
	e.Details = append(e.Details[:len(e.Details):len(e.Details)], Detail{element, text})
	return e
}

// Error returns "Code: Message". Details are for the client that sent what they quote.
func (e Error) Error() string { return e.Code + ": " + e.Message }

// document returns the body: the common elements, the details, and where to read more.
func (e Error) document(requestID, host string) string {
	var b strings.Builder
	b.Grow(1 << 10) // more than most take
	element := func(name, text string) {
		for _, part := range []string{"  <", name, ">", escape(text), "</", name, ">\n"} {
			b.WriteString(part)
		}
	}
	b.WriteString("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error>\n")
	element("Code", e.Code)
	element("Message", e.Message)
	element("RequestId", requestID)
	element("HostId", host)
	for _, d := range e.Details {
		element(d.Element, d.Text)
	}
	if e.EC != "" {
		element("EC", e.EC)
		element("RecommendDoc", "https://api.aliyun.com/troubleshoot?q="+e.EC)
	}
	b.WriteString("</Error>\n")
	return b.String()
}

// escape returns s as the text of an XML element. What XML 1.0 cannot hold (section 2.2) is
// U+FFFD.
func escape(s string) string {
	if strings.ContainsFunc(s, isForbidden) {
		s = strings.Map(replaceForbidden, s)
	}
	return xmltext.Escape(s)
}

// isForbidden holds for U+FFFD itself, too: it is what a byte that is no UTF-8 is read as.
func isForbidden(r rune) bool {
	return r < ' ' && r != '\t' && r != '\n' && r != '\r' || utf8.RuneError <= r && r <= '\uFFFF'
}

func replaceForbidden(r rune) rune {
	if isForbidden(r) {
		return utf8.RuneError
	}
	return r
}
