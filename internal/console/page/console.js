// The console: it reads what Caddy knows every two seconds, and shows it.

import {byId, setText} from './dom.js';
import {call} from './api.js';
import {showRulesets, rulesetsPath} from './rulesets.js';
import {showDenials} from './denials.js';
import {setUpExplain} from './explain.js';
import {setUpCandidate} from './candidate.js';

const period = 2000; // milliseconds

let timer;

async function refresh() {
  clearTimeout(timer);
  try {
    const [rulesets, denials] = await Promise.all([call('GET', rulesetsPath()), call('GET', '/oss_cors/denials')]);
    showRulesets(rulesets);
    showDenials(denials);
    showNews(denials);
    showConnection('up', 'Connected to Caddy');
  } catch (error) {
    showConnection('down', 'Caddy cannot be reached', `Caddy cannot be reached. Trying again… (${error.message})`);
  }
  clearTimeout(timer);
  if (!document.hidden) timer = setTimeout(refresh, period);
}

let known = null; // when Caddy was started and configured, as last seen

// showNews says that Caddy was started again, or has a new configuration.
function showNews({started, configured}) {
  const at = (time) => new Date(time).toLocaleTimeString('en-GB');
  if (known && known.started !== started) setText(byId('news'), `Caddy was started again at ${at(started)}: all counts begin anew.`);
  else if (known && configured && known.configured !== configured) setText(byId('news'), `Caddy loaded a new configuration at ${at(configured)}.`);
  known = {started, configured};
}

function showConnection(what, text, trouble = '') {
  byId('connection').dataset.state = what;
  setText(byId('connection'), text);
  byId('unreachable').hidden = !trouble;
  setText(byId('unreachable'), trouble);
}

document.addEventListener('visibilitychange', () => { if (!document.hidden) refresh(); });
byId('search').addEventListener('input', () => {
  clearTimeout(timer);
  timer = setTimeout(refresh, 200);
});
setUpExplain();
setUpCandidate();
refresh();
