package bucketapi

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/caddy-oss-cors/caddy-oss-cors/corsrules"
	"github.com/caddy-oss-cors/caddy-oss-cors/internal/ossresponse"
)

const (
	// maxAuthorizationBytes bounds the work on a request that nobody may have signed.
	// Clients send about 200 bytes.
	maxAuthorizationBytes = 4 << 10

	// maxNamedHeaders bounds the headers that a client may name as signed. OSS's clients
	// name none, or one or two; S3's name up to about ten.
	maxNamedHeaders = 32

	// schemeV1 begins the Authorization header of OSS's version 1, and awsSchemes that of
	// all of AWS's versions.
	schemeV1   = "OSS "
	awsSchemes = "AWS"
)

// v4 is a kind of version 4 signatures. OSS's is modelled on AWS's: the steps are the same,
// and these words differ. What is signed differs in details.
type v4 struct {
	// scheme begins the Authorization header.
	scheme string

	// keyPrefix goes before the secret.
	keyPrefix string

	// product and terminator end the scope.
	product, terminator string

	// headersField is the field of the Authorization header that names signed headers.
	headersField string

	// dateHeader and payloadHeader have the time of a request, and the hash of its body.
	dateHeader, payloadHeader string
}

var (
	ossV4 = &v4{"OSS4-HMAC-SHA256", "aliyun_v4", "oss", "aliyun_v4_request", "AdditionalHeaders", "X-Oss-Date", "X-Oss-Content-Sha256"}
	awsV4 = &v4{"AWS4-HMAC-SHA256", "AWS4", "s3", "aws4_request", "SignedHeaders", "X-Amz-Date", "X-Amz-Content-Sha256"}
)

// dialectOf returns whose API r is for: S3's if it has a signature of AWS's, OSS's if it has
// one of OSS's, each whether correct or not, and else unsigned.
func dialectOf(r *http.Request, unsigned corsrules.Dialect) corsrules.Dialect {
	switch authorization := r.Header.Get("Authorization"); {
	case strings.HasPrefix(authorization, awsSchemes):
		return corsrules.DialectS3
	case strings.HasPrefix(authorization, schemeV1), strings.HasPrefix(authorization, ossV4.scheme):
		return corsrules.DialectOSS
	}
	return unsigned
}

// checkS3Scheme refuses a request that is for S3 and has no signature of AWS's.
func checkS3Scheme(r *http.Request) error {
	switch authorization := r.Header.Get("Authorization"); {
	case authorization == "":
		return errS3Denied
	case !strings.HasPrefix(authorization, awsSchemes):
		return errS3OtherScheme
	}
	return nil
}

// authorization is a parsed Authorization header.
type authorization struct {
	v4        *v4 // nil: OSS's version 1
	keyID     string
	signature string

	// Of version 4 only. Headers are those that the Authorization header names as signed,
	// in lower case and in its order.
	date, region string
	headers      []string
}

// parseAuthorization parses the lines of the Authorization header:
//
//	OSS <id>:<signature>
//	OSS4-HMAC-SHA256 Credential=<id>/<date>/<region>/oss/aliyun_v4_request,AdditionalHeaders=<name;…>,Signature=<signature>
//	AWS4-HMAC-SHA256 Credential=<id>/<date>/<region>/s3/aws4_request,SignedHeaders=<name;…>,Signature=<signature>
//
// The error, if any, is an ossresponse.Error.
func parseAuthorization(lines []string) (authorization, error) {
	if len(lines) == 0 || len(lines) == 1 && lines[0] == "" {
		return authorization{}, errUnsigned
	}
	scheme, fields, _ := strings.Cut(lines[0], " ")
	var a authorization
	switch {
	case scheme == awsV4.scheme:
		a.v4 = awsV4
	case scheme == ossV4.scheme:
		a.v4 = ossV4
	case strings.HasPrefix(lines[0], awsSchemes):
		return a, errS3OtherScheme
	case !strings.HasPrefix(lines[0], schemeV1):
		return a, a.malformed(ecOtherScheme, "it must begin with OSS (signature version 1) or OSS4-HMAC-SHA256 (version 4)")
	}
	switch {
	case len(lines) > 1:
		return a, a.malformed("", "there is more than one Authorization header")
	case len(lines[0]) > maxAuthorizationBytes:
		return a, a.malformed("", "it is longer than "+strconv.Itoa(maxAuthorizationBytes)+" bytes")
	case a.v4 == nil:
		return a, a.parseV1(fields)
	}
	return a, a.parseV4(fields)
}

// malformed says what is wrong with the header, without quoting it. The EC is OSS's.
func (a *authorization) malformed(ec, problem string) ossresponse.Error {
	if a.v4 == awsV4 {
		return errS3Malformed(problem)
	}
	return invalidAuthorization(ec, problem)
}

func (a *authorization) parseV1(fields string) error {
	id, signature, ok := strings.Cut(fields, ":")
	ec := ""
	switch {
	case !ok:
		ec = ecNoColon
	case id == "":
		ec = ecNoKeyID
	case !corsrules.IsToken(id):
		ec = ecInvalidKeyID
	case signature == "":
		ec = ecNoSignature
	default:
		a.keyID, a.signature = id, signature
		return nil
	}
	return a.malformed(ec, "it must read OSS <AccessKeyId>:<signature>")
}

func (a *authorization) parseV4(text string) error {
	fields := map[string]string{}
	for field := range strings.SplitSeq(text, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(field), "=")
		if _, twice := fields[name]; twice {
			return a.malformed("", "it has more than one "+name)
		}
		if !slices.Contains([]string{"Credential", a.v4.headersField, "Signature"}, name) {
			return a.malformed("", "it may have only a Credential, "+a.v4.headersField+" and a Signature")
		}
		fields[name] = value
	}
	a.signature = fields["Signature"]
	if fields["Credential"] == "" || a.signature == "" {
		return a.malformed("", "it must have a Credential and a Signature")
	}
	credential := strings.Split(fields["Credential"], "/")
	if len(credential) != 5 || credential[3] != a.v4.product || credential[4] != a.v4.terminator {
		return a.malformed(ecInvalidCredential, "its Credential must read <AccessKeyId>/<date>/<region>/"+a.v4.product+"/"+a.v4.terminator)
	}
	a.keyID, a.date, a.region = credential[0], credential[1], credential[2]
	if names := fields[a.v4.headersField]; names != "" {
		a.headers = strings.Split(strings.ToLower(names), ";")
	}
	if len(a.headers) > maxNamedHeaders {
		return a.malformed("", "it names more than "+strconv.Itoa(maxNamedHeaders)+" "+a.v4.headersField)
	}
	return nil
}
