// The microphone, the outputs and the talk key. Outputs go with the position; microphone and pedal stay with this desk.

import { recall, remember } from '/js/sign-in.js';
import { attribute, byId, make, relist, text } from './dom.js';
import { keyName, words } from './words.js';

const KEPT = 'pttd.desk';
/** Keys that mean something here already. */
const OWN = /^(Digit[1-9]|Numpad[1-9]|KeyM|KeyR|KeyN|KeyE|Slash|Escape|Tab|Enter|Arrow.*|Shift.*|Control.*|Alt.*|Meta.*)$/;

export class Settings {
  /** KeyboardEvent.code of the talk key. */
  talkKey = 'Space';
  microphone = '';
  /** The next key that is pressed becomes the talk key. */
  learning = false;
  #devices = [];

  /** `on`: outputs() when the desk's outputs have changed, key() when the talk key has. */
  constructor({ desk, hearing, microphone, on }) {
    Object.assign(this, { desk, hearing, on, taker: microphone });
    const kept = JSON.parse(recall(KEPT));
    this.talkKey = kept?.talkKey ?? this.talkKey;
    this.microphone = kept?.microphone ?? '';
    microphone.choose(this.microphone);
    byId('settings-microphone').addEventListener('change', (event) => {
      this.microphone = event.target.value;
      this.#keep();
      microphone.choose(this.microphone);
    });
    byId('settings-output').addEventListener('change', (event) => this.#route({ mode: event.target.value }));
    for (const bus of ['selected', 'rest']) {
      byId(`settings-${bus}`).addEventListener('change', (event) => {
        const { value, selectedOptions: [option] } = event.target;
        this.#route({ [bus]: value ? { id: value, label: option.textContent } : null });
      });
    }
    byId('settings-key').addEventListener('click', () => {
      this.learning = true;
      this.draw();
    });
    byId('settings-key').addEventListener('blur', () => {
      this.learning = false;
      this.draw();
    });
    navigator.mediaDevices?.addEventListener('devicechange', () => this.look());
    byId('key-list').append(...words.settings.keyList.flatMap(([key, what]) => [make('dt', { textContent: key }), make('dd', { textContent: what })]));
  }

  async open(about) {
    text(byId('settings-about'), about);
    this.draw();
    // Only who may use the microphone learns what the devices are called.
    if (!this.taker.ready) await this.taker.take();
    this.look();
  }

  /** The devices there are now; outputs that come back are used again. */
  async look() {
    this.#devices = await navigator.mediaDevices?.enumerateDevices().catch(() => []) ?? [];
    this.route();
    this.draw();
  }

  /** The outputs of the desk, by the names they have here: another machine calls the same one by another id. */
  route() {
    const { mode, selected, rest } = this.desk.outputs;
    const here = (wanted) => {
      const outputs = this.#devices.filter((device) => device.kind === 'audiooutput');
      const device = wanted && (outputs.find((each) => each.deviceId === wanted.id) ?? outputs.find((each) => each.label === wanted.label));
      return device?.deviceId ?? '';
    };
    return this.hearing.route({ mode, selected: here(selected), rest: here(rest) });
  }

  /** A key while one is asked for. */
  learn(event) {
    event.preventDefault();
    event.stopPropagation();
    this.learning = false;
    const clash = OWN.test(event.code);
    if (!clash) this.talkKey = event.code;
    this.#keep();
    this.on.key();
    this.draw(clash && event.code !== 'Escape' ? words.settings.clash : '');
  }

  draw(hint = '') {
    text(byId('settings-key'), this.learning ? words.settings.press : `${keyName(this.talkKey)} – ${words.settings.change}`);
    text(byId('settings-key-hint'), hint);
    this.#fill('settings-microphone', 'audioinput', this.microphone);
    const { mode, selected, rest } = this.desk.outputs;
    byId('settings-output').value = mode;
    byId('settings-output').querySelector('[value="two"]').disabled = !this.hearing.canChooseOutputs;
    byId('settings-two').hidden = mode !== 'two';
    byId('settings-two-hint').hidden = this.hearing.canChooseOutputs;
    this.#fill('settings-selected', 'audiooutput', selected?.id ?? '');
    this.#fill('settings-rest', 'audiooutput', rest?.id ?? '');
  }

  #fill(id, kind, value) {
    const devices = this.#devices.filter((device) => device.kind === kind && !['', 'default'].includes(device.deviceId));
    const rows = [['', words.settings.usual], ...devices.map((device) => [device.deviceId, device.label || device.deviceId.slice(0, 8)])];
    relist(byId(id), rows, ([deviceId, textContent]) => make('option', { value: deviceId, textContent }));
    byId(id).value = rows.some(([deviceId]) => deviceId === value) ? value : '';
    attribute(byId(id), 'data-value', value);
  }

  #route(change) {
    this.desk.outputs = { ...this.desk.outputs, ...change };
    this.route();
    this.draw();
    this.on.outputs();
  }

  #keep() {
    remember(KEPT, JSON.stringify({ talkKey: this.talkKey, microphone: this.microphone }));
  }
}
