// What the page knows, and how it gets to know it.

export const state = {
  rulesets: [], // those that are shown
  denials: {origins: [], latest: []},
  chosen: null, // the explanation that is shown
};

// patience is how long an answer may take, in milliseconds.
const patience = 25_000;

// call sends a request to the admin API, by way of the console's server.
export async function call(method, path, body) {
  const response = await fetch(path, {
    method,
    body: body === undefined ? undefined : JSON.stringify(body),
    headers: body === undefined ? {} : {'Content-Type': 'application/json'},
    signal: AbortSignal.timeout(patience),
  });
  const text = await response.text();
  if (response.ok) return path.endsWith('/document') ? text : JSON.parse(text);
  let message = `${response.status} ${response.statusText}`;
  try {
    message = JSON.parse(text).error;
  } catch {
    // not in the admin API's form
  }
  throw new Error(message);
}

// rulesOf returns the rules in force of a rule set, which may not be among those shown.
export async function rulesOf(name) {
  const known = state.rulesets.find((r) => r.name === name);
  if (known) return known.rules;
  const found = await call('GET', `/oss_cors/rulesets?${new URLSearchParams({search: name, limit: 100})}`);
  return found.find((r) => r.name === name)?.rules ?? [];
}

export const documentOf = (name) => call('GET', `/oss_cors/rulesets/${encodeURIComponent(name)}/document`);
