// The requests, and the page that shows them.

// Where requests are sent from. The origins themselves are not written here: each place
// reports its own.
const stranger = new URL(location.href);
stranger.hostname = '127.0.0.1';
const places = {
  page: { make: perform },
  stranger: frame('another origin', new URL('frame.html', stranger)),
  sandbox: frame('a sandboxed frame', 'frame.html', 'allow-scripts'),
};

// Each reads some headers that its response has.
const requests = [
  { id: 'get', title: 'A plain GET', method: 'GET', path: '/hello.txt', reads: ['content-type', 'etag'] },
  { id: 'header', title: 'A header in OSS’s style', method: 'GET', path: '/hello.txt',
    headers: { 'x-oss-meta-note': 'hi' }, reads: ['etag'] },
  { id: 'other-header', title: 'A header of another kind', method: 'GET', path: '/hello.txt',
    headers: { 'x-tracking-id': '7' }, reads: ['etag'] },
  { id: 'read', title: 'Reading response headers', method: 'GET', path: '/picture.svg',
    reads: ['last-modified', 'etag', 'x-served-by'] },
  { id: 'head', title: 'HEAD', method: 'HEAD', path: '/picture.svg', reads: ['content-length', 'etag'] },
  { id: 'put', title: 'An upload', method: 'PUT', path: '/upload.json',
    headers: { 'content-type': 'application/json' }, body: '{}', reads: ['content-type', 'x-served-by'] },
  { id: 'post', title: 'POST, as a form could', method: 'POST', path: '/notes',
    headers: { 'content-type': 'text/plain' }, body: 'hi', reads: ['content-type'] },
  { id: 'post-json', title: 'POST, as only a script can', method: 'POST', path: '/notes',
    headers: { 'content-type': 'application/json' }, body: '{}', reads: ['content-type'] },
  { id: 'delete', title: 'DELETE', method: 'DELETE', path: '/data.json', reads: ['content-type'] },
  { id: 'missing', title: 'A file that is not there', method: 'GET', path: '/missing.txt', reads: ['x-served-by'] },
  { id: 'down', title: 'An origin server that is down', method: 'GET', path: '/down/hello.txt', reads: ['server'] },
  { id: 'stranger', title: 'GET from a stranger', from: 'stranger', method: 'GET', path: '/hello.txt', reads: ['etag'] },
  { id: 'stranger-head', title: 'HEAD from a stranger', from: 'stranger', method: 'HEAD', path: '/hello.txt',
    reads: ['content-length', 'etag'] },
  { id: 'null', title: 'GET from a sandboxed frame', from: 'sandbox', method: 'GET', path: '/hello.txt', reads: ['etag'] },
];

// frame returns a place that is a hidden frame of another origin.
function frame(name, url, sandbox) {
  const element = document.createElement('iframe');
  element.hidden = true;
  element.title = name;
  element.src = url;
  if (sandbox) element.sandbox = sandbox;
  const loaded = new Promise((resolve) => { element.onload = resolve; });
  document.body.append(element);

  const waiting = new Map();
  addEventListener('message', ({ data, source }) => {
    if (source === element.contentWindow) waiting.get(data.id)?.(data.outcome);
  });
  const make = async (url, request) => {
    await loaded;
    const id = crypto.randomUUID();
    const outcome = new Promise((resolve) => waiting.set(id, resolve));
    element.contentWindow.postMessage({ id, url, request }, '*');
    return outcome;
  };
  return { make };
}

const byId = (id) => document.getElementById(id);

// el makes an element. Text is always set as text, never as HTML.
function el(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

function icon(name) {
  const template = document.createElement('template');
  template.innerHTML = `<svg class="icon"><use href="#${name}"></use></svg>`;
  return template.content.firstChild;
}

let rulesText;

async function run() {
  const root = document.documentElement;
  root.dataset.state = 'running';
  byId('run').disabled = true;
  byId('notice').hidden = true;
  byId('rows').replaceChildren();
  score(0, 0);
  try {
    const { proxy } = await (await fetch('proxy.json')).json();
    byId('proxy').textContent = proxy;
    await checkProxy(proxy);
    const rules = parseRules(await currentRules());
    let agreeing = 0;
    for (const [i, request] of requests.entries()) {
      const outcome = await places[request.from ?? 'page'].make(proxy + request.path, request);
      const row = makeRow(proxy, request, expect(rules, outcome.origin, request), outcome);
      byId('rows').append(row);
      if (row.dataset.agree === 'true') agreeing++;
      score(agreeing, i + 1);
    }
    root.dataset.state = agreeing === requests.length ? 'agree' : 'disagree';
    if (agreeing < requests.length) notice('Rows disagree. If you have edited cors.xml, Caddy’s log tells whether it was accepted: a document with faults is not, and the last good one stays in force.');
    await showCounts();
  } catch (error) {
    notice(error.message);
    byId('score').textContent = 'No result';
    byId('verdict').textContent = '';
    root.dataset.state = 'error';
  }
  byId('run').disabled = false;
  root.dataset.runs = Number(root.dataset.runs ?? 0) + 1;
}

// checkProxy distinguishes a proxy that does not answer from one that refuses: in the mode
// no-cors, any answer is enough.
async function checkProxy(proxy) {
  try {
    await fetch(proxy, { mode: 'no-cors', cache: 'no-store' });
  } catch {
    throw new Error(`Nothing answers at ${proxy}: is Caddy running?`);
  }
}

// currentRules fetches and shows the rules. After an edit it gives the proxy time to see
// it too: longer than its refresh.
async function currentRules() {
  const text = await (await fetch('cors.xml')).text();
  if (rulesText !== undefined && rulesText !== text) {
    await new Promise((resolve) => setTimeout(resolve, 1500));
  }
  rulesText = text;
  showRules(text);
  return text;
}

function notice(text) {
  byId('notice').textContent = text;
  byId('notice').hidden = false;
}

function score(agreeing, made) {
  const total = requests.length;
  byId('total').textContent = total;
  byId('score').textContent = `${agreeing} of ${total}`;
  byId('verdict').textContent = made < total ? 'running' : 'agree';
  byId('bar').style.width = `${(100 * agreeing) / total}%`;
}

function makeRow(proxy, request, expected, outcome) {
  const seen = request.reads.filter((name) => outcome.headers.includes(name));
  const agree = expected.allowed === outcome.allowed && String(expected.readable) === String(seen);
  const row = el('tr', {
    'data-id': request.id, 'data-agree': agree,
    'data-expected': expected.allowed ? 'allowed' : 'denied',
    'data-browser': outcome.allowed ? 'allowed' : 'denied',
    'data-readable': seen.join(' '),
  },
    requestCell(request, outcome.origin),
    el('td', null, mark(expected.allowed, expected.allowed ? 'Allowed' : 'Denied'), because(expected)),
    el('td', null, mark(outcome.allowed, outcome.allowed ? 'Let through' : 'Blocked'),
      el('small', null, outcome.allowed ? `status ${outcome.status}` : 'nothing to read')),
    headersCell(request, expected, seen, outcome),
    el('td', { class: agree ? 'agree yes' : 'agree no', title: agree ? 'They agree' : 'They disagree' }, icon(agree ? 'tick' : 'cross'),
      el('span', { class: 'unseen' }, agree ? 'They agree' : 'They disagree')),
  );
  row.onmouseenter = row.onmouseleave = (event) => pointOut(expected.rule, event.type === 'mouseenter');
  return row;
}

function requestCell({ title, method, path, headers = {}, from }, origin) {
  const line = el('small', { class: 'line' }, el('b', null, method), ` ${path}`);
  for (const [name, value] of Object.entries(headers)) line.append(el('br'), `${name}: ${value}`);
  const cell = el('td', null, el('span', { class: 'name' }, title), line);
  if (from) cell.append(el('small', { class: 'from' }, `Origin: ${origin}`));
  return cell;
}

function mark(good, text) {
  return el('span', { class: good ? 'mark good' : 'mark bad' }, text);
}

function because({ rule, lacks, preflight }) {
  const reason = el('small', null, preflight ? 'preflight, ' : '', rule ? `rule ${rule.name}` : 'no rule has this origin');
  if (rule && lacks) reason.append(' lacks ', el('span', { class: 'whole' }, lacks));
  return reason;
}

function headersCell({ reads }, expected, seen, { allowed }) {
  const cell = el('td', { class: 'headers' });
  for (const name of reads) {
    const readable = seen.includes(name);
    const asExpected = readable === expected.readable.includes(name);
    cell.append(el('span', { class: `header ${readable ? 'readable' : 'hidden'}${asExpected ? '' : ' wrong'}`,
      title: readable ? 'readable' : allowed ? 'hidden: neither safelisted nor exposed' : 'nothing of the response can be read' }, name));
  }
  return cell;
}

// showRules shows the document as it is written, each rule in a block of its own, so that
// a row can point at its rule.
function showRules(xml) {
  const pre = el('pre', { id: 'rules' });
  let block = pre;
  let number = 0;
  for (const [token] of xml.matchAll(/<!--[^]*?-->|<[^>]*>|[^<]+/g)) {
    if (token === '<CORSRule>') pre.append(block = el('span', { class: 'rule', 'data-number': ++number }));
    const kind = token.startsWith('<!--') ? 'comment' : token.startsWith('<') ? 'tag' : 'text';
    block.append(el('span', { class: kind }, token));
    if (token === '</CORSRule>') block = pre;
  }
  byId('rules').replaceWith(pre);
}

function pointOut(rule, on) {
  if (!rule) return;
  byId('rules').classList.toggle('pointing', on);
  byId('rules').querySelector(`[data-number="${rule.number}"]`)?.classList.toggle('pointed-out', on);
}

// showCounts shows those of the proxy's counters that have counted something.
async function showCounts() {
  const text = await (await fetch('metrics')).text();
  const rows = [...text.matchAll(/^caddy_oss_cors_(\w+)_total\{(.*)\} (\d+)$/gm)]
    .filter(([, , , value]) => value !== '0')
    .map(([, name, labels, value]) => {
      const shown = [...labels.matchAll(/(\w+)="([^"]*)"/g)].filter(([, label]) => label !== 'ruleset').map(([, , text]) => text);
      return el('tr', null, el('td', null, name), el('td', null, shown.join(' · ')), el('td', null, value));
    });
  byId('counts').replaceChildren(...rows);
}

byId('run').onclick = run;
run();
