// The other end of a simulated radio: a handheld in one's hand, keyed as long as its key is held.

import { holdable, wireEnds } from '/js/button.js';
import { attribute, make, picture, shape, text } from '/dispatch/dom.js';
import { words } from './words.js';

// What the box has heard meanwhile is asked for when it is off the air.
const ON_AIR = ['lead', 'onAir', 'draining', 'tail', 'testTone'];

export class Handheld {
  keyed = false;
  #player = new Audio();
  #wasOnAir = false;
  #url = null;

  constructor(radio, on) {
    Object.assign(this, { id: radio.id, on });
    const name = `handheld-${radio.id}`;
    this.what = make('select', { id: `${name}-says`, className: 'says' },
      make('option', { value: 'speech', textContent: words.handheld.speech }), make('option', { value: 'tone', textContent: words.handheld.tone }));
    this.key = make('button', { type: 'button', className: 'key', 'aria-pressed': 'false' }, picture('microphone'), make('span', { textContent: words.handheld.hold }));
    this.heard = make('button', { type: 'button', className: 'heard', disabled: true }, picture('play'), make('span', { textContent: words.handheld.nothing }));
    this.element = make('div', { className: 'handheld', role: 'group', 'aria-labelledby': name },
      make('h3', { id: name, textContent: words.handheld.title(radio.name) }),
      make('p', { textContent: words.handheld.why }),
      make('div', { className: 'acts' }, make('label', { htmlFor: `${name}-says`, textContent: words.handheld.what }), this.what),
      this.key, this.heard);
    holdable(this.key, {
      down: () => this.#set(true),
      up: () => this.#set(false),
      tap: () => this.#set(!this.keyed),
    });
    wireEnds(() => this.keyed && this.#set(false));
    this.heard.addEventListener('click', () => this.#listen());
    this.#player.addEventListener('ended', () => this.#draw());
    this.#player.addEventListener('pause', () => this.#draw());
    this.#fetch();
  }

  draw(radio) {
    const onAir = ON_AIR.includes(radio.state);
    if (this.#wasOnAir && !onAir) this.#fetch();
    this.#wasOnAir = onAir;
  }

  get playing() {
    return !this.#player.paused && !this.#player.ended;
  }

  #set(down) {
    this.keyed = down;
    attribute(this.key, 'aria-pressed', down);
    text(this.key.lastChild, down ? words.handheld.keyed : words.handheld.hold);
    this.on.handheld(this.id, { carrier: down, play: down ? this.what.value : null });
    return down ? {} : null;
  }

  async #fetch() {
    const sound = await this.on.heard(this.id);
    if (!sound) return;
    if (this.#url) URL.revokeObjectURL(this.#url);
    this.#url = URL.createObjectURL(sound);
    this.#player.src = this.#url;
    this.heard.disabled = false;
    this.#draw();
  }

  #listen() {
    if (this.playing) this.#player.pause();
    else {
      this.#player.currentTime = 0;
      this.#player.play().catch(() => {});
    }
    this.#draw();
  }

  #draw() {
    shape(this.heard.firstChild, this.playing ? 'stop' : 'play');
    text(this.heard.lastChild, this.playing ? words.handheld.playing : words.handheld.heard);
  }
}
