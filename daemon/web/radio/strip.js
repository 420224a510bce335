// One radio as a strip of a mixer. It is made once; afterwards only what has changed is touched, so that nothing jumps and
// a radio at rest costs nothing.

import { attribute, make, picture, shape, text } from '/dispatch/dom.js';
import { Handheld } from './handheld.js';
import { lamps, nearTot } from './lamps.js';
import { Meter, scale } from './meter.js';
import { Sparkline } from './sparkline.js';
import { clock, sentence, words } from './words.js';

const MINUTES = [1, 5, 15, 30];
const SECOND_MS = 1000;

export class Strip {
  #tick = 0;
  #lamps = {};

  /** `on`: testTone(radio), stopTone(radio), silence(radio, minutes), handheld(radio, body), heard(radio). */
  constructor(radio, on) {
    this.on = on;
    this.radio = radio;
    const { id, name } = radio;
    const heading = `radio-${id}`;
    this.title = make('h2', { id: heading });
    this.where = make('p', { className: 'where' });
    for (const lamp of ['carrier', 'squelch', 'onAir']) {
      const said = make('b');
      const element = make('li', { className: 'lamp' }, picture('idle'), make('span', { textContent: words.lamp[lamp] }), said);
      element.dataset.lamp = lamp;
      this.#lamps[lamp] = { element, said };
    }
    this.state = make('strong', { className: 'state' });
    this.talker = make('span', { className: 'talker' });
    this.rx = new Meter('rx', name);
    this.tx = new Meter('tx', name);
    this.tot = make('dd', { className: 'tot' });
    this.clips = make('dd');
    this.xruns = make('dd', { title: words.xrunsLong });
    this.buffer = make('dd');
    this.drift = make('dd');
    this.bufferLine = new Sparkline(40);
    this.driftLine = new Sparkline(40);
    const figure = (word, value, line) => make('div', {}, make('dt', { textContent: word }), value, ...(line ? [make('dd', { className: 'line' }, line.element)] : []));
    this.totFigure = figure(words.tot, this.tot);
    const figures = make('dl', { className: 'figures' }, this.totFigure, figure(words.clips, this.clips), figure(words.xruns, this.xruns),
      figure(words.buffer, this.buffer, this.bufferLine), figure(words.drift, this.drift, this.driftLine));
    this.problem = make('p', { className: 'problem' });
    this.tone = make('button', { type: 'button', className: 'test-tone' });
    this.tone.addEventListener('click', () => (this.radio.state === 'testTone' ? on.stopTone(this.radio) : on.testTone(this.radio)));
    this.silence = this.#silence(name);
    this.lift = make('button', { type: 'button', className: 'lift', title: words.liftLabel(name) });
    this.lift.addEventListener('click', () => on.silence(this.radio, 0));
    this.wires = make('p', { className: 'wires' });
    this.element = make('section', { className: 'strip', 'aria-labelledby': heading },
      make('header', {}, this.title, this.where),
      make('ul', { className: 'lamps' }, ...Object.values(this.#lamps).map((lamp) => lamp.element)),
      make('p', { className: 'now' }, this.state, this.talker),
      make('div', { className: 'middle' }, this.rx.element, scale(), this.tx.element, figures),
      this.problem,
      make('div', { className: 'acts' }, this.tone, this.silence, this.lift),
      this.wires);
    this.element.dataset.radio = id;
    if (radio.simulated) {
      this.handheld = new Handheld(radio, on);
      this.element.append(this.handheld.element);
    }
  }

  /** `told`: every status since the last drawing, the newest last. */
  draw(told, now, still) {
    const radio = told.at(-1);
    this.radio = radio;
    const { state } = radio;
    attribute(this.element, 'data-state', state);
    attribute(this.element, 'data-problem', radio.problem ? 'true' : null);
    text(this.title, radio.name);
    text(this.where, [words.on(radio.channelName), words.kind[radio.kind], radio.simulated && words.simulated].filter(Boolean).join(' · '));
    for (const [lamp, [is, drawn, said]] of Object.entries(lamps(radio))) {
      attribute(this.#lamps[lamp].element, 'data-state', is);
      shape(this.#lamps[lamp].element.firstChild, drawn);
      text(this.#lamps[lamp].said, said);
    }
    text(this.state, words.state[state] ?? state);
    text(this.talker, doing(radio));
    if (!still || now - this.#tick >= SECOND_MS || this.#tick === 0) {
      this.rx.draw(radio.rxDb, Math.max(...told.map((each) => each.rxPeakDb)), now);
      this.tx.draw(radio.txDb, Math.max(...told.map((each) => each.txPeakDb)), now);
    }
    if (now - this.#tick >= SECOND_MS || this.#tick === 0) this.#second(radio, now);
    text(this.tot, radio.totLeftMs === null ? words.noTot : clock(radio.totLeftMs));
    attribute(this.totFigure, 'data-state', radio.totLeftMs === null ? null : nearTot(radio) ? 'near' : 'runs');
    text(this.problem, radio.problem ? sentence(radio.problem) : '');
    text(this.tone, state === 'testTone' ? words.toneStop : words.tone);
    this.tone.hidden = radio.kind === 'desk';
    this.tone.disabled = !['idle', 'testTone'].includes(state);
    this.silence.hidden = Boolean(radio.silencedMs);
    this.lift.hidden = !radio.silencedMs;
    if (radio.silencedMs) text(this.lift, words.lift(radio.silencedMs));
    this.handheld?.draw(radio);
  }

  // What changes slowly is drawn once a second.
  #second(radio, now) {
    this.#tick = now;
    text(this.clips, String(radio.rxClips + radio.txClips));
    this.clips.title = words.clipsLong(radio.rxClips, radio.txClips);
    text(this.xruns, String(radio.xruns));
    text(this.buffer, words.ms(radio.bufferMs));
    text(this.drift, words.ppm(radio.driftPpm));
    this.bufferLine.add(radio.bufferMs);
    this.driftLine.add(radio.driftPpm);
    text(this.wires, radio.simulated ? words.playedByTheBox : words.wires(radio.sound, radio.ptt, radio.carrierSpec));
  }

  /** The radio is not there any more. */
  end() {
    this.handheld?.end();
  }

  #silence(name) {
    const select = make('select', { 'aria-label': words.silenceLabel(name) });
    for (const n of MINUTES) select.append(make('option', { value: String(n), textContent: words.minutes(n) }));
    // By a button: with arrow keys a select changes before one has chosen.
    const go = make('button', { type: 'button', textContent: words.silence });
    go.addEventListener('click', () => this.on.silence(this.radio, Number(select.value)));
    return make('span', { className: 'silence' }, go, select);
  }
}

function doing(radio) {
  const said = words.stateOf[radio.state];
  if (typeof said === 'string') return said;
  if (radio.state === 'receiving') return words.stateOf.receiving(radio.talker ?? radio.name);
  return radio.talker ? words.stateOf.talks(radio.talker) : '';
}
