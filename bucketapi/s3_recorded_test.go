package bucketapi

import (
	"encoding/xml"
	"reflect"
	"testing"
)

// elements returns a rule's elements of one name.
func elements(name string, values ...string) string {
	text := ""
	for _, value := range values {
		text += "<" + name + ">" + value + "</" + name + ">"
	}
	return text
}

// s3Recorded are answers of AWS to PutBucketCors that others recorded: LocalStack in
// tests/aws/services/s3/test_s3_cors.snapshot.json (31 July 2023 to 17 March 2025), and users
// of versitygw and of the AWS command line in reports. Where the put succeeds, its rules
// are read back as they were put.
var s3Recorded = []struct {
	name    string
	rules   []string // each a run of elements
	code    string   // "" for 200
	message string
}{
	{name: "LocalStack, test_put_cors", rules: []string{
		elements("AllowedOrigin", "https://test.com", "https://app.test.com", "http://test.com:80") + elements("AllowedMethod", "GET", "PUT", "HEAD") +
			elements("AllowedHeader", "x-amz-expected-bucket-owner", "x-amz-server-side-encryption-customer-algorithm") + elements("MaxAgeSeconds", "3000"),
	}},
	{name: "LocalStack, test_get_cors and test_delete_cors", rules: []string{elements("AllowedOrigin", "*") + elements("AllowedMethod", "GET")}},
	{name: "LocalStack, test_cors_match_headers: get-bucket-cors-casing", rules: []string{
		elements("AllowedOrigin", "https://localhost:4200") + elements("AllowedMethod", "GET") +
			elements("AllowedHeader", "x-amz-expected-bucket-owner", "x-amz-server-side-encryption-customer-algorithm", "x-AMZ-server-SIDE-encryption") + elements("MaxAgeSeconds", "3000"),
	}},
	{name: "LocalStack, test_put_cors_empty_origin", rules: []string{elements("AllowedOrigin", "") + elements("AllowedMethod", "GET", "PUT", "HEAD")}},
	{
		name: "LocalStack, test_put_cors_invalid_rules: put-cors-exc", rules: []string{elements("AllowedOrigin", "*", "https://test.com") + elements("AllowedMethod", "GET", "PUT", "HEAD", "MYMETHOD")},
		code: "InvalidRequest", message: "Found unsupported HTTP method in CORS config. Unsupported method is MYMETHOD",
	},
	{name: "LocalStack, test_put_cors_invalid_rules: put-cors-exc-empty", code: "MalformedXML", message: s3Malformed},
	{
		name: "versitygw, issue 1863: an empty method", rules: []string{elements("AllowedOrigin", "*") + elements("AllowedMethod", "")},
		code: "InvalidRequest", message: "Found unsupported HTTP method in CORS config. Unsupported method is ",
	},
	{name: "versitygw, issue 1863: an empty rule", rules: []string{""}, code: "MalformedXML", message: s3Malformed},
	{name: "versitygw, issue 1863: no origin", rules: []string{elements("AllowedMethod", "GET")}, code: "MalformedXML", message: s3Malformed},
	{name: "versitygw, issue 1863: no method", rules: []string{elements("AllowedOrigin", "*")}, code: "MalformedXML", message: s3Malformed},
	{
		name: "versitygw, issue 1870", rules: []string{elements("AllowedOrigin", "*example*.com") + elements("AllowedMethod", "GET")},
		code: "InvalidRequest", message: `AllowedOrigin "*example*.com" can not have more than one wildcard.`,
	},
	{
		name: "users of aws s3api", rules: []string{elements("AllowedOrigin", "*") + elements("AllowedMethod", "GET") + elements("ExposeHeader", "x-*")},
		code: "InvalidRequest", message: `ExposeHeader "x-*" contains wildcard. We currently do not support wildcard for ExposeHeader.`,
	},
}

const s3Malformed = "The XML you provided was not well-formed or did not validate against our published schema"

func TestS3RecordedAnswers(t *testing.T) {
	for _, c := range s3Recorded {
		t.Run(c.name, func(t *testing.T) {
			store := &memory{docs: map[string]string{}}
			api := at(t, testTime, store)
			doc := `<CORSConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">`
			for _, rule := range c.rules {
				doc += elements("CORSRule", rule)
			}
			w, _, refusal := serveS3(t, api, s3Request("PUT", "/examplebucket?cors", doc+"</CORSConfiguration>"))
			if c.code != "" {
				if w.Code != 400 || refusal.Code != c.code || refusal.Message != c.message || len(store.docs) > 0 {
					t.Errorf("got %d, %+v", w.Code, refusal)
				}
				return
			}
			if w.Code != 200 {
				t.Fatalf("got %d, %+v", w.Code, refusal)
			}
			w, _, _ = serveS3(t, api, s3Request("GET", "/examplebucket?cors", ""))
			if got, want := s3RulesIn(t, w.Body.String()), s3RulesIn(t, doc+"</CORSConfiguration>"); !reflect.DeepEqual(got, want) {
				t.Errorf("read %+v; want %+v", got, want)
			}
		})
	}
}

// s3RulesIn reads rules as the AWS SDKs do.
func s3RulesIn(t *testing.T, doc string) (rules struct {
	XMLName  xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ CORSConfiguration"`
	CORSRule []struct {
		ID, AllowedOrigin, AllowedMethod, AllowedHeader, ExposeHeader []string
		MaxAgeSeconds                                                 *int
	}
},
) {
	t.Helper()
	if err := xml.Unmarshal([]byte(doc), &rules); err != nil {
		t.Fatal(err)
	}
	return rules
}
