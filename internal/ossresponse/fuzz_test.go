package ossresponse

import (
	"encoding/xml"
	"strings"
	"testing"
)

// FuzzError: whatever a request has that an error quotes, its document is well-formed and
// says so, in both forms: what XML 1.0 cannot hold (section 2.2) is replaced, and nothing else.
func FuzzError(f *testing.F) {
	f.Add("store.example", "<a>&\x00\x1f\xff\ufffe\r\n]]>")
	f.Add("", "\u2028\U0010ffff\ud7ff\ue000\t \"'")
	f.Fuzz(func(t *testing.T, host, value string) {
		e := Error{Code: "C", Message: value}.With("ArgumentValue", value)
		for _, doc := range []string{e.document("id", host), e.s3Document("id", host)} {
			var got struct{ Code, Message, RequestId, HostId, ArgumentValue string }
			if err := xml.Unmarshal([]byte(doc), &got); err != nil {
				t.Fatalf("%v in\n%s", err, doc)
			}
			want := got
			want.Code, want.Message, want.RequestId, want.HostId, want.ArgumentValue = "C", inXML(value), "id", inXML(host), inXML(value)
			if got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		}
	})
}

// inXML is text as XML can hold it.
func inXML(text string) string {
	return strings.Map(func(r rune) rune {
		if r == '\t' || r == '\n' || r == '\r' || 0x20 <= r && r <= 0xD7FF || 0xE000 <= r && r <= 0xFFFD || 0x10000 <= r {
			return r
		}
		return 0xFFFD
	}, text)
}
