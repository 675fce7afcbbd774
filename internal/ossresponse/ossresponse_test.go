package ossresponse

import (
	"encoding/xml"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestError(t *testing.T) {
	w := httptest.NewRecorder()
	w.Header().Set("Content-Encoding", "gzip")
	w.Header().Set("Etag", `"earlier"`)
	r := httptest.NewRequest("OPTIONS", "http://examplebucket.oss-cn-hangzhou.aliyuncs.com/", nil)
	a := New(w, r, time.Now())
	if err := a.Error(Error{
		Status: 403, Code: "AccessForbidden", Message: "CORSResponse: CORS is not enabled for this bucket.", EC: "0003-00000601",
	}); err != nil {
		t.Fatal(err)
	}
	want := `<?xml version="1.0" encoding="UTF-8"?>
<Error>
  <Code>AccessForbidden</Code>
  <Message>CORSResponse: CORS is not enabled for this bucket.</Message>
  <RequestId>` + a.RequestID() + `</RequestId>
  <HostId>examplebucket.oss-cn-hangzhou.aliyuncs.com</HostId>
  <EC>0003-00000601</EC>
  <RecommendDoc>https://api.aliyun.com/troubleshoot?q=0003-00000601</RecommendDoc>
</Error>
`
	if w.Code != 403 || w.Body.String() != want {
		t.Errorf("got %d and\n%s\nwant 403 and\n%s", w.Code, w.Body, want)
	}
	for name, value := range map[string]string{
		"Content-Type": "application/xml", "X-Oss-Request-Id": a.RequestID(),
		"X-Oss-Ec": "0003-00000601", "Content-Encoding": "", "Etag": "",
	} {
		if got := w.Header().Get(name); got != value {
			t.Errorf("%s: got %q, want %q", name, got, value)
		}
	}
}

func TestServerTime(t *testing.T) {
	w := httptest.NewRecorder()
	a := New(w, httptest.NewRequest("GET", "/", nil), time.Now())
	a.start = a.start.Add(-time.Hour)
	a.Empty(200)
	if got := w.Header().Get("X-Oss-Server-Time"); len(got) != 7 || !strings.HasPrefix(got, "36") {
		t.Errorf("got %s ms, want an hour", got)
	}
}

func TestErrorWithoutEC(t *testing.T) {
	w := httptest.NewRecorder()
	_ = New(w, httptest.NewRequest("GET", "/", nil), time.Now()).Error(Error{Status: 500, Code: "InternalError", Message: "m"})
	if strings.Contains(w.Body.String(), "<EC>") || strings.Contains(w.Body.String(), "RecommendDoc") || w.Header().Get("X-Oss-Ec") != "" {
		t.Errorf("an EC that is not known is shown:\n%v\n%s", w.Header(), w.Body)
	}
}

func TestDetails(t *testing.T) {
	base := Error{Code: "InvalidArgument"}.With("ArgumentName", "a")
	one, other := base.With("ArgumentValue", "1"), base.With("ArgumentValue", "2")
	if one.Details[1].Text != "1" || other.Details[1].Text != "2" || len(base.Details) != 1 {
		t.Errorf("With shares details: %v, %v, %v", base, one, other)
	}
}

func TestWhatXMLCannotHold(t *testing.T) {
	hostile := "<a>&\x00\x1f\xff\ufffe\r\n]]>"
	doc := Error{Code: "C", Message: "m"}.With("ArgumentValue", hostile).document("id", hostile)
	var parsed struct{ HostId, ArgumentValue string }
	if err := xml.Unmarshal([]byte(doc), &parsed); err != nil {
		t.Fatalf("%v in\n%s", err, doc)
	}
	want := "<a>&\ufffd\ufffd\ufffd\ufffd\r\n]]>"
	if parsed.HostId != want || parsed.ArgumentValue != want {
		t.Errorf("got %q and %q, want %q", parsed.HostId, parsed.ArgumentValue, want)
	}
}

func TestEmpty(t *testing.T) {
	for status, length := range map[int]string{http.StatusOK: "0", http.StatusNoContent: ""} {
		w := httptest.NewRecorder()
		a := New(w, httptest.NewRequest("PUT", "/", nil), time.Now())
		a.Empty(status)
		if w.Code != status || w.Header().Get("Content-Length") != length || w.Header().Get("X-Oss-Request-Id") != a.RequestID() {
			t.Errorf("%d: got %d, %v", status, w.Code, w.Header())
		}
	}
}

func TestRequestID(t *testing.T) {
	id := requestID(time.Unix(0x59FC3349, 0))
	if len(id) != 24 || !strings.HasPrefix(id, "59FC3349") || strings.Trim(id, "0123456789ABCDEF") != "" {
		t.Errorf("got %q", id)
	}
	if id == requestID(time.Unix(0x59FC3349, 0)) {
		t.Error("two requests of one second have the same id")
	}
}

func TestS3(t *testing.T) {
	w := httptest.NewRecorder()
	a := NewS3(w)
	e := Error{Status: 403, Code: "AccessForbidden", Message: "a < b", EC: "0003-00000601"}
	if err := a.Error(e.With("Method", "PUT")); err != nil {
		t.Fatal(err)
	}
	want := `<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>AccessForbidden</Code><Message>a &lt; b</Message><Method>PUT</Method><RequestId>` + a.RequestID() +
		`</RequestId><HostId>` + w.Header().Get("X-Amz-Id-2") + `</HostId></Error>`
	if w.Code != 403 || w.Body.String() != want {
		t.Errorf("got %d and\n%s\nwant 403 and\n%s", w.Code, w.Body, want)
	}
	if len(w.Header()) != 4 || w.Header().Get("X-Amz-Request-Id") != a.RequestID() || w.Header().Get("Content-Type") != "application/xml" {
		t.Errorf("got %v", w.Header())
	}
	if len(a.RequestID()) != 16 || strings.Trim(a.RequestID(), "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") != "" {
		t.Errorf("request id %q", a.RequestID())
	}
}
