'use strict';

// Makes one request as the test describes it, and tells what a script can learn of how it
// ended. This file is the whole page, whatever its origin.

const kinds = {
  async fetch(r) {
    const { method, headers, mode, credentials, redirect, body } = r;
    try {
      const response = await fetch(r.url, { method, headers, mode, credentials, redirect, body });
      switch (response.type) {
        case 'opaque': return { outcome: 'opaque' };
        case 'opaqueredirect': return { outcome: 'redirected' };
      }
      const header = Object.fromEntries(response.headers);
      return { outcome: 'readable', status: response.status, header, body: await response.text() };
    } catch (error) {
      return { outcome: 'failed', detail: `${error}` };
    }
  },

  xhr(r) {
    return new Promise((resolve) => {
      const xhr = new XMLHttpRequest();
      let uploaded = 0;
      if (r.progress) {
        xhr.upload.onload = (event) => { uploaded = event.loaded; };
      }
      xhr.onerror = () => resolve({ outcome: 'failed' });
      xhr.onload = () => {
        const lines = xhr.getAllResponseHeaders().split('\r\n').filter(Boolean);
        const header = Object.fromEntries(lines.map((line) => /^(.*?): (.*)$/.exec(line).slice(1)));
        resolve({ outcome: 'readable', status: xhr.status, header, body: xhr.responseText, uploaded });
      };
      xhr.open(r.method, r.url);
      xhr.withCredentials = r.credentials === 'include';
      for (const [name, value] of r.headers) {
        xhr.setRequestHeader(name, value);
      }
      xhr.send(r.body);
    });
  },

  module: (r) => load(r, 'script', { type: 'module', src: r.url }, () => 'readable'),

  // The script throws: only one that can be read tells what.
  async script(r) {
    let told = '';
    const listen = (event) => {
      told = event.message;
      event.preventDefault();
    };
    addEventListener('error', listen);
    const result = await load(r, 'script', { src: r.url }, () => told.includes('told') ? 'readable' : 'opaque');
    removeEventListener('error', listen);
    return result;
  },

  style: (r) => load(r, 'link', { rel: 'stylesheet', href: r.url }, (link) => {
    try {
      return link.sheet.cssRules.length > 0 ? 'readable' : 'empty';
    } catch {
      return 'opaque';
    }
  }),

  image: (r) => load(r, 'img', { src: r.url }, (image) => {
    const canvas = document.createElement('canvas').getContext('2d');
    canvas.drawImage(image, 0, 0);
    try {
      return canvas.getImageData(0, 0, 1, 1).data[3] > 0 ? 'readable' : 'empty';
    } catch {
      return 'opaque';
    }
  }),

  font: (r) => new FontFace('matrix', `url(${r.url})`).load()
    .then(() => ({ outcome: 'readable' }), (error) => ({ outcome: 'failed', detail: `${error}` })),

  events(r) {
    return new Promise((resolve) => {
      const source = new EventSource(r.url, { withCredentials: r.credentials === 'include' });
      const end = (outcome) => {
        source.close();
        resolve({ outcome });
      };
      source.onmessage = () => end('readable');
      source.onerror = () => end('failed');
    });
  },

  // A frame that was not loaded has an event, too: what it holds cannot be told, and need
  // not be, for the request shows at the proxy.
  frame: (r) => load(r, 'iframe', { src: r.url }, () => 'opaque'),

  form(r) {
    return new Promise((resolve) => {
      const frame = document.createElement('iframe');
      frame.name = 'target';
      document.body.append(frame);
      const form = document.createElement('form');
      Object.assign(form, { action: r.url, method: 'post', target: 'target' });
      document.body.append(form);
      frame.onload = () => {
        frame.remove();
        form.remove();
        resolve({ outcome: 'opaque' });
      };
      form.submit();
    });
  },

  websocket(r) {
    return new Promise((resolve) => {
      const socket = new WebSocket(r.url.replace(/^http/, 'ws'));
      socket.onopen = () => {
        socket.close();
        resolve({ outcome: 'readable' });
      };
      socket.onerror = () => resolve({ outcome: 'failed' });
    });
  },
};

// Adds an element to the page and waits for what becomes of it.
function load(r, name, attributes, outcome) {
  return new Promise((resolve) => {
    const element = document.createElement(name);
    if (r.crossorigin) {
      element.crossOrigin = r.crossorigin;
    }
    Object.assign(element, attributes);
    element.onload = () => {
      resolve({ outcome: outcome(element) });
      element.remove();
    };
    element.onerror = () => {
      resolve({ outcome: 'failed' });
      element.remove();
    };
    document.body.append(element);
  });
}

// Has a frame make the request, whose origin is opaque: a sandboxed one, or a data: page.
async function runInFrame(r) {
  const frame = document.createElement('iframe');
  if (r.frame === 'data') {
    frame.src = `data:text/html,${encodeURIComponent(document.documentElement.outerHTML)}`;
  } else {
    frame.sandbox = 'allow-scripts';
    frame.src = location.href;
  }
  await new Promise((resolve) => {
    frame.onload = resolve;
    document.body.append(frame);
  });
  const answer = new Promise((resolve) => {
    addEventListener('message', (event) => resolve(event.data), { once: true });
  });
  frame.contentWindow.postMessage({ ...r, frame: undefined }, '*');
  const result = await answer;
  frame.remove();
  return result;
}

function run(r) {
  const timeout = new Promise((resolve) => {
    setTimeout(resolve, 10000, { outcome: 'neither a result nor an error for 10 s' });
  });
  return Promise.race([timeout, r.frame ? runInFrame(r) : kinds[r.kind](r)]);
}

if (parent !== self) {
  addEventListener('message', async (event) => parent.postMessage(await run(event.data), '*'));
}
