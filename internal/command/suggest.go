package command

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math/bits"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"github.com/caddy-oss-cors/caddy-oss-cors/corsrules"
)

// maxSeenHeaders bounds the header names that are collected for one origin and method:
// several times what any page asks for.
const maxSeenHeaders = 128

// maxSuggestedMethods bounds the methods of suggested rule blocks: OSS's five and some more,
// so that it is soon known how few rules do.
const maxSuggestedMethods = 8

// runSuggest prints rules for what the named origins did in logs.
func runSuggest(cmd *cobra.Command, logs []string) error {
	origins, _ := cmd.Flags().GetStringSlice("allow-origin")
	if len(origins) == 0 {
		return usageError("--suggest needs --allow-origin: the origins to allow")
	}
	to, _ := cmd.Flags().GetString("to")
	write, err := formNamed(to)
	if err != nil {
		return err
	}
	s, err := newSuggestion(origins)
	if err != nil {
		return err
	}
	s.anyMethod = to == "caddyfile"
	s.bucket, _ = cmd.Flags().GetString("bucket")
	if err := readLogs(cmd, logs, s.handle, new(replayResult)); err != nil {
		return err
	}
	cfg, notes := s.configuration(), s.notes()
	if cfg.ResponseVary && strings.HasPrefix(to, "s3-") {
		cfg.ResponseVary = false
		notes = append(notes, "S3's rules do not have ResponseVary: write response_vary in the Caddyfile.")
	}
	for _, note := range notes {
		fmt.Fprintln(cmd.ErrOrStderr(), "Note: "+printable(note))
	}
	if len(cfg.Rules) == 0 {
		return fmt.Errorf("the log has no CORS request from %s", strings.Join(origins, ", "))
	}
	text, err := write(cfg)
	if err != nil {
		return err
	}
	_, err = cmd.OutOrStdout().Write(text)
	return err
}

// suggestion collects what origins did. Its methods may be called by several goroutines.
type suggestion struct {
	origins []string
	rules   *corsrules.Ruleset // one for each of origins
	bucket  string             // "": all

	// anyMethod is whether the rules can allow methods that a document cannot.
	anyMethod bool

	mu      sync.Mutex
	methods []string                    // that the rules can allow
	seen    map[seenKey]map[string]bool // the header names
	never   map[string]bool             // other methods
	full    bool                        // more header names than are collected
}

type seenKey struct {
	origin int // an index of origins
	method string
}

func newSuggestion(origins []string) (*suggestion, error) {
	cfg := &corsrules.Configuration{}
	for _, origin := range origins {
		cfg.Rules = append(cfg.Rules, corsrules.CORSRule{AllowedOrigins: []string{origin}, AllowedMethods: []string{"GET"}})
	}
	cfg, err := corsrules.Parse(cfg.Marshal(), corsrules.Options{MaxRules: len(origins)})
	if err != nil {
		var faults corsrules.Faults
		if errors.As(err, &faults) {
			return nil, usageError("--allow-origin: " + faults[0].Message)
		}
		return nil, err
	}
	return &suggestion{
		origins: origins,
		rules:   corsrules.Compile(cfg),
		methods: slices.Clone(corsrules.Methods),
		seen:    map[seenKey]map[string]bool{},
		never:   map[string]bool{},
	}, nil
}

func (s *suggestion) handle(lines []byte) {
	for line := range bytes.Lines(lines) {
		if !couldBeCORS(line, corsrules.DialectOSS) {
			continue
		}
		entry, ok := parseLogLine(line)
		if ok && (s.bucket == "" || entry.OSSCORS != nil && entry.OSSCORS.Bucket == s.bucket) {
			s.collect(entry.request(corsrules.DialectOSS))
		}
	}
}

// collect keeps what a request needs, if its origin is named. Requests that no rules could
// allow, and those that need no CORS, are left out.
func (s *suggestion) collect(r corsrules.Request) {
	if r.Kind == corsrules.NotCORS || !r.NeedsCORS() {
		return
	}
	method, headers := r.Method, r.Headers
	r.Method, r.Headers = "GET", ""
	d := s.rules.Decide(r)
	if d.Outcome != corsrules.Allowed {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.canAllow(method) {
		if len(s.never) < maxSeenHeaders {
			s.never[method[:min(len(method), maxGroupHeaders)]] = true
		}
		return
	}
	key := seenKey{d.Rule.Number() - 1, method}
	if s.seen[key] == nil {
		s.seen[key] = map[string]bool{}
	}
	for name := range strings.SplitSeq(headers, ", ") {
		switch {
		case name == "" || s.seen[key][name]:
		case len(s.seen[key]) == maxSeenHeaders:
			s.full = true
		default:
			s.seen[key][name] = true
		}
	}
}

// canAllow reports whether the rules can allow a method, which it adds if there is room.
func (s *suggestion) canAllow(method string) bool {
	if slices.Contains(s.methods, method) {
		return true
	}
	if !s.anyMethod || len(s.methods) == maxSuggestedMethods || len(method) > maxGroupHeaders || !corsrules.IsBlockMethod(method) {
		return false
	}
	s.methods = append(s.methods, method)
	return true
}

func (s *suggestion) notes() (notes []string) {
	never := strings.Join(slices.Sorted(maps.Keys(s.never)), ", ")
	switch {
	case never == "":
	case s.anyMethod:
		notes = append(notes, "the rules do not allow "+never+".")
	default:
		notes = append(notes, "a document cannot allow "+never+"; with --to caddyfile, rule blocks may.")
	}
	if s.full {
		notes = append(notes, fmt.Sprintf("only the first %d header names of an origin and method are in the rules.", maxSeenHeaders))
	}
	return notes
}

// configuration returns the fewest rules: origins and methods whose requests asked for the
// same header names share some, and no rule has two that did not.
func (s *suggestion) configuration() *corsrules.Configuration {
	slices.Sort(s.methods[len(corsrules.Methods):])
	tables := map[string]*methodTable{} // by the header names
	for key, names := range s.seen {
		headers := slices.Sorted(maps.Keys(names))
		id := strings.Join(headers, ",")
		if tables[id] == nil {
			tables[id] = &methodTable{headers: headers, names: s.methods, methods: make([]methodBits, len(s.origins))}
		}
		tables[id].methods[key.origin] |= 1 << slices.Index(s.methods, key.method)
	}
	cfg := &corsrules.Configuration{ResponseVary: !slices.Contains(s.origins, "*")}
	for _, id := range slices.Sorted(maps.Keys(tables)) {
		cfg.Rules = append(cfg.Rules, tables[id].rules(s.origins)...)
	}
	return cfg
}

// methodBits is a set of methods, by their indexes.
type methodBits uint8

// methodTable has the methods that each origin used with the same header names.
type methodTable struct {
	headers []string
	names   []string     // of the methods
	methods []methodBits // by origin
}

// rules covers the table with as few rules as possible. A rule allows a set of methods to all
// origins that used these.
func (t *methodTable) rules(origins []string) (rules []corsrules.CORSRule) {
	covered := make([]methodBits, len(origins))
	for _, set := range t.fewestSets() {
		r := corsrules.CORSRule{AllowedHeaders: t.headers}
		for i, used := range t.methods {
			if used&set == set && covered[i]&set != set {
				covered[i] |= set
				r.AllowedOrigins = append(r.AllowedOrigins, origins[i])
			}
		}
		for k, method := range t.names {
			if set&(1<<k) != 0 {
				r.AllowedMethods = append(r.AllowedMethods, method)
			}
		}
		if len(r.AllowedOrigins) > 0 {
			rules = append(rules, r)
		}
	}
	return rules
}

// maxSteps bounds the search for the fewest sets to a moment. No table that pages make comes
// near; of one that somebody made up, the sets are as few as its different rows.
const maxSteps = 1 << 20

// fewestSets returns the smallest number of method sets that cover the table, large ones
// first.
func (t *methodTable) fewestSets() []methodBits {
	rows := slices.Compact(slices.Sorted(slices.Values(t.methods)))
	rows = slices.DeleteFunc(rows, func(row methodBits) bool { return row == 0 })
	// A set that several rows have can as well be all that these have in common.
	candidates := slices.Clone(rows)
	for _, row := range rows {
		for _, set := range candidates {
			if both := row & set; both != 0 && !slices.Contains(candidates, both) {
				candidates = append(candidates, both)
			}
		}
	}
	slices.SortFunc(candidates, func(a, b methodBits) int {
		return cmp.Or(bits.OnesCount8(uint8(b))-bits.OnesCount8(uint8(a)), cmp.Compare(b, a))
	})
	steps := 0
	for size := 1; size < len(rows); size++ {
		if chosen := chooseSets(rows, nil, candidates, size, &steps); chosen != nil {
			return chosen
		}
	}
	slices.Reverse(rows)
	return rows
}

// chooseSets returns chosen with at most size of the candidates more, so that they cover all rows;
// nil if they cannot, or if that is not known after maxSteps.
func chooseSets(rows, chosen, candidates []methodBits, size int, steps *int) []methodBits {
	row, missing := firstUncovered(rows, chosen)
	if missing == 0 {
		return chosen
	}
	if *steps++; size == 0 || *steps > maxSteps {
		return nil
	}
	for _, set := range candidates {
		if set&row != set || set&missing == 0 {
			continue
		}
		if found := chooseSets(rows, append(slices.Clone(chosen), set), candidates, size-1, steps); found != nil {
			return found
		}
	}
	return nil
}

// firstUncovered returns the first row that the sets do not cover, and the lowest method of it
// that is missing.
func firstUncovered(rows, sets []methodBits) (row, missing methodBits) {
	for _, row := range rows {
		left := row
		for _, set := range sets {
			if row&set == set {
				left &^= set
			}
		}
		if left != 0 {
			return row, left & -left
		}
	}
	return 0, 0
}
