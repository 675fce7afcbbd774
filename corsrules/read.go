package corsrules

import (
	"bytes"
	"io"
)

// ReadDocument reads a document, and of one that is too long no more than shows Parse
// that it is. The size is how long it is said to be, which spares memory; it may be wrong,
// and less than 1 where nobody knows.
func ReadDocument(r io.Reader, size int64) ([]byte, error) {
	var doc bytes.Buffer
	doc.Grow(int(min(max(size, 0), MaxDocumentBytes)) + bytes.MinRead) // which ReadFrom wants free
	_, err := doc.ReadFrom(io.LimitReader(r, MaxDocumentBytes+1))
	return doc.Bytes(), err
}
