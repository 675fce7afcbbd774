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

// IsRequest reports whether r is for this API: a GET, PUT or DELETE with the parameter
// cors, without a value, beside whatever others. The key is what r's path names in the
// bucket. Only a request on the bucket itself, whose key is empty, is for this API, be
// its path /bucket, /bucket/ or, where the host names the bucket, / or empty.
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
	const longest = len("%63%6f%72%73") // no more than this need be decoded
	if name == "cors" || len(name) > longest || !strings.Contains(name, "%") {
		return name == "cors"
	}
	decoded, err := url.QueryUnescape(name)
	return err == nil && decoded == "cors"
}
