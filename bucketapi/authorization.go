package bucketapi

import (
	"strconv"
	"strings"

	"github.com/caddy-oss-cors/caddy-oss-cors/corsrules"
)

const (
	// maxAuthorizationBytes bounds the work on a request that nobody may have signed.
	// Clients send about 200 bytes.
	maxAuthorizationBytes = 4 << 10

	// maxAdditionalHeaders bounds the headers that a client may sign in addition to
	// those that it must sign. OSS's clients sign none, or one or two.
	maxAdditionalHeaders = 32

	schemeV1 = "OSS "
	schemeV4 = "OSS4-HMAC-SHA256 "

	// product and terminator end the scope of every V4 signature.
	product    = "oss"
	terminator = "aliyun_v4_request"
)

// authorization is a parsed Authorization header. Scope and additional are V4's.
type authorization struct {
	v4        bool
	keyID     string
	signature string

	date, region string
	additional   []string // lower case, in the order of the header
}

// parseAuthorization parses the lines of the Authorization header:
//
//	OSS <id>:<signature>
//	OSS4-HMAC-SHA256 Credential=<id>/<date>/<region>/oss/aliyun_v4_request,AdditionalHeaders=<name;…>,Signature=<signature>
//
// The error, if any, is an ossresponse.Error.
func parseAuthorization(lines []string) (authorization, error) {
	switch {
	case len(lines) == 0 || len(lines) == 1 && lines[0] == "":
		return authorization{}, errUnsigned
	case len(lines) > 1:
		return authorization{}, invalidAuthorization("", "there is more than one Authorization header")
	case len(lines[0]) > maxAuthorizationBytes:
		return authorization{}, invalidAuthorization("", "it is longer than "+strconv.Itoa(maxAuthorizationBytes)+" bytes")
	}
	if fields, ok := strings.CutPrefix(lines[0], schemeV1); ok {
		return parseV1(fields)
	}
	if fields, ok := strings.CutPrefix(lines[0], schemeV4); ok {
		return parseV4(fields)
	}
	return authorization{}, invalidAuthorization(ecOtherScheme, "it must begin with OSS (signature version 1) or OSS4-HMAC-SHA256 (version 4)")
}

func parseV1(fields string) (authorization, error) {
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
		return authorization{keyID: id, signature: signature}, nil
	}
	return authorization{}, invalidAuthorization(ec, "it must read OSS <AccessKeyId>:<signature>")
}

func parseV4(fields string) (authorization, error) {
	a := authorization{v4: true}
	seen := map[string]bool{}
	for _, field := range strings.Split(fields, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(field), "=")
		if seen[name] {
			return a, invalidAuthorization("", "it has more than one "+name)
		}
		seen[name] = true
		if err := a.setV4(name, value); err != nil {
			return a, err
		}
	}
	if !seen["Credential"] || !seen["Signature"] {
		return a, invalidAuthorization("", "it must have a Credential and a Signature")
	}
	return a, nil
}

func (a *authorization) setV4(name, value string) error {
	switch name {
	case "Credential":
		return a.setCredential(value)
	case "AdditionalHeaders":
		if value == "" {
			return nil
		}
		a.additional = strings.Split(strings.ToLower(value), ";")
		if len(a.additional) > maxAdditionalHeaders {
			return invalidAuthorization("", "it has more than "+strconv.Itoa(maxAdditionalHeaders)+" AdditionalHeaders")
		}
		return nil
	case "Signature":
		a.signature = value
		return nil
	}
	return invalidAuthorization("", "it may have only a Credential, AdditionalHeaders and a Signature")
}

func (a *authorization) setCredential(value string) error {
	parts := strings.Split(value, "/")
	if len(parts) != 5 || parts[3] != product || parts[4] != terminator {
		return invalidAuthorization(ecInvalidCredential, "its Credential must read <AccessKeyId>/<date>/<region>/oss/aliyun_v4_request")
	}
	a.keyID, a.date, a.region = parts[0], parts[1], parts[2]
	return nil
}
