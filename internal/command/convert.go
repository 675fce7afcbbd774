package command

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/caddy-oss-cors/caddy-oss-cors/corsrules"
	"github.com/caddy-oss-cors/caddy-oss-cors/internal/explain"
)

func convertCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "convert --to <form> <file> [--site <address>]",
		Short: "Writes rules in another form",
		Long: `Reads rules and writes them in another form:

  oss-xml       as OSS's GetBucketCors shows them
  s3-xml        as S3's does
  s3-json       as the AWS command line shows them
  ossutil-json  as ossutil 2 takes them
  caddyfile     as rule blocks of the directive oss_cors

It reads all of these, a Caddyfile, and the JSON of Google Cloud Storage and of Cloudflare
R2's wrangler. What the new form cannot say is an error, and no rule is left out. Of a
Caddyfile, rules and response_vary are converted. The file may be -, the standard input.

Exit status: 0; 2 if the rules could not be read or written.`,
		Example: `  caddy oss-cors convert --to caddyfile cors.xml
  aws s3api get-bucket-cors --bucket my-bucket | caddy oss-cors convert --to oss-xml -`,
	}
	cmd.Flags().String("to", "", "the `form` to write: "+formNames())
	addSite(cmd)
	cmd = command(cmd, "file", runConvert)
	_ = cmd.Flags().MarkHidden("json") // what is written is for machines already
	return cmd
}

// forms write rules in a form, or say what it cannot say.
var forms = map[string]func(*corsrules.Configuration) ([]byte, error){
	"oss-xml":      toOSSXML,
	"s3-xml":       toS3XML,
	"s3-json":      toS3JSON,
	"ossutil-json": toOSSJSON,
	"caddyfile":    (*corsrules.Configuration).MarshalBlocks,
}

func runConvert(cmd *cobra.Command, file string) (ok bool, err error) {
	values, err := required(cmd, "to")
	if err != nil {
		return false, err
	}
	write, err := formNamed(values[0])
	if err != nil {
		return false, err
	}
	f, err := readAnyForm(cmd, file)
	if err != nil {
		return false, err
	}
	converted, err := write(f.cfg)
	if err != nil {
		return false, err
	}
	if f.policy.AllowCredentials {
		fmt.Fprintln(cmd.ErrOrStderr(), "Note: allow_credentials is an option of the directive, not of its rules: keep it in the Caddyfile.")
	}
	_, err = cmd.OutOrStdout().Write(converted)
	return true, err
}

func formNames() string { return strings.Join(slices.Sorted(maps.Keys(forms)), ", ") }

// formNamed returns what writes a form, and says which it is if it cannot.
func formNamed(name string) (func(*corsrules.Configuration) ([]byte, error), error) {
	write, ok := forms[name]
	if !ok {
		return nil, usageError(fmt.Sprintf("--to %s is not a form: choose one of %s", name, formNames()))
	}
	return func(cfg *corsrules.Configuration) ([]byte, error) {
		text, err := write(cfg)
		if err != nil {
			return nil, fmt.Errorf("%s cannot say this:\n%w", name, err)
		}
		return text, nil
	}, nil
}

// readAnyForm reads rules in any form of OSS, S3, Caddy, Google or Cloudflare.
func readAnyForm(cmd *cobra.Command, file string) (*rulesFile, error) {
	site, _ := cmd.Flags().GetString("site")
	text, err := readFile(cmd, file)
	if err != nil {
		return nil, err
	}
	return parseAnyForm(text, shownName(file), site)
}

func parseAnyForm(text []byte, file, site string) (*rulesFile, error) {
	cfg, problem := readForeign(bytes.TrimPrefix(text, []byte("\uFEFF")), file)
	if cfg != nil {
		return &rulesFile{cfg: cfg}, nil
	}
	f, err := parseRules(text, site, corsrules.Options{File: file, Dialect: corsrules.DialectAny}, corsrules.Policy{})
	if err != nil && problem != nil {
		return nil, problem
	}
	return f, inFile(err)
}

// readForeign reads rules in a form of Google or Cloudflare. The error, if any, is about the form
// that a bad document is meant to have; without that and rules, it is not meant to have one.
func readForeign(text []byte, file string) (*corsrules.Configuration, error) {
	for _, form := range []struct {
		product string
		fields  []string // which are in documents of no other form
		shape   string
		read    func(text []byte) (*corsrules.Configuration, error)
	}{
		{"Google Cloud Storage", []string{`"origin"`, `"method"`}, `[{"origin": […], "method": […], "responseHeader": […], "maxAgeSeconds": 3600}, …]`, readGoogle},
		{"Cloudflare R2", []string{`"allowed"`, `"origins"`}, `{"rules": [{"id": "…", "allowed": {"origins": […], "methods": […], "headers": […]}, "exposeHeaders": […], "maxAgeSeconds": 3600}, …]}`, readR2},
	} {
		cfg, err := form.read(text)
		if err == nil && len(cfg.Rules) > 0 {
			return cfg, nil
		}
		lacks := func(field string) bool { return !bytes.Contains(text, []byte(field)) }
		isMeant := json.Valid(text) && lacks(`"AllowedOrigins"`) && !slices.ContainsFunc(form.fields, lacks)
		if err != nil && isMeant {
			return nil, fmt.Errorf("%s is nearly JSON of %s, but %s; write %s", file, form.product, ofJSON(err), form.shape)
		}
	}
	return nil, nil
}

// googleRule is a rule of Google Cloud Storage's. Its list of headers is for those that may be
// requested and for those that scripts may read
// (https://cloud.google.com/storage/docs/cross-origin).
type googleRule struct {
	Origin         []string `json:"origin"`
	Method         []string `json:"method"`
	ResponseHeader []string `json:"responseHeader"`
	MaxAgeSeconds  *int     `json:"maxAgeSeconds"`
}

func readGoogle(doc []byte) (*corsrules.Configuration, error) {
	var rules []googleRule
	err := decode(doc, &rules)
	cfg := new(corsrules.Configuration)
	for _, r := range rules {
		cfg.Rules = append(cfg.Rules, corsrules.CORSRule{
			AllowedOrigins: r.Origin, AllowedMethods: r.Method,
			AllowedHeaders: r.ResponseHeader, ExposeHeaders: r.ResponseHeader, MaxAgeSeconds: r.MaxAgeSeconds,
		})
	}
	return cfg, err
}

// r2Document has the rules of a bucket of Cloudflare R2, as wrangler and the API take them
// (https://developers.cloudflare.com/r2/buckets/cors/).
type r2Document struct {
	Rules []struct {
		ID      string `json:"id"`
		Allowed struct {
			Origins []string `json:"origins"`
			Methods []string `json:"methods"`
			Headers []string `json:"headers"`
		} `json:"allowed"`
		ExposeHeaders []string `json:"exposeHeaders"`
		MaxAgeSeconds *int     `json:"maxAgeSeconds"`
	} `json:"rules"`
}

func readR2(doc []byte) (*corsrules.Configuration, error) {
	var rules r2Document
	err := decode(doc, &rules)
	cfg := new(corsrules.Configuration)
	for _, r := range rules.Rules {
		cfg.Rules = append(cfg.Rules, corsrules.CORSRule{
			ID: r.ID, AllowedOrigins: r.Allowed.Origins, AllowedMethods: r.Allowed.Methods,
			AllowedHeaders: r.Allowed.Headers, ExposeHeaders: r.ExposeHeaders, MaxAgeSeconds: r.MaxAgeSeconds,
		})
	}
	return cfg, err
}

// ofJSON says what package encoding/json does, without the names of Go's types.
func ofJSON(err error) string {
	var other *json.UnmarshalTypeError
	if errors.As(err, &other) {
		return fmt.Sprintf("%s is of another type, %s", cmp.Or(other.Field, "the document"), other.Value)
	}
	return "has an " + strings.TrimPrefix(err.Error(), "json: ")
}

// decode decodes JSON that has known fields only.
func decode(doc []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(doc))
	dec.DisallowUnknownFields()
	err := dec.Decode(into)
	if err == nil && dec.More() {
		return errors.New("text after the end")
	}
	return err
}

func toOSSXML(cfg *corsrules.Configuration) ([]byte, error) {
	return checked(cfg.Marshal(), corsrules.Options{Dialect: corsrules.DialectOSS, MaxRules: len(cfg.Rules)})
}

var errNoVary = errors.New("ResponseVary: S3's rules do not have it; take it out, and write response_vary in the Caddyfile")

func toS3XML(cfg *corsrules.Configuration) ([]byte, error) {
	text, err := checked(append(cfg.MarshalS3(), '\n'), corsrules.Options{Dialect: corsrules.DialectS3})
	return withoutVary(cfg, text, err)
}

// withoutVary returns a document of S3's, if that can say all.
func withoutVary(cfg *corsrules.Configuration, text []byte, err error) ([]byte, error) {
	if cfg.ResponseVary {
		return nil, errors.Join(errNoVary, err)
	}
	return text, err
}

type s3Rule struct {
	ID             string   `json:"ID,omitempty"`
	AllowedHeaders []string `json:"AllowedHeaders,omitempty"`
	AllowedMethods []string `json:"AllowedMethods,omitempty"`
	AllowedOrigins []string `json:"AllowedOrigins,omitempty"`
	ExposeHeaders  []string `json:"ExposeHeaders,omitempty"`
	MaxAgeSeconds  *int     `json:"MaxAgeSeconds,omitempty"`
}

func toS3JSON(cfg *corsrules.Configuration) ([]byte, error) {
	var doc struct{ CORSRules []s3Rule }
	for _, r := range cfg.Rules {
		doc.CORSRules = append(doc.CORSRules, s3Rule{r.ID, r.AllowedHeaders, r.AllowedMethods, r.AllowedOrigins, r.ExposeHeaders, r.MaxAgeSeconds})
	}
	text, err := checkedJSON(doc, corsrules.Options{Dialect: corsrules.DialectS3})
	return withoutVary(cfg, text, err)
}

type ossRule struct {
	ID            string   `json:"ID,omitempty"`
	AllowedOrigin []string `json:"AllowedOrigin,omitempty"`
	AllowedMethod []string `json:"AllowedMethod,omitempty"`
	AllowedHeader []string `json:"AllowedHeader,omitempty"`
	ExposeHeader  []string `json:"ExposeHeader,omitempty"`
	MaxAgeSeconds *int     `json:"MaxAgeSeconds,omitempty"`
}

func toOSSJSON(cfg *corsrules.Configuration) ([]byte, error) {
	var doc struct {
		CORSRule     []ossRule
		ResponseVary bool
	}
	doc.ResponseVary = cfg.ResponseVary
	for _, r := range cfg.Rules {
		doc.CORSRule = append(doc.CORSRule, ossRule{r.ID, r.AllowedOrigins, r.AllowedMethods, r.AllowedHeaders, r.ExposeHeaders, r.MaxAgeSeconds})
	}
	return checkedJSON(doc, corsrules.Options{Dialect: corsrules.DialectOSS, MaxRules: len(cfg.Rules)})
}

func checkedJSON(doc any, opts corsrules.Options) ([]byte, error) {
	var b bytes.Buffer
	if err := explain.WriteJSON(&b, doc); err != nil {
		return nil, err
	}
	return checked(b.Bytes(), opts)
}

// checked returns a document if it is valid in its dialect, which may know less than the one
// that the rules come from.
func checked(doc []byte, opts corsrules.Options) ([]byte, error) {
	opts.File = "result"
	if _, err := corsrules.Parse(doc, opts); err != nil {
		return nil, err
	}
	return doc, nil
}
