// "Connect a radio": asks for the handheld's PTT, shows what is heard meanwhile, and writes what was found.

import { attribute, byId, make, relist, text } from '/dispatch/dom.js';
import { Refused } from '/dispatch/box.js';
import { height } from './meter.js';
import { level, words } from './words.js';

const LOOK_EVERY_MS = 250;
const LISTENING = ['quiet', 'press', 'speaking', 'letGo'];
const SPEECH_MS = 3000;
const w = words.wizard;

export class Wizard {
  /** As the box told it last; null where it was not asked. */
  view = null;
  /** What became of the text: the box's answer. */
  written = null;
  #timer = 0;
  #shown = '';
  /** Counts what was asked for: an answer to what is over is not drawn. */
  #turn = 0;

  /** `api(path, options)`; `channels()`: those this person may join; `done(sentence, kind)`. */
  constructor({ api, channels, done }) {
    Object.assign(this, { api, channels, done });
    this.dialog = byId('wizard');
    this.dialog.addEventListener('close', () => this.end());
  }

  get open() {
    return this.dialog.open;
  }

  show() {
    this.view = null;
    this.written = null;
    this.#build();
    this.dialog.showModal();
  }

  /** Nobody looks: the box need not listen. */
  end() {
    clearTimeout(this.#timer);
    this.#turn += 1;
    if (this.view && LISTENING.includes(this.view.step)) this.api('/wizard', { method: 'DELETE' }).catch(() => {});
    this.view = null;
    if (this.dialog.open) this.dialog.close();
  }

  // Made once, and changed where what it says has changed.
  #build() {
    this.#shown = '';
    this.step = make('p', { className: 'step', role: 'status' });
    this.progress = make('progress', { max: SPEECH_MS, value: 0, 'aria-label': w.level });
    this.sounds = make('ul', { className: 'heard-now' });
    this.lines = make('ul', { className: 'heard-now' });
    this.body = make('div', { className: 'wizard-body' });
    this.go = make('button', { type: 'button', className: 'primary', textContent: w.start });
    this.go.dataset.action = 'start';
    this.go.addEventListener('click', () => this.#start());
    const close = make('button', { type: 'button', textContent: w.close });
    close.dataset.action = 'close';
    close.addEventListener('click', () => this.dialog.close());
    this.dialog.replaceChildren(
      make('h2', { id: 'wizard-title', textContent: w.title }), this.step, this.progress, this.body,
      make('div', { className: 'acts' }, close, this.go));
    this.#draw();
  }

  async #start() {
    text(this.step, w.looking);
    this.go.disabled = true;
    this.written = null;
    await this.#ask({ method: 'POST' });
    this.go.disabled = false;
  }

  async #ask(options) {
    clearTimeout(this.#timer);
    const turn = this.#turn;
    try {
      const view = await this.api('/wizard', options);
      // Closed meanwhile: the box has begun to listen, and nobody looks.
      if (turn !== this.#turn) {
        if (options?.method === 'POST' && !this.dialog.open) this.api('/wizard', { method: 'DELETE' }).catch(() => {});
        return;
      }
      this.view = view;
      if (LISTENING.includes(view.step)) this.#timer = setTimeout(() => this.#ask(), LOOK_EVERY_MS);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      if (turn !== this.#turn) return;
      this.view = { step: 'failed', problem: error.message, sounds: [], lines: [], found: null, heardMs: 0 };
    }
    this.#draw();
  }

  #draw() {
    const { view } = this;
    const step = view?.step ?? 'idle';
    attribute(this.dialog, 'data-step', this.written?.written ? 'written' : step);
    this.progress.hidden = step !== 'speaking';
    if (step === 'speaking') this.progress.value = view.heardMs;
    this.go.hidden = LISTENING.includes(step);
    attribute(this.go, 'class', step === 'found' ? null : 'primary');
    text(this.go, step === 'idle' ? w.start : w.again);
    text(this.step, step === 'idle' ? w.intro : step === 'failed' ? view.problem : step === 'found' ? view.found.advice : w.step[step]);
    if (LISTENING.includes(step)) this.#drawHeard(view);
    else if (this.#shown !== step) this.body.replaceChildren(...(step === 'found' ? this.#form(view.found) : []));
    this.#shown = step;
  }

  #drawHeard(view) {
    if (!LISTENING.includes(this.#shown)) {
      this.body.replaceChildren(make('h3', { textContent: w.sounds }), this.sounds, make('h3', { textContent: w.lines }), this.lines);
    }
    const rows = view.sounds.map(({ sound, name, sides, problem }) => ({ sound, name, sides: sides.map((each) => each.side), problem }));
    relist(this.sounds, rows, (row) => make('li', {},
      make('span', { className: 'who' }, make('strong', { textContent: row.name }), make('span', { textContent: row.problem ?? row.sound })),
      ...row.sides.map(() => make('i', { className: 'small-meter' }, make('b')))));
    view.sounds.forEach(({ sides }, at) => sides.forEach(({ rmsDb }, side) => {
      const bar = this.sounds.children[at]?.querySelectorAll('.small-meter b')[side];
      if (bar) bar.style.transform = `scaleX(${height(rmsDb).toFixed(2)})`;
    }));
    relist(this.lines, view.lines, ({ line, name, up, problem }) => {
      const item = make('li', {},
        make('span', { className: 'who' }, make('strong', { textContent: name }), make('span', { textContent: problem ?? line })),
        make('b', { className: 'level-word', textContent: problem ? '' : up ? w.up : w.down }));
      attribute(item, 'data-up', up ? 'true' : null);
      return item;
    });
    if (!view.lines.length) relist(this.lines, [0], () => make('li', { textContent: w.noLines }));
  }

  #form(found) {
    const field = (word, control) => make('label', {}, make('span', { textContent: word }), control);
    const name = make('input', { name: 'name', maxLength: 64, autocomplete: 'off', required: true });
    const channel = make('select', { name: 'channel' }, make('option', { value: '', textContent: w.choose }), ...this.channels().filter((each) => !each.echo).map((each) => make('option', { value: each.channelId, textContent: each.name })));
    // The wrong line keys another radio: none is taken for granted that is not in the card's own device.
    const sure = found.ptts[0]?.belongs;
    const ptt = make('select', { name: 'ptt' }, ...(sure ? [] : [make('option', { value: '', textContent: w.choose })]), ...found.ptts.map((each) => make('option', { value: each.ptt, textContent: `${each.name} (${each.ptt})` })),
      make('option', { value: 'none', textContent: w.noPtt }));
    const carrier = make('select', { name: 'carrier' }, ...[...new Set([found.carrier, ...found.also, 'vox'])].map((each) => make('option', { value: each, textContent: each })));
    const low = make('input', { name: 'low', type: 'checkbox' });
    const error = make('p', { className: 'error', role: 'alert' });
    const out = make('textarea', { readOnly: true, rows: 9, hidden: true, 'aria-label': w.text });
    const told = make('p', { className: 'told', role: 'status' });
    const write = make('button', { type: 'submit', className: 'primary', textContent: w.write });
    const show = make('button', { type: 'button', textContent: w.show });
    show.dataset.action = 'show';
    write.dataset.action = 'write';
    const wish = (really) => ({
      name: name.value.trim(),
      channelId: channel.value,
      sound: found.sound,
      side: found.side,
      carrier: carrier.value,
      voxThreshold: carrier.value === 'vox' ? found.voxThreshold : null,
      ptt: `${low.checked && ptt.value !== 'none' ? '!' : ''}${ptt.value}`,
      write: really,
    });
    const ask = async (really) => {
      text(error, '');
      if (!name.value.trim() || !channel.value || !ptt.value) return text(error, w.fill);
      try {
        this.written = await this.api('/wizard/radio', { method: 'POST', body: wish(really) });
      } catch (refused) {
        if (!(refused instanceof Refused)) throw refused;
        return text(error, refused.message);
      }
      out.hidden = false;
      out.value = this.written.text;
      const { written, file, problem } = this.written;
      text(told, written ? problem ?? w.written(file) : !really ? w.text : [problem, file ? w.byHand(file) : w.noFile].filter(Boolean).join(' '));
      attribute(this.dialog, 'data-step', written ? 'written' : 'found');
      write.hidden = written;
      show.hidden = written;
      if (written) this.done(problem ?? w.written(file), problem ? 'bad' : 'good');
    };
    const form = make('form', { noValidate: true },
      make('dl', { className: 'found' },
        make('dt', { textContent: w.sounds }), make('dd', { textContent: `${found.soundName} (${found.sound}${found.side === 'mono' ? '' : `, ${found.side}`})` }),
        make('dt', { textContent: w.level }), make('dd', { textContent: w.levels(level(found.rmsDb), level(found.peakDb), level(found.noiseDb)) })),
      field(w.name, name), field(w.channel, channel), field(w.carrier, carrier), field(w.ptt, ptt),
      make('label', { className: 'check' }, low, make('span', { textContent: w.activeLow })),
      error, told, out, make('div', { className: 'acts' }, show, write));
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      ask(true);
    });
    show.addEventListener('click', () => ask(false));
    queueMicrotask(() => name.focus());
    return [form];
  }
}
