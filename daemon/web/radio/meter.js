// A meter in dBFS: a bar that is moved and never painted, the peak it holds for a moment, and the mark where speech belongs.

import { attribute, make, text } from '/dispatch/dom.js';
import { level, words } from './words.js';

const FLOOR = -60;
const HOLD_MS = 1500;
// After that the held peak falls.
const FALL_DB_A_SECOND = 24;
const SCALE = [0, -12, -20, -40, -60];

/** 0 at the bottom of the meter, 1 at full scale. */
export const height = (db) => Math.min(1, Math.max(0, (db - FLOOR) / -FLOOR));

export class Meter {
  #peak = { db: -120, at: 0 };

  /** `which`: 'rx' or 'tx'. */
  constructor(which, name) {
    const word = which === 'rx' ? words.receive : words.transmit;
    this.bar = make('i', { className: 'bar' });
    this.cap = make('i', { className: 'cap' });
    this.number = make('output', { className: 'number' });
    this.track = make('div', { className: 'track', title: words.speechMark }, make('i', { className: 'speech' }), this.bar, this.cap);
    for (const [key, value] of Object.entries({ role: 'meter', 'aria-valuemin': FLOOR, 'aria-valuemax': 0, 'aria-label': words.meterOf(word, name) })) {
      this.track.setAttribute(key, value);
    }
    const shown = make('span', { className: 'label', textContent: word });
    this.element = make('div', { className: 'meter' }, shown, this.track, this.number);
    this.element.dataset.which = which;
  }

  get peak() {
    return this.#peak.db;
  }

  /** True while the held peak still moves. */
  draw(db, peak, now) {
    const fallen = this.#peak.db - Math.max(0, (now - this.#peak.at - HOLD_MS) / 1000) * FALL_DB_A_SECOND;
    if (peak >= fallen) this.#peak = { db: peak, at: now };
    const held = Math.max(peak, fallen);
    move(this.bar, `scaleY(${height(db).toFixed(3)})`);
    attribute(this.cap, 'hidden', held <= FLOOR ? '' : null);
    move(this.cap, `translateY(${(-100 * height(held)).toFixed(1)}%)`);
    attribute(this.element, 'data-loud', held > -3 ? 'clip' : db > -12 ? 'loud' : db >= -20 ? 'good' : null);
    const shown = Math.round(Math.max(FLOOR, db));
    attribute(this.track, 'aria-valuenow', shown);
    attribute(this.track, 'aria-valuetext', level(db));
    text(this.number, db <= FLOOR ? '–' : String(shown));
  }
}

function move(element, transform) {
  if (element.style.transform !== transform) element.style.transform = transform;
}

/** The numbers beside the two meters of a strip. */
export const scale = () =>
  make('div', { className: 'scale', 'aria-hidden': 'true' }, ...SCALE.map((db) => {
    const mark = make('span', { textContent: String(db) });
    mark.style.bottom = `${height(db) * 100}%`;
    return mark;
  }));
