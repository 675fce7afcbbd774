package corsrules

import (
	"runtime"
	"testing"
	"time"
)

// Rules that are equal except for ID and origins share an effect, of whatever document they are,
// and no effect stays that no rule has.
func TestEffects(t *testing.T) {
	seconds := 600
	rule := func(id, origin string) CORSRule {
		return CORSRule{
			ID: id, AllowedOrigins: []string{origin}, AllowedMethods: []string{"GET"},
			AllowedHeaders: []string{"x-shared"}, ExposeHeaders: []string{"x-shared"}, MaxAgeSeconds: &seconds,
		}
	}
	compiled := func(r CORSRule) *Ruleset { return Compile(&Configuration{Rules: []CORSRule{r}}) }
	one, other := compiled(rule("a", "https://a")), compiled(rule("b", "https://b"))
	if one.rules[0].effect != other.rules[0].effect {
		t.Error("equal rules of two documents have two effects")
	}
	for what, change := range map[string]func(*CORSRule){
		"methods":        func(r *CORSRule) { r.AllowedMethods = []string{"GET", "PUT"} },
		"headers":        func(r *CORSRule) { r.AllowedHeaders = []string{"x-shared", "x-other"} },
		"one header":     func(r *CORSRule) { r.AllowedHeaders = []string{`x-shared" "x-other`} },
		"expose headers": func(r *CORSRule) { r.ExposeHeaders = nil },
		"max age":        func(r *CORSRule) { r.MaxAgeSeconds = nil },
	} {
		r := rule("a", "https://a")
		change(&r)
		if compiled(r).rules[0].effect == one.rules[0].effect {
			t.Errorf("rules with other %s share an effect", what)
		}
	}
	if got := one.rules[0].Source(); got.ID != "a" || got.AllowedOrigins[0] != "https://a" {
		t.Errorf("the source is %+v", got)
	}
	seconds = 0 // by whoever has the first document
	if got := other.Configuration().Rules[0].MaxAgeSeconds; *got != 600 {
		t.Errorf("another document's max age became %d", *got)
	}
	runtime.KeepAlive(one)
	runtime.KeepAlive(other)

	const key = `["GET"] ["x-shared"] ["x-shared"] 600`
	for deadline := time.Now().Add(10 * time.Second); ; {
		runtime.GC() // cleanups run some time after
		if _, used := effects.Load(key); !used {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("an effect stays that no rule has")
		}
		time.Sleep(time.Millisecond)
	}
}
