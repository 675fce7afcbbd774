package osscors

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-oss-cors/caddy-oss-cors/corsrules"
)

// answerPreflight answers as OSS does (OSS behaviour, section 3).
func (a *answer) answerPreflight(w http.ResponseWriter) error {
	start := time.Now()
	header := w.Header()
	for _, key := range []string{"Content-Type", "Content-Encoding", "Etag", "Last-Modified"} {
		header.Del(key) // an earlier handler's, about a body that is not sent
	}
	removeAccessControl(header)
	a.setHeaders(header, new(headerValues))
	id := requestID(start)
	header.Set("X-Oss-Request-Id", id)
	header.Set("X-Oss-Server-Time", strconv.FormatInt(time.Since(start).Milliseconds(), 10))
	if a.unreachable != nil {
		return writeError(w, unreachable, a.request.Host, id)
	}
	if a.decision.Outcome == corsrules.Allowed {
		header.Set("Content-Length", "0")
		w.WriteHeader(http.StatusOK)
		return nil
	}
	a.logDenial(id)
	return writeError(w, preflightErrors[a.decision.Reason], a.request.Host, id)
}

// ossError is an error answer of OSS's.
type ossError struct {
	status            int
	code, message, ec string
}

// The messages are OSS's own, misspellings included.
var (
	notEnabled = ossError{http.StatusForbidden, "AccessForbidden",
		"CORSResponse: CORS is not enabled for this bucket.", "0003-00000601"}
	notAllowed = ossError{http.StatusForbidden, "AccessForbidden",
		"CORSResponse: This CORS request is not allowed. This is usually because the evalution of Origin, request method / Access-Control-Request-Method or Access-Control-Requet-Headers are not whitelisted by the resource's CORS spec.", "0003-00000602"}

	unreachable = ossError{http.StatusServiceUnavailable, "ServiceUnavailable",
		"The CORS rules of this bucket cannot be read at the moment. Please try again.", ""}

	preflightErrors = map[corsrules.Reason]ossError{
		corsrules.NoRules: notEnabled,
		corsrules.MissingOrigin: {http.StatusBadRequest, "BadRequest",
			"Insufficient information. Origin request header needed.", "0034-00000101"},
		corsrules.MissingMethod: {http.StatusBadRequest, "BadRequest",
			"Insufficient information. Request Access-Control-Request-Method header needed.", "0034-00000102"},
		corsrules.Malformed:      notAllowed,
		corsrules.OriginMismatch: notAllowed,
		corsrules.MethodMismatch: notAllowed,
		corsrules.HeaderMismatch: notAllowed,
	}
)

const errorDocument = `<?xml version="1.0" encoding="UTF-8"?>
<Error>
  <Code>%s</Code>
  <Message>%s</Message>
  <RequestId>%s</RequestId>
  <HostId>%s</HostId>
  <EC>%s</EC>
  <RecommendDoc>https://api.aliyun.com/troubleshoot?q=%[5]s</RecommendDoc>
</Error>
`

// xmlText escapes what text needs and no more.
var xmlText = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

func writeError(w http.ResponseWriter, e ossError, host, requestID string) error {
	body := fmt.Sprintf(errorDocument, e.code, e.message, requestID, xmlText.Replace(host), e.ec)
	header := w.Header()
	header.Set("Content-Type", "application/xml")
	header.Set("Content-Length", strconv.Itoa(len(body)))
	header.Set("X-Oss-Ec", e.ec)
	w.WriteHeader(e.status)
	_, err := io.WriteString(w, body)
	return err
}

// requestID returns an ID of the form of OSS's: 24 hexadecimal digits in upper case, the
// first 8 the Unix seconds.
func requestID(now time.Time) string {
	return fmt.Sprintf("%08X%016X", uint32(now.Unix()), rand.Uint64())
}
