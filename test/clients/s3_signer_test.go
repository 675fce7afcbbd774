package clients

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/caddy-oss-cors/caddy-oss-cors/bucketapi"
	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/harness"
)

// noStore has no documents.
type noStore struct{}

func (noStore) Load(context.Context, string) ([]byte, error) { return nil, fs.ErrNotExist }
func (noStore) Store(context.Context, string, []byte) error  { return nil }
func (noStore) Delete(context.Context, string) error         { return nil }

// TestAWSSigner: what the signer of the AWS SDK signs is accepted, whatever headers and query
// a request has, and refused with one character of the signature changed.
func TestAWSSigner(t *testing.T) {
	api, err := bucketapi.New([]bucketapi.Key{{ID: harness.APIKey, Secret: harness.APISecret, Buckets: []string{"*"}}}, noStore{}, 0)
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 2))
	text := func(alphabet string) string {
		b := make([]rune, 1+random.IntN(12))
		for i := range b {
			b[i] = []rune(alphabet)[random.IntN(len([]rune(alphabet)))]
		}
		return string(b)
	}
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true }) // as the client of S3 does
	empty := sha256.Sum256(nil)
	for range 1000 {
		query := url.Values{"cors": {""}}
		for i := range random.IntN(6) {
			// The signer orders names before it encodes them, AWS says after: these do not differ.
			query.Add(text("ab-_.~")+strconv.Itoa(i), text("ab -=%&+*é/~"))
		}
		r := httptest.NewRequest("GET", "http://"+text("abc")+".test:8080/"+harness.APIBucket+[]string{"", "/"}[random.IntN(2)], nil)
		r.URL.RawQuery = query.Encode()
		for range random.IntN(6) {
			r.Header.Add([]string{"", "X-Amz-"}[random.IntN(2)]+"A"+text("ab-0"), text("abc  ,:/%"))
		}
		payload := []string{hex.EncodeToString(empty[:]), "UNSIGNED-PAYLOAD"}[random.IntN(2)]
		r.Header.Set("X-Amz-Content-Sha256", payload)
		if err := signer.SignHTTP(t.Context(), aws.Credentials{AccessKeyID: harness.APIKey, SecretAccessKey: harness.APISecret},
			r, payload, "s3", text("ab-1"), time.Now()); err != nil {
			t.Fatal(err)
		}
		if result := api.Serve(httptest.NewRecorder(), r, harness.APIBucket); result.Status != http.StatusNotFound || result.KeyID != harness.APIKey {
			t.Fatalf("got %+v for %v, %s", result, r.Header, r.URL)
		}
		signed := []byte(r.Header.Get("Authorization"))
		signed[len(signed)-1-random.IntN(64)] ^= 1
		r.Header.Set("Authorization", string(signed))
		if result := api.Serve(httptest.NewRecorder(), r, harness.APIBucket); result.Status != http.StatusForbidden {
			t.Fatalf("a changed signature: got %+v", result)
		}
	}
}
