package osscors

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/caddy-oss-cors/caddy-oss-cors/corsrules"
	"github.com/caddy-oss-cors/caddy-oss-cors/internal/ossresponse"
)

// What S3 answers to a denied preflight. corsrules/dialect_s3.go has what else differs from
// OSS. The messages are S3's own; it has one misspelling less than OSS.
var (
	s3BucketNotFound = ossresponse.Error{
		Status: http.StatusForbidden, Code: "AccessForbidden",
		Message: "CORSResponse: Bucket not found",
	}
	s3NotEnabled = ossresponse.Error{
		Status: http.StatusForbidden, Code: "AccessForbidden",
		Message: "CORSResponse: CORS is not enabled for this bucket.",
	}
	s3NotAllowed = ossresponse.Error{
		Status: http.StatusForbidden, Code: "AccessForbidden",
		Message: "CORSResponse: This CORS request is not allowed. This is usually because the evalution of Origin, request method / Access-Control-Request-Method or Access-Control-Request-Headers are not whitelisted by the resource's CORS spec.",
	}
	s3InvalidMethod = ossresponse.Error{
		Status: http.StatusBadRequest, Code: "BadRequest",
		Message: "Invalid Access-Control-Request-Method: %s",
	}
)

// s3PreflightError returns S3's answer to a denied preflight. Its checks come in this order:
// the origin, the bucket, whether it has rules, the method, the rules.
func (d *decided) s3PreflightError() ossresponse.Error {
	switch d.decision.Reason {
	case corsrules.MissingOrigin, corsrules.RulesUnavailable:
		return preflightErrors[d.decision.Reason]
	case corsrules.NoRules:
		if d.handler.Bucket != nil && d.bucket == "" {
			return d.withResource(s3BucketNotFound, "BUCKET")
		}
		return d.withResource(s3NotEnabled, "BUCKET")
	}
	if !d.isMethodKnown() {
		e := s3InvalidMethod
		e.Message = fmt.Sprintf(e.Message, orWord(d.request.Method, "null"))
		return e
	}
	key := strings.TrimPrefix(d.r.URL.Path, "/")
	if d.handler.Bucket != nil {
		_, key = d.handler.Bucket.of(d.r)
	}
	if key == "" {
		return d.withResource(s3NotAllowed, "BUCKET")
	}
	return d.withResource(s3NotAllowed, "OBJECT")
}

// withResource returns e with the elements that S3 adds.
func (d *decided) withResource(e ossresponse.Error, resource string) ossresponse.Error {
	return e.With("Method", orWord(d.request.Method, http.MethodOptions)).With("ResourceType", resource)
}

// isMethodKnown reports whether a rule could allow the method that a preflight asks for.
func (d *decided) isMethodKnown() bool {
	return slices.Contains(corsrules.Methods, d.request.Method) || d.rules.AllowsMethod(d.request.Method)
}

// orWord returns text, not more of it than a person reads, or word where it is empty.
func orWord(text, word string) string {
	if text == "" {
		return word
	}
	return shown(text)
}
