// The microphone: asked for at the first press, kept from then on, taken again when it was lost.

const WANTED = { echoCancellation: true, noiseSuppression: true, autoGainControl: true, channelCount: 1 };
// The browser's own entries beside the real devices.
const ALIASES = ['', 'default', 'communications'];

const REFUSED = {
  NotAllowedError: 'refused',
  NotFoundError: 'missing',
  OverconstrainedError: 'missing',
  NotReadableError: 'taken',
  AbortError: 'taken',
  SecurityError: 'insecure',
};

export class Microphone {
  /** 'unasked', 'asking', 'ready', 'lost', or why not: 'refused', 'missing', 'taken', 'insecure', 'failed'. */
  state = 'unasked';
  track = null;
  #asked = null;
  #had = false;
  #wanted = false;
  #known = new Set();
  /** The device that was chosen, '' for the system's usual one. */
  #chosen = '';

  /** `changed(state, before)`; `replaced(track, label)` when another microphone was taken over. */
  constructor({ changed, replaced }) {
    this.changed = changed;
    this.replaced = replaced;
    navigator.mediaDevices?.addEventListener('devicechange', () => this.#devicesChanged());
    navigator.permissions?.query({ name: 'microphone' }).then((permission) => {
      permission.onchange = () => {
        if (permission.state !== 'denied' && this.state === 'refused') this.#become('unasked');
      };
    }).catch(() => {});
  }

  get ready() {
    return this.state === 'ready';
  }

  /** Nothing can be heard of this device, and a press will not quickly change that. */
  get refused() {
    return Object.values(REFUSED).includes(this.state) || this.state === 'failed';
  }

  /** There was a microphone and there is none now. */
  get away() {
    return this.#had && !this.ready;
  }

  /** Asks once, however often it is called meanwhile. */
  take() {
    this.#wanted = true;
    this.#asked ??= this.#ask(this.#like()).finally(() => { this.#asked = null; });
    return this.#asked;
  }

  /** From now on this one, wherever it is there; taken at once where there is one already. */
  async choose(deviceId) {
    if (deviceId === this.#chosen) return;
    this.#chosen = deviceId;
    if (!this.ready) return;
    await this.#ask(this.#like());
    if (this.ready) this.replaced(this.track, this.track.label);
  }

  /** Closes it, also one that is being asked for. */
  release() {
    this.#wanted = this.#had = false;
    this.#letGo();
    this.#become('unasked');
  }

  /** The page is looked at again: what the system took away while it was not is taken back. */
  async wake() {
    if (this.state === 'lost' || this.state === 'taken') await this.take();
  }

  // Not exactly: where the chosen one is unplugged, another one is better than none.
  #like() {
    return this.#chosen ? { ...WANTED, deviceId: this.#chosen } : WANTED;
  }

  async #ask(wanted) {
    if (!navigator.mediaDevices?.getUserMedia) return this.#become('insecure');
    // What was ours before comes back without a question.
    if (!this.ready && this.state !== 'lost') this.#become('asking');
    try {
      const stream = await navigator.mediaDevices.getUserMedia({ audio: wanted });
      this.#keep(stream.getAudioTracks()[0]);
      this.#known = await inputs();
      if (!this.#wanted) return this.#letGo();
      this.#had = true;
      this.#follow();
    } catch (error) {
      if (this.#wanted && !this.ready) this.#become(REFUSED[error.name] ?? 'failed');
    }
  }

  #keep(track) {
    this.#letGo();
    this.track = track;
    track.onended = () => this.#lost();
    // A phone call leaves the track alive and takes the sound out of it.
    track.onmute = track.onunmute = () => this.#follow();
  }

  #letGo() {
    if (!this.track) return;
    this.track.onended = this.track.onmute = this.track.onunmute = null;
    this.track.stop();
    this.track = null;
  }

  #follow() {
    this.#become(this.track && !this.track.muted ? 'ready' : 'lost');
  }

  #lost() {
    this.track = null;
    this.#become('lost');
    if (document.visibilityState === 'visible') this.take();
  }

  // A headset that is plugged in is meant to be used; where the one in use is gone, any other will do.
  async #devicesChanged() {
    if (!this.track && this.state !== 'missing') return;
    const known = this.#known;
    const now = await inputs();
    this.#known = now;
    const added = [...now].find((id) => !known.has(id) && (!this.#chosen || id === this.#chosen));
    const using = this.track?.getSettings().deviceId;
    const gone = !ALIASES.includes(using ?? '') && !now.has(using);
    if (this.state === 'missing' || (gone && !added)) await this.take();
    else if (added) await this.#ask({ ...WANTED, deviceId: { exact: added } });
    else return;
    if (this.ready) this.replaced(this.track, this.track.label);
  }

  #become(state) {
    const before = this.state;
    if (state === before) return;
    this.state = state;
    this.changed(state, before);
  }
}

async function inputs() {
  const devices = await navigator.mediaDevices.enumerateDevices().catch(() => []);
  return new Set(devices.filter((d) => d.kind === 'audioinput' && !ALIASES.includes(d.deviceId)).map((d) => d.deviceId));
}
