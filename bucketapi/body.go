package bucketapi

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"net/http"
	"strings"

	"github.com/caddy-oss-cors/caddy-oss-cors/corsrules"
)

// readBody returns the body of a PutBucketCors, checked against what the request's header
// says about it. A body that is too long for OSS is returned unchecked: it is a fault of the
// document.
func readBody(r *http.Request, dialect corsrules.Dialect) ([]byte, error) {
	body, err := dialect.ReadDocument(r.Body, r.ContentLength)
	tooLong := len(body) > dialect.MaxBytes()
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w %w", errIncompleteBody, err)
	case dialect == corsrules.DialectS3 && tooLong:
		return nil, errS3TooLong
	case dialect == corsrules.DialectS3:
		return body, checkS3Body(r.Header, body)
	case tooLong:
		return body, nil
	}
	sum := md5.Sum(body)
	if sent := r.Header.Get("Content-Md5"); sent != "" && sent != base64.StdEncoding.EncodeToString(sum[:]) {
		return nil, errInvalidDigest
	}
	return body, nil
}

// checkS3Body checks a body as S3 does: the hash that is part of the signature, unless the
// client left it out, and the checksums, of which at least one is needed.
func checkS3Body(h http.Header, body []byte) error {
	sum := sha256.Sum256(body)
	sent, computed := h.Get(awsV4.payloadHeader), hex.EncodeToString(sum[:])
	if sent != unsignedPayload && sent != computed {
		return errS3PayloadMismatch(sent, computed)
	}
	md5Sent := len(h["Content-Md5"]) > 0
	if md5Sent {
		if err := checkS3MD5(strings.Join(h["Content-Md5"], ","), body); err != nil {
			return err
		}
	}
	var names []string
	for name := range h {
		if strings.HasPrefix(name, checksumPrefix) {
			names = append(names, name)
		}
	}
	switch {
	case len(names) > 1:
		return errS3ManyChecksums
	case len(names) == 1:
		return checkS3Checksum(names[0], strings.Join(h[names[0]], ","), body)
	case !md5Sent:
		return errS3NoChecksum
	}
	return nil
}

func checkS3MD5(sent string, body []byte) error {
	expected, err := base64.StdEncoding.DecodeString(sent)
	if err != nil || len(expected) != md5.Size {
		return errInvalidDigest
	}
	if sum := md5.Sum(body); !bytes.Equal(expected, sum[:]) {
		return errS3BadMD5(sent, base64.StdEncoding.EncodeToString(sum[:]))
	}
	return nil
}

const checksumPrefix = "X-Amz-Checksum-"

// checksums are the algorithms that AWS's SDKs can be told to use, except for the xxHash
// family, which the standard library does not have. They use CRC32 unless told otherwise.
var checksums = map[string]func() hash.Hash{
	"CRC32":     func() hash.Hash { return crc32.NewIEEE() },
	"CRC32C":    func() hash.Hash { return crc32.New(crc32.MakeTable(crc32.Castagnoli)) },
	"CRC64NVME": func() hash.Hash { return crc64.New(crc64.MakeTable(nvme)) },
	"MD5":       md5.New,
	"SHA1":      sha1.New,
	"SHA256":    sha256.New,
	"SHA512":    sha512.New,
}

// nvme is the polynomial of the NVM Express Command Set Specification 1.0, section 5.2.1.3.4,
// in the bit order of package crc64.
const nvme = 0x9a6c9329ac4bc9b5

func checkS3Checksum(header, sent string, body []byte) error {
	name := strings.ToUpper(strings.TrimPrefix(header, checksumPrefix))
	newHash, ok := checksums[name]
	if !ok {
		return s3BadRequest("InvalidRequest", strings.ToLower(header)+" is not supported: send one of CRC32, CRC32C, CRC64NVME, MD5, SHA1, SHA256 and SHA512.")
	}
	sum := newHash()
	sum.Write(body)
	expected, err := base64.StdEncoding.DecodeString(sent)
	if err != nil || len(expected) != sum.Size() {
		return s3BadRequest("InvalidRequest", "Value for "+strings.ToLower(header)+" header is invalid.")
	}
	if !bytes.Equal(expected, sum.Sum(nil)) {
		return s3BadRequest("BadDigest", "The "+name+" you specified did not match the calculated checksum.")
	}
	return nil
}
