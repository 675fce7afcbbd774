package corsrules_test

import (
	"fmt"
	"log"
	"net/http"

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

// A browser asks whether a page may upload with two headers of its own.
func Example() {
	cfg, err := corsrules.Parse([]byte(document), corsrules.Options{File: "cors.xml"})
	if err != nil {
		log.Fatal(err)
	}
	rules := corsrules.Compile(cfg)

	request := http.Header{
		"Origin":                         {"https://app.example.com"},
		"Access-Control-Request-Method":  {"PUT"},
		"Access-Control-Request-Headers": {"content-type,x-oss-date"},
	}
	d := rules.Preflight(
		request["Origin"],
		request["Access-Control-Request-Method"],
		request["Access-Control-Request-Headers"],
	)
	fmt.Println(d.Outcome, "by", d.Rule.Name())
	fmt.Println("Access-Control-Allow-Origin:", d.AllowOrigin)
	fmt.Println("Access-Control-Allow-Methods:", d.Rule.AllowMethods())
	fmt.Println("Access-Control-Allow-Headers:", d.AllowHeaders)
	fmt.Println("Access-Control-Expose-Headers:", d.Rule.ExposeHeaders())
	fmt.Println("Access-Control-Max-Age:", d.Rule.MaxAge())
	// Output:
	// allowed by uploads
	// Access-Control-Allow-Origin: https://app.example.com
	// Access-Control-Allow-Methods: PUT
	// Access-Control-Allow-Headers: content-type, x-oss-date
	// Access-Control-Expose-Headers: ETag
	// Access-Control-Max-Age: 600
}

// The upload is refused: every rule says why, and the nearest one is named.
func ExampleRuleset_ExplainPreflight() {
	cfg, err := corsrules.Parse([]byte(document), corsrules.Options{})
	if err != nil {
		log.Fatal(err)
	}
	e := corsrules.Compile(cfg).ExplainPreflight(
		[]string{"https://app.example.com"},
		[]string{"PUT"},
		[]string{"content-type,x-request-id"},
	)
	fmt.Printf("%v: %v %q, nearest %s\n", e.Outcome, e.Reason, e.Value, e.Nearest.Name())
	for _, v := range e.Verdicts {
		fmt.Printf("%s: %v %q is not allowed\n", v.Rule.Name(), v.Reason, v.Value)
	}
	// Output:
	// denied: header "x-request-id", nearest uploads
	// uploads: header "x-request-id" is not allowed
	// downloads: method "PUT" is not allowed
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
