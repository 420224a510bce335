// A talk that is over, heard again from the box's recording, one at a time.

import { words } from './words.js';

const GONE = [401, 403, 404];
// A file is closed a moment after its talk has ended.
const AGAIN_MS = 500;

export class Replay {
  /** The talk being fetched or played, as `play` was given it; null: none. */
  talk = null;
  #asked = null;
  #player = null;

  /** `device()`: this device's credential; `changed()` when one begins and ends; `failed(sentence)`. */
  constructor({ sound, device, changed, failed }) {
    Object.assign(this, { sound, device, changed, failed });
  }

  /** How far it is, in milliseconds. */
  get at() {
    return this.#player?.at() ?? 0;
  }

  /** `talk.transmissionId` names the recording. It is heard to its end, or until `stop`. */
  async play(talk) {
    this.stop();
    this.talk = talk;
    this.#asked = new AbortController();
    const { signal } = this.#asked;
    this.changed();
    try {
      let answer = await this.#fetch(talk, signal);
      if (answer.status === 404) {
        await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
        answer = await this.#fetch(talk, signal);
      }
      if (!answer.ok) return this.#fail(GONE.includes(answer.status) ? words.replay.gone : words.replay.failed);
      const recording = await this.sound.decode(await answer.arrayBuffer());
      if (!signal.aborted) this.#player = this.sound.start(recording, () => this.stop());
    } catch (error) {
      if (!signal.aborted) this.#fail(error.name === 'EncodingError' ? words.replay.unplayable : words.replay.failed);
    }
  }

  /** True where one was running. */
  stop() {
    if (!this.talk) return false;
    this.talk = null;
    this.#asked.abort();
    this.#player?.stop();
    this.#player = null;
    this.changed();
    return true;
  }

  #fetch({ transmissionId }, signal) {
    const headers = { Authorization: `Bearer ${this.device()}` };
    return fetch(`/api/v1/recordings/${transmissionId}/audio`, { headers, cache: 'no-store', signal });
  }

  #fail(sentence) {
    this.stop();
    this.failed(sentence);
  }
}
