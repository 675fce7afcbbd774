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

// requestTime returns when r says that it was made, as written and as a time: x-oss-date
// or, without one, Date. Either may have the format of ISO 8601, which V4 documents, or
// that of HTTP: ali-oss writes x-oss-date in the latter with V1, SDK v1 writes Date with V4.
func requestTime(h http.Header) (string, time.Time, error) {
	text := h.Get("X-Oss-Date")
	if text == "" {
		text = h.Get("Date")
	}
	if text == "" {
		return "", time.Time{}, errNoDate
	}
	if t, err := time.Parse(timeFormat, text); err == nil {
		return text, t, nil
	}
	t, err := http.ParseTime(text)
	if err != nil {
		return "", time.Time{}, errInvalidDate
	}
	return text, t.UTC(), nil
}

// stringToSign is what must have been signed, by a's version, for r to be a request of
// this API on the bucket. The resource always has the bucket's own name, wherever r names
// it, and the sub-resource cors, so that a signature for another bucket or another operation
// does not match. V4 signs the whole query. V1 signs sub-resources only: cors is the only one
// that is expected here, since this API gives the others no meaning.
func (a *authorization) stringToSign(r *http.Request, bucket, date string) (string, error) {
	headers, ok := canonicalHeaders(r, a.isSigned)
	if !ok || len(r.URL.RawQuery) > maxSignedBytes {
		return "", errTooLong
	}
	if a.v4 {
		return a.stringToSignV4(r, bucket, date, headers), nil
	}
	return r.Method + "\n" + r.Header.Get("Content-Md5") + "\n" + r.Header.Get("Content-Type") + "\n" +
		date + "\n" + headers + "/" + bucket + "/?cors", nil
}

func (a *authorization) stringToSignV4(r *http.Request, bucket, date, headers string) string {
	payload := r.Header.Get("X-Oss-Content-Sha256")
	if payload == "" {
		payload = unsignedPayload
	}
	canonical := r.Method + "\n/" + bucket + "/\n" + canonicalQuery(r.URL.RawQuery) + "\n" + headers + "\n" +
		strings.Join(a.additional, ";") + "\n" + payload
	hash := sha256.Sum256([]byte(canonical))
	return "OSS4-HMAC-SHA256\n" + date + "\n" + a.scope() + "\n" + hex.EncodeToString(hash[:])
}

func (a *authorization) scope() string {
	return a.date + "/" + a.region + "/" + product + "/" + terminator
}

// isSigned reports whether a header is among the signed headers. The name is in lower case.
func (a *authorization) isSigned(name string) bool {
	if strings.HasPrefix(name, "x-oss-") {
		return true
	}
	return a.v4 && (name == "content-type" || name == "content-md5" || slices.Contains(a.additional, name))
}

// canonicalHeaders returns a line for each signed header, in the order of their names; ok
// is false if they are too long. Package net/http keeps Host apart from the other headers.
func canonicalHeaders(r *http.Request, isSigned func(string) bool) (canonical string, ok bool) {
	lines := map[string]string{}
	size := 0
	if isSigned("host") {
		lines["host"] = r.Host
	}
	for name, values := range r.Header {
		if name = strings.ToLower(name); !isSigned(name) {
			continue
		}
		lines[name] = joinTrimmed(values)
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

func joinTrimmed(values []string) string {
	trimmed := make([]string, len(values))
	for i, value := range values {
		trimmed[i] = strings.TrimSpace(value)
	}
	return strings.Join(trimmed, ",")
}

// canonicalQuery returns the parameters in the order of their names, each encoded anew,
// and without "=" if it has no value.
func canonicalQuery(query string) string {
	type parameter struct{ name, value string }
	var parameters []parameter
	for text := range strings.SplitSeq(query, "&") {
		if text == "" {
			continue
		}
		name, value, _ := strings.Cut(text, "=")
		if value != "" {
			value = "=" + reencode(value)
		}
		parameters = append(parameters, parameter{reencode(name), value})
	}
	slices.SortStableFunc(parameters, func(a, b parameter) int { return strings.Compare(a.name, b.name) })
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
	if !a.v4 {
		mac := hmac.New(sha1.New, []byte(secret))
		mac.Write([]byte(stringToSign))
		return base64.StdEncoding.EncodeToString(mac.Sum(nil))
	}
	key := []byte("aliyun_v4" + secret)
	for _, step := range []string{a.date, a.region, product, terminator} {
		key = hmacSHA256(key, step)
	}
	return hex.EncodeToString(hmacSHA256(key, stringToSign))
}

func hmacSHA256(key []byte, s string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(s))
	return mac.Sum(nil)
}
