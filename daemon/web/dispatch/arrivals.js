// People who came by a poster and wait to be let in.

import { box } from './box.js';
import { byId, make, relist } from './dom.js';
import { words } from './words.js';

const EVERY_MS = 15000;

export class Arrivals {
  #waiting = [];
  #timer = 0;

  /** `say(sentence)` where the box has refused. */
  constructor({ say }) {
    this.say = say;
  }

  start() {
    this.stop();
    this.#look();
  }

  stop() {
    clearTimeout(this.#timer);
  }

  async #look() {
    try {
      this.#waiting = (await box.arrivals()).arrivals ?? [];
      this.#timer = setTimeout(() => this.#look(), EVERY_MS);
    } catch (error) {
      // A box without posters is not asked again; one that is just away is.
      if (error.status !== 404 && error.status !== 403) this.#timer = setTimeout(() => this.#look(), EVERY_MS);
    }
    this.#draw();
  }

  #draw() {
    byId('arrivals').hidden = this.#waiting.length === 0;
    relist(byId('arrival-list'), this.#waiting, (arrival) => {
      const answer = (textContent, admit) => {
        const button = make('button', { type: 'button', textContent, 'aria-label': `${textContent}: ${arrival.name}` });
        button.dataset.key = `${admit}-${arrival.id}`;
        button.addEventListener('click', () => this.#answer(arrival, admit));
        return button;
      };
      return make('li', {}, make('strong', { textContent: arrival.name }), answer(words.side.admit, true), answer(words.side.refuse, false));
    });
  }

  async #answer(arrival, admit) {
    try {
      await box.admit(arrival.id, admit);
    } catch (error) {
      if (error.message) this.say(error.message, 'bad');
    }
    this.start();
  }
}
