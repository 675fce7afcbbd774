package rulesource

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/certmagic"
)

func (s *ruleServer) openOSS(t *testing.T, storage certmagic.Storage, source *OSS, opts *Options) (*OSS, error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	err := source.openOn(ctx, storage, s.transport(), opts)
	t.Cleanup(func() {
		cancel()
		_ = source.Cleanup()
	})
	return source, err
}

// photos is a bucket with permanent credentials.
func photos() *OSS {
	return &OSS{Bucket: "photos", Region: "cn-hangzhou", Credentials: OSSCredentials{Provider: "static", ID: "id", Secret: "secret1"}}
}

// ossSays answers an error in OSS's form.
func ossSays(status int, code string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		fmt.Fprintf(w, `<?xml version="1.0" encoding="UTF-8"?><Error><Code>%s</Code><Message>About %[1]s.</Message><RequestId>5C3D9175B6FC201293AD****</RequestId><StringToSign>secret2</StringToSign></Error>`, code)
	}
}

// jsonError answers an error that is not in OSS's form.
func jsonError(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprint(w, text)
	}
}

var noConfiguration = ossSays(404, "NoSuchCORSConfiguration")

// Rules that a bucket gets, changes and loses are in force within refresh.
func TestOSS_refresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, l := newRuleServer(t, noConfiguration), newLogged()
		s, err := server.openOSS(t, newEngine(), photos(), l.Options)
		if err != nil {
			t.Fatal(err)
		}
		expect(t, s, "", "no_rules", 0)
		expectGood(t, s, l, "no_rules")
		if messages := l.messages(); !slices.Equal(messages, []string{notEnabled}) {
			t.Errorf("logged %q", messages)
		}
		for _, step := range []struct {
			answer http.HandlerFunc
			want   string
		}{{body(string(documentFor(app))), ""}, {body(string(documentFor(other))), "origin"}, {noConfiguration, "no_rules"}, {noConfiguration, "no_rules"}} {
			server.answers(step.answer)
			time.Sleep(DefaultRemoteRefresh + tick)
			expect(t, s, "", step.want, 0)
		}
		if messages := l.messages(); !slices.Equal(messages, []string{inForce, inForce, notEnabled}) {
			t.Errorf("then logged %q", messages)
		}
		for _, r := range server.requests() {
			if r.Method != http.MethodGet || r.Host != "photos.oss-cn-hangzhou.aliyuncs.com" || r.URL.String() != "/?cors" {
				t.Errorf("requested %s %s %s", r.Method, r.Host, r.URL)
			}
			if !strings.HasPrefix(r.Header.Get("Authorization"), "OSS4-HMAC-SHA256 Credential=id/20000101/cn-hangzhou/oss/aliyun_v4_request,") {
				t.Errorf("signed %q", r.Header.Get("Authorization"))
			}
		}
	})
}

// The first answer decides whether Caddy starts, and whether there are rules. Errors of OSS are
// told as they are, with what to do.
func TestOSS_firstAnswer(t *testing.T) {
	for desc, c := range map[string]struct {
		answer http.HandlerFunc
		want   string // of the error
		starts bool
	}{
		"not allowed":           {ossSays(403, "AccessDenied"), "OSS answers 403 AccessDenied: About AccessDenied. (request ID 5C3D9175B6FC201293AD****): the access key needs the permission oss:GetBucketCors", false},
		"no bucket":             {ossSays(404, "NoSuchBucket"), "404 NoSuchBucket: About NoSuchBucket. (request ID 5C3D9175B6FC201293AD****): check the bucket's name", false},
		"a wrong secret":        {ossSays(403, "SignatureDoesNotMatch"), "check the access key's secret", false},
		"a wrong ID":            {ossSays(403, "InvalidAccessKeyId"), "check the access key's ID", false},
		"an expired token":      {ossSays(403, "SecurityTokenExpired"), "get a new security token", false},
		"another refusal":       {ossSays(409, "OperationConflict"), "409 OperationConflict", false},
		"not OSS":               {status(404), "OSS answers 404", false},
		"null":                  {jsonError("null"), "OSS answers 503", true},
		"an error that is null": {jsonError(`{"Error":null}`), "OSS answers 503", true},
		"a web page":            {body("<!DOCTYPE html><title>Log in</title>"), "oss://photos:1:", false},
		"an endless error":      {func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(400); gigabyte(w, r) }, "OSS answers 400", false},
		"too long":              {gigabyte, "16384", false},
		"a redirect":            {redirect("https://photos.oss-cn-beijing.aliyuncs.com/?cors"), "answers 302, a redirect, which is not followed", false},
		"a clock that is off":   {ossSays(403, "RequestTimeTooSkewed"), "set this machine's clock", true},
		"a fault of OSS":        {ossSays(500, "InternalError"), "500 InternalError", true},
		"slow down":             {ossSays(503, "SlowDown"), "503 SlowDown", true},
		"too many requests":     {ossSays(429, "TooManyRequests"), "429 TooManyRequests", true},
		"no answer":             {hang, "not fetched within 5s", true},
		"slow":                  {drip, "not fetched within 5s", true},
		"cut off":               {truncate, "EOF", true},
		"long words of errors":  {ossSays(400, strings.Repeat("A", 5_000)), "AAA", false},
	} {
		t.Run(desc, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server, l := newRuleServer(t, c.answer), newLogged()
				start := time.Now()
				s, err := server.openOSS(t, newEngine(), photos(), l.Options)
				if took := time.Since(start); took > fetchDeadline {
					t.Errorf("the start took %s", took)
				}
				if requests := len(server.requests()); requests > ossAttempts {
					t.Errorf("%d requests", requests)
				}
				told := err
				if (err == nil) != c.starts {
					t.Fatalf("the start: %v", err)
				}
				if c.starts {
					told = s.Reports()[0].Status.Err
					expect(t, s, "", "unreachable", 0)
					expectShown(t, s, l, unavailable)
				}
				if told == nil || !strings.Contains(told.Error(), c.want) || len(told.Error()) > 2*maxToldBytes+100 {
					t.Errorf("told %v, want %q", told, c.want)
				}
				expectNoSecret(t, told, l)
				if c.starts {
					server.answers(body(string(documentFor(app))))
					time.Sleep(firstRetry + fetchDeadline)
					expectGood(t, s, l, "")
				}
			})
		})
	}
}

// A clock that is off is set by OSS's.
func TestOSS_clockSkew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := newRuleServer(t, func(w http.ResponseWriter, r *http.Request) {
			signed, err := time.Parse("20060102T150405Z", r.Header.Get("X-Oss-Date"))
			now := time.Now().Add(24 * time.Hour)
			if err != nil || now.Sub(signed).Abs() > 15*time.Minute {
				w.Header().Set("Date", now.UTC().Format(http.TimeFormat))
				ossSays(403, "RequestTimeTooSkewed")(w, r)
				return
			}
			_, _ = w.Write(documentFor(app))
		})
		s, err := server.openOSS(t, newEngine(), photos(), newLogged().Options)
		if err != nil {
			t.Fatal(err)
		}
		expect(t, s, "", "", 0)
		server.requests()
		time.Sleep(DefaultRemoteRefresh + tick)
		if requests := len(server.requests()); requests != 1 {
			t.Errorf("then %d requests", requests)
		}
	})
}

// Trouble later, definite or not, leaves what was in force: rules, or none.
func TestOSS_troubleLater(t *testing.T) {
	for _, first := range []string{"", "no_rules"} {
		for _, trouble := range []http.HandlerFunc{ossSays(403, "AccessDenied"), ossSays(503, "ServiceUnavailable"), body("<html>"), hang, redirect("/")} {
			synctest.Test(t, func(t *testing.T) {
				good := body(string(documentFor(app)))
				if first != "" {
					good = noConfiguration
				}
				server, l := newRuleServer(t, good), newLogged()
				s, err := server.openOSS(t, newEngine(), photos(), l.Options)
				if err != nil {
					t.Fatal(err)
				}
				server.answers(trouble)
				time.Sleep(DefaultRemoteRefresh + fetchDeadline + tick)
				expect(t, s, "", first, 0)
				expectNoSecret(t, s.Reports()[0].Status.Err, l)
				expectShown(t, s, l, lastGood)
				server.answers(good)
				time.Sleep(DefaultRemoteRefresh + fetchDeadline)
				expectGood(t, s, l, first)
			})
		}
	}
}

// A start while OSS is away has what was in force before, which may be no rules, as of then.
func TestOSS_restartWithoutOSS(t *testing.T) {
	for _, first := range []string{"", "no_rules"} {
		synctest.Test(t, func(t *testing.T) {
			storage := newEngine()
			server := newRuleServer(t, body(string(documentFor(app))))
			if first != "" {
				server.answers(noConfiguration)
			}
			if _, err := server.openOSS(t, storage, photos(), newLogged().Options); err != nil {
				t.Fatal(err)
			}
			synctest.Wait() // until it is saved
			saved := time.Now()
			storage.set(func(e *engine) { e.modified = saved })
			time.Sleep(30 * time.Second)
			server.answers(hang)
			l := newLogged()
			s, err := server.openOSS(t, storage, photos(), l.Options)
			if err != nil {
				t.Fatal(err)
			}
			expect(t, s, "", first, 0)
			expectShown(t, s, l, lastGood)
			expectLoaded(t, s, l, saved)
			elsewhere := photos()
			elsewhere.Region = "cn-beijing"
			if s, err = server.openOSS(t, storage, elsewhere, newLogged().Options); err != nil {
				t.Fatal(err)
			}
			expect(t, s, "", "unreachable", 0)
		})
	}
}

// expectLoaded fails the test unless the admin API and the metrics tell when the rules were
// loaded; zero: that it is not known.
func expectLoaded(t *testing.T, s Reporter, l logged, at time.Time) {
	t.Helper()
	if got := s.Reports()[0].Status.Loaded; !got.Equal(at) {
		t.Errorf("loaded %s, want %s", got, at)
	}
	metric := fmt.Sprintf("caddy_oss_cors_rules_last_load_success_timestamp_seconds{ruleset=%q} ", shownName(s))
	_, shown, _ := strings.Cut(l.exposition(t), metric)
	shown, _, _ = strings.Cut(shown, "\n")
	want := fmt.Sprint(float64(at.Unix()))
	if at.IsZero() {
		want = ""
	}
	if shown != want {
		t.Errorf("metrics show %s%q, want %q", metric, shown, want)
	}
}

// Where the bucket and the region are in a request.
func TestOSS_address(t *testing.T) {
	for _, c := range []struct {
		endpoint, region string
		host, path       string
		signedFor        string // region; "": version 1
	}{
		{"", "cn-hangzhou", "photos.oss-cn-hangzhou.aliyuncs.com", "/", "cn-hangzhou"},
		{"oss-cn-hangzhou.aliyuncs.com", "", "photos.oss-cn-hangzhou.aliyuncs.com", "/", "cn-hangzhou"},
		{"https://oss-cn-hangzhou-internal.aliyuncs.com/", "", "photos.oss-cn-hangzhou-internal.aliyuncs.com", "/", "cn-hangzhou"},
		{"cn-hangzhou.oss.aliyuncs.com", "", "photos.cn-hangzhou.oss.aliyuncs.com", "/", "cn-hangzhou"},
		{"oss-accelerate.aliyuncs.com", "", "photos.oss-accelerate.aliyuncs.com", "/", ""},
		{"oss-accelerate.aliyuncs.com", "cn-hangzhou", "photos.oss-accelerate.aliyuncs.com", "/", "cn-hangzhou"},
		{"http://s3.example.com:9000", "", "photos.s3.example.com:9000", "/", ""},
		{"http://127.0.0.1:9000", "", "127.0.0.1:9000", "/photos/", ""},
		{"http://[::1]:9000", "cn-hangzhou", "[::1]:9000", "/photos/", "cn-hangzhou"},
		{"localhost", "", "localhost", "/photos/", ""},
	} {
		synctest.Test(t, func(t *testing.T) {
			server, l := newRuleServer(t, noConfiguration), newLogged()
			s := photos()
			s.Endpoint, s.Region = c.endpoint, c.region
			if _, err := server.openOSS(t, newEngine(), s, l.Options); err != nil {
				t.Fatal(err)
			}
			r := server.requests()[0]
			signed := "OSS4-HMAC-SHA256 Credential=id/20000101/" + c.signedFor + "/oss/"
			if c.signedFor == "" {
				signed = "OSS id:"
			}
			if r.Host != c.host || r.URL.Path != c.path || !strings.HasPrefix(r.Header.Get("Authorization"), signed) {
				t.Errorf("%s %s: requested %s%s, signed %s", c.endpoint, c.region, r.Host, r.URL.Path, r.Header.Get("Authorization"))
			}
			if warned := slices.Contains(l.messages(), overHTTP); warned != strings.HasPrefix(c.endpoint, "http://") {
				t.Errorf("%s: warned of HTTP: %t", c.endpoint, warned)
			}
		})
	}
}

func TestOSS_wrongConfig(t *testing.T) {
	for config, want := range map[string]string{
		`{"region": "cn-hangzhou"}`:                                         "is not a bucket's name",
		`{"bucket": "Photos", "region": "cn-hangzhou"}`:                     `"Photos" is not a bucket's name`,
		`{"bucket": "photos"}`:                                              "an endpoint or a region is needed",
		`{"bucket": "photos", "region": "cn hangzhou"}`:                     `"cn hangzhou" is not the ID of a region`,
		`{"bucket": "photos", "endpoint": "ftp://secret1"}`:                 "endpoint is not a host",
		`{"bucket": "photos", "endpoint": "https://me:secret1@a.test"}`:     "endpoint is not a host",
		`{"bucket": "photos", "endpoint": "a.test/secret1"}`:                "endpoint is not a host",
		`{"bucket": "photos", "endpoint": "photos.a.test"}`:                 "begins with the bucket's name",
		`{"bucket": "{env.NOT_SET}", "region": "cn-hangzhou"}`:              "env.NOT_SET",
		`{"credentials": {"provider": "role"}}`:                             `the provider "role" is not known: there are env, static, ecs_role and oidc`,
		`{"credentials": {"provider": "static", "id": "id"}}`:               "an ID and a secret are needed",
		`{"credentials": {"provider": "static", "secret": "secret1"}}`:      "an ID and a secret are needed",
		`{"credentials": {"id": "id", "secret": "secret1"}}`:                "are for the provider static",
		`{"credentials": {"provider": "oidc", "role": "r"}}`:                "role is for the provider ecs_role",
		`{"credentials": {"provider": "static", "secret": "{env.NOT_SET"}}`: "an ID and a secret are needed",
		`{"refresh": 1}`: "at least 10ms",
	} {
		s := new(OSS)
		if strings.Contains(config, "credentials") {
			*s = OSS{Bucket: "photos", Region: "cn-hangzhou"}
		}
		if err := json.Unmarshal([]byte(config), s); err != nil {
			t.Fatal(err)
		}
		err := s.openOn(t.Context(), newEngine(), new(http.Transport), newLogged().Options)
		if err == nil || !strings.Contains(err.Error(), want) || secret.MatchString(err.Error()) {
			t.Errorf("%s: %v, want %q", config, err, want)
		}
		_ = s.Cleanup()
	}
}

func TestOSS_caddyfile(t *testing.T) {
	for text, want := range map[string]string{
		"oss photos {\n region cn-hangzhou\n}":                                             `{"bucket":"photos","region":"cn-hangzhou"}`,
		"oss photos {\n endpoint a.test\n refresh 30s\n max_rules 20\n credentials env\n}": `{"bucket":"photos","endpoint":"a.test","credentials":{"provider":"env"},"refresh":30000000000,"max_rules":20}`,
		"oss photos {\n credentials static id secret\n}":                                   `{"bucket":"photos","credentials":{"provider":"static","id":"id","secret":"secret"}}`,
		"oss photos {\n credentials static id secret token\n}":                             `{"bucket":"photos","credentials":{"provider":"static","id":"id","secret":"secret","token":"token"}}`,
		"oss photos {\n credentials ecs_role\n}":                                           `{"bucket":"photos","credentials":{"provider":"ecs_role"}}`,
		"oss photos {\n credentials ecs_role reader\n}":                                    `{"bucket":"photos","credentials":{"provider":"ecs_role","role":"reader"}}`,
		"oss photos {\n credentials oidc\n}":                                               `{"bucket":"photos","credentials":{"provider":"oidc"}}`,

		"oss":                                                    "takes exactly one argument: the name of the bucket",
		"oss photos videos":                                      "takes exactly one argument: the name of the bucket",
		"oss photos {\n endpoint\n}":                             "endpoint takes exactly one argument",
		"oss photos {\n region a b\n}":                           "region takes exactly one argument",
		"oss photos {\n region a\nregion b\n}":                   "region is given twice",
		"oss photos {\n bucket b\n}":                             "this source takes credentials, endpoint, max_rules, refresh, region",
		"oss photos {\n credentials\n}":                          "credentials is one of",
		"oss photos {\n credentials static id\n}":                "found 2 arguments",
		"oss photos {\n credentials static id hush hush hush\n}": "found 5 arguments",
		"oss photos {\n credentials env hush\n}":                 "found 2 arguments",
		"oss photos {\n credentials ecs_role reader hush\n}":     "found 3 arguments",
	} {
		s := new(OSS)
		err := s.UnmarshalCaddyfile(caddyfile.NewTestDispenser(text))
		if strings.HasPrefix(want, "{") {
			got, _ := json.Marshal(s)
			if err != nil || string(got) != want {
				t.Errorf("%s: %v %s, want %s", text, err, got, want)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hush") {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

func TestOSS_environmentCredentials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := newRuleServer(t, noConfiguration)
		s := &OSS{Bucket: "photos", Region: "cn-hangzhou"}
		for _, name := range []string{"OSS_ACCESS_KEY_ID", "OSS_ACCESS_KEY_SECRET", "OSS_SESSION_TOKEN"} {
			t.Setenv(name, "")
		}
		if _, err := server.openOSS(t, newEngine(), s, newLogged().Options); err == nil || !strings.Contains(err.Error(), "OSS_ACCESS_KEY_ID and OSS_ACCESS_KEY_SECRET are not in Caddy's environment") {
			t.Error(err)
		}
		t.Setenv("OSS_ACCESS_KEY_ID", "fromEnv")
		t.Setenv("OSS_ACCESS_KEY_SECRET", "secret1")
		t.Setenv("OSS_SESSION_TOKEN", "token1")
		s = &OSS{Bucket: "photos", Region: "cn-hangzhou"}
		if _, err := server.openOSS(t, newEngine(), s, newLogged().Options); err != nil {
			t.Fatal(err)
		}
		r := server.requests()[0]
		if r.Header.Get("X-Oss-Security-Token") != "token1" || !strings.Contains(r.Header.Get("Authorization"), "Credential=fromEnv/") {
			t.Errorf("requested with %v", r.Header)
		}
	})
}

// stsServer answers for OSS, and for STS at its own hosts.
func stsServer(t *testing.T, sts http.HandlerFunc) *ruleServer {
	t.Helper()
	return newRuleServer(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.Host, "sts") {
			_ = r.ParseForm()
			sts(w, r)
			return
		}
		_, _ = w.Write(documentFor(app))
	})
}

// givesCredentials answers as STS does. The credentials are those of the token.
func givesCredentials(w http.ResponseWriter, r *http.Request) {
	fmt.Fprintf(w, `{"RequestId": "6894", "AssumedRoleUser": {"Arn": "acs:ram::1:role/r/s"}, "Credentials": {"AccessKeyId": "STS.%s", "AccessKeySecret": "secret3", "SecurityToken": "token-of-%[1]s", "Expiration": %q}}`,
		r.PostForm.Get("OIDCToken"), time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
}

func setOIDC(t *testing.T) (tokenFile string) {
	t.Helper()
	tokenFile = filepath.Join(t.TempDir(), "token")
	write(t, tokenFile, []byte("secret4"))
	t.Setenv("ALIBABA_CLOUD_ROLE_ARN", "acs:ram::1:role/reader")
	t.Setenv("ALIBABA_CLOUD_OIDC_PROVIDER_ARN", "acs:ram::1:oidc-provider/ack")
	t.Setenv("ALIBABA_CLOUD_OIDC_TOKEN_FILE", tokenFile)
	t.Setenv("ALIBABA_CLOUD_STS_REGION", "")
	t.Setenv("ALIBABA_CLOUD_VPC_ENDPOINT_ENABLED", "")
	return tokenFile
}

func withOIDC() *OSS {
	s := photos()
	s.Credentials = OSSCredentials{Provider: "oidc"}
	return s
}

// Credentials by OIDC are used until shortly before they expire, and then got again, for the
// token of that time.
func TestOSS_oidc(t *testing.T) {
	tokenFile := setOIDC(t)
	synctest.Test(t, func(t *testing.T) {
		server, l := stsServer(t, givesCredentials), newLogged()
		s, err := server.openOSS(t, newEngine(), withOIDC(), l.Options)
		if err != nil {
			t.Fatal(err)
		}
		expect(t, s, "", "", 0)
		requests := server.requests()
		if len(requests) != 2 || requests[0].Host != "sts.aliyuncs.com" || requests[0].Method != http.MethodPost {
			t.Fatalf("requested %v", requests)
		}
		for name, want := range map[string]string{"Action": "AssumeRoleWithOIDC", "Version": "2015-04-01", "Format": "JSON", "RoleArn": "acs:ram::1:role/reader", "OIDCProviderArn": "acs:ram::1:oidc-provider/ack", "OIDCToken": "secret4", "RoleSessionName": "caddy-oss-cors", "DurationSeconds": "3600", "Timestamp": "2000-01-01T00:00:00Z"} {
			if got := requests[0].PostForm.Get(name); got != want {
				t.Errorf("%s is %q, want %q", name, got, want)
			}
		}
		if r := requests[1]; r.Header.Get("X-Oss-Security-Token") != "token-of-secret4" || !strings.Contains(r.Header.Get("Authorization"), "Credential=STS.secret4/") {
			t.Errorf("requested with %v", r.Header)
		}
		write(t, tokenFile, []byte("secret5"))
		time.Sleep(5 * time.Minute)
		for _, r := range server.requests() {
			if r.Host == "sts.aliyuncs.com" || r.Header.Get("X-Oss-Security-Token") != "token-of-secret4" {
				t.Errorf("requested %s with %v", r.Host, r.Header)
			}
		}
		time.Sleep(time.Hour)
		requests = server.requests()
		sts := slices.DeleteFunc(slices.Clone(requests), func(r *http.Request) bool { return r.Host != "sts.aliyuncs.com" })
		if last := requests[len(requests)-1]; len(sts) == 0 || len(sts) > 10 || last.Header.Get("X-Oss-Security-Token") != "token-of-secret5" {
			t.Errorf("%d requests of credentials in an hour, then requested with %v", len(sts), last.Header)
		}
		expectGood(t, s, l, "")
		expectNoSecret(t, nil, l)
	})
}

func TestOSS_oidcEndpoint(t *testing.T) {
	for _, c := range []struct{ region, vpc, want string }{
		{"", "true", "sts.aliyuncs.com"},
		{"cn-beijing", "", "sts.cn-beijing.aliyuncs.com"},
		{"cn-beijing", "true", "sts-vpc.cn-beijing.aliyuncs.com"},
	} {
		setOIDC(t)
		t.Setenv("ALIBABA_CLOUD_STS_REGION", c.region)
		t.Setenv("ALIBABA_CLOUD_VPC_ENDPOINT_ENABLED", c.vpc)
		synctest.Test(t, func(t *testing.T) {
			server := stsServer(t, givesCredentials)
			if _, err := server.openOSS(t, newEngine(), withOIDC(), newLogged().Options); err != nil {
				t.Fatal(err)
			}
			if got := server.requests()[0].Host; got != c.want {
				t.Errorf("%v: requested %s", c, got)
			}
		})
	}
}

// An answer of STS without credentials is told as it is, without the token that it may quote.
func TestOSS_oidcTrouble(t *testing.T) {
	says := func(status int, code string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(status)
			fmt.Fprintf(w, `{"Code": %q, "Message": "The token %s is not good.", "RequestId": "6894"}`, code, r.PostForm.Get("OIDCToken"))
		}
	}
	for desc, c := range map[string]struct {
		sts    http.HandlerFunc
		token  string // instead of a good one
		want   string
		starts bool
	}{
		"an expired token":    {sts: says(400, "AuthenticationFail.OIDCToken.Expired"), want: "STS answers 400, without credentials: AuthenticationFail.OIDCToken.Expired The token … is not good."},
		"a role of others":    {sts: says(403, "NoPermission"), want: "403, without credentials: NoPermission"},
		"a redirect":          {sts: redirect("https://sts.example/"), want: "302"},
		"a fault of STS":      {sts: says(500, "InternalError"), want: "500", starts: true},
		"a web page":          {sts: body("<html>secret3"), want: "200, without credentials", starts: true},
		"half of credentials": {sts: body(`{"Credentials": {"AccessKeyId": "id", "AccessKeySecret": "secret3"}}`), want: "without credentials", starts: true},
		"endless":             {sts: gigabyte, want: "without credentials", starts: true},
		"no answer":           {sts: hang, want: "5s", starts: true},
		"no token":            {token: "none", want: "no such file"},
		"an empty token":      {token: "empty", want: "is not a token: it is empty"},
		"a token too long":    {token: "long", want: "more than 16384 bytes"},
	} {
		t.Run(desc, func(t *testing.T) {
			tokenFile := setOIDC(t)
			switch c.token {
			case "none":
				_ = os.Remove(tokenFile)
			case "empty":
				write(t, tokenFile, nil)
			case "long":
				write(t, tokenFile, []byte(strings.Repeat("x", 20_000)))
			}
			synctest.Test(t, func(t *testing.T) {
				server, l := stsServer(t, c.sts), newLogged()
				start := time.Now()
				s, err := server.openOSS(t, newEngine(), withOIDC(), l.Options)
				if took := time.Since(start); took > fetchDeadline || (err == nil) != c.starts {
					t.Fatalf("the start: %v after %s", err, took)
				}
				told := err
				if c.starts {
					told = s.Reports()[0].Status.Err
					expect(t, s, "", "unreachable", 0)
				}
				if told == nil || !strings.Contains(told.Error(), c.want) {
					t.Errorf("told %v, want %q", told, c.want)
				}
				expectNoSecret(t, told, l)
			})
		})
	}
}

func TestOSS_oidcWithoutEnvironment(t *testing.T) {
	for _, name := range []string{"ALIBABA_CLOUD_ROLE_ARN", "ALIBABA_CLOUD_OIDC_PROVIDER_ARN", "ALIBABA_CLOUD_OIDC_TOKEN_FILE"} {
		setOIDC(t)
		t.Setenv(name, "")
		synctest.Test(t, func(t *testing.T) {
			server := stsServer(t, givesCredentials)
			_, err := server.openOSS(t, newEngine(), withOIDC(), newLogged().Options)
			if err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("without %s: %v", name, err)
			}
		})
	}
}

// metadata answers as the metadata service of ECS does, in place of the network.
type metadata func(path string) (status int, body string)

func (m metadata) RoundTrip(r *http.Request) (*http.Response, error) {
	path, ok := strings.CutPrefix(r.URL.String(), "http://100.100.100.200/latest/meta-data/ram/security-credentials/")
	if !ok {
		return nil, fmt.Errorf("requested %s", r.URL)
	}
	status, answer := m(path)
	if status == 0 {
		return nil, errDown
	}
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: readCloser{strings.NewReader(answer)}, Request: r}, nil
}

type readCloser struct{ *strings.Reader }

func (readCloser) Close() error { return nil }

// The SDK asks the metadata service by http.DefaultTransport.
func TestOSS_ecsRole(t *testing.T) {
	network := http.DefaultTransport
	t.Cleanup(func() { http.DefaultTransport = network })
	for desc, c := range map[string]struct {
		role   string
		answer metadata
		want   string // of the error
	}{
		"the instance's role": {answer: func(path string) (int, string) {
			if path == "" {
				return 200, "reader"
			}
			return 200, credentialsOf(path)
		}},
		"a named role": {role: "reader", answer: func(path string) (int, string) { return 200, credentialsOf(path) }},
		"no role":      {answer: func(string) (int, string) { return 404, "" }, want: "does it have that RAM role?"},
		"no instance":  {answer: func(string) (int, string) { return 0, "" }, want: errDown.Error()},
		"half of them": {role: "reader", answer: func(string) (int, string) { return 200, `{"AccessKeySecret": "secret3"}` }, want: "does it have that RAM role?"},
		"not for us":   {role: "reader", answer: func(string) (int, string) { return 200, `{"Code": "Failed"}` }, want: "does it have that RAM role?"},
		"a web page":   {role: "reader", answer: func(string) (int, string) { return 200, "<html>secret3" }, want: "does it have that RAM role?"},
	} {
		t.Run(desc, func(t *testing.T) {
			http.DefaultTransport = c.answer
			synctest.Test(t, func(t *testing.T) {
				t.Cleanup(func() { time.Sleep(time.Minute) }) // what the SDK leaves ends by its timeout
				server, l := newRuleServer(t, body(string(documentFor(app)))), newLogged()
				source := photos()
				source.Credentials = OSSCredentials{Provider: "ecs_role", Role: c.role}
				s, err := server.openOSS(t, newEngine(), source, l.Options)
				if err != nil {
					t.Fatal(err)
				}
				if c.want != "" {
					expect(t, s, "", "unreachable", 0)
					told := s.Reports()[0].Status.Err
					if !strings.Contains(told.Error(), c.want) {
						t.Errorf("told %v", told)
					}
					expectNoSecret(t, told, l)
					return
				}
				expect(t, s, "", "", 0)
				if r := server.requests()[0]; r.Header.Get("X-Oss-Security-Token") != "token3" {
					t.Errorf("requested with %v", r.Header)
				}
			})
		})
	}
}

func credentialsOf(role string) string {
	return fmt.Sprintf(`{"AccessKeyId": "STS.%s", "AccessKeySecret": "secret3", "SecurityToken": "token3", "Expiration": "2000-01-01T06:00:00Z", "Code": "Success"}`, cmp.Or(role, "none"))
}
