// The other end of a simulated radio: a handheld in one's hand, keyed as long as its key is held.

import { holdable } from '/js/button.js';
import { attribute, make, picture, shape, text } from '/dispatch/dom.js';
import { isOnAir } from './lamps.js';
import { words } from './words.js';

export class Handheld {
  keyed = false;
  #context = null;
  #bytes = null;
  #source = null;
  #wasOnAir = false;

  /** `on`: handheld(id, body), heard(id). */
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
      make('div', { className: 'says-what' }, make('label', { htmlFor: `${name}-says`, textContent: words.handheld.what }), this.what),
      this.key, this.heard);
    holdable(this.key, {
      down: () => this.#press(true),
      up: () => this.release(),
      tap: () => this.#press(!this.keyed),
    });
    this.heard.addEventListener('click', () => this.#listen());
    this.#fetch();
  }

  draw(radio) {
    // What the box has sent is asked for when it is off the air.
    const onAir = isOnAir(radio);
    if (this.#wasOnAir && !onAir) this.#fetch();
    this.#wasOnAir = onAir;
  }

  release() {
    if (this.keyed) this.#press(false);
  }

  end() {
    this.release();
    this.#stop();
  }

  get playing() {
    return this.#source !== null;
  }

  /** How much there is to play. */
  get seconds() {
    // 16 bit, one side, behind a header of 44 bytes.
    return this.#bytes ? (this.#bytes.byteLength - 44) / 2 / 48000 : 0;
  }

  #press(down) {
    this.keyed = down;
    attribute(this.key, 'aria-pressed', down);
    text(this.key.lastChild, down ? words.handheld.keyed : words.handheld.hold);
    this.on.handheld(this.id, { carrier: down, play: down ? this.what.value : null });
    return down ? {} : null;
  }

  async #fetch() {
    const bytes = await this.on.heard(this.id);
    if (!bytes) return;
    this.#bytes = bytes;
    this.heard.disabled = false;
    this.#draw();
  }

  async #listen() {
    if (this.#source) return this.#stop();
    this.#context ??= new AudioContext();
    const buffer = await this.#context.decodeAudioData(this.#bytes.slice(0));
    const source = new AudioBufferSourceNode(this.#context, { buffer });
    source.connect(this.#context.destination);
    source.addEventListener('ended', () => this.#source === source && this.#stop());
    source.start();
    this.#source = source;
    this.#draw();
  }

  #stop() {
    this.#source?.stop();
    this.#source = null;
    this.#draw();
  }

  #draw() {
    if (!this.#bytes) return;
    shape(this.heard.firstChild, this.playing ? 'stop' : 'play');
    text(this.heard.lastChild, this.playing ? words.handheld.playing : words.handheld.heard);
  }
}
