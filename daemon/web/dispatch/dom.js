// What this page draws with, beside what every page does.

import { attribute, at as byId, picture, shape, text } from '/js/dom.js';

export { attribute, byId, picture, shape, text };

/** An element; names with a dash are attributes. */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in element && !name.includes('-')) element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

const SVG = 'http://www.w3.org/2000/svg';

/** A waveform of 0 to 255 values, as one path. */
export function waveform(values) {
  const svg = document.createElementNS(SVG, 'svg');
  const path = document.createElementNS(SVG, 'path');
  svg.setAttribute('viewBox', `0 0 ${Math.max(1, values.length)} 32`);
  svg.setAttribute('preserveAspectRatio', 'none');
  svg.setAttribute('aria-hidden', 'true');
  svg.setAttribute('class', 'waveform');
  const half = (value) => Math.max(0.75, (value / 255) * 15);
  path.setAttribute('d', values.map((value, x) => `M${x} ${16 - half(value)}h.7v${2 * half(value)}h-.7z`).join(''));
  svg.append(path);
  return svg;
}

/** A list that is made anew only when what it says has changed, so that the focus stays where it is. */
const listed = new WeakMap();
export function relist(list, rows, row) {
  const key = JSON.stringify(rows);
  if (listed.get(list) === key) return;
  listed.set(list, key);
  const had = list.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  list.replaceChildren(...rows.map(row));
  if (had) list.querySelector(`[data-key="${CSS.escape(had)}"]`)?.focus({ preventScroll: true });
}

/** A button that asks once: the first click changes its words, the second one within five seconds does it. */
export function sure(button, words, question, run) {
  let timer = 0;
  const rest = () => {
    clearTimeout(timer);
    timer = 0;
    delete button.dataset.sure;
    button.textContent = words;
  };
  button.textContent = words;
  button.addEventListener('click', () => {
    if (timer) {
      rest();
      return run();
    }
    button.dataset.sure = 'true';
    button.textContent = question;
    timer = setTimeout(rest, 5000);
  });
  return button;
}
