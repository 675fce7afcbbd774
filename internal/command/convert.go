package command

import (
	"bytes"
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
		Use:   "convert --to <form> <file>",
		Short: "Writes rules in another form",
		Long: `Reads rules and writes them in another form:

  oss-xml       as OSS's GetBucketCors shows them
  s3-xml        as S3's does
  s3-json       as the AWS command line shows them
  ossutil-json  as ossutil 2 takes them
  caddyfile     as rule blocks of the directive oss_cors

It reads all of these but the last, and Google Cloud Storage's JSON. What the new form
cannot say is an error, and nothing is left out. The file may be -, the standard input.

Exit status: 0; 2 if the rules could not be read or written.`,
		Example: `  caddy oss-cors convert --to caddyfile cors.xml
  aws s3api get-bucket-cors --bucket my-bucket | caddy oss-cors convert --to oss-xml -`,
	}
	cmd.Flags().String("to", "", "the `form` to write: "+strings.Join(slices.Sorted(maps.Keys(forms)), ", "))
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
	"caddyfile":    toCaddyfile,
}

func runConvert(cmd *cobra.Command, file string) (ok bool, err error) {
	values, err := required(cmd, "to")
	if err != nil {
		return false, err
	}
	write, ok := forms[values[0]]
	if !ok {
		return false, usageError(fmt.Sprintf("--to %s: there is no such form; there are %s", values[0], strings.Join(slices.Sorted(maps.Keys(forms)), ", ")))
	}
	doc, err := readRules(cmd, file)
	if err != nil {
		return false, err
	}
	cfg, err := readForm(doc, file)
	if err != nil {
		return false, fmt.Errorf("invalid rules:\n%w", err)
	}
	converted, err := write(cfg)
	if err != nil {
		return false, fmt.Errorf("%s cannot say this:\n%w", values[0], err)
	}
	_, err = cmd.OutOrStdout().Write(converted)
	return true, err
}

// readForm reads rules in any form of OSS and S3, or in Google's.
func readForm(doc []byte, file string) (*corsrules.Configuration, error) {
	if file == stdin {
		file = standardInput
	}
	cfg, err := corsrules.Parse(doc, corsrules.Options{File: file, Dialect: corsrules.DialectAny})
	if err == nil {
		return cfg, nil
	}
	if google := readGoogle(doc); google != nil {
		return google, nil
	}
	return nil, err
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

// readGoogle returns nil for what is not Google's form.
func readGoogle(doc []byte) *corsrules.Configuration {
	var rules []googleRule
	dec := json.NewDecoder(bytes.NewReader(doc))
	dec.DisallowUnknownFields()
	if dec.Decode(&rules) != nil || len(rules) == 0 || dec.More() {
		return nil
	}
	cfg := new(corsrules.Configuration)
	for _, r := range rules {
		cfg.Rules = append(cfg.Rules, corsrules.CORSRule{
			AllowedOrigins: r.Origin, AllowedMethods: r.Method,
			AllowedHeaders: r.ResponseHeader, ExposeHeaders: r.ResponseHeader, MaxAgeSeconds: r.MaxAgeSeconds,
		})
	}
	return cfg
}

func toOSSXML(cfg *corsrules.Configuration) ([]byte, error) {
	return checked(cfg.Marshal(), corsrules.Options{Dialect: corsrules.DialectOSS, MaxRules: len(cfg.Rules)})
}

var errNoVary = errors.New("ResponseVary: S3's rules do not have it; write false, and response_vary in the Caddyfile")

func toS3XML(cfg *corsrules.Configuration) ([]byte, error) {
	if cfg.ResponseVary {
		return nil, errNoVary
	}
	return checked(append(cfg.MarshalS3(), '\n'), corsrules.Options{Dialect: corsrules.DialectS3})
}

type s3Rule struct {
	ID             string   `json:"ID,omitempty"`
	AllowedHeaders []string `json:"AllowedHeaders,omitempty"`
	AllowedMethods []string `json:"AllowedMethods"`
	AllowedOrigins []string `json:"AllowedOrigins"`
	ExposeHeaders  []string `json:"ExposeHeaders,omitempty"`
	MaxAgeSeconds  *int     `json:"MaxAgeSeconds,omitempty"`
}

func toS3JSON(cfg *corsrules.Configuration) ([]byte, error) {
	if cfg.ResponseVary {
		return nil, errNoVary
	}
	var doc struct{ CORSRules []s3Rule }
	for _, r := range cfg.Rules {
		doc.CORSRules = append(doc.CORSRules, s3Rule{r.ID, r.AllowedHeaders, r.AllowedMethods, r.AllowedOrigins, r.ExposeHeaders, r.MaxAgeSeconds})
	}
	return checkedJSON(doc, corsrules.Options{Dialect: corsrules.DialectS3})
}

type ossRule struct {
	ID            string   `json:"ID,omitempty"`
	AllowedOrigin []string `json:"AllowedOrigin"`
	AllowedMethod []string `json:"AllowedMethod"`
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

func toCaddyfile(cfg *corsrules.Configuration) ([]byte, error) {
	faults := corsrules.CheckBlocks(cfg.Rules, corsrules.BlockOptions{
		Place: func(i int, _ string, _ int) (string, int) { return fmt.Sprintf("rule %d", i+1), 0 },
	})
	if len(faults) > 0 {
		return nil, faults
	}
	var b bytes.Buffer
	var err error
	option := func(name string, values []string) {
		if len(values) == 0 {
			return
		}
		b.WriteString("\t\t" + name)
		for _, value := range values {
			quoted, quoteErr := caddyfileToken(value)
			err = errors.Join(err, quoteErr)
			b.WriteString(" " + quoted)
		}
		b.WriteString("\n")
	}
	b.WriteString("oss_cors {\n")
	for _, r := range cfg.Rules {
		name := ""
		if r.ID != "" {
			id, quoteErr := caddyfileToken(r.ID)
			err = errors.Join(err, quoteErr)
			name = id + " "
		}
		b.WriteString("\trule " + name + "{\n")
		option("origin", r.AllowedOrigins)
		option("method", r.AllowedMethods)
		option("header", r.AllowedHeaders)
		option("expose", r.ExposeHeaders)
		if r.MaxAgeSeconds != nil {
			option("max_age", []string{fmt.Sprintf("%ds", *r.MaxAgeSeconds)})
		}
		b.WriteString("\t}\n")
	}
	if cfg.ResponseVary {
		b.WriteString("\tresponse_vary\n")
	}
	b.WriteString("}\n")
	return b.Bytes(), err
}

// caddyfileToken returns a value as a token of a Caddyfile.
func caddyfileToken(value string) (string, error) {
	switch {
	case strings.ContainsAny(value, "{}"):
		return "", fmt.Errorf("%q: Caddy expands what is in braces", value)
	case !strings.ContainsAny(value, " \t\r\n\"`\\#<"):
		return value, nil
	case !strings.Contains(value, "`"):
		return "`" + value + "`", nil
	}
	return "", fmt.Errorf("%q: a Caddyfile cannot quote a `", value)
}
