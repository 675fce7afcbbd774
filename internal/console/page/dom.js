// The page's elements. Text only ever becomes a text node or an attribute that holds text:
// what the page shows was written by anybody.

export const byId = (id) => document.getElementById(id);

// el makes an element with attributes and children; a string becomes a text node, and null is
// left out.
export function el(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (name === 'click') node.addEventListener('click', value);
    else if (value !== undefined && value !== null && value !== false) node.setAttribute(name, value === true ? '' : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}

// setText changes a text only if it differs, so that selections and live regions stay as
// they are.
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

// sync makes the children of parent those of items, in their order. It keeps the nodes of the
// items that were there, and with them the focus and what is open.
export function sync(parent, items, keyOf, make, update) {
  const old = new Map([...parent.children].map((node) => [node.dataset.key, node]));
  const focused = document.activeElement;
  let next = parent.firstElementChild;
  for (const item of items) {
    const key = keyOf(item);
    let node = old.get(key);
    if (!node) {
      node = make(item);
      node.dataset.key = key;
    }
    old.delete(key);
    update?.(node, item);
    if (node === next) next = next.nextElementSibling;
    else parent.insertBefore(node, next);
  }
  for (const node of old.values()) node.remove();
  if (focused !== document.activeElement && focused?.isConnected) focused.focus({preventScroll: true});
}

export const plural = (n, what) => `${n.toLocaleString('en')} ${what}${n === 1 ? '' : 's'}`;

// since says how long ago a time was.
export function since(time) {
  const seconds = Math.max(0, Math.round((Date.now() - Date.parse(time)) / 1000));
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ago`;
  return `${plural(Math.floor(seconds / 86400), 'day')} ago`;
}
