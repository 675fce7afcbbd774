package corsrules

import (
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"weak"
)

// grant is what a rule has beside its ID and origins. Rules repeat it, in one document and in
// those of very many buckets, so equal ones are one: that saves memory, and what many buckets
// share is in the processor's cache.
type grant struct {
	methods methodSet
	headers headerSet

	allowMethods, exposeHeaders, maxAge string

	source CORSRule // without ID and origins
}

// grants are those in use: a weak.Pointer[grant] by its key.
var grants sync.Map

// grantOf returns the grant of a rule, which may be another rule's too.
func grantOf(r CORSRule) *grant {
	key := fmt.Sprintf("%q %q %q %s", r.AllowedMethods, r.AllowedHeaders, r.ExposeHeaders, maxAge(r))
	if p, ok := grants.Load(key); ok {
		if used := p.(weak.Pointer[grant]).Value(); used != nil {
			return used
		}
	}
	g := newGrant(r)
	p := weak.Make(g)
	grants.Store(key, p)
	runtime.AddCleanup(g, func(key string) { grants.CompareAndDelete(key, p) }, key)
	return g
}

func newGrant(r CORSRule) *grant {
	own := Configuration{Rules: []CORSRule{{
		AllowedMethods: r.AllowedMethods,
		AllowedHeaders: r.AllowedHeaders,
		ExposeHeaders:  r.ExposeHeaders,
	}}}
	own.compact() // apart from the document, which may end or be changed before it
	if r.MaxAgeSeconds != nil {
		own.Rules[0].MaxAgeSeconds = new(*r.MaxAgeSeconds)
	}
	r = own.Rules[0]
	g := &grant{
		headers:       newHeaderSet(r.AllowedHeaders),
		allowMethods:  strings.Join(r.AllowedMethods, ", "),
		exposeHeaders: strings.Join(r.ExposeHeaders, ", "),
		maxAge:        maxAge(r),
		source:        r,
	}
	for _, method := range r.AllowedMethods {
		g.methods |= methodBit(method)
	}
	return g
}

func maxAge(r CORSRule) string {
	if r.MaxAgeSeconds == nil {
		return ""
	}
	return strconv.Itoa(*r.MaxAgeSeconds)
}
