package osscors

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-oss-cors/caddy-oss-cors/internal/running"
)

// quick is a rules file that is looked at as often as can be.
const quick = "oss_cors {\nrules file cors.xml {\nrefresh 10ms\n}\n}\nrespond served"

// settled is several times quick's refresh: what has not happened by then does not.
const settled = 100 * time.Millisecond

// Counts go on over a reload, and what is not configured any more is not shown.
func TestCountsSurviveReloads(t *testing.T) {
	p := newProxy(t)
	write(t, "cors.xml", appRules)
	write(t, "gone.xml", openRules)
	p.load(t, "oss_cors cors.xml\nrespond served", "oss_cors gone.xml\nrespond served")
	p.get(t, fromApp)
	p.get(t, "Origin: https://plain.example.com")
	p.get(t, fromStranger)
	askAt(t, p.addrs[1], "GET / HTTP/1.1", fromApp)
	expectCounters(t, p, series{
		hits("cors.xml", "app", "actual"):       1,
		hits("cors.xml", "2", "actual"):         1,
		denials("cors.xml", "actual", "origin"): 1,
		hits("gone.xml", "1", "actual"):         1,
	})

	write(t, "cors.xml", document(appRule)) // without the second rule
	p.load(t, "oss_cors cors.xml\nrespond another")
	p.get(t, fromApp)
	want := series{
		hits("cors.xml", "app", "actual"):       2,
		denials("cors.xml", "actual", "origin"): 1,
	}
	expectCounters(t, p, want)
	got := p.series(t)
	if got[of("rules", "cors.xml")] != 1 {
		t.Errorf("rules is %v", got[of("rules", "cors.xml")])
	}
	for name := range got {
		if strings.Contains(name, "gone.xml") || strings.Contains(name, `rule="2"`) {
			t.Errorf("%s is no longer configured", name)
		}
	}

	p.load(t, "respond nothing")
	if got := p.series(t); len(got) != 0 {
		t.Errorf("without oss_cors there is %v", got)
	}
}

// The counts of a bucket survive reloads as those of a single rule set do.
func TestCountsOfBucketsSurviveReloads(t *testing.T) {
	p := newProxy(t)
	mkdir(t, "rules")
	write(t, "rules/bucket.xml", appRules)
	const site = "oss_cors {\nrules directory rules\nbucket path\n}\nrespond "
	p.load(t, site+"served")
	for range 3 {
		p.ask(t, "GET /bucket/key HTTP/1.1", fromApp)
	}
	p.load(t, site+"another")
	p.ask(t, "GET /bucket/key HTTP/1.1", fromApp)
	expectCounters(t, p, series{hits("bucket", "app", "actual"): 4})
}

func TestFailedReloadLosesNothing(t *testing.T) {
	p := newProxy(t)
	write(t, "cors.xml", appRules)
	write(t, "bad.xml", "<CORSConfiguration/>")
	write(t, "other.xml", openRules)
	p.load(t, quick)
	p.get(t, fromApp)
	p.get(t, fromStranger)
	before := p.series(t)
	for _, test := range []struct {
		desc  string
		sites []string
	}{
		{"bad rules", []string{"oss_cors bad.xml"}},
		{"bad rules next to good ones", []string{"oss_cors cors.xml", "oss_cors other.xml", "oss_cors bad.xml"}},
		{"bad candidates", []string{"oss_cors cors.xml {\nshadow bad.xml\n}"}},
		{"another module fails after ours", []string{"oss_cors cors.xml\nstub missing", "oss_cors other.xml"}},
		{"other rules of the same name, and another module fails", []string{"oss_cors other.xml {\nname cors.xml\n}\nstub missing"}},
		{"rules of many buckets, and another module fails", []string{"oss_cors {\nrules storage\nbucket path\n}\nstub missing"}},
	} {
		t.Run(test.desc, func(t *testing.T) {
			for range 2 {
				if err := p.tryLoad(t, test.sites...); err == nil {
					t.Fatal("no error")
				}
			}
			if got := p.series(t); !maps.Equal(got, before) {
				t.Errorf("metrics:\n got %v\nwant %v", got, before)
			}
			p.get(t, fromApp).expect(t, 200, appGranted...)
			before[hits("cors.xml", "app", "actual")]++
		})
	}
	write(t, "cors.xml", document(plainRule)) // is the file still looked at?
	eventually(t, func() bool { return p.series(t)[of("rules", "cors.xml")] == 1 })
	p.get(t, fromApp).expect(t, 200)
}

func TestUnchangedConfigurationCountsOn(t *testing.T) {
	p := newProxy(t)
	write(t, "cors.xml", appRules)
	p.load(t, quick)
	p.get(t, fromApp)
	config, err := adapt(p.caddyfile([]string{strings.Split(p.metricsURL, "/")[2], p.addrs[0]}, []string{quick}))
	if err != nil {
		t.Fatal(err)
	}
	if err := caddy.Load([]byte(config), false); err != nil { // "config is unchanged"
		t.Fatal(err)
	}
	p.get(t, fromApp)
	expectCounters(t, p, series{hits("cors.xml", "app", "actual"): 2})
}

// An edited file comes into force by itself; a bad one does not, and is told of.
func TestEditedFile(t *testing.T) {
	p := newProxy(t)
	log := filepath.Join(t.TempDir(), "log.json")
	p.options = logTo(log)
	write(t, "cors.xml", appRules)
	p.load(t, quick)
	p.get(t, fromApp).expect(t, 200, appGranted...)
	write(t, "cors.xml", document(plainRule))
	eventually(t, func() bool { return len(cors(p.get(t, fromApp).Header)) == 0 })
	write(t, "cors.xml", appRules)
	eventually(t, func() bool { return slices.Equal(cors(p.get(t, fromApp).Header), appGranted) })

	const successful, complaint, relief = `rules_last_load_successful{ruleset="cors.xml"}`, "CORS rules cannot be loaded", "CORS rules are good again"
	for i, test := range []struct {
		desc, content, why string
	}{
		{"not well-formed", appRules[:100], "not well-formed"},
		{"a misspelt element", strings.ReplaceAll(appRules, "ExposeHeader", "ExposeHeaders"), "unknown element"},
		{"empty", "", "the document has no element"},
		{"too long", appRules + strings.Repeat(" ", 1<<14), "16384"},
		{"missing", "", "no such file"},
		{"a directory", "", "not a regular file"},
	} {
		t.Run(test.desc, func(t *testing.T) {
			switch test.desc {
			case "missing":
				remove(t, "cors.xml")
			case "a directory":
				remove(t, "cors.xml")
				mkdir(t, "cors.xml")
			default:
				write(t, "cors.xml", test.content)
			}
			eventually(t, func() bool { return p.series(t)[successful] == 0 })
			time.Sleep(settled)
			lines := readLog(t, log, complaint)
			if len(lines) == 0 {
				t.Fatal("the log does not complain")
			}
			// A directory is missing for a moment before it is one.
			if test.desc != "a directory" && len(lines) != i+1 {
				t.Errorf("%d complaints after %d bad files:\n%s", len(lines), i+1, lines)
			}
			if last := lines[len(lines)-1]; !strings.Contains(last, test.why) || !strings.Contains(last, `"ruleset":"cors.xml"`) {
				t.Errorf("the log does not say %q of the ruleset: %s", test.why, last)
			}
			p.get(t, fromApp).expect(t, 200, appGranted...)
			if n := p.series(t)[of("rules", "cors.xml")]; n != 2 {
				t.Errorf("rules is %v", n)
			}
			if test.desc == "a directory" {
				remove(t, "cors.xml")
			}
			write(t, "cors.xml", appRules)
			eventually(t, func() bool { return p.series(t)[successful] == 1 })
			eventually(t, func() bool { return len(readLog(t, log, relief)) > i }) // which comes after the series
			p.get(t, fromApp).expect(t, 200, appGranted...)
			if lines := readLog(t, log, relief); len(lines) != i+1 {
				t.Errorf("%d times good again after %d bad files", len(lines), i+1)
			}
		})
	}
}

func remove(t *testing.T, name string) {
	t.Helper()
	if err := os.RemoveAll(name); err != nil {
		t.Fatal(err)
	}
}

// Kubernetes swaps the link that a ConfigMap's files are reached through.
func TestSwappedLink(t *testing.T) {
	p := newProxy(t)
	mkdir(t, "v1")
	mkdir(t, "v2")
	write(t, "v1/cors.xml", appRules)
	write(t, "v2/cors.xml", document(plainRule))
	for link, target := range map[string]string{"data": "v1", "cors.xml": "data/cors.xml"} {
		if err := os.Symlink(target, link); err != nil {
			t.Fatal(err)
		}
	}
	p.load(t, quick)
	p.get(t, fromApp).expect(t, 200, appGranted...)
	if err := os.Symlink("v2", "data.new"); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename("data.new", "data"); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool { return len(cors(p.get(t, fromApp).Header)) == 0 })
}

// Credentials with too wide an origin are refused in a document that comes later, too.
func TestEditedFileBesideCredentials(t *testing.T) {
	p := newProxy(t)
	write(t, "cors.xml", appRules)
	p.load(t, "oss_cors {\nrules file cors.xml {\nrefresh 10ms\n}\nallow_credentials\n}\nrespond served")
	granted := slices.Insert(slices.Clone(appGranted), 0, "Allow-Credentials: true")
	write(t, "cors.xml", openRules)
	eventually(t, func() bool { return p.series(t)[of("rules_last_load_successful", "cors.xml")] == 0 })
	p.get(t, fromApp).expect(t, 200, granted...)
	p.get(t, "Origin: https://named.example.com").expect(t, 200)
}

// Every response is wholly by the rules before a change or wholly by those after it.
func TestSwapsUnderLoad(t *testing.T) {
	versions := make([]string, 2)
	wants := map[string]int{}
	for i, methods := range []string{"GET, PUT", "DELETE, GET"} {
		rule := element("AllowedOrigin", "https://app.example.com")
		for method := range strings.SplitSeq(methods, ", ") {
			rule += element("AllowedMethod", method)
		}
		rule += element("ExposeHeader", fmt.Sprint("x-version-", i)) + element("MaxAgeSeconds", fmt.Sprint(i))
		versions[i] = document(rule)
		if i == 1 {
			versions[i] = withVary(versions[i])
		}
		granted := []string{"Allow-Methods: " + methods, "Allow-Origin: https://app.example.com", fmt.Sprint("Expose-Headers: x-version-", i), fmt.Sprint("Max-Age: ", i)}
		wants[fmt.Sprint(granted, i == 1)] = i
	}

	p := newProxy(t)
	write(t, "cors.xml", versions[0])
	p.load(t, quick)
	var seen [2]atomic.Int64
	done := make(chan struct{})
	var clients sync.WaitGroup
	for client := range 8 {
		clients.Go(func() {
			method := []string{http.MethodGet, http.MethodOptions}[client%2]
			for {
				select {
				case <-done:
					return
				default:
				}
				request, _ := http.NewRequestWithContext(t.Context(), method, "http://"+p.addrs[0], http.NoBody)
				request.Header.Set("Origin", "https://app.example.com")
				if method == http.MethodOptions {
					request.Header.Set("Access-Control-Request-Method", "GET")
				}
				response, err := http.DefaultClient.Do(request)
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, response.Body)
				response.Body.Close()
				got := fmt.Sprint(cors(response.Header), len(response.Header["Vary"]) == 1)
				version, ok := wants[got]
				if !ok {
					t.Errorf("%s: a mixture: %s", method, got)
					return
				}
				seen[version].Add(1)
			}
		})
	}
	// Each version stays longer than a document must have been left alone before it is read.
	const each = 50 * time.Millisecond
	for i, start := 0, time.Now(); !t.Failed() && (i < 20 || seen[0].Load() == 0 || seen[1].Load() == 0); i++ {
		if time.Since(start) > patience {
			t.Errorf("answers by the versions after %s: %d and %d", patience, seen[0].Load(), seen[1].Load())
		}
		time.Sleep(each)
		write(t, "cors.xml", versions[i%2])
	}
	close(done)
	clients.Wait()
}

// What looks at files ends with the configuration, be it one that never served.
func TestNothingRunsOn(t *testing.T) {
	p := newProxy(t)
	write(t, "cors.xml", appRules)
	mkdir(t, "rules")
	write(t, "rules/bucket.xml", appRules)
	sites := []string{
		quick,
		"oss_cors cors.xml {\nshadow cors.xml\n}",
		"oss_cors {\nrules directory rules\nbucket path\n}\nrespond served",
		"oss_cors {\nrules storage\nbucket path\n}\nrespond served",
	}
	p.load(t, sites...)
	for _, addr := range p.addrs {
		askAt(t, addr, "GET /bucket/key HTTP/1.1", fromApp)
	}
	if ours() == 0 {
		t.Fatal("nothing of ours runs while it should: how is it told?")
	}
	p.load(t, slices.Repeat(sites, 2)...)
	if err := p.tryLoad(t, append(sites, "stub missing")...); err == nil {
		t.Fatal("no error")
	}
	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool { return ours() == 0 })
	if left := running.Sites(); len(left) > 0 {
		t.Errorf("%d handlers are still known", len(left))
	}
}

// ours counts the goroutines that run code of the rules' sources.
func ours() int {
	stacks := make([]byte, 1<<20)
	return strings.Count(string(stacks[:runtime.Stack(stacks, true)]), "created by github.com/caddy-oss-cors/caddy-oss-cors/rulesource.")
}
