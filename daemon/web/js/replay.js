// A talk that is over, heard again from the box's recording, one at a time.

import { words } from './words.js';

const MEANS = { 401: 'gone', 403: 'gone', 404: 'gone' };

export class Replay {
  /** The talk being fetched or played: what `play` was given, and how far it is, in milliseconds; null: none. */
  talk = null;
  at = 0;
  #element = new Audio();
  #asked = null;

  /** `device()`: this device's credential; `changed()` as it goes on; `failed(sentence)`. */
  constructor({ device, changed, failed }) {
    Object.assign(this, { device, changed, failed });
    this.#element.addEventListener('timeupdate', () => {
      this.at = this.#element.currentTime * 1000;
      this.changed();
    });
    this.#element.addEventListener('ended', () => this.stop());
  }

  /** `talk.transmissionId` names the recording. It is heard to its end, or until `stop`. */
  async play(talk) {
    this.stop();
    this.talk = talk;
    this.#asked = new AbortController();
    const { signal } = this.#asked;
    this.changed();
    try {
      const headers = { Authorization: `Bearer ${this.device()}` };
      const answer = await fetch(`/api/v1/recordings/${talk.transmissionId}/audio`, { headers, cache: 'no-store', signal });
      if (!answer.ok) return this.#fail(words.replay[MEANS[answer.status]] ?? words.replay.failed);
      const sound = URL.createObjectURL(await answer.blob());
      if (signal.aborted) return URL.revokeObjectURL(sound);
      this.#element.src = sound;
      await this.#element.play();
    } catch (error) {
      if (!signal.aborted) this.#fail(error.name === 'NotSupportedError' ? words.replay.unplayable : words.replay.failed);
    }
  }

  /** True where one was running. */
  stop() {
    if (!this.talk) return false;
    this.talk = null;
    this.at = 0;
    this.#asked.abort();
    this.#element.pause();
    if (this.#element.src) URL.revokeObjectURL(this.#element.src);
    this.#element.removeAttribute('src');
    this.changed();
    return true;
  }

  #fail(sentence) {
    this.stop();
    this.failed(sentence);
  }
}
