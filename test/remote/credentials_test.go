package remote

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oss-cors/caddy-oss-cors/test/internal/harness"
)

const (
	ossHost = harness.APIBucket + ".oss-cn-hangzhou.aliyuncs.com"
	stsHost = "sts.aliyuncs.com"
)

// alibaba is OSS, STS and the metadata service of ECS, for who uses it as a proxy and trusts its
// certificate. OSS is another Caddy's bucket API, which checks signatures.
type alibaba struct {
	*front             // the proxy
	cert        string // file
	credentials *front // STS and the metadata service
}

func newAlibaba(t *testing.T, api *harness.APIProxy, credentials http.HandlerFunc) *alibaba {
	t.Helper()
	a := &alibaba{credentials: newFront(t, credentials), cert: filepath.Join(t.TempDir(), "cert.pem")}
	oss := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: "127.0.0.1:" + api.CNAME})
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.Host {
		case ossHost:
			oss.ServeHTTP(w, r)
		case stsHost:
			a.credentials.Config.Handler.ServeHTTP(w, r)
		default:
			http.Error(w, r.Host, http.StatusMisdirectedRequest)
		}
	}))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{newCertificate(t, a.cert, ossHost, stsHost)}}
	server.StartTLS()
	t.Cleanup(server.Close)
	a.front = newFront(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodConnect:
			tunnel(w, server.Listener.Addr().String())
		case r.Host == "100.100.100.200":
			a.credentials.Config.Handler.ServeHTTP(w, r)
		default:
			http.Error(w, r.Host, http.StatusMisdirectedRequest)
		}
	})
	return a
}

// env has a Caddy use it.
func (a *alibaba) env(more ...string) []string {
	return append(more, "HTTP_PROXY="+a.URL, "HTTPS_PROXY="+a.URL, "NO_PROXY=", "SSL_CERT_FILE="+a.cert)
}

// newCertificate writes a new certificate that signs itself, and returns it with its key.
func newCertificate(t *testing.T, file string, names ...string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: names, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	harness.WriteFile(t, file, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// tunnel connects a client of CONNECT to a server.
func tunnel(w http.ResponseWriter, server string) {
	upstream, err := net.Dial("tcp4", server)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer upstream.Close()
	client, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer client.Close()
	_, _ = io.WriteString(client, "HTTP/1.1 200 OK\r\n\r\n")
	go func() {
		_, _ = io.Copy(upstream, client)
		upstream.Close()
	}()
	_, _ = io.Copy(client, upstream)
}

// credentialsJSON are those of Alice, as STS and the metadata service write them.
func credentialsJSON() string {
	return fmt.Sprintf(`{"Code": "Success", "AccessKeyId": %q, "AccessKeySecret": %q, "SecurityToken": "CAISexample", "Expiration": %q}`,
		harness.APIKey, harness.APISecret, time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
}

// Rules of a bucket in OSS's public network, whose certificate is verified, with credentials that
// STS gives for a token, and those of an ECS instance's role.
func TestRulesOSSRoles(t *testing.T) {
	token := filepath.Join(t.TempDir(), "token")
	harness.WriteFile(t, token, "the-token")
	oidc := []string{"ALIBABA_CLOUD_ROLE_ARN=acs:ram::1:role/reader", "ALIBABA_CLOUD_OIDC_PROVIDER_ARN=acs:ram::1:oidc-provider/ack", "ALIBABA_CLOUD_OIDC_TOKEN_FILE=" + token}
	for name, c := range map[string]struct {
		credentials string
		env         []string
		gives       http.HandlerFunc
	}{
		"oidc": {"oidc", oidc, func(w http.ResponseWriter, r *http.Request) {
			if r.FormValue("Action") == "AssumeRoleWithOIDC" && r.FormValue("OIDCToken") == "the-token" {
				_, _ = io.WriteString(w, `{"Credentials": `+credentialsJSON()+`}`)
				return
			}
			says(400, `{"Code": "InvalidParameter", "Message": "No."}`)(w, r)
		}},
		"ecs_role": {"ecs_role", nil, func(w http.ResponseWriter, r *http.Request) {
			const path = "/latest/meta-data/ram/security-credentials/"
			switch r.URL.Path {
			case path:
				_, _ = io.WriteString(w, "reader")
			case path + "reader":
				_, _ = io.WriteString(w, credentialsJSON())
			default:
				w.WriteHeader(http.StatusNotFound)
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			api := harness.StartAPIProxy(t, harness.APIOptions{})
			a := newAlibaba(t, api, c.gives)
			source := "rules oss " + harness.APIBucket + " {\nregion cn-hangzhou\nrefresh 100ms\ncredentials " + c.credentials + "\n}"
			p := newProxy(t, source, a.env(c.env...)...)
			p.start(t)
			p.waitFor(t, app, notEnabled)
			harness.WriteFile(t, api.Document(harness.APIBucket), documentFor(app))
			p.waitFor(t, app, allowed)
			if n := len(a.credentials.requests()); n > 2 {
				t.Errorf("%d requests of credentials, for an hour's", n)
			}
			if log := p.Log.String(); strings.Contains(log, harness.APISecret) || strings.Contains(log, "the-token") {
				t.Error("the log has a secret")
			}
			a.credentials.answers(says(403, `{"Code": "NoPermission", "Message": "You are not authorized to do this action."}`))
			refused := newProxy(t, source, a.env(c.env...)...)
			if name == "oidc" {
				refused.expectRefused(t, "STS answers 403, without credentials: NoPermission You are not authorized")
				return
			}
			refused.start(t)
			refused.waitFor(t, app, unavailable)
			if s := refused.status(t); !strings.Contains(s.LastError, "the metadata service of ECS gives no credentials") {
				t.Errorf("the status is %+v", s)
			}
		})
	}
}

// A certificate that is not trusted is trouble: nothing that its server says counts.
func TestRulesOSSUntrusted(t *testing.T) {
	a := newAlibaba(t, harness.StartAPIProxy(t, harness.APIOptions{}), says(200, ""))
	p := newProxy(t, "rules oss "+harness.APIBucket+" {\nregion cn-hangzhou\n"+static+"\n}",
		"SECRET="+harness.APISecret, "HTTPS_PROXY="+a.URL, "NO_PROXY=")
	p.start(t)
	p.waitFor(t, app, unavailable)
	if s := p.status(t); !strings.Contains(s.LastError, "certificate") {
		t.Errorf("the status is %+v", s)
	}
}
