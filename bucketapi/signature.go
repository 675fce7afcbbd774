package bucketapi

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/caddy-oss-cors/caddy-oss-cors/internal/ossresponse"
)

// maxSignedBytes bounds what is sorted and hashed of a request before its signature is
// known to be good: its signed headers, and its query. Clients sign about 500 bytes; a
// security token adds about 1 KB.
const maxSignedBytes = 16 << 10

const (
	dayFormat  = "20060102"
	timeFormat = "20060102T150405Z"

	unsignedPayload = "UNSIGNED-PAYLOAD"
)

// requestTime returns when a request says that it was made, as it was signed and as a time:
// x-oss-date or x-amz-date or, without one, Date. Either may have the format of ISO 8601,
// which V4 documents, or that of HTTP: ali-oss writes x-oss-date in the latter with V1, SDK
// v1 writes Date with V4. OSS's clients sign the text, S3's the time.
func (a *authorization) requestTime(h http.Header) (date string, t time.Time, err error) {
	own := ossV4.dateHeader
	if a.v4 != nil {
		own = a.v4.dateHeader
	}
	text := h.Get(own)
	if text == "" {
		text = h.Get("Date")
	}
	if text == "" {
		return "", time.Time{}, a.choose(errNoDate, errS3NoDate)
	}
	if t, err := time.Parse(timeFormat, text); err == nil {
		return text, t, nil
	}
	if t, err = http.ParseTime(text); err != nil {
		return "", time.Time{}, a.choose(errInvalidDate, errS3NoDate)
	}
	t = t.UTC()
	if a.v4 == awsV4 {
		text = t.Format(timeFormat)
	}
	return text, t, nil
}

// signedText is what a client must have signed.
type signedText struct {
	stringToSign string

	// canonicalRequest is what the hash in stringToSign is made of; V4 only.
	canonicalRequest string
}

// signed returns what must have been signed, by a's version, for r to be a request of this
// API on the bucket.
//
// OSS's clients sign the bucket's own name, wherever r names it, and the sub-resource cors,
// so that a signature for another bucket or another operation does not match. V4 signs the
// whole query. V1 signs sub-resources only: cors is the only one that is expected here, since
// this API gives the others no meaning.
//
// S3's clients sign Host, path and query as they send them. A bucket's name that is taken
// from elsewhere, such as another header, is signed only if that is.
func (a *authorization) signed(r *http.Request, bucket, date string) (signedText, error) {
	if a.v4 == awsV4 {
		if names := a.unsignedHeaders(r.Header); len(names) > 0 {
			return signedText{}, errS3HeadersNotSigned(names)
		}
	}
	headers, ok := a.canonicalHeaders(r)
	if !ok || len(r.URL.RawQuery) > maxSignedBytes {
		return signedText{}, errTooLong
	}
	if a.v4 == nil {
		return signedText{stringToSign: r.Method + "\n" + r.Header.Get("Content-Md5") + "\n" + r.Header.Get("Content-Type") + "\n" +
			date + "\n" + headers + "/" + bucket + "/?cors"}, nil
	}
	path := "/" + bucket + "/"
	if a.v4 == awsV4 {
		path = r.URL.EscapedPath()
	}
	if path == "" {
		path = "/"
	}
	payload := r.Header.Get(a.v4.payloadHeader)
	if payload == "" {
		payload = unsignedPayload
	}
	canonical := strings.Join([]string{
		r.Method, path, a.canonicalQuery(r.URL.RawQuery), headers, strings.Join(a.headers, ";"), payload,
	}, "\n")
	hash := sha256.Sum256([]byte(canonical))
	return signedText{
		stringToSign:     strings.Join([]string{a.v4.scheme, date, a.scope(), hex.EncodeToString(hash[:])}, "\n"),
		canonicalRequest: canonical,
	}, nil
}

func (a *authorization) scope() string {
	return a.date + "/" + a.region + "/" + a.v4.product + "/" + a.v4.terminator
}

// isSigned reports whether a header is among the signed headers. The name is in lower case.
func (a *authorization) isSigned(name string) bool {
	switch {
	case a.v4 == awsV4:
		return slices.Contains(a.headers, name)
	case strings.HasPrefix(name, "x-oss-"):
		return true
	}
	return a.v4 != nil && (name == "content-type" || name == "content-md5" || slices.Contains(a.headers, name))
}

// unsignedHeaders returns the names of those headers that S3's clients have to sign, and
// that are not signed: Host, and all that S3 may act on.
func (a *authorization) unsignedHeaders(h http.Header) (names []string) {
	for name := range h {
		if name = strings.ToLower(name); strings.HasPrefix(name, "x-amz-") && !a.isSigned(name) {
			names = append(names, name)
		}
	}
	if !a.isSigned("host") {
		names = append(names, "host")
	}
	slices.Sort(names)
	return names
}

// canonicalHeaders returns a line for each signed header, in the order of their names; ok
// is false if they are too long. Package net/http keeps Host apart from the other headers.
func (a *authorization) canonicalHeaders(r *http.Request) (canonical string, ok bool) {
	lines := map[string]string{}
	size := 0
	if a.isSigned("host") {
		lines["host"] = r.Host
	}
	for name, values := range r.Header {
		if name = strings.ToLower(name); !a.isSigned(name) {
			continue
		}
		lines[name] = a.canonicalValue(values)
		if size += len(name) + len(lines[name]); size > maxSignedBytes {
			return "", false
		}
	}
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(lines)) {
		b.WriteString(name + ":" + lines[name] + "\n")
	}
	return b.String(), true
}

// canonicalValue joins the lines of a header, without the white space around each. AWS also
// has a single space for each run of white space.
func (a *authorization) canonicalValue(lines []string) string {
	trimmed := make([]string, len(lines))
	for i, line := range lines {
		if trimmed[i] = strings.TrimSpace(line); a.v4 == awsV4 {
			trimmed[i] = strings.Join(strings.Fields(line), " ")
		}
	}
	return strings.Join(trimmed, ",")
}

// canonicalQuery returns the parameters in the order of their names, each encoded anew. OSS
// leaves "=" out if there is no value. AWS has it always, and orders the values of a name,
// too.
func (a *authorization) canonicalQuery(query string) string {
	type parameter struct{ name, value string }
	var parameters []parameter
	for text := range strings.SplitSeq(query, "&") {
		if text == "" {
			continue
		}
		name, value, _ := strings.Cut(text, "=")
		if value != "" || a.v4 == awsV4 {
			value = "=" + reencode(value)
		}
		parameters = append(parameters, parameter{reencode(name), value})
	}
	slices.SortStableFunc(parameters, func(p, q parameter) int {
		if order := strings.Compare(p.name, q.name); order != 0 || a.v4 == ossV4 {
			return order
		}
		return strings.Compare(p.value, q.value)
	})
	texts := make([]string, len(parameters))
	for i, p := range parameters {
		texts[i] = p.name + p.value
	}
	return strings.Join(texts, "&")
}

// reencode percent-encodes everything but the unreserved characters (RFC 3986, section
// 2.3).
func reencode(s string) string {
	if decoded, err := url.QueryUnescape(s); err == nil {
		s = decoded
	}
	return strings.ReplaceAll(url.QueryEscape(s), "+", "%20")
}

// sign returns the signature of a string, by a's version.
func (a *authorization) sign(secret, stringToSign string) string {
	if a.v4 == nil {
		mac := hmac.New(sha1.New, []byte(secret))
		mac.Write([]byte(stringToSign))
		return base64.StdEncoding.EncodeToString(mac.Sum(nil))
	}
	key := []byte(a.v4.keyPrefix + secret)
	for _, step := range []string{a.date, a.region, a.v4.product, a.v4.terminator} {
		key = hmacSHA256(key, step)
	}
	return hex.EncodeToString(hmacSHA256(key, stringToSign))
}

func hmacSHA256(key []byte, s string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(s))
	return mac.Sum(nil)
}

// choose returns OSS's error or S3's, by whose signature a is.
func (a *authorization) choose(oss, s3 ossresponse.Error) ossresponse.Error {
	if a.v4 == awsV4 {
		return s3
	}
	return oss
}
