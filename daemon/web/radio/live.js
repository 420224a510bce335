// How the radios are, ten times a second, as lines of JSON over one long answer: asked for while somebody looks, and again
// when it breaks off.

import { storedDevice } from '/js/sign-in.js';
import { words } from './words.js';

const AGAIN_MS = 2000;
// The box says something ten times a second; a phone that slept has lost the connection without a word.
const SILENT_MS = 5000;

export class Live {
  /** What came so far, of this page. */
  lines = 0;
  /** Lines come now. */
  running = false;
  #controller = null;
  #timer = 0;
  #watch = 0;
  #wanted = false;

  /** `tell(radios)` for each line; `broken(sentence, status)` when they end. */
  constructor({ tell, broken }) {
    Object.assign(this, { tell, broken });
  }

  start() {
    this.#wanted = true;
    if (!this.#controller) this.#ask();
  }

  stop() {
    this.#wanted = false;
    clearTimeout(this.#timer);
    clearTimeout(this.#watch);
    this.#controller?.abort();
    this.#controller = null;
    this.running = false;
  }

  async #ask() {
    const controller = new AbortController();
    this.#controller = controller;
    clearTimeout(this.#timer);
    let refusal = { message: words.stale, status: 0 };
    try {
      this.#expect();
      const response = await fetch('/api/v1/radios/live', {
        headers: { Authorization: `Bearer ${storedDevice() ?? ''}` },
        cache: 'no-store',
        signal: controller.signal,
      });
      if (response.ok) await this.#read(response.body.getReader());
      else refusal = { message: (await response.json()).message ?? words.stale, status: response.status };
    } catch {
      // The sentence is the same, however it ended.
    }
    if (this.#controller !== controller) return;
    this.#controller = null;
    this.running = false;
    clearTimeout(this.#watch);
    if (!this.#wanted) return;
    this.#timer = setTimeout(() => this.#ask(), AGAIN_MS);
    this.broken(refusal.message, refusal.status);
  }

  async #read(reader) {
    const decoder = new TextDecoder();
    let rest = '';
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      this.#expect();
      rest += decoder.decode(value, { stream: true });
      const lines = rest.split('\n');
      rest = lines.pop();
      // A page that was busy reads several at once: the newest says it all but the peaks.
      const told = lines.filter(Boolean).map((line) => JSON.parse(line).radios);
      this.lines += told.length;
      if (!told.length) continue;
      this.running = true;
      this.tell(told.at(-1), told);
    }
  }

  #expect() {
    clearTimeout(this.#watch);
    this.#watch = setTimeout(() => this.#controller?.abort(), SILENT_MS);
  }
}
