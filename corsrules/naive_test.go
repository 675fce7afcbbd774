package corsrules

// A second opinion: docs/oss-behaviour.md, sections 2 to 4, read again and written down
// as plainly as it goes. It is slow, and shares no code with the engine. Tests and
// fuzz targets hold the two together.

// naiveDecision is what the naive matcher says of a request. Rules are numbered
// from 1; 0 is none.
type naiveDecision struct {
	outcome      Outcome
	rule         int
	reason       Reason
	allowOrigin  string
	allowHeaders string

	// nearest is, on a denial, the rule that held longest, the first such, and
	// value is what did not match there.
	nearest int
	value   string
}

// naivePreflight decides an OPTIONS request by the raw lines of its three headers.
// A nil cfg is a bucket without CORS configuration.
func naivePreflight(cfg *Configuration, origin, method, headers []string) naiveDecision {
	// A line without a value counts as absent.
	origins, methods := withoutEmpty(origin), withoutEmpty(method)

	// First no origin, then not enabled, then no method, then malformed, then the rules.
	if len(origins) == 0 && len(methods) == 0 {
		return naiveDecision{outcome: None}
	}
	if len(origins) == 0 {
		return naiveDecision{outcome: Denied, reason: MissingOrigin}
	}
	if cfg == nil {
		return naiveDecision{outcome: Denied, reason: NoRules}
	}
	if len(methods) == 0 {
		return naiveDecision{outcome: Denied, reason: MissingMethod}
	}
	if naiveBrokenOrigin(origins) {
		return naiveDecision{outcome: Denied, reason: Malformed, value: "origin"}
	}
	if len(methods) > 1 || contains(methods[0], ',') {
		return naiveDecision{outcome: Denied, reason: Malformed, value: "access-control-request-method"}
	}
	names, wellFormed := naiveNames(headers)
	if !wellFormed {
		return naiveDecision{outcome: Denied, reason: Malformed, value: "access-control-request-headers"}
	}
	return naiveWalk(cfg, origins[0], methods[0], names)
}

// naiveActual decides an actual request by its method and the lines of its Origin.
func naiveActual(cfg *Configuration, origin []string, method string) naiveDecision {
	origins := withoutEmpty(origin)
	if len(origins) == 0 {
		return naiveDecision{outcome: None}
	}
	if cfg == nil {
		return naiveDecision{outcome: Denied, reason: NoRules}
	}
	if naiveBrokenOrigin(origins) {
		return naiveDecision{outcome: Denied, reason: Malformed, value: "origin"}
	}
	return naiveWalk(cfg, origins[0], method, nil)
}

// naiveWalk asks the rules in their order. The first for which origin, method and
// headers all hold wins.
func naiveWalk(cfg *Configuration, origin, method string, names []string) naiveDecision {
	denial := naiveDecision{outcome: Denied, reason: OriginMismatch, value: origin}
	for i, rule := range cfg.Rules {
		if !naiveAny(rule.AllowedOrigins, origin) {
			continue
		}
		if !listed(rule.AllowedMethods, method) {
			if denial.reason == OriginMismatch {
				denial.reason, denial.nearest, denial.value = MethodMismatch, i+1, method
			}
			continue
		}
		notAllowed := ""
		for _, name := range names {
			if notAllowed == "" && !naiveAny(rule.AllowedHeaders, name) {
				notAllowed = asciiLower(name)
			}
		}
		if notAllowed != "" {
			if denial.reason != HeaderMismatch {
				denial.reason, denial.nearest, denial.value = HeaderMismatch, i+1, notAllowed
			}
			continue
		}
		d := naiveDecision{outcome: Allowed, rule: i + 1, allowOrigin: origin}
		if listed(rule.AllowedOrigins, "*") {
			d.allowOrigin = "*"
		}
		for n, name := range names {
			if n > 0 {
				d.allowHeaders += ", "
			}
			d.allowHeaders += asciiLower(name)
		}
		return d
	}
	return denial
}

// naiveBrokenOrigin: more than one line, more than 512 bytes, or a byte that is
// not visible ASCII.
func naiveBrokenOrigin(lines []string) bool {
	if len(lines) > 1 || len(lines[0]) > 512 {
		return true
	}
	for i := 0; i < len(lines[0]); i++ {
		if lines[0][i] < 0x21 || lines[0][i] > 0x7e {
			return true
		}
	}
	return false
}

// naiveNames reads Access-Control-Request-Headers: all lines are one list, split
// at commas, trimmed of spaces and tabs, empty elements skipped. Every name is an
// HTTP token; there are at most 128 of them, and 8 KiB over all lines.
func naiveNames(lines []string) (names []string, wellFormed bool) {
	size := 0
	for _, line := range lines {
		size += len(line)
		var element []byte
		for _, c := range []byte(line + ",") {
			if c != ',' {
				element = append(element, c)
				continue
			}
			for len(element) > 0 && (element[0] == ' ' || element[0] == '\t') {
				element = element[1:]
			}
			for len(element) > 0 && (element[len(element)-1] == ' ' || element[len(element)-1] == '\t') {
				element = element[:len(element)-1]
			}
			if len(element) > 0 {
				names = append(names, string(element))
			}
			element = nil
		}
	}
	if size > 8192 || len(names) > 128 {
		return nil, false
	}
	for _, name := range names {
		for i := 0; i < len(name); i++ {
			if !contains("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!#$%&'*+-.^_`|~", name[i]) {
				return nil, false
			}
		}
	}
	return names, true
}

func naiveAny(patterns []string, s string) bool {
	for _, pattern := range patterns {
		if naiveMatch(pattern, s) {
			return true
		}
	}
	return false
}

// naiveMatch is the textbook glob: a star stands for nothing, or for one byte and
// then whatever a star stands for. ASCII letters match in either case.
func naiveMatch(pattern, s string) bool {
	switch {
	case pattern == "":
		return s == ""
	case pattern[0] == '*':
		return naiveMatch(pattern[1:], s) || s != "" && naiveMatch(pattern, s[1:])
	default:
		return s != "" && asciiLower(pattern[:1]) == asciiLower(s[:1]) && naiveMatch(pattern[1:], s[1:])
	}
}

// asciiLower leaves all but A-Z alone, byte by byte.
func asciiLower(s string) string {
	b := []byte(s)
	for i := range b {
		if 'A' <= b[i] && b[i] <= 'Z' {
			b[i] += 'a' - 'A'
		}
	}
	return string(b)
}

func withoutEmpty(lines []string) (kept []string) {
	for _, line := range lines {
		if line != "" {
			kept = append(kept, line)
		}
	}
	return kept
}

func listed(list []string, s string) bool {
	for _, each := range list {
		if each == s {
			return true
		}
	}
	return false
}

func contains(s string, c byte) bool {
	for i := 0; i < len(s); i++ {
		if s[i] == c {
			return true
		}
	}
	return false
}
