package corsrules

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// How S3 decides and answers, where that differs from OSS (docs/compatibility.md). All else
// is the same in both: this file, and preflight_s3.go of the handler for the errors, have all
// differences.
//
//	difference                                         where
//	every OPTIONS request is a preflight               readS3
//	an actual request's Access-Control-Request-Method
//	and -Headers count                                 readS3
//	the case of an origin counts                       allowsInCase
//	Access-Control-Allow-Headers is for preflights     walk
//	Vary on every match                                vary
//	actual requests can be denied for a header         ActualReasons

// DialectNamed returns the dialect of a name: oss, or s3. The empty name is OSS's; any other
// is an error.
func DialectNamed(name string) (Dialect, error) {
	switch name {
	case "", "oss":
		return DialectOSS, nil
	case "s3":
		return DialectS3, nil
	}
	return 0, fmt.Errorf("the dialect is %q: write oss or s3", name)
}

// Documents is whose documents to load where d decides and answers. With S3's that are those
// of both stores, so that rules need no conversion.
func (d Dialect) Documents() Dialect {
	if d == DialectS3 {
		return DialectAny
	}
	return d
}

// ActualReasons are the reasons for which d denies an actual request.
func (d Dialect) ActualReasons() []Reason {
	if d == DialectS3 {
		return append(slices.Clone(ActualReasons), HeaderMismatch)
	}
	return ActualReasons
}

// readS3 reads what S3 looks at: Access-Control-Request-Method and -Headers whatever the
// method is, and instead of it.
func (req *Request) readS3() {
	h := req.http.Header
	method, oneMethod := single(h["Access-Control-Request-Method"])
	switch {
	case req.http.Method == http.MethodOptions:
		req.Kind, req.Method = Preflight, method
	case req.Origin == "":
		return
	default:
		req.Kind = Actual
		if method != "" {
			req.Method = method
		}
	}
	req.readHeaders(h["Access-Control-Request-Headers"])
	if !oneMethod || strings.IndexByte(method, ',') >= 0 {
		req.malformed = "access-control-request-method"
	}
}

// allowsInCase reports whether a rule allows an origin, case included.
func (r *Rule) allowsInCase(origin string) bool {
	return r.anyOrigin || slices.Contains(r.origins, origin) ||
		slices.ContainsFunc(r.origins, func(listed string) bool { return Match(listed, origin) })
}

// s3Vary is on every response that a rule allows, also next to "*".
const s3Vary = "Origin, Access-Control-Request-Headers, Access-Control-Request-Method"

// vary is the value of Vary that the decision calls for; "" for none.
func (d *Decision) vary(p Policy) string {
	switch {
	case p.Dialect == DialectS3 && d.Rule != nil:
		return s3Vary
	case p.ResponseVary || d.ResponseVary:
		return "Origin"
	}
	return ""
}
