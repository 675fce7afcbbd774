package bucketapi

import (
	"net/http"
	"strconv"
	"time"

	"github.com/caddy-oss-cors/caddy-oss-cors/internal/ossresponse"
)

// ECs of errors whose Code has several causes: the EC tells these apart.
const (
	ecInvalidV1         = "0002-00000062"
	ecInvalidCredential = "0002-00000213"
	ecInvalidDay        = "0002-00000212"
	ecInvalidPayload    = "0002-00000214"
	ecMismatchV1        = "0002-00000040"
	ecMismatchV4        = "0002-00000201"
)

// Codes and messages are OSS's own where OSS has the error.
var (
	errInvalidBucketName = ossresponse.Error{Status: http.StatusBadRequest, Code: "InvalidBucketName",
		Message: "The specified bucket is not valid.", EC: "0015-00000001"}

	errUnsigned = ossresponse.Error{Status: http.StatusForbidden, Code: "AccessDenied",
		Message: "Anonymous access is forbidden for this operation.", EC: "0003-00001201"}
	errOtherScheme = ossresponse.Error{Status: http.StatusForbidden, Code: "AccessDenied",
		Message: "The Authorization header is neither an OSS signature of version 1 (OSS …) nor one of version 4 (OSS4-HMAC-SHA256 …)."}
	errNoDate = ossresponse.Error{Status: http.StatusForbidden, Code: "AccessDenied",
		Message: "OSS authentication requires a valid Date.", EC: "0002-00000503"}
	errInvalidDate = ossresponse.Error{Status: http.StatusForbidden, Code: "AccessDenied",
		Message: "OSS authentication requires a valid Date.", EC: "0002-00000502"}
	errForeignBucket = ossresponse.Error{Status: http.StatusForbidden, Code: "AccessDenied",
		Message: "The bucket you access does not belong to you.", EC: "0003-00000001"}
	errUnknownKey = ossresponse.Error{Status: http.StatusForbidden, Code: "InvalidAccessKeyId",
		Message: "The OSS Access Key Id you provided does not exist in our records.", EC: "0002-00000902"}
	errMismatch = ossresponse.Error{Status: http.StatusForbidden, Code: "SignatureDoesNotMatch",
		Message: "The request signature we calculated does not match the signature you provided. Check your key and signing method."}
	errSkewed = ossresponse.Error{Status: http.StatusForbidden, Code: "RequestTimeTooSkewed",
		Message: "The difference between the request time and the current time is too large.", EC: "0002-00000504"}
	errTooLong = ossresponse.Error{Status: http.StatusBadRequest, Code: "InvalidArgument",
		Message: "The query or the headers to sign are too long: at most " + strconv.Itoa(maxSignedBytes) + " bytes each are taken."}

	errInvalidDigest = ossresponse.Error{Status: http.StatusBadRequest, Code: "InvalidDigest",
		Message: "The Content-MD5 you specified was invalid."}
	errIncompleteBody = ossresponse.Error{Status: http.StatusBadRequest, Code: "IncompleteBody",
		Message: "The request body could not be read to its end."}

	errNoConfiguration = ossresponse.Error{Status: http.StatusNotFound, Code: "NoSuchCORSConfiguration",
		Message: "The CORS Configuration does not exist.", EC: "0034-00000001"}
	errDamaged = ossresponse.Error{Status: http.StatusInternalServerError, Code: "InternalError",
		Message: "The CORS rules that are stored for this bucket are damaged. PutBucketCors replaces them, DeleteBucketCors removes them."}
	errStore = ossresponse.Error{Status: http.StatusInternalServerError, Code: "InternalError",
		Message: "The store of the CORS rules failed: those from before this request, or those in it, are in force. Please try again."}
	errStoreTimeout = ossresponse.Error{Status: http.StatusServiceUnavailable, Code: "ServiceUnavailable",
		Message: "The store of the CORS rules did not answer in time: those from before this request are in force, or those in it, now or later. Please try again."}
)

// invalidAuthorization says what is wrong with an Authorization header without quoting it.
func invalidAuthorization(problem string) ossresponse.Error {
	return invalidArgument("The Authorization header is invalid: "+problem+".", "", "Authorization", "")
}

func invalidArgument(message, ec, name, value string) ossresponse.Error {
	return ossresponse.Error{Status: http.StatusBadRequest, Code: "InvalidArgument", Message: message, EC: ec}.
		With("ArgumentName", name).With("ArgumentValue", value)
}

// skewed tells both times: ali-oss and the mobile SDKs set their clocks by ServerTime and
// try again.
func skewed(request, server time.Time) ossresponse.Error {
	const format = "2006-01-02T15:04:05.000Z"
	return errSkewed.
		With("MaxAllowedSkewMilliseconds", strconv.FormatInt(maxSkew.Milliseconds(), 10)).
		With("RequestTime", request.UTC().Format(format)).
		With("ServerTime", server.UTC().Format(format))
}

// mismatch tells what should have been signed, so that whoever writes a client can see
// what differs.
func (a *authorization) mismatch(stringToSign string) ossresponse.Error {
	e := errMismatch
	if e.EC = ecMismatchV1; a.v4 {
		e.EC = ecMismatchV4
	}
	return e.With("OSSAccessKeyId", a.keyID).With("SignatureProvided", a.signature).With("StringToSign", stringToSign)
}
