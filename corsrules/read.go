package corsrules

import (
	"bytes"
	"io"
)

// ReadDocument reads a document. Of one that is too long it reads one byte more than d
// allows, which is enough for Parse to report it. The size is how long the document is said
// to be, which saves memory; it may be wrong, and is less than 1 where nobody knows.
func (d Dialect) ReadDocument(r io.Reader, size int64) ([]byte, error) {
	limit := int64(d.MaxBytes())
	var doc bytes.Buffer
	doc.Grow(int(min(max(size, 0), limit)) + bytes.MinRead) // which ReadFrom wants free
	_, err := doc.ReadFrom(io.LimitReader(r, limit+1))
	return doc.Bytes(), err
}
