package corsrules_test

import (
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/caddy-oss-cors/caddy-oss-cors/corsrules"
)

const document = `<CORSConfiguration>
  <CORSRule>
    <ID>uploads</ID>
    <AllowedOrigin>https://app.example.com</AllowedOrigin>
    <AllowedMethod>PUT</AllowedMethod>
    <AllowedHeader>content-type</AllowedHeader>
    <AllowedHeader>x-oss-*</AllowedHeader>
    <ExposeHeader>ETag</ExposeHeader>
    <MaxAgeSeconds>600</MaxAgeSeconds>
  </CORSRule>
  <CORSRule>
    <ID>downloads</ID>
    <AllowedOrigin>*</AllowedOrigin>
    <AllowedMethod>GET</AllowedMethod>
    <AllowedMethod>HEAD</AllowedMethod>
  </CORSRule>
</CORSConfiguration>`

// A preflight: may a page upload with two headers of its own?
func Example() {
	cfg, err := corsrules.Parse([]byte(document), corsrules.Options{File: "cors.xml"})
	if err != nil {
		log.Fatal(err)
	}
	rules := corsrules.Compile(cfg)

	r := httptest.NewRequest(http.MethodOptions, "https://bucket.example.com/photo.jpg", nil)
	r.Header.Set("Origin", "https://app.example.com")
	r.Header.Set("Access-Control-Request-Method", "PUT")
	r.Header.Set("Access-Control-Request-Headers", "content-type,x-oss-date")

	d := rules.Decide(corsrules.ReadRequest(r))
	fmt.Println(d.Outcome, "by", d.Rule.Name())
	for name, value := range d.Headers(corsrules.Policy{}) {
		fmt.Printf("%s: %s\n", name, value)
	}
	// Output:
	// allowed by uploads
	// Access-Control-Allow-Origin: https://app.example.com
	// Access-Control-Allow-Methods: PUT
	// Access-Control-Allow-Headers: content-type, x-oss-date
	// Access-Control-Expose-Headers: ETag
	// Access-Control-Max-Age: 600
}

// The upload is denied: every rule says why, and the nearest one is named.
func ExampleRuleset_Explain() {
	cfg, err := corsrules.Parse([]byte(document), corsrules.Options{})
	if err != nil {
		log.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodOptions, "https://bucket.example.com/photo.jpg", nil)
	r.Header.Set("Origin", "https://app.example.com")
	r.Header.Set("Access-Control-Request-Method", "PUT")
	r.Header.Set("Access-Control-Request-Headers", "content-type,x-request-id")

	e := corsrules.Compile(cfg).Explain(corsrules.ReadRequest(r))
	fmt.Printf("%v: %v %q, nearest %s\n", e.Outcome, e.Reason, e.Value, e.Nearest.Name())
	for _, v := range e.Verdicts {
		fmt.Printf("%s: %s\n", v.Rule.Name(), v.Why())
	}
	fmt.Printf("To allow it, %s.\n", e.Advice())
	// Output:
	// denied: header "x-request-id", nearest uploads
	// uploads: header x-request-id: it allows content-type, x-oss-*
	// downloads: method PUT: it allows GET, HEAD
	// To allow it, add <AllowedHeader>x-request-id</AllowedHeader> to rule uploads.
}

// All faults come at once, each with its place and with what OSS would answer.
func ExampleParse_faults() {
	_, err := corsrules.Parse([]byte(`<CORSConfiguration>
  <CORSRule>
    <AllowedOrigin>https://app.example.com</AllowedOrigin>
    <AllowedMethod>put</AllowedMethod>
    <MaxAgeSeconds>-1</MaxAgeSeconds>
  </CORSRule>
</CORSConfiguration>`), corsrules.Options{File: "cors.xml"})
	fmt.Println(err)
	// Output:
	// cors.xml:4:20: AllowedMethod "put" is not one of GET, PUT, DELETE, POST and HEAD: write PUT, in upper case (InvalidArgument, EC 0034-00000011)
	// cors.xml:5:20: MaxAgeSeconds "-1" is not a whole number of seconds from 0 to 999999999: write digits alone, such as 600 (InvalidArgument, EC 0034-00000014)
}
