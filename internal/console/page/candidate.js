// The editor for candidate rules: faults and findings at their lines, and what would change.

import {byId, el, plural, setText} from './dom.js';
import {call, documentOf, state} from './api.js';
import {problemOf} from './explain.js';
import {requestOf} from './denials.js';

// triedDenials bounds the latest denials that are tried with candidate rules, of those that
// differ.
const triedDenials = 40;

const editor = byId('candidate');
const rulesetName = () => byId('ruleset').value || state.rulesets.find((r) => r.name !== '_other')?.name;

let xml = ''; // the document as XML, if it is valid
let edition = 0; // counts the edits, so that late answers are not shown
let timer;

function edited() {
  edition++;
  showGutter([]);
  clearTimeout(timer);
  timer = setTimeout(check, 300);
}

export async function check() {
  clearTimeout(timer);
  const mine = ++edition;
  const text = editor.value;
  byId('changes').replaceChildren();
  byId('differences').replaceChildren();
  if (!text.trim()) {
    byId('problems').replaceChildren();
    return say('Write rules as XML, JSON or rule blocks, or start from the rules in force.');
  }
  try {
    const result = await call('POST', '/oss_cors/check', {document: text, ruleset: rulesetName()});
    if (mine !== edition) return;
    xml = result.xml ?? '';
    showProblems(result);
    showDifferences(result);
    if (result.valid) await showChanges(text, mine);
  } catch (error) {
    if (mine === edition) say(`It cannot be checked: ${error.message}`);
  }
}

const say = (text) => setText(byId('candidate-state'), text);

function showProblems({valid, faults, findings, more}) {
  const problems = [...faults.map((f) => ({...f, kind: 'bad'})), ...findings.map((f) => ({...f, kind: 'warn'}))];
  const hidden = more ? `, and ${more} more` : '';
  if (!valid) say(`The document has ${plural(faults.length, 'fault')}${hidden}: it would not be loaded.`);
  else if (findings.length) say(`The document is valid, with ${plural(findings.length, 'finding')}${hidden}.`);
  else say('The document is valid.');
  byId('problems').replaceChildren(...problems.map((p) => el('li', {},
    el('span', {class: `tag ${p.kind}`}, p.kind === 'bad' ? 'fault' : 'finding'),
    el('button', {type: 'button', class: 'link', click: () => goTo(p.line, p.column)}, `line ${p.line}:${p.column}`),
    ` ${p.message}${p.advice ? `: ${p.advice}` : ''}`)));
  showGutter(problems);
}

// showGutter numbers the lines, and marks those with problems.
function showGutter(problems) {
  const lines = editor.value.split('\n').length;
  const kinds = new Map();
  for (const p of problems) if (kinds.get(p.line) !== 'bad') kinds.set(p.line, p.kind);
  byId('gutter').replaceChildren(...Array.from({length: Math.min(lines, 2000)}, (_, i) => el('div', {class: kinds.get(i + 1) ?? ''}, String(i + 1))));
  byId('gutter').scrollTop = editor.scrollTop;
}

function goTo(line, column) {
  const lines = editor.value.split('\n');
  const start = lines.slice(0, line - 1).reduce((sum, text) => sum + text.length + 1, 0);
  const bytes = new TextEncoder().encode(lines[line - 1] ?? '').slice(0, column - 1); // columns are in bytes
  const at = start + new TextDecoder().decode(bytes).length;
  editor.focus();
  editor.setSelectionRange(at, at);
  editor.scrollTop = (line - 5) * (editor.scrollHeight / lines.length);
}

const changeTags = {
  allowed: ['good', 'now allowed'],
  denied: ['bad', 'now denied'],
  response: ['warn', 'other headers'],
};

// showDifferences lists what the candidate rules change, of those in force.
function showDifferences({valid, changes = [], more_changes: more = 0, changes_error: problem}) {
  if (!valid) return;
  if (problem) return byId('differences').replaceChildren(el('p', {}, `The differences from the rules in force are not known: ${problem}`));
  const what = changes.length ? plural(changes.length + more, 'difference') : 'No difference';
  byId('differences').replaceChildren(
    el('h3', {}, `${what} from the rules in force${more ? `, of which ${changes.length} are shown` : ''}`),
    el('ul', {class: 'choices'}, changes.map((c) => el('li', {},
      el('span', {class: `tag ${changeTags[c.change][0]}`}, changeTags[c.change][1]),
      el('span', {class: 'value'}, `${c.methods.join(', ')} from ${c.origins.join(', ')}${c.except ? ` except ${c.except.join(', ')}` : ''}`),
      c.headers ? el('div', {class: 'small value'}, `if it asks for ${c.headers.map((names) => names.join(' with ')).join(', or ')}${c.headers_except ? `, except ${c.headers_except.join(', ')}` : ''}`) : null,
      c.with ? el('div', {class: 'small value'}, `with or without ${c.with.join(', ')}`) : null,
      (c.response ?? []).map((h) => el('div', {class: 'small value'}, `${h.name}: ${h.after || 'not sent'}, before: ${h.before || 'not sent'}`))))));
}

// showChanges tries the candidate rules on the latest denials of the rule set.
async function showChanges(text, mine) {
  const ruleset = rulesetName();
  const seen = new Map();
  for (const d of state.denials.latest) {
    if (d.ruleset !== ruleset || !d.origin || !d.method || seen.size >= triedDenials) continue;
    const request = requestOf(d);
    seen.set(JSON.stringify(request), request);
  }
  const tried = [];
  for (const request of seen.values()) {
    const e = await call('POST', '/oss_cors/explain', {...request, document: text});
    if (mine !== edition) return;
    tried.push([request, e]);
  }
  if (!tried.length) return;
  const allowed = tried.filter(([, e]) => e.allowed).length;
  tried.sort((a, b) => b[1].allowed - a[1].allowed);
  byId('changes').replaceChildren(
    el('h3', {}, `With these rules, ${allowed} of ${plural(tried.length, 'different denial')} would be allowed`),
    el('ul', {class: 'choices'}, tried.map(([request, e]) => el('li', {},
      el('span', {class: `tag ${e.allowed ? 'good' : 'bad'}`}, e.allowed ? 'allowed' : 'still denied'),
      el('span', {class: 'value'}, `${request.method} from ${request.origin}${request.headers.length ? ` with ${request.headers.join(', ')}` : ''}`),
      el('div', {class: 'small'}, e.allowed ? `by rule ${(request.preflight ? e.preflight : e.actual).rule}` : problemOf(request.preflight ? e.preflight : e.actual))))));
}

async function start() {
  const name = rulesetName();
  if (!name) return say('There are no rules in force.');
  try {
    editor.value = await documentOf(name);
    await check();
  } catch (error) {
    say(`The rules of ${name} cannot be read: ${error.message}`);
  }
}

const escapeXML = (text) => text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;');

// forms are how rules begin and end, and how values stand in them, in XML and in rule blocks.
const forms = {
  xml: {
    begins: /<CORSRule[\s>]/, ends: /<\/CORSRule>/,
    elements: ['ID', 'AllowedOrigin', 'AllowedMethod', 'AllowedHeader'],
    has: (line, element) => line.includes(`<${element}>`),
    line: (element, value) => `    <${element}>${escapeXML(value)}</${element}>`,
  },
  blocks: {
    begins: /^\s*rule\b.*\{\s*$/, ends: /^\s*\}/,
    elements: ['origin', 'method', 'header'],
    has: (line, word) => line.trim().startsWith(`${word} `),
    line: (word, value) => `\t\t${word} ${value}`,
  },
};

// addToCandidate adds a value to the rule with this number, behind the last of its kind. It goes
// on with the candidate rules, or begins with the rules in force if there are none.
export async function addToCandidate(name, number, {element, value}) {
  if (!editor.value.trim()) await start();
  const form = editor.value.trimStart().startsWith('<') ? forms.xml : forms.blocks;
  if (form === forms.blocks) element = element.replace('Allowed', '').toLowerCase();
  const lines = editor.value.split('\n');
  const first = lines.flatMap((line, i) => (form.begins.test(line) ? [i] : []))[number - 1];
  if (first === undefined) return say(`Rule ${number} is not in the candidate rules.`);
  const end = lines.findIndex((line, i) => i > first && form.ends.test(line));
  let at = first;
  for (const kind of form.elements) {
    for (let i = first + 1; i < end; i++) if (form.has(lines[i], kind)) at = Math.max(at, i);
    if (kind === element) break;
  }
  lines.splice(at + 1, 0, form.line(element, value));
  editor.value = lines.join('\n');
  byId('candidate-panel').scrollIntoView({block: 'start'});
  await check();
  goTo(at + 2, 1);
}

// download saves what was typed if that is XML, else the same rules as XML; rule blocks that XML
// cannot say are saved as they were typed.
async function download() {
  await check();
  const text = editor.value;
  if (!text.trim()) return;
  const asXML = text.trimStart().startsWith('<') ? text : xml;
  const blob = new Blob([asXML || text], {type: asXML ? 'application/xml' : 'text/plain'});
  const link = el('a', {href: URL.createObjectURL(blob), download: asXML ? 'cors.xml' : 'cors.caddyfile'});
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

export function setUpCandidate() {
  editor.addEventListener('input', edited);
  editor.addEventListener('scroll', () => { byId('gutter').scrollTop = editor.scrollTop; });
  byId('check').addEventListener('click', check);
  byId('download').addEventListener('click', download);
  byId('start').addEventListener('click', start);
  new ResizeObserver(() => { byId('gutter').style.maxHeight = `${editor.offsetHeight}px`; }).observe(editor);
  showGutter([]);
}
