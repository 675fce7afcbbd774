// Package corsrules implements the CORS rules of Alibaba Cloud OSS: it parses a
// CORSConfiguration document, compiles it, and decides preflights and actual
// requests by it. It knows nothing of HTTP servers and can be used without Caddy.
//
//	cfg, err := corsrules.Parse(doc, corsrules.Options{File: "cors.xml"})
//	if err != nil {
//		return err // every fault of the document, each as file:line:column
//	}
//	rules := corsrules.Compile(cfg)
//	d := rules.Preflight(r.Header["Origin"],
//		r.Header["Access-Control-Request-Method"],
//		r.Header["Access-Control-Request-Headers"])
//
// The first rule for which origin, method and headers all hold decides. Where no
// rule does, the [Decision] names the reason, the value at fault and the nearest
// rule. [Ruleset.ExplainPreflight] and [Ruleset.ExplainActual] are the same walk
// without stopping, so that what explains cannot disagree with what decides.
//
// Nothing here is a regular expression, and every input has a bound: see the
// constants.
package corsrules
