// The tables of denied origins and of the latest denials.

import {byId, el, setText, sync} from './dom.js';
import {state} from './api.js';
import {explainRequest} from './explain.js';

// shownRows bounds the rows of a table.
const shownRows = 256;

export function showDenials(denials) {
  state.denials = denials;
  const several = new Set(denials.origins.map((o) => o.ruleset)).size > 1;
  sync(byId('origins').tBodies[0], denials.origins.slice(0, shownRows), (o) => JSON.stringify([o.ruleset, o.origin]),
    newOrigin, (row, o) => updateOrigin(row, o, several));
  byId('origins').hidden = !denials.origins.length;
  byId('no-origins').hidden = denials.origins.length > 0;

  sync(byId('latest').tBodies[0], denials.latest.slice(0, shownRows), (d) => String(d.number), newDenial);
  byId('latest').hidden = !denials.latest.length;
  byId('no-latest').hidden = denials.latest.length > 0;
}

function newOrigin(o) {
  const row = el('tr', {},
    el('td', {}, el('button', {type: 'button', class: 'link', click: () => explainOrigin(o, row)}, o.origin), el('div', {class: 'small'}, o.ruleset)),
    el('td', {}), el('td', {class: 'number'}));
  return row;
}

function updateOrigin(row, o, several) {
  row.querySelector('.small').hidden = !several;
  const reasons = Object.entries(o.reasons).sort((a, b) => b[1] - a[1]);
  sync(row.cells[1], reasons, ([reason]) => reason, ([reason]) => el('span', {class: 'tag bad'}, reason));
  setText(row.cells[2], o.denied.toLocaleString('en'));
}

// explainOrigin explains the latest denial of an origin, or a GET where that is not kept.
function explainOrigin(o, row) {
  const denial = state.denials.latest.find((d) => d.origin === o.origin && (d.ruleset === o.ruleset || o.ruleset === '_other'));
  choose(row);
  if (denial) explainDenial(denial);
  else explainRequest({ruleset: o.ruleset, origin: o.origin, method: 'GET', headers: []});
}

function newDenial(d) {
  const time = new Date(d.time);
  const row = el('tr', {},
    el('td', {class: 'time'}, el('time', {datetime: d.time, title: time.toLocaleString()}, time.toLocaleTimeString('en-GB'))),
    el('td', {},
      el('button', {type: 'button', class: 'link', click: () => { choose(row); explainDenial(d); }}, `${d.method} ${d.path}`),
      el('div', {class: 'small'}, `${d.kind} from ${d.origin || 'no origin'}, ${d.ruleset}`),
      el('div', {class: 'small'}, `client ${d.client}${d.request_id ? `, request ID ${d.request_id}` : ''}`)),
    el('td', {}, el('span', {class: 'tag bad'}, d.reason), el('div', {class: 'value small'}, d.value && d.value !== d.origin ? d.value : '')));
  return row;
}

// requestOf returns a denial as a request to explain.
export function requestOf(d) {
  return {
    ruleset: d.ruleset, origin: d.origin, method: d.method, preflight: d.kind === 'preflight', verbatim: true,
    headers: d.headers ? d.headers.split(',').map((name) => name.trim()) : [],
  };
}

const explainDenial = (d) => explainRequest(requestOf(d));

function choose(row) {
  for (const other of document.querySelectorAll('tr[data-chosen]')) delete other.dataset.chosen;
  row.dataset.chosen = '';
}
