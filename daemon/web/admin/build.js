// Elements, made in one line each. The page's content policy forbids markup with styles in it, and nothing a person typed
// is ever parsed: text is text.

/** h('button', { class: 'go', onclick, 'data-action': 'add' }, 'Add', …): properties that are functions listen. */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (typeof value === 'function') element.addEventListener(name.slice(2), value);
    else if (name === 'value' && tag === 'input') element.defaultValue = value;
    else if (name === 'value' || name === 'checked' || name === 'selected') element[name] = value;
    else element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** A shape of index.html, told to nobody: the word beside it says the same. */
export function shape(name) {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  svg.setAttribute('aria-hidden', 'true');
  svg.setAttribute('class', 'shape');
  const use = document.createElementNS('http://www.w3.org/2000/svg', 'use');
  use.setAttribute('href', `#shape-${name}`);
  svg.append(use);
  return svg;
}

export const button = (word, onclick, properties = {}) => h('button', { type: 'button', onclick, ...properties }, word);

/** A select of [value, word] pairs. */
export function choice(options, value, properties = {}) {
  const select = h('select', properties, options.map(([each, word]) => h('option', { value: each }, word)));
  select.value = value;
  return select;
}

export const labelled = (label, control, hint) =>
  h('label', { class: 'labelled' }, h('span', {}, label), control, hint ? h('small', {}, hint) : null);

/** An `<img>` of an SVG the box made. */
export const picture = (svg, alt) => h('img', { src: `data:image/svg+xml,${encodeURIComponent(svg)}`, alt });
