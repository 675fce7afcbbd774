package bucketapi

import (
	"strings"
)

const (
	// maxAuthorizationBytes bounds what is parsed of a stranger's request. OSS's
	// clients send about 200 bytes.
	maxAuthorizationBytes = 4 << 10

	// maxAdditionalHeaders bounds the headers that a client may sign beyond those
	// that it must. OSS's clients sign none unless told to, and then one or two.
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
// The error, if any, is an ossresponse.Error. One that this API has no use for, such as
// that of another scheme, is none.
func parseAuthorization(lines []string) (authorization, error) {
	switch {
	case len(lines) == 0 || len(lines) == 1 && lines[0] == "":
		return authorization{}, errUnsigned
	case len(lines) > 1:
		return authorization{}, invalidAuthorization("it is there more than once")
	case len(lines[0]) > maxAuthorizationBytes:
		return authorization{}, invalidAuthorization("it is too long")
	}
	if fields, ok := strings.CutPrefix(lines[0], schemeV1); ok {
		return parseV1(fields)
	}
	if fields, ok := strings.CutPrefix(lines[0], schemeV4); ok {
		return parseV4(fields)
	}
	return authorization{}, errOtherScheme
}

func parseV1(fields string) (authorization, error) {
	id, signature, ok := strings.Cut(fields, ":")
	if !ok {
		e := invalidAuthorization("it must read OSS <AccessKeyId>:<signature>")
		e.EC = ecInvalidV1
		return authorization{}, e
	}
	return authorization{keyID: id, signature: signature}, nil
}

func parseV4(fields string) (authorization, error) {
	a := authorization{v4: true}
	seen := map[string]bool{}
	for _, field := range strings.Split(fields, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(field), "=")
		if seen[name] {
			return a, invalidAuthorization(name + " is there more than once")
		}
		seen[name] = true
		if err := a.setV4(name, value); err != nil {
			return a, err
		}
	}
	if !seen["Credential"] || !seen["Signature"] {
		return a, invalidAuthorization("it must have a Credential and a Signature")
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
			return invalidAuthorization("it has too many AdditionalHeaders")
		}
		return nil
	case "Signature":
		a.signature = value
		return nil
	}
	return invalidAuthorization("it may have a Credential, AdditionalHeaders and a Signature, and nothing else")
}

func (a *authorization) setCredential(value string) error {
	parts := strings.Split(value, "/")
	if len(parts) != 5 || parts[3] != product || parts[4] != terminator {
		e := invalidAuthorization("its Credential must read <AccessKeyId>/<date>/<region>/oss/aliyun_v4_request")
		e.EC = ecInvalidCredential
		return e
	}
	a.keyID, a.date, a.region = parts[0], parts[1], parts[2]
	return nil
}
