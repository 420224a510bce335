// People who came by a poster and wait to be let in.

import { box } from './box.js';
import { byId, make, relist } from './dom.js';
import { joined, words } from './words.js';

const EVERY_MS = 15000;

export class Arrivals {
  #waiting = [];
  #timer = 0;
  /** Counts every start and stop: what was asked before is not listened to any more. */
  #run = 0;

  /** `say(sentence)` where the box has refused. */
  constructor({ say }) {
    this.say = say;
  }

  start() {
    this.stop();
    this.#look(this.#run);
  }

  stop() {
    clearTimeout(this.#timer);
    this.#run += 1;
  }

  /** Nobody is signed in. */
  end() {
    this.stop();
    this.#waiting = [];
    this.#draw();
  }

  async #look(run) {
    let again = true;
    try {
      const { arrivals } = await box.arrivals();
      if (run === this.#run) this.#waiting = arrivals ?? [];
    } catch (error) {
      // A box without posters is not asked again; one that is just away is.
      again = error.status !== 404 && error.status !== 403;
    }
    if (run !== this.#run) return;
    if (again) this.#timer = setTimeout(() => this.#look(run), EVERY_MS);
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
      const where = words.side.arrival(arrival.poster, joined(arrival.channels));
      const who = make('span', { className: 'who' }, make('strong', { textContent: arrival.name }), make('span', { textContent: where }));
      return make('li', {}, who, answer(words.side.admit, true), answer(words.side.refuse, false));
    });
  }

  async #answer({ id, name }, admit) {
    const run = this.#run;
    try {
      await box.admit(id, admit, name);
    } catch (error) {
      if (error.message) this.say(error.message, 'bad');
    }
    if (run === this.#run) this.start();
  }
}
