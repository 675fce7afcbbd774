package bucketapi

import (
	"crypto/subtle"
	"net/http"
	"strings"
	"time"
)

// maxSkew is how far a client's clock may be off, as in OSS and S3. Within that time, anyone
// who can read a request can send it again: serve the API over TLS.
const maxSkew = 15 * time.Minute

// authenticate returns the ID of the key that signed r for the bucket. The error, if any,
// is an ossresponse.Error. It does not read r's body: what the signature says about it is
// checked when it is read.
func (a *API) authenticate(r *http.Request, bucket string) (keyID string, err error) {
	auth, err := parseAuthorization(r.Header["Authorization"])
	if err != nil {
		return "", err
	}
	key, ok := a.keys[auth.keyID]
	if !ok {
		return "", auth.unknownKey()
	}
	date, err := auth.checkTime(r.Header, a.now())
	if err != nil {
		return "", err
	}
	if err := auth.checkPayload(r.Header); err != nil {
		return "", err
	}
	signed, err := auth.signed(r, bucket, date)
	if err != nil {
		return "", err
	}
	signature := auth.sign(key.Secret, signed.stringToSign)
	if subtle.ConstantTimeCompare([]byte(signature), []byte(auth.signature)) != 1 {
		return "", auth.mismatch(signed)
	}
	if !key.actsOn(bucket) {
		return key.ID, auth.choose(errForeignBucket, errS3Denied)
	}
	return key.ID, nil
}

// checkTime checks the time that a request says it was made, and returns it as it was
// signed.
func (a *authorization) checkTime(h http.Header, now time.Time) (date string, err error) {
	date, t, err := a.requestTime(h)
	if err != nil {
		return "", err
	}
	if now.Sub(t).Abs() > maxSkew {
		return "", skewed(t, now)
	}
	if a.v4 != nil && a.date != t.Format(dayFormat) {
		return "", a.wrongDay(t)
	}
	return date, nil
}

// checkPayload checks that a request has one of the payload headers that this API knows.
// OSS's clients send UNSIGNED-PAYLOAD or none. S3's send that or a hash; a body in signed
// chunks, STREAMING-…, is sent by none of them for rules, which they hold in memory.
func (a *authorization) checkPayload(h http.Header) error {
	if a.v4 == nil {
		return nil
	}
	payload := strings.Join(h[a.v4.payloadHeader], ",")
	switch {
	case payload == unsignedPayload:
		return nil
	case a.v4 == awsV4 && payload == "":
		return errS3NoPayloadHash
	case a.v4 == awsV4 && !isSHA256(payload):
		return errS3InvalidPayloadHash(payload)
	case a.v4 == ossV4 && payload != "":
		return invalidArgument("x-oss-content-sha256 must be UNSIGNED-PAYLOAD; use Content-MD5 to protect the body.",
			ecInvalidPayload, "x-oss-content-sha256", payload)
	}
	return nil
}

func isSHA256(s string) bool {
	return len(s) == 64 && strings.Trim(s, "0123456789abcdef") == ""
}
