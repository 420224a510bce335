// What everything that draws draws with: an element is touched only where what it says has changed.

export const at = (id) => document.getElementById(id);
export const text = (element, value) => {
  if (element.textContent !== value) element.textContent = value;
};
export const attribute = (element, name, value) => {
  if (value === null) element.removeAttribute(name);
  else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value);
};
export const shape = (svg, name) => attribute(svg.querySelector('use') ?? svg, 'href', `#shape-${name}`);
export const make = (tag, properties = {}, ...children) => {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
};
export const picture = (name) => {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  const use = document.createElementNS('http://www.w3.org/2000/svg', 'use');
  use.setAttribute('href', `#shape-${name}`);
  svg.append(use);
  svg.setAttribute('aria-hidden', 'true');
  return svg;
};

// Lists are made anew only when what they say has changed.
const listed = new WeakMap();
export function relist(list, rows, row) {
  const key = JSON.stringify(rows);
  if (listed.get(list) === key) return;
  listed.set(list, key);
  const focused = list.contains(document.activeElement) ? document.activeElement.dataset.talk : undefined;
  list.replaceChildren(...rows.map(row));
  if (focused) list.querySelector(`[data-talk="${focused}"]`)?.focus();
}
