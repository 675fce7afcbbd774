package command

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/caddy-oss-cors/caddy-oss-cors/corsrules"
)

const (
	// optionsTimeout is how long a live preflight may take: longer than a person
	// waits for a page.
	optionsTimeout = 15 * time.Second

	// maxErrorBody bounds how much of an error answer is read. OSS's own have less
	// than 1 KiB.
	maxErrorBody = 64 << 10
)

func optionsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "options <url> --origin <origin> --acr-method <method> [--acr-headers <names>] [--insecure] [--cacert <file>] [--json]",
		Short: "Sends a preflight to a URL, and prints the answer as ossutil cors-options does",
		Long: `Sends a preflight to a URL, as a browser would, and prints the answer as ossutil's
cors-options does. Redirects are not followed: browsers do not either. Where debug_header
is on, the answer says which rule decided, and why it was denied.

Exit status: 0 if a browser would go on; 1 if not, and why; 2 if there is no answer.`,
		Example: `  caddy oss-cors options https://cdn.example.com/key --origin https://app.example.com --acr-method PUT --acr-headers content-type`,
	}
	cmd.Flags().String("origin", "", "the page's `origin`, such as https://app.example.com")
	cmd.Flags().String("acr-method", "", "the `method` to ask for, in either case, as ossutil has it")
	cmd.Flags().String("acr-headers", "", "the `names` of the headers to ask for, with commas between them")
	cmd.Flags().Bool("insecure", false, "do not verify the server's certificate")
	cmd.Flags().String("cacert", "", "a PEM `file` of certificate authorities to trust instead of the system's, such as Caddy's own root")
	return command(cmd, "URL", runOptions)
}

// livePreflight is what a server answered to a preflight.
type livePreflight struct {
	URL     string            `json:"url"`
	Allowed bool              `json:"allowed"`
	Status  int               `json:"status"`
	Headers map[string]string `json:"headers"`
	Error   *liveError        `json:"error,omitempty"`

	// Decision is what X-Oss-Cors-Decision says; nil where debug_header is off.
	Decision *liveDecision `json:"decision,omitempty"`

	// Refusal is why a browser would not go on; empty if it would.
	Refusal string  `json:"refusal,omitempty"`
	Seconds float64 `json:"elapsed_seconds"`
}

// liveError is the error document of the answer.
type liveError struct {
	XMLName   xml.Name `xml:"Error" json:"-"`
	Code      string   `xml:"Code" json:"code"`
	Message   string   `xml:"Message" json:"message"`
	RequestID string   `xml:"RequestId" json:"request_id"`
	EC        string   `xml:"EC" json:"ec,omitempty"`
}

func runOptions(cmd *cobra.Command, target string) (allowed bool, err error) {
	values, err := required(cmd, "origin", "acr-method")
	if err != nil {
		return false, err
	}
	u, err := url.Parse(target)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return false, usageError(fmt.Sprintf("%s is not a URL: begin it with http:// or https:// and a host", target))
	}
	r, err := http.NewRequestWithContext(cmd.Context(), http.MethodOptions, u.String(), nil)
	if err != nil {
		return false, usageError(err.Error())
	}
	method := strings.ToUpper(values[1])
	r.Header.Set("Origin", values[0])
	r.Header.Set("Access-Control-Request-Method", method)
	headers, _ := cmd.Flags().GetString("acr-headers")
	if headers != "" {
		r.Header.Set("Access-Control-Request-Headers", headers)
	}
	transport, err := transport(cmd)
	if err != nil {
		return false, err
	}
	live, err := sendPreflight(r, transport)
	if err != nil {
		return false, err
	}
	return live.Allowed, printResult(cmd, live, func(p *printer) { p.livePreflight(live) })
}

// transport trusts whom the flags say.
func transport(cmd *cobra.Command) (*http.Transport, error) {
	config := new(tls.Config)
	config.InsecureSkipVerify, _ = cmd.Flags().GetBool("insecure") // the user asks for it
	if file, _ := cmd.Flags().GetString("cacert"); file != "" {
		certificates, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(certificates) {
			return nil, fmt.Errorf("%s has no certificate in PEM", file)
		}
	}
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.TLSClientConfig = config
	return t, nil
}

func sendPreflight(r *http.Request, transport http.RoundTripper) (*livePreflight, error) {
	client := &http.Client{
		Transport:     transport,
		Timeout:       optionsTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	start := time.Now()
	resp, err := client.Do(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody))
	if err != nil {
		return nil, err
	}
	live := &livePreflight{
		URL:      r.URL.String(),
		Status:   resp.StatusCode,
		Headers:  shownHeaders(resp.Header),
		Decision: readDecision(resp.Header.Get(decisionHeader)),
		Refusal:  refusal(r.Header, resp),
		Seconds:  time.Since(start).Seconds(),
	}
	live.Allowed = live.Refusal == ""
	if e := new(liveError); !isSuccess(resp.StatusCode) && xml.Unmarshal(body, e) == nil {
		e.RequestID = cmp.Or(e.RequestID, resp.Header.Get("X-Oss-Request-Id"))
		live.Error = e
	}
	return live, nil
}

func isSuccess(status int) bool { return 200 <= status && status <= 299 }

// shownHeaders are those of an answer that say something of CORS.
func shownHeaders(h http.Header) map[string]string {
	shown := map[string]string{}
	for name, values := range h {
		if strings.HasPrefix(name, "Access-Control-") || name == "Content-Type" || name == "Vary" || name == decisionHeader {
			shown[name] = strings.Join(values, ", ")
		}
	}
	return shown
}

// decisionHeader is what debug_header makes the handler set.
const decisionHeader = "X-Oss-Cors-Decision"

// liveDecision is the decision of the server's rules.
type liveDecision struct {
	Outcome string `json:"outcome"`
	Rule    string `json:"rule,omitempty"`
	Reason  string `json:"reason,omitempty"`
	Value   string `json:"value,omitempty"`
	Nearest string `json:"nearest,omitempty"`
}

// readDecision reads a value such as "denied; reason=header; value=x-foo; nearest=app".
func readDecision(header string) *liveDecision {
	if header == "" {
		return nil
	}
	outcome, parameters, _ := strings.Cut(header, ";")
	d := &liveDecision{Outcome: strings.TrimSpace(outcome)}
	for parameter := range strings.SplitSeq(parameters, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(parameter), "=")
		if decoded, err := url.PathUnescape(value); err == nil {
			value = decoded
		}
		switch name {
		case "rule":
			d.Rule = value
		case "reason":
			d.Reason = value
		case "value":
			d.Value = value
		case "nearest":
			d.Nearest = value
		}
	}
	return d
}

// inWords says why the rules denied a preflight.
func (d *liveDecision) inWords() string {
	text := d.Reason
	if d.Value != "" {
		text += " " + d.Value
	}
	switch d.Reason {
	case "origin":
		return text + ": no rule allows it."
	case "method", "header":
		return fmt.Sprintf("%s: the nearest rule, %s, does not allow it.", text, d.Nearest)
	case "malformed":
		return text + ": this request header is broken, repeated or too long."
	}
	return strings.ReplaceAll(text, "_", " ") + "."
}

// refusal returns why a browser would not go on after a preflight's answer, or "". The order
// of the checks is that of https://fetch.spec.whatwg.org/#cors-preflight-fetch.
func refusal(asked http.Header, resp *http.Response) string {
	origin := asked.Get("Origin")
	if allowed := strings.Join(resp.Header["Access-Control-Allow-Origin"], ", "); allowed == "" {
		text := "the answer has no Access-Control-Allow-Origin: no rule matches, or nothing there answers preflights"
		if !isSuccess(resp.StatusCode) {
			text += fmt.Sprintf("; its status is %d", resp.StatusCode)
		}
		return text
	} else if allowed != "*" && allowed != origin {
		return fmt.Sprintf("Access-Control-Allow-Origin is %s, not %s", allowed, origin)
	}
	if !isSuccess(resp.StatusCode) {
		return fmt.Sprintf("the status is %d, and a preflight needs one from 200 to 299", resp.StatusCode)
	}
	method := asked.Get("Access-Control-Request-Method")
	methods := listed(resp.Header["Access-Control-Allow-Methods"])
	if !corsrules.IsSafelistedMethod(method) && !slices.Contains(methods, method) && !slices.Contains(methods, "*") {
		return "Access-Control-Allow-Methods does not have " + method
	}
	headers := listed(resp.Header["Access-Control-Allow-Headers"])
	for _, name := range listed(asked["Access-Control-Request-Headers"]) {
		has := func(allowed string) bool {
			return strings.EqualFold(allowed, name) || allowed == "*" && !strings.EqualFold(name, "authorization")
		}
		if !slices.ContainsFunc(headers, has) {
			return "Access-Control-Allow-Headers does not have " + name
		}
	}
	return ""
}

// listed returns the elements of a list header.
func listed(lines []string) []string {
	var elements []string
	for element := range strings.SplitSeq(strings.Join(lines, ","), ",") {
		if element = strings.Trim(element, " \t"); element != "" {
			elements = append(elements, element)
		}
	}
	return elements
}

// asServiceError words a refusal as OSS's SDK for Go does.
func (live *livePreflight) asServiceError() string {
	e := live.Error
	if e == nil {
		e = new(liveError)
	}
	return fmt.Sprintf("oss: service returned error: StatusCode=%d, ErrorCode=%s, ErrorMessage=\"%s\", RequestId=%s", live.Status, e.Code, e.Message, e.RequestID)
}
