package bucketapi

import (
	"crypto/subtle"
	"net/http"
	"time"
)

// maxSkew is how far a client's clock may be off, as in OSS and S3. Within that time, anyone
// who can read a request can send it again: serve the API over TLS.
const maxSkew = 15 * time.Minute

// authenticate returns the ID of the key that signed r for the bucket. The error, if any,
// is an ossresponse.Error. It does not read r's body: OSS's signatures cover at most its
// Content-MD5.
func (a *API) authenticate(r *http.Request, bucket string) (keyID string, err error) {
	auth, err := parseAuthorization(r.Header["Authorization"])
	if err != nil {
		return "", err
	}
	key, ok := a.keys[auth.keyID]
	if !ok {
		return "", errUnknownKey.With("OSSAccessKeyId", auth.keyID)
	}
	date, err := auth.checkTime(r, a.now())
	if err != nil {
		return "", err
	}
	toSign, err := auth.stringToSign(r, bucket, date)
	if err != nil {
		return "", err
	}
	signature := auth.sign(key.Secret, toSign)
	if subtle.ConstantTimeCompare([]byte(signature), []byte(auth.signature)) != 1 {
		return "", auth.mismatch(toSign)
	}
	if !key.actsOn(bucket) {
		return key.ID, errForeignBucket
	}
	return key.ID, nil
}

// checkTime checks the time that r says it was made, and returns it as it was signed.
func (a *authorization) checkTime(r *http.Request, now time.Time) (date string, err error) {
	date, t, err := requestTime(r.Header)
	if err != nil {
		return "", err
	}
	if now.Sub(t).Abs() > maxSkew {
		return "", skewed(t, now)
	}
	if !a.v4 {
		return date, nil
	}
	if a.date != t.Format(dayFormat) {
		return "", invalidArgument("Invalid signing date in Authorization header.", ecInvalidDay, "Authorization", a.date)
	}
	if payload := r.Header.Get("X-Oss-Content-Sha256"); payload != "" && payload != unsignedPayload {
		return "", invalidArgument("x-oss-content-sha256 must be UNSIGNED-PAYLOAD; use Content-MD5 to protect the body.",
			ecInvalidPayload, "x-oss-content-sha256", payload)
	}
	return date, nil
}
