// The way to the box, and where there is none, the reason in words. Any page that signs in has one.

import { reached, whereIsTheBox } from './reach.js';
import { Signaling } from './signaling.js';
import { words } from './words.js';

// A loss that is mended before anyone has read why needs no reason.
const REASON_AFTER_MS = 1000;
// A restart that takes longer is a box that is down.
const RESTART_WITHIN_MS = 20000;

const WHERE = { offline: 'off-network', elsewhere: 'off-network', silent: 'unreachable', down: 'box-down', here: 'connecting' };
// The box has closed the connection for good, until the person asks for it again.
const CLOSED = { resumed: 'taken', kicked: 'kicked' };

export class Link {
  /** 'connecting', 'connected', 'restarting', 'off-network', 'unreachable', 'box-down', 'taken', 'kicked' or 'signed-out'. */
  state = 'connecting';
  sentence = words.link.connecting;
  /** The box runs another version than the one this page came from. */
  outdated = false;
  #device = null;
  #version = null;
  #lostSince = null;
  #restartingUntil = 0;
  #diagnosing = false;
  #turnedAway = false;

  /**
   * `welcome(message)` when the box let us in, `receive(message)` for what it says then, `cut()` when it is lost,
   * `refused(sentence)` where it does not know this device, `changed()` when there is something new to show.
   */
  constructor({ welcome, receive, cut, refused, changed }) {
    Object.assign(this, { welcome, receive, cut, refused, changed });
    this.signaling = new Signaling({ receive: (message) => this.#take(message), lost: () => this.#lost() });
  }

  get connected() {
    return this.state === 'connected';
  }

  /** Nothing will change by itself. */
  get closed() {
    return this.state === 'signed-out' || Object.values(CLOSED).includes(this.state);
  }

  get broken() {
    return this.closed || ['off-network', 'unreachable', 'box-down'].includes(this.state);
  }

  /** Connects, with the credential of before where none is given. */
  connect(device = this.#device) {
    this.#device = device;
    this.#become('connecting', words.link.connecting);
    this.signaling.start(device);
  }

  leave(sentence) {
    this.signaling.stop();
    this.#become('signed-out', sentence);
  }

  #take(message) {
    if (message.type === 'WELCOME') return this.#welcomed(message);
    if (message.type === 'BYE') return this.#bye(message.reason);
    if (message.type === 'ERROR') {
      if (message.code === 'bad_credential') return this.refused(words.signIn.badCredential);
      if (message.code === 'cannot_resume') return this.signaling.forgetSession();
      if (message.code === 'too_many_tries') {
        this.#turnedAway = true;
        return;
      }
    }
    this.receive(message);
  }

  #welcomed(message) {
    reached();
    this.#lostSince = null;
    this.#restartingUntil = 0;
    this.#device = message.device ?? this.#device;
    this.outdated ||= this.#version !== null && this.#version !== message.version;
    this.#version = message.version;
    this.#become('connected', words.link.connected(message.box));
    this.welcome(message);
  }

  #bye(reason) {
    if (reason === 'removed') return this.refused(words.signIn.removed);
    if (reason === 'shutdown') {
      this.#restartingUntil = performance.now() + RESTART_WITHIN_MS;
      return this.#become('restarting', words.link.restarting);
    }
    const state = CLOSED[reason];
    // Any other reason is followed by the connection's end, and that by the next attempt.
    if (!state) return;
    this.signaling.stop();
    this.cut();
    this.#become(state, words.link[state]);
  }

  async #lost() {
    this.#lostSince ??= performance.now();
    if (this.connected || this.state === 'restarting') this.cut();
    if (performance.now() < this.#restartingUntil) return this.#become('restarting', words.link.restarting);
    if (this.#turnedAway) {
      this.#turnedAway = false;
      return this.#become('connecting', words.link.tooManyTries);
    }
    if (this.connected) this.#become('connecting', words.link.lost);
    if (performance.now() - this.#lostSince < REASON_AFTER_MS || this.#diagnosing) return;
    this.#diagnosing = true;
    const where = await whereIsTheBox();
    this.#diagnosing = false;
    if (!this.connected && !this.closed) this.#become(WHERE[where], words.link[where]);
  }

  #become(state, sentence) {
    this.state = state;
    this.sentence = sentence;
    this.changed();
  }
}
