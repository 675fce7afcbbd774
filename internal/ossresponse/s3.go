package ossresponse

import (
	"crypto/rand"
	"encoding/base64"
	"strings"

	"github.com/caddy-oss-cors/caddy-oss-cors/internal/xmltext"
)

// s3RequestID returns what S3 sends as x-amz-request-id: 16 letters and digits.
func s3RequestID() string { return rand.Text()[:16] }

// s3HostID returns what S3 sends as x-amz-id-2: 56 bytes in base64, which mean something to
// AWS alone.
func s3HostID() string {
	var id [56]byte
	_, _ = rand.Read(id[:]) // never fails
	return base64.StdEncoding.EncodeToString(id[:])
}

// s3Document returns the body of S3's response: one line after the XML declaration, and the
// ids at its end.
func (e Error) s3Document(requestID, hostID string) string {
	var b strings.Builder
	b.WriteString("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error>")
	xmltext.WriteElement(&b, "Code", e.Code)
	xmltext.WriteElement(&b, "Message", e.Message)
	for _, d := range e.Details {
		xmltext.WriteElement(&b, d.Element, d.Text)
	}
	xmltext.WriteElement(&b, "RequestId", requestID)
	xmltext.WriteElement(&b, "HostId", hostID)
	b.WriteString("</Error>")
	return b.String()
}
