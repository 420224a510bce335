// The last two minutes of one figure, a value a second, as one small line.

import { attribute } from '/dispatch/dom.js';

const VALUES = 120;
const WIDTH = 120;
const HEIGHT = 24;
const SVG = 'http://www.w3.org/2000/svg';

export class Sparkline {
  #values = [];
  #path = document.createElementNS(SVG, 'path');

  /** The least span it shows: a line that is as good as still shall look still. */
  constructor(span) {
    this.span = span;
    this.element = document.createElementNS(SVG, 'svg');
    for (const [name, value] of Object.entries({ viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none', 'aria-hidden': 'true', class: 'sparkline' })) {
      this.element.setAttribute(name, value);
    }
    this.element.append(this.#path);
  }

  add(value) {
    this.#values.push(value);
    if (this.#values.length > VALUES) this.#values.shift();
    attribute(this.#path, 'd', line(this.#values, this.span));
  }
}

function line(values, span) {
  const least = Math.min(...values);
  const most = Math.max(...values);
  const middle = (least + most) / 2;
  const room = Math.max(span, most - least);
  const x = (at) => WIDTH - (values.length - 1 - at) * (WIDTH / (VALUES - 1));
  const y = (value) => HEIGHT / 2 - ((value - middle) / room) * (HEIGHT - 4);
  const points = values.map((value, at) => `${x(at).toFixed(1)} ${y(value).toFixed(1)}`);
  // A single value is a point.
  return points.length === 1 ? `M${points[0]}h.1` : `M${points.join('L')}`;
}
