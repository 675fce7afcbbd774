package osscors

import (
	"net/http"
	"time"

	"github.com/caddy-oss-cors/caddy-oss-cors/corsrules"
	"github.com/caddy-oss-cors/caddy-oss-cors/internal/ossresponse"
)

// answerPreflight answers as OSS does (docs/oss-behaviour.md, section 3), or as S3 does.
func (d *decided) answerPreflight(w http.ResponseWriter) error {
	isS3 := d.handler.site.Policy.Dialect == corsrules.DialectS3
	response := newResponse(w, d.r, d.start, isS3)
	if d.decision.Outcome == corsrules.Allowed {
		d.apply(w.Header(), &d.decision)
		response.Empty(http.StatusOK)
		return nil
	}
	d.keepDenial(response.RequestID())
	if shouldLog(d.denials) {
		d.logDenial(response.RequestID())
	}
	if d.handler.DebugPreflights {
		if answer := d.decision.DebugAnswer(d.request); answer != nil {
			d.apply(w.Header(), answer)
			response.Empty(http.StatusOK)
			return nil
		}
	}
	d.apply(w.Header(), &d.decision)
	if isS3 {
		return response.Error(d.s3PreflightError())
	}
	return response.Error(preflightErrors[d.decision.Reason])
}

func newResponse(w http.ResponseWriter, r *http.Request, start time.Time, isS3 bool) *ossresponse.Writer {
	if isS3 {
		return ossresponse.NewS3(w)
	}
	return ossresponse.New(w, r, start)
}

// The messages are OSS's own, misspellings included.
var (
	notEnabled = ossresponse.Error{
		Status: http.StatusForbidden, Code: "AccessForbidden", EC: "0003-00000601",
		Message: "CORSResponse: CORS is not enabled for this bucket.",
	}
	notAllowed = ossresponse.Error{
		Status: http.StatusForbidden, Code: "AccessForbidden", EC: "0003-00000602",
		Message: "CORSResponse: This CORS request is not allowed. This is usually because the evalution of Origin, request method / Access-Control-Request-Method or Access-Control-Requet-Headers are not whitelisted by the resource's CORS spec.",
	}
	missingOrigin = ossresponse.Error{
		Status: http.StatusBadRequest, Code: "BadRequest", EC: "0034-00000101",
		Message: "Insufficient information. Origin request header needed.",
	}
	missingMethod = ossresponse.Error{
		Status: http.StatusBadRequest, Code: "BadRequest", EC: "0034-00000102",
		Message: "Insufficient information. Request Access-Control-Request-Method header needed.",
	}
	rulesUnavailable = ossresponse.Error{ // OSS has no such case
		Status: http.StatusServiceUnavailable, Code: "ServiceUnavailable",
		Message: "The CORS rules of this bucket cannot be read at the moment. Please try again.",
	}

	// preflightErrors has each of corsrules.PreflightReasons.
	preflightErrors = map[corsrules.Reason]ossresponse.Error{
		corsrules.NoRules:          notEnabled,
		corsrules.RulesUnavailable: rulesUnavailable,
		corsrules.MissingOrigin:    missingOrigin,
		corsrules.MissingMethod:    missingMethod,
		corsrules.Malformed:        notAllowed,
		corsrules.OriginMismatch:   notAllowed,
		corsrules.MethodMismatch:   notAllowed,
		corsrules.HeaderMismatch:   notAllowed,
	}
)
