// What a rules document says about a request, worked out from its XML, and what browsers do
// with that. Written for this page, apart from Caddy's code, so that the two check each other.

// parseRules reads a CORSConfiguration.
function parseRules(xml) {
  const doc = new DOMParser().parseFromString(xml, 'application/xml');
  if (doc.querySelector('parsererror')) throw new Error('cors.xml is not well-formed XML. Caddy’s log says where; the last good rules stay in force.');
  const rules = [...doc.querySelectorAll('CORSConfiguration > CORSRule')].map((rule, i) => {
    const values = (name) => [...rule.children].filter((e) => e.localName === name).map((e) => e.textContent.trim());
    return {
      number: i + 1,
      name: values('ID')[0] || String(i + 1),
      origins: values('AllowedOrigin'),
      methods: values('AllowedMethod'),
      allowed: values('AllowedHeader'),
      exposed: values('ExposeHeader').map((name) => name.toLowerCase()),
    };
  });
  if (rules.length === 0) throw new Error('cors.xml has no CORSRule, so Caddy refuses it; the last good rules stay in force.');
  return rules;
}

// matches compares ignoring case; the one * that a pattern may have stands for any
// characters, or none.
function matches(pattern, value) {
  const [prefix, suffix] = pattern.toLowerCase().split('*');
  value = value.toLowerCase();
  return suffix === undefined
    ? value === prefix
    : value.length >= prefix.length + suffix.length && value.startsWith(prefix) && value.endsWith(suffix);
}

// firstMatch returns the first rule that matches the origin, the method and every header;
// otherwise the nearest rule, if any allows the origin, and what it lacks.
function firstMatch(rules, origin, method, headers = []) {
  let nearest = { held: 0, lacks: origin };
  for (const rule of rules) {
    if (!rule.origins.some((pattern) => matches(pattern, origin))) continue;
    if (!rule.methods.includes(method)) {
      if (nearest.held < 1) nearest = { held: 1, rule, lacks: method };
      continue;
    }
    const header = headers.find((name) => !rule.allowed.some((pattern) => matches(pattern, name)));
    if (!header) return { rule };
    if (nearest.held < 2) nearest = { held: 2, rule, lacks: header };
  }
  return nearest;
}

// The Fetch standard's safelists: methods and request headers that do not need a preflight, and
// response headers that scripts may always read (https://fetch.spec.whatwg.org/#cors-safelisted-method,
// #cors-safelisted-request-header, #cors-safelisted-response-header-name).
const simpleMethods = ['GET', 'HEAD', 'POST'];
const simpleTypes = ['text/plain', 'multipart/form-data', 'application/x-www-form-urlencoded'];
const simpleHeaders = ['accept', 'accept-language', 'content-language'];
const readableHeaders = ['cache-control', 'content-language', 'content-length', 'content-type', 'expires', 'last-modified', 'pragma'];

function needsPermission([name, value]) {
  name = name.toLowerCase();
  if (name === 'content-type') return !simpleTypes.includes(value.split(';')[0].trim().toLowerCase());
  return !simpleHeaders.includes(name);
}

// expect says what a browser that follows the Fetch standard must do with a request from an
// origin, and which of the response headers that the page reads it must show.
function expect(rules, origin, { method, headers = {}, reads }) {
  const asked = Object.entries(headers).filter(needsPermission).map(([name]) => name.toLowerCase()).sort();
  const preflight = asked.length > 0 || !simpleMethods.includes(method);
  let match = preflight ? firstMatch(rules, origin, method, asked) : {};
  if (!match.lacks) match = firstMatch(rules, origin, method); // for the request itself, headers do not matter
  const allowed = !match.lacks;
  const readable = reads.filter((name) => allowed && (readableHeaders.includes(name) || match.rule.exposed.includes(name)));
  return { ...match, allowed, preflight, readable };
}
