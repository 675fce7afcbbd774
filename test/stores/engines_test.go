package stores

import (
	"bytes"
	"cmp"
	"context"
	"crypto/md5"
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/harness"

	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

const (
	engineDocuments = 20
	engineRequests  = 500
)

// TestEngines sends the same requests to two engines: oss_cors, in each dialect, and versitygw,
// which has S3's CORS for buckets. Rules and requests are generated from a fixed seed. Every
// difference between the responses must be of a class that docs/compatibility.md lists, and
// every class must occur, but for those that dialect s3 does away with.
func TestEngines(t *testing.T) {
	var all []string
	for _, c := range requestClasses {
		all = append(all, c.name)
	}
	for _, c := range answerClasses {
		all = append(all, c.name)
	}
	if listed := listedClasses(t, "Requests"); !sameElements(listed, all) {
		t.Errorf("docs/compatibility.md lists the classes %v; want %v", listed, all)
	}
	isGone := func(class string) bool { return slices.Contains(notInS3, class) }
	t.Run("oss", func(t *testing.T) { compareEngines(t, "oss", all) })
	t.Run("s3", func(t *testing.T) { compareEngines(t, "s3", slices.DeleteFunc(slices.Clone(all), isGone)) })
}

// compareEngines compares the engines in a dialect, in which these classes of differences occur,
// and no others.
func compareEngines(t *testing.T, dialect string, classes []string) {
	t.Helper()
	e := startEngines(t, dialect)
	seen := map[string]int{}
	for i, r := range generateEngineRequests(engineRequests, e.documents) {
		classes, err := e.compare(r)
		if err != nil {
			t.Errorf("request %d: %v\nrequest   %+v\nrules     %s\noss_cors  %+v\nversitygw %+v",
				i, err, r, e.documents[r.document], e.ask(e.proxy, r), e.ask(e.store, r))
		}
		for _, class := range classes {
			seen[class]++
		}
	}
	t.Logf("of %d requests, differences by class: %v", engineRequests, seen)
	if found := slices.Collect(maps.Keys(seen)); !sameElements(found, classes) {
		t.Errorf("the requests show the classes %v; want %v", found, classes)
	}
}

// engines are oss_cors in a proxy, and versitygw, which is also the proxy's origin server. The
// proxy removes versitygw's CORS headers.
type engines struct {
	proxy, store string // ports
	documents    []engineDocument
	t            *testing.T
}

func startEngines(t *testing.T, dialect string) *engines {
	t.Helper()
	ports := harness.FreePorts(t, 2)
	e := &engines{proxy: ports[0], store: ports[1], documents: generateEngineDocuments(engineDocuments), t: t}
	var buckets []string
	for i := range e.documents {
		buckets = append(buckets, engineBucket(i))
	}
	s := harness.StartVersitygw(t, e.store, buckets)
	dir := t.TempDir()
	config := new(strings.Builder)
	fmt.Fprintf(config, "{\n\tadmin off\n\tpersist_config off\n\tdefault_bind 127.0.0.1\n}\n\nhttp://:%s {\n", e.proxy)
	for i, document := range e.documents {
		bucket := engineBucket(i)
		s.Put(t, bucket+"/object.txt", "object")
		if err := putBucketCORS(e.store, bucket, document.String()); err != nil {
			t.Fatal(err)
		}
		harness.WriteFile(t, filepath.Join(dir, bucket+".xml"), document.String())
		fmt.Fprintf(config, "\toss_cors /%s/* %[1]s.xml {\n\t\tdialect %s\n\t}\n", bucket, dialect)
	}
	fmt.Fprintf(config, "\treverse_proxy 127.0.0.1:%s\n}\n", e.store)
	harness.WriteFile(t, filepath.Join(dir, "Caddyfile"), config.String())
	harness.StartCaddy(t, dir, "Caddyfile", nil, []string{e.proxy})
	return e
}

func engineBucket(document int) string { return fmt.Sprintf("rules-%d", document) }

// compare sends a request to both engines, and returns the classes of the differences between
// their responses. It is an error if a difference belongs to no class.
func (e *engines) compare(r engineRequest) (classes []string, err error) {
	found := map[string]bool{}
	if e.agree(r, found) {
		return slices.Collect(maps.Keys(found)), nil
	}
	var present []requestClass
	for _, c := range requestClasses {
		if c.has(r) {
			present = append(present, c)
		}
	}
	// A class explains the difference if the responses differ in the way that the class
	// says, and no longer differ once the request is changed.
	neutral := r
	for _, c := range present {
		alone := r
		for _, other := range present {
			if other.name != c.name {
				alone = other.without(alone)
			}
		}
		if !c.has(alone) || e.agree(alone, map[string]bool{}) {
			continue
		}
		ours, theirs := e.ask(e.proxy, alone), e.ask(e.store, alone)
		if !c.shows(ours, theirs) {
			return nil, fmt.Errorf("class %s does not explain %+v by oss_cors, %+v by versitygw", c.name, ours, theirs)
		}
		neutral = c.without(neutral)
		found[c.name] = true
	}
	if !e.agree(neutral, found) {
		return nil, fmt.Errorf("a difference of no known class, which is there without %v, too", slices.Sorted(maps.Keys(found)))
	}
	return slices.Collect(maps.Keys(found)), nil
}

// agree reports whether both engines give the same response, except for differences that every
// such response has. It adds the classes of these to found.
func (e *engines) agree(r engineRequest, found map[string]bool) bool {
	ours, theirs := e.ask(e.proxy, r), e.ask(e.store, r)
	for _, c := range answerClasses {
		if translated := c.translate(r, e.documents[r.document], ours, theirs); translated != ours {
			ours = translated
			found[c.name] = true
		}
	}
	return ours == theirs
}

// engineRequest is a request to both engines: OPTIONS is a preflight, everything else a signed
// request for an object.
type engineRequest struct {
	document int
	method   string
	unsigned bool

	origin, requestMethod, requestHeaders headerLines
}

// headerLines are the lines of one header; none: it is not sent.
type headerLines []string

// engineAnswer is the part of a response that is compared.
type engineAnswer struct {
	status        int
	code, message string // of a refused preflight

	allowOrigin, allowMethods, allowHeaders, exposeHeaders, maxAge string
	credentials, vary                                              string
}

func (e *engines) ask(port string, r engineRequest) engineAnswer {
	e.t.Helper()
	target := "http://127.0.0.1:" + port + "/" + engineBucket(r.document) + "/object.txt"
	body := ""
	switch r.method {
	case http.MethodPut:
		target, body = target+".put", "written"
	case http.MethodPost:
		target += "?uploads="
	case http.MethodDelete:
		target += ".none"
	}
	request, err := http.NewRequest(r.method, target, strings.NewReader(body))
	if err != nil {
		e.t.Fatal(err)
	}
	for name, lines := range map[string]headerLines{
		"Origin":                         r.origin,
		"Access-Control-Request-Method":  r.requestMethod,
		"Access-Control-Request-Headers": r.requestHeaders,
	} {
		if len(lines) > 0 {
			request.Header[name] = lines
		}
	}
	if r.method != http.MethodOptions && !r.unsigned {
		if err := signForStore(request); err != nil {
			e.t.Fatal(err)
		}
	}
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		e.t.Fatalf("%+v: %v", r, err)
	}
	defer response.Body.Close()
	answer := engineAnswer{status: response.StatusCode}
	for name, field := range map[string]*string{
		"Access-Control-Allow-Origin":      &answer.allowOrigin,
		"Access-Control-Allow-Methods":     &answer.allowMethods,
		"Access-Control-Allow-Headers":     &answer.allowHeaders,
		"Access-Control-Expose-Headers":    &answer.exposeHeaders,
		"Access-Control-Max-Age":           &answer.maxAge,
		"Access-Control-Allow-Credentials": &answer.credentials,
		"Vary":                             &answer.vary,
	} {
		*field = strings.Join(response.Header[name], " | ")
	}
	if r.method == http.MethodOptions && response.StatusCode != http.StatusOK {
		var refusal struct{ Code, Message string }
		if err := xml.NewDecoder(response.Body).Decode(&refusal); err != nil {
			e.t.Fatalf("%+v: %v", r, err)
		}
		answer.code, answer.message = refusal.Code, refusal.Message
	}
	_, _ = io.Copy(io.Discard, response.Body)
	return answer
}

// signForStore signs a request with the stores' account, by S3's version 4.
func signForStore(request *http.Request) error {
	const hash = "UNSIGNED-PAYLOAD"
	request.Header.Set("X-Amz-Content-Sha256", hash)
	account := aws.Credentials{AccessKeyID: harness.StoreAccessKey, SecretAccessKey: harness.StoreSecretKey}
	return v4.NewSigner().SignHTTP(context.Background(), account, request, hash, "s3", harness.StoreRegion, time.Now())
}

// putBucketCORS gives a bucket of a store its rules; the error is the store's refusal.
func putBucketCORS(port, bucket, document string) error {
	request, err := http.NewRequest(http.MethodPut, "http://127.0.0.1:"+port+"/"+bucket+"?cors=", strings.NewReader(document))
	if err != nil {
		return err
	}
	sum := md5.Sum([]byte(document))
	request.Header.Set("Content-MD5", base64.StdEncoding.EncodeToString(sum[:]))
	if err := signForStore(request); err != nil {
		return err
	}
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(response.Body)
		return fmt.Errorf("PutBucketCors: %s\n%s", response.Status, bytes.TrimSpace(body))
	}
	return nil
}

// listedClasses returns the names in the first column of the table in a section of
// docs/compatibility.md.
func listedClasses(t *testing.T, section string) (classes []string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(harness.RepoRoot, "docs/compatibility.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(text), "\n## "+section+"\n")
	part, _, _ := strings.Cut(after, "\n## ")
	for _, match := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\|").FindAllStringSubmatch(part, -1) {
		classes = append(classes, match[1])
	}
	return classes
}

func sameElements[E cmp.Ordered](a, b []E) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}
