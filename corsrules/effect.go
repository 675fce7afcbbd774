package corsrules

import (
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"weak"
)

// effect is what a rule allows an origin that matches it, and what it contributes to the
// response: the rule without ID and origins.
//
// Rules of very many buckets repeat each other, so equal effects are one. That more than
// halves the memory of 10 000 documents of ten rules: 32.6 MB of heap with it, 79.0 MB
// without. Package unique does not serve here: it takes only values that == compares, so the
// allowed headers would have to be one text. Looking names up in that takes five to eight
// times as long for the worst document (hostile_bench_test.go).
type effect struct {
	headers headerSet

	allowMethods, exposeHeaders, maxAge string // header values; empty: not sent

	source CORSRule // without ID and origins
}

// effects are those in use: a weak.Pointer[effect] by its key.
var effects sync.Map

// effectOf returns the effect of a rule, which other rules may share.
func effectOf(r CORSRule) *effect {
	key := fmt.Sprintf("%q %q %q %s", r.AllowedMethods, r.AllowedHeaders, r.ExposeHeaders, maxAge(r))
	if p, ok := effects.Load(key); ok {
		if e := p.(weak.Pointer[effect]).Value(); e != nil {
			return e
		}
	}
	e := newEffect(r)
	p := weak.Make(e)
	effects.Store(key, p)
	runtime.AddCleanup(e, func(key string) { effects.CompareAndDelete(key, p) }, key)
	return e
}

// newEffect copies what it keeps: the Configuration that r is from may be changed.
func newEffect(r CORSRule) *effect {
	e := &effect{
		headers:       newHeaderSet(r.AllowedHeaders),
		allowMethods:  strings.Join(r.AllowedMethods, ", "),
		exposeHeaders: strings.Join(r.ExposeHeaders, ", "),
		maxAge:        maxAge(r),
		source: CORSRule{
			AllowedMethods: slices.Clone(r.AllowedMethods),
			AllowedHeaders: slices.Clone(r.AllowedHeaders),
			ExposeHeaders:  slices.Clone(r.ExposeHeaders),
		},
	}
	if r.MaxAgeSeconds != nil {
		e.source.MaxAgeSeconds = new(*r.MaxAgeSeconds)
	}
	return e
}

func maxAge(r CORSRule) string {
	if r.MaxAgeSeconds == nil {
		return ""
	}
	return strconv.Itoa(*r.MaxAgeSeconds)
}
