package bucketapi

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/caddy-oss-cors/caddy-oss-cors/internal/ossresponse"
)

// ECs of errors whose Code has several causes: the EC tells these apart.
const (
	ecOtherScheme       = "0002-00000061"
	ecNoColon           = "0002-00000062"
	ecNoKeyID           = "0002-00000063"
	ecInvalidKeyID      = "0002-00000064"
	ecNoSignature       = "0002-00000065"
	ecInvalidCredential = "0002-00000213"
	ecInvalidDay        = "0002-00000212"
	ecInvalidPayload    = "0002-00000214"
	ecMismatchV1        = "0002-00000040"
	ecMismatchV4        = "0002-00000201"
)

// OSS's errors, in its words; where it has none, in ours.
var (
	errInvalidBucketName = ossresponse.Error{Status: http.StatusBadRequest, Code: "InvalidBucketName",
		Message: "The specified bucket is not valid.", EC: "0015-00000001"}

	errUnsigned = ossresponse.Error{Status: http.StatusForbidden, Code: "AccessDenied",
		Message: "Anonymous access is forbidden for this operation.", EC: "0003-00001201"}
	errNoDate = ossresponse.Error{Status: http.StatusForbidden, Code: "AccessDenied",
		Message: "OSS authentication requires a valid Date.", EC: "0002-00000503"}
	errInvalidDate = ossresponse.Error{Status: http.StatusForbidden, Code: "AccessDenied",
		Message: "OSS authentication requires a valid Date.", EC: "0002-00000502"}
	errForeignBucket = ossresponse.Error{Status: http.StatusForbidden, Code: "AccessDenied",
		Message: "The bucket you access does not belong to you.", EC: "0003-00000905"}
	errUnknownKey = ossresponse.Error{Status: http.StatusForbidden, Code: "InvalidAccessKeyId",
		Message: "The OSS Access Key Id you provided does not exist in our records.", EC: "0002-00000902"}
	errMismatch = ossresponse.Error{Status: http.StatusForbidden, Code: "SignatureDoesNotMatch",
		Message: "The request signature we calculated does not match the signature you provided. Check your key and signing method."}
	errSkewed = ossresponse.Error{Status: http.StatusForbidden, Code: "RequestTimeTooSkewed",
		Message: "The difference between the request time and the current time is too large.", EC: "0002-00000504"}
	errTooLong = ossresponse.Error{Status: http.StatusBadRequest, Code: "InvalidArgument",
		Message: "The query or the signed headers are too long: at most " + strconv.Itoa(maxSignedBytes) + " bytes each are accepted."}

	errInvalidDigest = ossresponse.Error{Status: http.StatusBadRequest, Code: "InvalidDigest",
		Message: "The Content-MD5 you specified was invalid."}
	errIncompleteBody = ossresponse.Error{Status: http.StatusBadRequest, Code: "IncompleteBody",
		Message: "You did not provide the number of bytes specified by the Content-Length HTTP header."}

	errNoConfiguration = ossresponse.Error{Status: http.StatusNotFound, Code: "NoSuchCORSConfiguration",
		Message: "The CORS Configuration does not exist.", EC: "0034-00000001"}
	errDamaged = ossresponse.Error{Status: http.StatusInternalServerError, Code: "InternalError",
		Message: "The CORS rules stored for this bucket are damaged. Replace them with PutBucketCors, or remove them with DeleteBucketCors."}
	errStore = ossresponse.Error{Status: http.StatusInternalServerError, Code: "InternalError",
		Message: "The CORS rules could not be stored or read. Either the previous rules or the rules in this request are in force. Please try again."}
	errStoreTimeout = ossresponse.Error{Status: http.StatusServiceUnavailable, Code: "ServiceUnavailable",
		Message: "The storage of the CORS rules did not answer in time. The previous rules are in force, and the rules in this request may still replace them. Please try again."}
)

// invalidAuthorization says what is wrong with an Authorization header without quoting it.
func invalidAuthorization(ec, problem string) ossresponse.Error {
	return invalidArgument("Authorization header is invalid.", ec, "Authorization", "").With("ErrorDetail", problem)
}

func invalidArgument(message, ec, name, value string) ossresponse.Error {
	return ossresponse.Error{Status: http.StatusBadRequest, Code: "InvalidArgument", Message: message, EC: ec}.
		With("ArgumentName", name).With("ArgumentValue", value)
}

// skewed tells the client both times: ali-oss and the mobile SDKs set their clocks to
// ServerTime and try again.
func skewed(request, server time.Time) ossresponse.Error {
	const format = "2006-01-02T15:04:05.000Z"
	return errSkewed.
		With("MaxAllowedSkewMilliseconds", strconv.FormatInt(maxSkew.Milliseconds(), 10)).
		With("RequestTime", request.UTC().Format(format)).
		With("ServerTime", server.UTC().Format(format))
}

// unknownKey names the key.
func (a *authorization) unknownKey() ossresponse.Error {
	return a.choose(errUnknownKey.With("OSSAccessKeyId", a.keyID), errS3UnknownKey.With("AWSAccessKeyId", a.keyID))
}

// wrongDay is the error of a V4 signature for another day than that of the request.
func (a *authorization) wrongDay(request time.Time) ossresponse.Error {
	return a.choose(
		invalidArgument("Invalid signing date in Authorization header.", ecInvalidDay, "Authorization", a.date),
		errS3Malformed(fmt.Sprintf("Invalid credential date %q. This date is not the same as X-Amz-Date: %q", a.date, request.Format(dayFormat))))
}

// mismatch tells the client what it should have signed, so that the author of a client can
// see what differs.
func (a *authorization) mismatch(signed signedText) ossresponse.Error {
	e := errMismatch
	switch a.v4 {
	case nil:
		e.EC = ecMismatchV1
	case ossV4:
		e.EC = ecMismatchV4
	case awsV4:
		return errS3Mismatch(a, signed)
	}
	return e.With("OSSAccessKeyId", a.keyID).With("SignatureProvided", a.signature).
		With("StringToSign", signed.stringToSign).With("StringToSignBytes", fmt.Sprintf("% X", signed.stringToSign))
}
