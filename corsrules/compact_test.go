package corsrules

import (
	"reflect"
	"testing"
)

func TestCompact(t *testing.T) {
	rule := func(origins, headers []string) CORSRule {
		return CORSRule{AllowedOrigins: origins, AllowedMethods: []string{"GET"}, AllowedHeaders: headers}
	}
	rules := func() []CORSRule {
		return []CORSRule{
			rule([]string{"https://a", "https://b"}, []string{"x-a", "x-b"}),
			rule([]string{"https://b", "https://a"}, []string{"x-a", "x-b"}),
			rule([]string{"https://a"}, nil),
			rule([]string{"https://a\nhttps://b"}, []string{"x-a\nx-b"}), // which Parse refuses
			rule([]string{`https://a" "https://b`}, []string{"x-a x-b"}),
		}
	}
	c := &Configuration{Rules: rules()}
	c.compact()
	if !reflect.DeepEqual(c.Rules, rules()) {
		t.Errorf("got  %+v\nwant %+v", c.Rules, rules())
	}
	if &c.Rules[0].AllowedHeaders[0] != &c.Rules[1].AllowedHeaders[0] {
		t.Error("equal lists are not one")
	}
	if cap(c.Rules[0].AllowedOrigins) != 2 {
		t.Error("a list has room for more")
	}
	compiled := Compile(c)
	if compiled.rules[0].grant != compiled.rules[1].grant || compiled.rules[0].grant == compiled.rules[3].grant {
		t.Error("others than equal rules are one beside their origins")
	}
}
