// Package corsrules implements the CORS rules of Alibaba Cloud OSS: it parses a
// CORSConfiguration document, compiles it, and decides preflights and actual requests by it.
// It needs no Caddy: with net/http, a program can serve CORS by this package alone.
//
//	cfg, err := corsrules.Parse(doc, corsrules.Options{File: "cors.xml"})
//	if err != nil {
//		return err // every fault of the document, each as file:line:column
//	}
//	rules := corsrules.Compile(cfg)
//	…
//	d := rules.Decide(corsrules.ReadRequest(r))
//	for name, value := range d.Headers(corsrules.Policy{}) {
//		w.Header().Add(name, value)
//	}
//
// [ReadRequest] is the only reader of the CORS request headers, and says whether a request
// is a preflight. The first rule for which origin, method and headers all match decides.
// Where none does, the [Decision] names the reason, the value that is not allowed and the
// nearest rule. [Ruleset.Explain] decides by the same code and evaluates every rule, so an
// explanation cannot disagree with the decision.
//
// [Dialect] has what S3 does otherwise: [Dialect.ReadRequest] reads a request that is decided as
// S3 does, and [Policy] has the dialect of the headers.
//
// Nothing here is a regular expression, and every input has a bound: see the constants.
package corsrules
