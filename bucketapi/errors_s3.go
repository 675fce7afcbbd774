package bucketapi

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/caddy-oss-cors/caddy-oss-cors/corsrules"
	"github.com/caddy-oss-cors/caddy-oss-cors/internal/ossresponse"
)

// S3's errors, in its words, where they differ from OSS's. An EC is never sent to S3's
// clients.
var (
	errS3NoDate     = s3Error(http.StatusForbidden, "AccessDenied", "AWS authentication requires a valid Date or x-amz-date header")
	errS3Denied     = s3Error(http.StatusForbidden, "AccessDenied", "Access Denied")
	errS3UnknownKey = s3Error(http.StatusForbidden, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.")

	errS3OtherScheme   = s3BadRequest("InvalidRequest", "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.")
	errS3NoPayloadHash = s3BadRequest("InvalidRequest", "Missing required header for this request: x-amz-content-sha256")
	errS3NoChecksum    = s3BadRequest("InvalidRequest", "Missing required header for this request: Content-MD5")
	errS3ManyChecksums = s3BadRequest("InvalidRequest", "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.")
	errS3MalformedXML  = s3BadRequest("MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema")
	errS3TooLong       = s3BadRequest("MaxMessageLengthExceeded", "Your request was too big.").
				With("MaxMessageLengthBytes", strconv.Itoa(corsrules.MaxS3DocumentBytes))

	errS3NoConfiguration = s3Error(http.StatusNotFound, "NoSuchCORSConfiguration", "The CORS configuration does not exist")
)

func s3Error(status int, code, message string) ossresponse.Error {
	return ossresponse.Error{Status: status, Code: code, Message: message}
}

func s3BadRequest(code, message string) ossresponse.Error {
	return s3Error(http.StatusBadRequest, code, message)
}

func errS3Malformed(problem string) ossresponse.Error {
	return s3BadRequest("AuthorizationHeaderMalformed", "The authorization header is malformed; "+problem+".")
}

func errS3HeadersNotSigned(names []string) ossresponse.Error {
	return s3Error(http.StatusForbidden, "AccessDenied", "There were headers present in the request which were not signed").
		With("HeadersNotSigned", strings.Join(names, ", "))
}

func errS3Mismatch(a *authorization, signed signedText) ossresponse.Error {
	return errMismatch.With("AWSAccessKeyId", a.keyID).
		With("StringToSign", signed.stringToSign).
		With("SignatureProvided", a.signature).
		With("StringToSignBytes", fmt.Sprintf("% x", signed.stringToSign)).
		With("CanonicalRequest", signed.canonicalRequest).
		With("CanonicalRequestBytes", fmt.Sprintf("% x", signed.canonicalRequest))
}

func errS3InvalidPayloadHash(found string) ossresponse.Error {
	return s3BadRequest("InvalidArgument", "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, or a valid sha256 value.").
		With("ArgumentName", "x-amz-content-sha256").With("ArgumentValue", found)
}

func errS3PayloadMismatch(sent, computed string) ossresponse.Error {
	return s3BadRequest("XAmzContentSHA256Mismatch", "The provided 'x-amz-content-sha256' header does not match what was computed.").
		With("ClientComputedContentSHA256", sent).With("S3ComputedContentSHA256", computed)
}

func errS3BadMD5(sent, computed string) ossresponse.Error {
	return s3BadRequest("BadDigest", "The Content-MD5 you specified did not match what we received.").
		With("ExpectedDigest", sent).With("CalculatedDigest", computed)
}

// s3FaultAnswer returns S3's answer to a fault of the rules. maxRules is the limit in force. Our
// own words go into ErrorDetail, with the place of the fault. S3 does not have this element; its
// clients skip those that they do not know.
func s3FaultAnswer(f *corsrules.Fault, maxRules int) ossresponse.Error {
	e, value := errS3MalformedXML, f.ArgumentValue
	switch {
	case f.Code == corsrules.CodeBeyondLimit:
		e = s3BadRequest("InvalidRequest", fmt.Sprintf("The number of CORS rules should not exceed allowed limit of %d rules.", maxRules))
	case f.ArgumentName == "AllowedMethod":
		e = s3BadRequest("InvalidRequest", "Found unsupported HTTP method in CORS config. Unsupported method is "+value)
	case f.ArgumentName == "ExposeHeader" && strings.Contains(value, "*"):
		e = s3BadRequest("InvalidRequest", `ExposeHeader "`+value+`" contains wildcard. We currently do not support wildcard for ExposeHeader.`)
	case f.ArgumentName != "" && strings.Count(value, "*") > 1:
		e = s3BadRequest("InvalidRequest", f.ArgumentName+` "`+value+`" can not have more than one wildcard.`)
	case f.ArgumentName != "" && f.ArgumentName != "MaxAgeSeconds":
		e = s3BadRequest("InvalidRequest", f.Message)
	}
	return e.With("ErrorDetail", faultDetail(f))
}
