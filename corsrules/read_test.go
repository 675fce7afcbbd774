package corsrules

import (
	"errors"
	"io"
	"math"
	"strings"
	"testing"
	"testing/iotest"
)

func TestReadDocument(t *testing.T) {
	long := strings.Repeat("x", MaxDocumentBytes)
	for _, c := range []struct{ desc, content, want string }{
		{"empty", "", ""},
		{"short", "<a/>", "<a/>"},
		{"as long as can be", long, long},
		{"too long", long + "yz", long + "y"},
	} {
		for _, size := range []int64{int64(len(c.content)), 0, -1, 1, math.MaxInt64} {
			rest := strings.NewReader(c.content)
			got, err := DialectOSS.ReadDocument(iotest.HalfReader(rest), size)
			if err != nil || string(got) != c.want || rest.Len() != len(c.content)-len(c.want) {
				t.Errorf("%s, said to have %d bytes: got %d and left %d: %v", c.desc, size, len(got), rest.Len(), err)
			}
		}
	}
	broken := errors.New("broken")
	if _, err := DialectOSS.ReadDocument(io.MultiReader(strings.NewReader("<a"), iotest.ErrReader(broken)), 4); !errors.Is(err, broken) {
		t.Errorf("an error that is read: %v", err)
	}
}
