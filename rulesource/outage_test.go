package rulesource

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-oss-cors/caddy-oss-cors/metrics"
)

const (
	cannotBeRead = "CORS rules of buckets cannot be read; those that are loaded stay in force"
	noneLoaded   = "CORS rules of buckets cannot be read; none are loaded"
	canBeRead    = "CORS rules of buckets can be read again"
)

// An outage is logged once and shown by the gauge, and so is its end, however often other
// documents can be read meanwhile.
func TestOutage(t *testing.T) {
	for _, c := range []struct {
		desc  string
		fails []string // the buckets; none: all
	}{
		{"nothing can be read", nil},
		{"one document cannot be read", []string{"bad"}},
	} {
		t.Run(c.desc, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLogged()
				s, documents := openShelf(t, refresh, l.Options)
				documents.put("good", app)
				documents.put("bad", app)
				use := func(messages []string, gauge string) {
					t.Helper()
					for range 10 * 8 {
						expect(t, s, "good", "", 0)
						expect(t, s, "bad", "", 0)
						time.Sleep(refresh / 8)
					}
					if got := slices.DeleteFunc(l.messages(), func(m string) bool { return m == inForce }); !slices.Equal(got, messages) {
						t.Errorf("logged %q; want %q", got, messages)
					}
					if line := `caddy_oss_cors_rules_last_load_successful{ruleset="_other"} ` + gauge; !strings.Contains(l.exposition(t), line+"\n") {
						t.Errorf("metrics do not show %s", line)
					}
				}
				use([]string{}, "1")
				documents.fail(errors.New("broken"), c.fails...)
				use([]string{cannotBeRead}, "0")
				if err := s.Reports()[2].Status.Err; err == nil || !strings.Contains(err.Error(), "broken") {
					t.Errorf("reported is %v", err)
				}
				documents.fail(nil, c.fails...)
				use([]string{canBeRead}, "1")
				if err := s.Reports()[2].Status.Err; err != nil {
					t.Errorf("reported is %v", err)
				}
			})
		})
	}
}

// What stands for all other buckets shows no load and no rules of its own. Rules are counted
// by number from the first bucket on that has no counters of its own.
func TestOutage_other(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLogged()
		s, documents := openShelf(t, refresh, l.Options)
		show := func(desc, gauge string, ruleSeries int) {
			t.Helper()
			shown := l.exposition(t)
			if line := `caddy_oss_cors_rules_last_load_successful{ruleset="_other"} ` + gauge; !strings.Contains(shown, line+"\n") {
				t.Errorf("%s: metrics do not show %s", desc, line)
			}
			if strings.Contains(shown, `timestamp_seconds{ruleset="_other"}`) {
				t.Errorf("%s: metrics show a load", desc)
			}
			if got := strings.Count(shown, `rule_hits_total{kind="actual",rule="`); got != ruleSeries {
				t.Errorf("%s: %d rule series, want %d", desc, got, ruleSeries)
			}
		}
		show("at first", "1", 0)
		documents.fail(errors.New("broken"))
		expect(t, s, "bucket", "unreachable", 0)
		show("in an outage", "0", 0)
		if got := l.messages(); !slices.Equal(got, []string{noneLoaded}) {
			t.Errorf("logged %q", got)
		}
		documents.fail(nil)
		time.Sleep(refresh)
		names := make([]string, metrics.MaxBuckets+1)
		for i := range names {
			names[i] = strings.Repeat("a", i%60) + "-" + string(rune('a'+i/60))
			documents.put(names[i], app)
		}
		for _, name := range names[1:] {
			expect(t, s, name, "", 0)
		}
		show("with as many buckets as have counters", "1", metrics.MaxBuckets)
		rules, err := s.Rules(t.Context(), names[0])
		if err != nil {
			t.Fatal(err)
		}
		show("with one more", "1", metrics.MaxBuckets+10)
		rules.Count(metrics.Actual, rules.Decide(fromApp), fromApp.Origin)
		if line := `caddy_oss_cors_rule_hits_total{kind="actual",rule="1",ruleset="_other"} 1`; !strings.Contains(l.exposition(t), line+"\n") {
			t.Errorf("metrics do not show %s", line)
		}
	})
}
