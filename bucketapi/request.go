package bucketapi

import (
	"net/http"
	"net/url"
	"strings"
)

// operations are the API's operations by their methods.
var operations = map[string]string{
	http.MethodPut:    "PutBucketCors",
	http.MethodGet:    "GetBucketCors",
	http.MethodDelete: "DeleteBucketCors",
}

// IsRequest reports whether r is for this API: a GET, PUT or DELETE of a bucket with the
// query parameter cors, without a value, among any others. The key is the object that r's
// path names in the bucket; for a request on the bucket itself it is empty, whether the path
// is /bucket, /bucket/ or, where the host names the bucket, / or empty.
func IsRequest(r *http.Request, key string) bool {
	return key == "" && operations[r.Method] != "" && hasCORSParameter(r.URL.RawQuery)
}

func hasCORSParameter(query string) bool {
	for query != "" {
		var parameter string
		parameter, query, _ = strings.Cut(query, "&")
		name, value, _ := strings.Cut(parameter, "=")
		if value == "" && isCORS(name) {
			return true
		}
	}
	return false
}

func isCORS(name string) bool {
	const longest = len("%63%6f%72%73") // a longer name is not cors
	if name == "cors" || len(name) > longest || !strings.Contains(name, "%") {
		return name == "cors"
	}
	decoded, err := url.QueryUnescape(name)
	return err == nil && decoded == "cors"
}

// requestedBucket is the bucket that r asks for, whether its name is valid or not: the first
// segment of the path, or without one the first label of the host.
func requestedBucket(r *http.Request) string {
	if name, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/"); name != "" {
		return name
	}
	name, _, _ := strings.Cut(r.Host, ".")
	return name
}
