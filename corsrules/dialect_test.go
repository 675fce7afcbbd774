package corsrules

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// rulesDocument returns a document of one rule with the elements, and what follows it.
func rulesDocument(elements, after string) string {
	return "<CORSConfiguration><CORSRule>" + elements + "</CORSRule>" + after + "</CORSConfiguration>"
}

// What S3 takes and OSS does not, and the other way round. DialectAny takes both.
func TestDialects(t *testing.T) {
	const rule = "<AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod>"
	oneRule := rulesDocument(rule, "")
	rules := func(n int) string { return rulesDocument(strings.Repeat(rule+"</CORSRule><CORSRule>", n-1)+rule, "") }
	for _, c := range []struct {
		desc, doc    string
		oss, s3, any bool
	}{
		{"a plain rule", oneRule, true, true, true},
		{"ResponseVary", rulesDocument(rule, "<ResponseVary>true</ResponseVary>"), true, false, true},
		{"an empty origin", rulesDocument("<AllowedOrigin/><AllowedMethod>GET</AllowedMethod>", ""), false, true, true},
		{"a space in an origin", rulesDocument("<AllowedOrigin>a b</AllowedOrigin><AllowedMethod>GET</AllowedMethod>", ""), false, false, false},
		{"an empty method", rulesDocument(rule+"<AllowedMethod/>", ""), false, false, false},
		{"an allowed header that is not a name", rulesDocument(rule+"<AllowedHeader>a, b</AllowedHeader>", ""), false, true, true},
		{"an allowed header of two wildcards", rulesDocument(rule+"<AllowedHeader>*a*</AllowedHeader>", ""), false, false, false},
		{"an empty allowed header", rulesDocument(rule+"<AllowedHeader/>", ""), false, false, false},
		{"an exposed header that is not a name", rulesDocument(rule+"<ExposeHeader>a, b</ExposeHeader>", ""), false, true, true},
		{"an exposed header with a line end", rulesDocument(rule+"<ExposeHeader>a\nb</ExposeHeader>", ""), false, false, false},
		{"an exposed header that is not ASCII", rulesDocument(rule+"<ExposeHeader>é</ExposeHeader>", ""), false, false, false},
		{"an exposed wildcard", rulesDocument(rule+"<ExposeHeader>x-*</ExposeHeader>", ""), false, false, false},
		{"an ID of 255 characters", rulesDocument(rule+"<ID>"+strings.Repeat("é", 255)+"</ID>", ""), true, true, true},
		{"an ID of 256 characters", rulesDocument(rule+"<ID>"+strings.Repeat("é", 256)+"</ID>", ""), true, false, true},
		{"an endless max age", rulesDocument(rule+"<MaxAgeSeconds>1000000000</MaxAgeSeconds>", ""), false, false, false},
		{"10 rules", rules(10), true, true, true},
		{"100 rules", rules(100), false, true, true},
		{"101 rules", rules(101), false, false, false},
		{"16 KB", oneRule + strings.Repeat(" ", 16<<10-len(oneRule)), true, true, true},
		{"64 KB", oneRule + strings.Repeat(" ", 64<<10-len(oneRule)), false, true, true},
		{"more than 64 KB", oneRule + strings.Repeat(" ", 64<<10-len(oneRule)+1), false, false, false},
	} {
		for dialect, want := range map[Dialect]bool{DialectOSS: c.oss, DialectS3: c.s3, DialectAny: c.any} {
			cfg, err := Parse([]byte(c.doc), Options{Dialect: dialect})
			if (err == nil) != want {
				t.Errorf("%s, dialect %d: got %v", c.desc, dialect, err)
			}
			if err == nil && Compile(cfg).Len() != len(cfg.Rules) {
				t.Errorf("%s, dialect %d: rules are lost", c.desc, dialect)
			}
		}
	}
}

// Options.MaxRules holds for both dialects.
func TestMaxRulesOfDialects(t *testing.T) {
	twelve := "<CORSConfiguration>" + strings.Repeat("<CORSRule><AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod></CORSRule>", 12) + "</CORSConfiguration>"
	for _, dialect := range []Dialect{DialectOSS, DialectS3, DialectAny} {
		if _, err := Parse([]byte(twelve), Options{Dialect: dialect, MaxRules: 12}); err != nil {
			t.Errorf("dialect %d: %v", dialect, err)
		}
		_, err := Parse([]byte(twelve), Options{Dialect: dialect, MaxRules: 11})
		var faults Faults
		if !errors.As(err, &faults) || faults[0].Code != CodeBeyondLimit {
			t.Errorf("dialect %d: got %v", dialect, err)
		}
	}
}

// An allowed header keeps its case for S3, and is compared and given to OSS's clients
// without it.
func TestCaseOfAllowedHeaders(t *testing.T) {
	doc := rulesDocument("<ID>a &amp; b</ID><AllowedOrigin/><AllowedOrigin>*</AllowedOrigin><AllowedMethod>PUT</AllowedMethod>"+
		"<AllowedHeader>X-Amz-*</AllowedHeader><ExposeHeader>ETag</ExposeHeader><MaxAgeSeconds>0</MaxAgeSeconds>", "<ResponseVary>true</ResponseVary>")
	cfg, err := Parse([]byte(doc), Options{Dialect: DialectAny})
	if err != nil {
		t.Fatal(err)
	}
	const s3 = `<?xml version="1.0" encoding="UTF-8"?>
<CORSConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><CORSRule><ID>a &amp; b</ID><AllowedOrigin></AllowedOrigin>` +
		`<AllowedOrigin>*</AllowedOrigin><AllowedMethod>PUT</AllowedMethod><AllowedHeader>X-Amz-*</AllowedHeader>` +
		`<ExposeHeader>ETag</ExposeHeader><MaxAgeSeconds>0</MaxAgeSeconds></CORSRule></CORSConfiguration>`
	if got := string(cfg.MarshalS3()); got != s3 {
		t.Errorf("got\n%s\nwant\n%s", got, s3)
	}
	if got := string(cfg.Marshal()); !strings.Contains(got, "<AllowedHeader>x-amz-*</AllowedHeader>") {
		t.Errorf("for OSS's clients: %s", got)
	}
	if !slices.Equal(cfg.Rules[0].AllowedHeaders, []string{"X-Amz-*"}) {
		t.Errorf("Marshal changed the rule: %q", cfg.Rules[0].AllowedHeaders)
	}
	if set := newHeaderSet(cfg.Rules[0].AllowedHeaders); set.firstNotAllowed("x-amz-date") != "" {
		t.Error("compared with case")
	}
}

// FuzzDialects: DialectAny takes what any other takes, and what is written for S3's clients
// is what S3 takes, with the same rules.
func FuzzDialects(f *testing.F) {
	f.Add(rulesDocument("<AllowedOrigin/><AllowedMethod>GET</AllowedMethod><AllowedHeader>A, b</AllowedHeader><ID>x\r&amp;</ID>", ""))
	f.Add(rulesDocument("<AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod>", "<ResponseVary>true</ResponseVary>"))
	f.Fuzz(func(t *testing.T, doc string) {
		for _, dialect := range []Dialect{DialectOSS, DialectS3} {
			if _, err := Parse([]byte(doc), Options{Dialect: dialect}); err != nil {
				continue
			}
			if _, err := Parse([]byte(doc), Options{Dialect: DialectAny}); err != nil {
				t.Fatalf("dialect %d takes it, and both together do not: %v", dialect, err)
			}
		}
		cfg, err := Parse([]byte(doc), Options{Dialect: DialectS3})
		if err != nil {
			return
		}
		written := cfg.MarshalS3()
		again, err := Parse(written, Options{Dialect: DialectS3})
		if len(written) <= MaxS3DocumentBytes && (err != nil || !reflect.DeepEqual(again, cfg)) {
			t.Errorf("%v: got %+v, want %+v", err, again, cfg)
		}
	})
}
