// Package ossresponse writes responses in OSS's form: the request id and the time taken in
// the header, and errors as XML documents (docs/oss-behaviour.md, section 3). It also writes
// them in S3's form, which differs in the headers and in the layout of the XML.
package ossresponse

import (
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-oss-cors/caddy-oss-cors/internal/xmltext"
)

// Writer writes the response to one request. Call exactly one of Empty, XML and Error.
type Writer struct {
	w     http.ResponseWriter
	host  string // the request's Host; for S3, an id of the server
	id    string
	start time.Time
	s3    bool

	// The header's values, of which a response has at most five: an allocation for each
	// makes a preflight a tenth slower.
	values [5]string
	used   int
}

// New begins the response to r; start is when work on r began. It removes the header fields
// with which an earlier handler described a body of its own.
func New(w http.ResponseWriter, r *http.Request, start time.Time) *Writer {
	removeBodyFields(w.Header())
	return &Writer{w: w, host: r.Host, id: requestID(start), start: start}
}

// NewS3 is New for a response in S3's form.
func NewS3(w http.ResponseWriter) *Writer {
	removeBodyFields(w.Header())
	return &Writer{w: w, host: s3HostID(), id: s3RequestID(), s3: true}
}

func removeBodyFields(h http.Header) {
	for _, key := range []string{"Content-Type", "Content-Encoding", "Etag", "Last-Modified"} {
		delete(h, key)
	}
}

// RequestID is the id that the client gets, in the header and in an error document. OSS's
// has 24 upper-case hexadecimal digits, of which the first 8 are the Unix seconds; S3's has
// 16 letters and digits.
func (w *Writer) RequestID() string { return w.id }

func requestID(now time.Time) string {
	var id [24]byte
	putHex(id[:8], uint64(now.Unix()))
	putHex(id[8:], rand.Uint64())
	return string(id[:])
}

// putHex fills dst with the last hexadecimal digits of n. It is on the path of every
// preflight, and many times faster than package fmt.
func putHex(dst []byte, n uint64) {
	for i := len(dst) - 1; i >= 0; i-- {
		dst[i] = "0123456789ABCDEF"[n&0xF]
		n >>= 4
	}
}

// Empty writes a response without a body.
func (w *Writer) Empty(status int) {
	if status != http.StatusNoContent {
		w.set("Content-Length", "0")
	}
	w.writeHeader(status)
}

// XML writes a document.
func (w *Writer) XML(status int, doc string) error {
	w.set("Content-Type", "application/xml")
	w.set("Content-Length", strconv.Itoa(len(doc)))
	w.writeHeader(status)
	_, err := io.WriteString(w.w, doc)
	return err
}

// Error writes an error document.
func (w *Writer) Error(e Error) error {
	if w.s3 {
		return w.XML(e.Status, e.s3Document(w.id, w.host))
	}
	if e.EC != "" {
		w.set("X-Oss-Ec", e.EC)
	}
	return w.XML(e.Status, e.document(w.id, w.host))
}

func (w *Writer) writeHeader(status int) {
	if w.s3 {
		w.set("X-Amz-Request-Id", w.id)
		w.set("X-Amz-Id-2", w.host)
		w.w.WriteHeader(status)
		return
	}
	w.set("X-Oss-Request-Id", w.id)
	w.set("X-Oss-Server-Time", strconv.FormatInt(time.Since(w.start).Milliseconds(), 10))
	w.w.WriteHeader(status)
}

// set sets a header field; key is canonical.
func (w *Writer) set(key, value string) {
	i := w.used
	w.used++
	w.values[i] = value
	w.w.Header()[key] = w.values[i : i+1 : i+1]
}

// Error is one of OSS's error responses, or of S3's.
type Error struct {
	// Status is the HTTP status.
	Status int

	// Code is what clients act on, and Message what people read.
	Code, Message string

	// EC helps a person search. If it is empty, none is known, and none is sent. S3 does
	// not have it.
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
		b.WriteString("  ")
		xmltext.WriteElement(&b, name, text)
		b.WriteByte('\n')
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
