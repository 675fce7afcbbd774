package command

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/caddy-oss-cors/caddy-oss-cors/corsrules"
)

const (
	// maxGroups bounds the groups of requests that replay tells apart, as origins and
	// header names are whatever anybody sends: more than a person reads, in some MB.
	maxGroups = 10_000

	// maxGroupHeaders is how many bytes of a group's header names are kept.
	maxGroupHeaders = 300

	// shownGroups is how many groups are printed of each kind of change; --json prints all.
	shownGroups = 20
)

func replayCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "replay --rules <candidate> [--live <file>] [--bucket <name>] [--suggest --allow-origin <origin>… [--to <form>]] <access log>… [--dialect oss|s3] [--site <address>] [--max-rules <n>] [--json]",
		Short: "Shows what candidate rules would change for the requests in an access log",
		Long: `Evaluates the requests in Caddy's access logs (JSON, plain or gzip; - is the standard
input) by candidate rules, and shows which outcomes would change, by origin, method and
headers. The outcomes in force are those in the log itself, under oss_cors; with --live
they are those of another document.

--suggest prints instead the fewest rules that allow what the pages at the --allow-origin
origins did in the log, and nothing else: for each origin and method the header names that
preflights asked for. --to writes them in another form, as convert does. Anybody can send
such requests: read the rules before you use them.

Exit status: 0 if no outcome changes; 1 if one does; 2 if a file could not be read, or
no line of it is of an access log in JSON.`,
		Example: `  caddy oss-cors replay --rules cors-new.xml /var/log/caddy/access*.log*
  caddy oss-cors replay --suggest --allow-origin https://app.example.com,https://*.preview.example.com access.log`,
	}
	cmd.Flags().String("rules", "", "the `file` with the candidate rules: a document, or a Caddyfile with rules in it")
	cmd.Flags().String("live", "", "a rules `file` that stands for the rules in force, instead of the log's own decisions")
	cmd.Flags().String("bucket", "", "only the requests of this bucket, by its `name` in the log")
	cmd.Flags().Bool("suggest", false, "print rules for the origins of --allow-origin")
	cmd.Flags().String("to", "oss-xml", "the `form` of the suggested rules: "+formNames())
	cmd.Flags().StringSlice("allow-origin", nil, "the `origins` to allow, each exact or with one *, with commas between them; may be repeated")
	addDialect(cmd)
	addSite(cmd)
	addMaxRules(cmd)
	return commandOfMany(cmd, runReplay)
}

func runReplay(cmd *cobra.Command, logs []string) (same bool, err error) {
	if len(logs) == 0 {
		return false, usageError("replay needs an access log, or - for the standard input")
	}
	if suggest, _ := cmd.Flags().GetBool("suggest"); suggest {
		return true, runSuggest(cmd, logs)
	}
	values, err := required(cmd, "rules")
	if err != nil {
		return false, err
	}
	r := &replay{groups: map[group]uint64{}}
	candidate, err := readRulesByFlags(cmd, values[0])
	if err != nil {
		return false, err
	}
	r.candidate, r.dialect = corsrules.Compile(candidate.cfg), candidate.policy.Dialect
	if file, _ := cmd.Flags().GetString("live"); file != "" {
		live, err := readRulesByFlags(cmd, file)
		if err != nil {
			return false, err
		}
		r.live = corsrules.Compile(live.cfg)
	}
	r.bucket, _ = cmd.Flags().GetString("bucket")
	if err := readLogs(cmd, logs, r.handle, &r.result); err != nil {
		return false, err
	}
	result := r.summarize()
	return len(result.Changes) == 0, printResult(cmd, result, func(p *printer) { p.replayResult(result) })
}

// readLogs reads logs with handle, and shows progress on a terminal.
func readLogs(cmd *cobra.Command, logs []string, handle func(lines []byte), result *replayResult) error {
	l := &logReader{handle: handle}
	stop := showProgress(cmd.ErrOrStderr(), l, logs)
	start := time.Now()
	err := l.readAll(cmd, logs)
	stop()
	result.TooLong = l.tooLong
	result.Bytes = l.read.Load()
	result.Seconds = time.Since(start).Seconds()
	return err
}

// replay evaluates log lines. Its methods may be called by several goroutines.
type replay struct {
	candidate *corsrules.Ruleset
	live      *corsrules.Ruleset // nil: the log's own decisions
	dialect   corsrules.Dialect
	bucket    string // "": all

	mu     sync.Mutex
	groups map[group]uint64
	result replayResult
}

// group are requests that one line of the result is about.
type group struct {
	Change  string `json:"change"` // corsrules.NowAllowed or NowDenied
	Kind    string `json:"kind"`
	Origin  string `json:"origin"`
	Method  string `json:"method"`
	Headers string `json:"headers,omitempty"`

	// Rule is the candidate rule that allows them, or the nearest one; Reason and Value
	// are why they are denied.
	Rule   string `json:"rule,omitempty"`
	Reason string `json:"reason,omitempty"`
	Value  string `json:"value,omitempty"`
}

// replayResult is what "caddy oss-cors replay" prints.
type replayResult struct {
	Lines int `json:"lines"`

	// Requests are those that the rules apply to and that have a decision to compare with.
	Requests     int `json:"requests"`
	StillAllowed int `json:"still_allowed"`
	StillDenied  int `json:"still_denied"`
	NowAllowed   int `json:"now_allowed"`
	NowDenied    int `json:"now_denied"`

	// NotLogs are lines that are not of an access log; TooLong those over 1 MiB; Undecided
	// are CORS requests without oss_cors in the log.
	NotLogs   int `json:"not_access_log"`
	TooLong   int `json:"too_long"`
	Undecided int `json:"undecided"`

	// OtherGroups counts the requests of groups beyond the number that is kept.
	OtherGroups int            `json:"other_groups"`
	Changes     []groupOfCount `json:"changes"`

	Bytes   int64   `json:"bytes"`
	Seconds float64 `json:"elapsed_seconds"`
}

type groupOfCount struct {
	group
	Requests uint64 `json:"requests"`
}

// handle evaluates lines of a log.
func (r *replay) handle(lines []byte) {
	var n replayResult
	for line := range bytes.Lines(lines) {
		n.Lines++
		if !couldBeCORS(line, r.dialect) {
			continue
		}
		entry, ok := parseLogLine(line)
		switch {
		case !ok:
			n.NotLogs++
		case r.bucket == "" || entry.OSSCORS != nil && entry.OSSCORS.Bucket == r.bucket:
			r.evaluate(&entry, &n)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.result.add(n)
}

func (result *replayResult) add(n replayResult) {
	result.Lines += n.Lines
	result.Requests += n.Requests
	result.StillAllowed += n.StillAllowed
	result.StillDenied += n.StillDenied
	result.NowAllowed += n.NowAllowed
	result.NowDenied += n.NowDenied
	result.NotLogs += n.NotLogs
	result.Undecided += n.Undecided
}

// evaluate compares the two outcomes for one request.
func (r *replay) evaluate(entry *logEntry, n *replayResult) {
	request := entry.request(r.dialect)
	if request.Kind == corsrules.NotCORS {
		return
	}
	live, decided := r.liveOutcome(entry, request)
	if !decided {
		n.Undecided++
		return
	}
	candidate := r.candidate.Decide(request)
	allowed, denied := corsrules.Allowed.String(), corsrules.Denied.String()
	n.Requests++
	switch now := candidate.Outcome.String(); {
	case live == allowed && now == allowed:
		n.StillAllowed++
	case live == denied && now == denied:
		n.StillDenied++
	case live == denied && now == allowed:
		n.NowAllowed++
		r.count(corsrules.NowAllowed, request, candidate)
	case live == allowed && now == denied:
		n.NowDenied++
		r.count(corsrules.NowDenied, request, candidate)
	default: // one of the two is none: the request needs no CORS
		n.Requests--
	}
}

func (r *replay) liveOutcome(entry *logEntry, request corsrules.Request) (outcome string, ok bool) {
	if r.live != nil {
		d := r.live.Decide(request)
		return d.Outcome.String(), true
	}
	if entry.OSSCORS == nil {
		return "", false
	}
	return entry.OSSCORS.Outcome, true
}

func (r *replay) count(change string, request corsrules.Request, d corsrules.Decision) {
	g := group{
		Change:  change,
		Kind:    request.Kind.String(),
		Origin:  request.Origin[:min(len(request.Origin), corsrules.MaxOriginBytes)],
		Method:  request.Method[:min(len(request.Method), maxGroupHeaders)],
		Headers: request.Headers[:min(len(request.Headers), maxGroupHeaders)],
		Reason:  d.Reason.String(),
		Value:   d.Value[:min(len(d.Value), corsrules.MaxOriginBytes)],
	}
	if rule := cmp.Or(d.Rule, d.Nearest); rule != nil {
		g.Rule = rule.Name()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, known := r.groups[g]; !known && len(r.groups) >= maxGroups {
		r.result.OtherGroups++
		return
	}
	r.groups[g]++
}

// summarize returns the result with the groups, those with most requests first.
func (r *replay) summarize() replayResult {
	result := r.result
	result.Changes = []groupOfCount{}
	for g, n := range r.groups {
		result.Changes = append(result.Changes, groupOfCount{g, n})
	}
	slices.SortFunc(result.Changes, func(a, b groupOfCount) int {
		if byCount := cmp.Compare(b.Requests, a.Requests); byCount != 0 {
			return byCount
		}
		return strings.Compare(fmt.Sprint(a), fmt.Sprint(b))
	})
	return result
}

// sizeOf returns how many bytes files have; 0 where that is not known.
func sizeOf(files []string) (total int64) {
	for _, file := range files {
		info, err := os.Stat(file)
		if file == stdin || err != nil || !info.Mode().IsRegular() {
			return 0
		}
		total += info.Size()
	}
	return total
}
