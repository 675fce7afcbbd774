// The form for a request, the region "Verdict", and what each rule says.

import {byId, el, setText} from './dom.js';
import {call, rulesOf, state} from './api.js';
import {addToCandidate} from './candidate.js';

const splitList = (text) => text.split(',').map((name) => name.trim()).filter(Boolean);

// explainRequest puts a request into the form, and explains it.
export function explainRequest(request) {
  const select = byId('ruleset');
  if (request.ruleset) {
    if (![...select.options].some((option) => option.value === request.ruleset)) {
      const option = el('option', {value: request.ruleset}, request.ruleset);
      option.dataset.key = request.ruleset;
      select.append(option);
    }
    select.value = request.ruleset;
  }
  byId('origin').value = request.origin ?? '';
  byId('method').value = request.method || 'GET';
  byId('headers').value = (request.headers ?? []).join(', ');
  byId('preflight').value = request.preflight === undefined ? '' : String(request.preflight);
  return explain(request.verbatim);
}

// latest counts the requests, so that a late answer does not replace a later one.
let latest = 0;

// explain explains what the form has. It is verbatim if it comes from a denial, and not from a
// person.
async function explain(verbatim = false) {
  const request = {
    verbatim,
    origin: byId('origin').value.trim(), method: byId('method').value.trim(), headers: splitList(byId('headers').value),
  };
  if (byId('ruleset').value) request.ruleset = byId('ruleset').value;
  if (byId('preflight').value) request.preflight = byId('preflight').value === 'true';
  if (!request.origin || !request.method) {
    showVerdict('', [el('p', {class: 'hint'}, `Type ${request.origin ? 'a method' : 'an origin'} to explain.`)]);
    byId('details').hidden = true;
    return;
  }
  const number = ++latest;
  try {
    const explanation = await call('POST', '/oss_cors/explain', request);
    const rules = await rulesOf(explanation.ruleset);
    if (number === latest) showExplanation(explanation, rules);
  } catch (error) {
    if (number !== latest) return;
    showVerdict('', [el('p', {class: 'error'}, `It cannot be explained: ${error.message}`)]);
    byId('details').hidden = true;
  }
}

function showVerdict(outcome, children) {
  const verdict = byId('verdict');
  verdict.dataset.outcome = outcome;
  verdict.replaceChildren(...children);
  // On a narrow page it is out of sight.
  if (outcome) verdict.scrollIntoView({block: 'nearest'});
}

const problems = {
  no_rules: () => 'there are no rules',
  rules_unavailable: () => 'the rules cannot be read',
  missing_origin: () => 'the request has no Origin',
  missing_method: () => 'the preflight names no method',
  malformed: (d) => `the request header ${d.value} is malformed`,
  origin: (d) => `no rule allows the origin ${d.value}`,
  method: (d) => `the method ${d.value} is not allowed`,
  header: (d) => `the header ${d.value} is not allowed`,
};

export const problemOf = (decision) => problems[decision.reason]?.(decision) ?? decision.reason;

function showExplanation(e, rules) {
  state.chosen = e;
  const decision = e.preflight_needed ? e.preflight : e.actual;
  const kind = e.preflight_needed ? 'preflight' : 'request';
  const about = el('p', {class: 'small'}, `${e.method} from ${e.origin}${e.headers.length ? ` with ${e.headers.join(', ')}` : ''}, by ${e.ruleset}`);
  const notes = (e.notes ?? []).map((note) => el('p', {class: 'small'}, note));
  const children = [el('p', {class: 'outcome'}, e.allowed ? 'allowed' : 'denied'), about, ...notes];
  if (e.allowed) {
    children.push(el('p', {}, `The ${kind} is allowed by rule ${decision.rule}.`));
  } else {
    children.push(el('p', {}, `The ${kind} is denied: ${problemOf(decision)}.`,
      decision.nearest ? ` The nearest rule is ${decision.nearest}.` : ''));
    if (decision.advice) children.push(el('p', {class: 'advice'}, `To allow it, ${decision.advice}.`));
  }
  showVerdict(e.allowed ? 'allowed' : 'denied', children);
  showDetails(e, decision, rules);
}

function showDetails(e, decision, rules) {
  const line = missingLine(decision);
  byId('actions').replaceChildren(...(line
    ? [el('button', {type: 'button', click: () => addToCandidate(e.ruleset, lineNumberOf(decision, rules), line)}, 'Add this line to the candidate rules')]
    : []));
  const both = [
    decisionOf(e.preflight, e.preflight_needed ? 'Preflight' : 'Preflight, which browsers do not send here', rules),
    decisionOf(e.actual, e.preflight_needed && !e.allowed ? 'Actual request, which is not sent after this preflight' : 'Actual request', rules),
  ];
  if (!e.preflight_needed) both.reverse();
  byId('decisions').replaceChildren(both[0], el('details', {}, el('summary', {}, 'The other request'), both[1]));
  byId('details').hidden = false;
}

// missingLine returns the element that the nearest rule lacks.
function missingLine(decision) {
  const element = {origin: 'AllowedOrigin', method: 'AllowedMethod', header: 'AllowedHeader'}[decision.reason];
  if (!element || !decision.advice?.startsWith('add ')) return null;
  return {element, value: decision.value};
}

// lineNumberOf returns the number of the rule that lacks a line: the nearest, or the first.
const lineNumberOf = (decision, rules) => rules.find((rule) => rule.name === decision.nearest)?.number ?? 1;

function decisionOf(decision, title, rules) {
  const headers = Object.entries(decision.response_headers).sort();
  return el('div', {},
    el('h3', {}, `${title}: ${decision.outcome}`),
    decision.rules.map((verdict) => ruleOf(verdict, decision, rules.find((rule) => rule.number === verdict.number))),
    decision.rules.length ? null : el('p', {class: 'hint'}, 'No rule was evaluated.'),
    headers.length ? el('h3', {}, 'CORS headers of the response') : null,
    el('dl', {}, headers.flatMap(([name, value]) => [el('dt', {}, name), el('dd', {class: 'value'}, value)])));
}

function ruleOf(verdict, decision, rule) {
  const decisive = verdict.rule === decision.rule || verdict.rule === decision.nearest;
  const tag = verdict.matches
    ? (verdict.rule === decision.rule ? el('span', {class: 'tag good'}, 'matches') : el('span', {class: 'tag warn'}, 'too late'))
    : el('span', {class: 'tag bad'}, verdict.reason);
  return el('div', {class: 'rule', 'data-nearest': verdict.rule === decision.nearest, 'data-matched': verdict.rule === decision.rule},
    el('div', {class: 'top'},
      el('span', {class: 'name'}, `Rule ${verdict.rule}`), tag,
      el('span', {class: 'why'}, verdict.rule === decision.nearest ? `nearest rule; ${verdict.why}` : verdict.why)),
    decisive && rule ? sourceOf(rule, verdict, missingLine(decision)) : null);
}

// sourceOf shows a rule as its document has it, with the values that do not allow the request marked, and the
// line that it lacks.
function sourceOf(rule, verdict, missing) {
  const lines = [];
  const add = (element, values, reason) => {
    for (const value of values ?? []) lines.push([`<${element}>${value}</${element}>`, verdict.reason === reason ? 'fault' : '']);
    if (missing?.element === element && verdict.reason === reason) lines.push([`+ <${element}>${missing.value}</${element}>`, 'add']);
  };
  add('AllowedOrigin', rule.allowed_origins, 'origin');
  add('AllowedMethod', rule.allowed_methods, 'method');
  add('AllowedHeader', rule.allowed_headers, 'header');
  add('ExposeHeader', rule.expose_headers, 'none');
  if (rule.max_age !== undefined) add('MaxAgeSeconds', [rule.max_age], 'none');
  return el('pre', {class: 'source'}, lines.map(([text, kind]) => el('span', {class: kind}, text)));
}

async function readPaste() {
  const text = byId('paste').value.trim();
  const result = byId('paste-result');
  byId('pasted').replaceChildren();
  if (!text) return setText(result, 'Paste a request first.');
  try {
    const {format, requests} = await call('POST', '/oss_cors/paste', {text});
    setText(result, requests.length === 1 ? `Read from ${names[format]}.` : `${requests.length} requests, read from ${names[format]}: choose one.`);
    if (requests.length === 1) return choosePasted(requests[0]);
    byId('pasted').replaceChildren(...requests.map((r) => el('li', {},
      el('button', {type: 'button', class: 'link', click: () => choosePasted(r)}, `${r.preflight ? 'preflight for ' : ''}${r.method} ${r.url ?? ''}`),
      el('div', {class: 'small'}, `from ${r.origin}`))));
  } catch (error) {
    setText(result, error.message);
  }
}

const names = {curl: 'a cURL command', fetch: 'a fetch() call', har: 'a HAR', console: 'a line of the browser’s console', request_id: 'the latest denials'};

// choosePasted explains a pasted request. Where the text does not name the origin, the form's
// is taken.
function choosePasted(r) {
  return explainRequest({...r, headers: (r.headers ?? []).flatMap(splitList), origin: r.origin || byId('origin').value});
}

export function setUpExplain() {
  byId('request').addEventListener('submit', (event) => {
    event.preventDefault();
    explain();
  });
  byId('read').addEventListener('click', readPaste);
  byId('paste').addEventListener('paste', () => setTimeout(readPaste)); // when the text is in
}
