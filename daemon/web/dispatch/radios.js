// The radios of this dispatcher's channels, one line each: lamps, level, on air and TOT. The radio page has the rest.

import { isOnAir, lamps, nearTot } from '/radio/lamps.js';
import { Live } from '/radio/live.js';
import { height } from '/radio/meter.js';
import { words as radioWords } from '/radio/words.js';
import { ask, Refused } from './box.js';
import { attribute, byId, make, picture, relist, shape, text } from './dom.js';
import { clock, words } from './words.js';

// A box that has none is asked now and then; one that has some tells ten times a second.
const NONE_EVERY_MS = 60000;
const AGAIN_MS = 2000;

export class Radios {
  /** As the box told them last. */
  all = [];
  #timer = 0;
  /** Counts starts and stops: an answer to what was asked before one is for nobody. */
  #turn = 0;
  #live = new Live({ tell: (radios) => this.#tell(radios), broken: (_, status) => this.#broken(status) });

  start() {
    this.stop();
    this.#look(this.#turn);
  }

  stop() {
    this.#turn += 1;
    clearTimeout(this.#timer);
    this.#live.stop();
  }

  /** Nobody is signed in. */
  end() {
    this.stop();
    this.#tell([]);
  }

  async #look(turn) {
    let again = NONE_EVERY_MS;
    try {
      const { radios } = await (await ask('/radios')).json();
      if (turn !== this.#turn) return;
      this.#tell(radios);
      if (radios.length) return this.#live.start();
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      if (turn !== this.#turn) return;
      if (error.status === 401 || error.status === 403) return this.end();
      if (this.all.length) this.#broken(error.status);
      again = AGAIN_MS;
    }
    this.#timer = setTimeout(() => this.#look(turn), again);
  }

  #tell(radios) {
    this.all = radios;
    byId('radios').hidden = radios.length === 0;
    attribute(byId('radios'), 'data-stale', null);
    const rows = radios.map(({ id, name, channelName }) => ({ id, name, channelName }));
    relist(byId('radio-list'), rows, (row) => {
      const item = make('li', {},
        make('span', { className: 'name' }, make('strong', { textContent: row.name }), ' ', make('span', { className: 'where', textContent: row.channelName })),
        make('span', { className: 'said' }), make('span', { className: 'lights' },
          ...['carrier', 'squelch', 'onAir'].map((lamp) => make('span', { className: 'light', 'data-lamp': lamp, role: 'img' }, picture('idle')))),
        make('span', { className: 'bar', 'aria-hidden': 'true' }, make('i')));
      item.dataset.radio = row.id;
      return item;
    });
    radios.forEach((radio, at) => this.#draw(radio, byId('radio-list').children[at]));
  }

  #draw(radio, item) {
    const onAir = isOnAir(radio);
    attribute(item, 'data-state', radio.state);
    attribute(item, 'data-problem', radio.problem ? 'true' : null);
    attribute(item, 'data-near', nearTot(radio) ? 'true' : null);
    item.title = radio.problem ?? '';
    const [, said, lights, bar] = item.children;
    const left = radio.totLeftMs === null ? '' : ` ${clock(radio.totLeftMs)}`;
    text(said, radio.problem && !onAir ? words.radios.problem : `${radioWords.state[radio.state] ?? radio.state}${left}`);
    for (const light of lights.children) {
      const [state, drawn, word] = lamps(radio)[light.dataset.lamp];
      attribute(light, 'data-state', state);
      attribute(light, 'aria-label', `${radioWords.lamp[light.dataset.lamp]} ${word}`);
      shape(light.firstChild, drawn);
    }
    const level = onAir ? radio.txDb : radio.carrier ? radio.rxDb : -120;
    const transform = `scaleX(${height(level).toFixed(2)})`;
    if (bar.firstChild.style.transform !== transform) bar.firstChild.style.transform = transform;
  }

  #broken(status) {
    // Gone from this dispatcher, or from the box.
    if (status === 401 || status === 403) return this.end();
    attribute(byId('radios'), 'data-stale', 'true');
  }
}
