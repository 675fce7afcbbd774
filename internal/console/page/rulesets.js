// The region "Rule sets": what is in force, and how often each rule matches.

import {byId, el, plural, setText, since, sync} from './dom.js';
import {state} from './api.js';

// shownRulesets bounds the rule sets on the page; one more is requested, to know whether
// there are others.
const shownRulesets = 200;

export const rulesetsPath = () =>
  `/oss_cors/rulesets?${new URLSearchParams({search: byId('search').value.trim(), limit: shownRulesets + 1})}`;

// firstSeen has the hits of each rule, and the time, when the page first saw it.
const firstSeen = new Map();

const total = (counts) => Object.values(counts ?? {}).reduce((sum, n) => sum + n, 0);

// rate says how often a rule has matched since the page first saw it.
function rate(ruleset, rule) {
  const key = JSON.stringify([ruleset.name, rule.name]);
  const hits = total(rule.hits);
  const now = performance.now();
  let first = firstSeen.get(key);
  if (!first || hits < first.hits) firstSeen.set(key, (first = {hits, now}));
  const seconds = (now - first.now) / 1000;
  if (seconds < 1 || hits === first.hits) return '';
  const perSecond = (hits - first.hits) / seconds;
  return perSecond >= 1 ? `${perSecond.toFixed(1)}/s` : `${(perSecond * 60).toFixed(1)}/min`;
}

export function showRulesets(all) {
  const shown = all.slice(0, shownRulesets);
  state.rulesets = shown;
  let note = all.length > shown.length ? `The first ${shown.length} rule sets are shown: search for others.` : '';
  if (!all.length) note = byId('search').value ? 'No rule set has this in its name.' : 'No oss_cors handler is running.';
  setText(byId('rulesets-note'), note);
  const seen = new Map();
  for (const ruleset of shown) { // several handlers may have the same name
    const n = (seen.get(ruleset.name) ?? 0) + 1;
    seen.set(ruleset.name, n);
    ruleset.key = JSON.stringify([ruleset.name, n]);
  }
  sync(byId('rulesets'), shown, (r) => r.key, (r) => newRuleset(r, shown.length <= 3), updateRuleset);
  showChoice(shown);
}

// showChoice lists the rule sets in the form, where there are several. The chosen one stays,
// even if it is not among those shown.
function showChoice(shown) {
  const select = byId('ruleset');
  const names = [...new Set(shown.map((r) => r.name))].filter((name) => name !== '_other');
  if (select.value && !names.includes(select.value)) names.unshift(select.value);
  const chosen = select.value;
  sync(select, names, (name) => name, (name) => el('option', {value: name}, name));
  if (chosen) select.value = chosen;
  byId('ruleset-field').hidden = names.length < 2;
}

function newRuleset(ruleset, open) {
  const node = el('details', {class: 'ruleset', open},
    el('summary', {}, el('span', {class: 'name'}, ruleset.name), el('span', {class: 'tags'})),
    el('div', {class: 'body'}, el('p', {class: 'small'}), el('p', {class: 'error', hidden: true}), el('div', {class: 'rules'})));
  node.addEventListener('toggle', () => updateRuleset(node, node.ruleset));
  return node;
}

function updateRuleset(node, ruleset) {
  node.ruleset = ruleset;
  sync(node.querySelector('.tags'), tags(ruleset), (tag) => tag.key, (tag) => el('span', {class: `tag ${tag.kind}`}),
    (span, tag) => setText(span, tag.text));
  if (!node.open) return; // what nobody sees costs nothing
  setText(node.querySelector('.small'), facts(ruleset));
  const error = node.querySelector('.error');
  error.hidden = !ruleset.last_error;
  setText(error, ruleset.last_error ?? '');
  sync(node.querySelector('.rules'), ruleset.rules, (rule) => JSON.stringify([rule.name, content(rule)]), newRule,
    (card, rule) => setText(card.querySelector('.hits'), hits(ruleset, rule)));
}

function tags(ruleset) {
  const tags = [{key: 'rules', kind: '', text: ruleset.name === '_other' ? 'all buckets that are not loaded' : plural(ruleset.number_of_rules, 'rule')}];
  if (ruleset.unavailable) tags.push({key: 'error', kind: 'bad', text: 'preflights get 503'});
  else if (ruleset.last_error) tags.push({key: 'error', kind: 'bad', text: 'newer rules are not in force'});
  const reasons = new Map();
  for (const kind of Object.values(ruleset.denied ?? {})) {
    for (const [reason, n] of Object.entries(kind)) reasons.set(reason, (reasons.get(reason) ?? 0) + n);
  }
  for (const [reason, n] of [...reasons].sort((a, b) => b[1] - a[1])) {
    if (n) tags.push({key: reason, kind: 'bad', text: `${n.toLocaleString('en')} denied: ${reason}`});
  }
  const unused = ruleset.rules.filter((rule) => rule.hits && !total(rule.hits)).length;
  if (unused) tags.push({key: 'unused', kind: 'warn', text: `${plural(unused, 'rule')} without hits`});
  if (ruleset.shadow) tags.push({key: 'shadow', kind: '', text: 'with shadow rules'});
  return tags;
}

function facts(ruleset) {
  const facts = [`From ${ruleset.source}${ruleset.document && ruleset.document !== ruleset.source ? ` ${ruleset.document}` : ''}`];
  if (ruleset.loaded) facts.push(`loaded ${since(ruleset.loaded)}`);
  if (ruleset.response_vary) facts.push('with Vary: Origin');
  if (ruleset.shadow) facts.push(`shadow ${ruleset.shadow.document}${ruleset.shadow.last_error ? `: ${ruleset.shadow.last_error}` : ''}`);
  return facts.join(', ');
}

function hits(ruleset, rule) {
  if (!rule.hits) return '';
  const text = total(rule.hits) ? plural(total(rule.hits), 'hit') : 'no hits';
  const perTime = rate(ruleset, rule);
  return perTime ? `${text}, ${perTime}` : text;
}

const content = (rule) => [rule.allowed_origins, rule.allowed_methods, rule.allowed_headers, rule.expose_headers, rule.max_age];

function newRule(rule) {
  const line = (name, values) => (values?.length ? [el('dt', {}, name), el('dd', {class: 'value'}, values.join(', '))] : []);
  return el('div', {class: 'rule'},
    el('div', {class: 'top'}, el('span', {class: 'name'}, `Rule ${rule.name}`), el('span', {class: 'hits'})),
    el('dl', {},
      line('Origins', rule.allowed_origins), line('Methods', rule.allowed_methods), line('Headers', rule.allowed_headers),
      line('Exposed', rule.expose_headers), line('Max age', rule.max_age === undefined ? [] : [`${rule.max_age} s`])));
}
