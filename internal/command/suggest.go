package command

import (
	"bytes"
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

// runSuggest prints rules for what the named origins did in logs.
func runSuggest(cmd *cobra.Command, logs []string) error {
	origins, _ := cmd.Flags().GetStringSlice("allow-origin")
	if len(origins) == 0 {
		return usageError("--suggest needs --allow-origin: the origins to allow")
	}
	s, err := newSuggestion(origins)
	if err != nil {
		return err
	}
	s.bucket, _ = cmd.Flags().GetString("bucket")
	if err := readLogs(cmd, logs, s.handle, new(replayResult)); err != nil {
		return err
	}
	cfg := s.configuration()
	for _, note := range s.notes() {
		fmt.Fprintln(cmd.ErrOrStderr(), "Note: "+printable(note))
	}
	if len(cfg.Rules) == 0 {
		return fmt.Errorf("the log has no CORS request from %s", strings.Join(origins, ", "))
	}
	_, err = cmd.OutOrStdout().Write(cfg.Marshal())
	return err
}

// suggestion collects what origins did. Its methods may be called by several goroutines.
type suggestion struct {
	origins []string
	rules   *corsrules.Ruleset // one for each of origins
	bucket  string             // "": all

	mu    sync.Mutex
	seen  map[seenKey]map[string]bool // the header names
	never map[string]bool             // methods that no rule can allow
	full  bool                        // more header names than are collected
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
		seen:    map[seenKey]map[string]bool{},
		never:   map[string]bool{},
	}, nil
}

func (s *suggestion) handle(lines []byte) {
	for line := range bytes.Lines(lines) {
		if !couldBeCORS(line) {
			continue
		}
		entry, ok := parseLogLine(line)
		if ok && (s.bucket == "" || entry.OSSCORS != nil && entry.OSSCORS.Bucket == s.bucket) {
			s.collect(entry.request())
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
	if !slices.Contains(corsrules.Methods, method) {
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

func (s *suggestion) notes() (notes []string) {
	if len(s.never) > 0 {
		notes = append(notes, "no rule can allow "+strings.Join(slices.Sorted(maps.Keys(s.never)), ", ")+".")
	}
	if s.full {
		notes = append(notes, fmt.Sprintf("only the first %d header names of an origin and method are in the rules.", maxSeenHeaders))
	}
	return notes
}

// configuration returns the fewest rules: origins and methods whose requests asked for the
// same header names share some, and no rule has two that did not.
func (s *suggestion) configuration() *corsrules.Configuration {
	tables := map[string]*methodTable{} // by the header names
	for key, names := range s.seen {
		headers := slices.Sorted(maps.Keys(names))
		id := strings.Join(headers, ",")
		if tables[id] == nil {
			tables[id] = &methodTable{headers: headers, methods: make([]methodBits, len(s.origins))}
		}
		tables[id].methods[key.origin] |= 1 << slices.Index(corsrules.Methods, key.method)
	}
	cfg := &corsrules.Configuration{ResponseVary: !slices.Contains(s.origins, "*")}
	for _, id := range slices.Sorted(maps.Keys(tables)) {
		cfg.Rules = append(cfg.Rules, tables[id].rules(s.origins)...)
	}
	return cfg
}

// methodBits is a set of corsrules.Methods.
type methodBits uint8

// methodTable has the methods that each origin used with the same header names.
type methodTable struct {
	headers []string
	methods []methodBits // by origin
}

// rules covers the table with as few rules as possible. A rule allows a set of methods to all
// origins that used these. As there are five methods, five rules always do, and all choices of
// fewer are tried.
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
		for k, method := range corsrules.Methods {
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

// fewestSets returns the smallest number of method sets that cover the table, large ones
// first.
func (t *methodTable) fewestSets() []methodBits {
	var candidates []methodBits
	for set := methodBits(1<<len(corsrules.Methods) - 1); set > 0; set-- {
		if slices.ContainsFunc(t.methods, func(used methodBits) bool { return used&set == set }) {
			candidates = append(candidates, set)
		}
	}
	slices.SortStableFunc(candidates, func(a, b methodBits) int { return bits.OnesCount8(uint8(b)) - bits.OnesCount8(uint8(a)) })
	for size := 1; ; size++ {
		if chosen := t.choose(nil, candidates, size); chosen != nil {
			return chosen
		}
	}
}

// choose returns chosen with at most size of the candidates more, so that they cover the
// table; nil if they cannot.
func (t *methodTable) choose(chosen, candidates []methodBits, size int) []methodBits {
	if t.isCoveredBy(chosen) {
		return chosen
	}
	if size == 0 {
		return nil
	}
	for k, set := range candidates {
		if found := t.choose(append(slices.Clone(chosen), set), candidates[k+1:], size-1); found != nil {
			return found
		}
	}
	return nil
}

func (t *methodTable) isCoveredBy(sets []methodBits) bool {
	for _, used := range t.methods {
		covered := methodBits(0)
		for _, set := range sets {
			if used&set == set {
				covered |= set
			}
		}
		if covered != used {
			return false
		}
	}
	return true
}
