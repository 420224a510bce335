// From the press to the air and back: asks for the floor, puts the microphone on the channel's transport when it is
// granted, and takes it off whatever ends it. One press may ask for several channels: each has a floor of its own.

import { vibrate } from './device.js';
import { Press } from './press.js';
import { words } from './words.js';

// The box keeps a lost session, with its floor, this long; after that we are off the air there too.
const KEPT_MS = 3000;
// Long enough to be read after the button was let go.
const LINGER_MS = { denied: 1500, revoked: 3000 };

export class Talking {
  /** The channels of the running press. */
  #channels = [];
  #kept = 0;

  /**
   * `targets(press)`: the channels this press asks for; `aired(channel, onAir)` is told when one goes on air and off.
   * `say(sentence)` and `announce(sentence)` as the page does.
   */
  constructor({ session, microphone, sound, targets, aired, draw, say, announce }) {
    Object.assign(this, { session, microphone, sound, targets, aired, draw, say, announce });
    this.press = new Press({ begun: (press) => this.#begun(press), ended: () => this.#ended() });
  }

  get onAir() {
    return this.#channels.some((channel) => channel.mine.state === 'onair');
  }

  /** Asks for the floor as soon as the microphone and the transport are there; called again when they come. */
  ask() {
    return Promise.all(this.#channels.map((channel) => this.#ask(channel)));
  }

  /** What the session says of a channel; true where it was ours to act on. */
  happened(channel, what, message) {
    switch (what) {
      case 'connected':
        this.ask();
        return false;
      case 'granted':
        this.#granted(channel);
        return true;
      case 'denied':
        this.#denied();
        return true;
      case 'warned':
        this.sound.tone('warn');
        vibrate(30, 80, 30);
        return true;
      case 'revoked':
        this.#revoked(channel, message.graceMs ?? 0);
        return true;
      case 'removed':
      case 'not_authorized':
        this.#forget(channel);
        return false;
      default:
        return false;
    }
  }

  /** There is a microphone again, or another one: where we are on air it goes there. */
  async microphoneChanged() {
    if (!this.onAir) return;
    if (!this.microphone.ready) await this.microphone.take();
    if (!this.onAir) return;
    if (!this.microphone.ready) return this.press.end('microphone');
    const onAir = this.#channels.filter((channel) => channel.mine.state === 'onair');
    await Promise.all(onAir.map((channel) => this.#transport(channel)?.send(this.microphone.track)));
  }

  /** The connection to the box was lost. */
  linkLost() {
    for (const channel of this.#channels) if (channel.waiting) this.#cut(channel);
    clearTimeout(this.#kept);
    this.#kept = setTimeout(() => {
      for (const channel of this.#channels) if (channel.mine.state === 'onair') this.#cut(channel);
    }, KEPT_MS);
  }

  /** The box answers again; `entries` tell whether it still gives us the floor. */
  linkBack(resumed, entries) {
    clearTimeout(this.#kept);
    for (const channel of this.#channels) {
      if (channel.mine.state !== 'onair') continue;
      const entry = entries.find((entry) => entry.channelId === channel.id);
      if (!resumed || !entry || !channel.heldIn(entry)) this.#cut(channel);
    }
    for (const each of this.session.channels.values()) {
      if (each.owesStop && resumed) this.session.signaling.send({ type: 'STOP', channelId: each.id });
      each.owesStop = false;
    }
  }

  async #ask(channel) {
    const { mine } = channel;
    if (mine.state !== 'pressed' || channel.request !== null) return;
    if (!this.microphone.ready) {
      await this.microphone.take();
      if (channel.mine !== mine) return this.microphone.ready && this.say(words.microphone.readyNow);
      if (!this.microphone.ready) return this.#refuse(channel, 'microphone');
    }
    const transport = this.#transport(channel);
    // Whoever presses does not wait for the next try.
    if (transport?.state === 'failed') transport.connect();
    if (!channel.joined || transport?.state !== 'connected' || channel.request !== null) return;
    channel.request = this.session.signaling.send({ type: 'START', channelId: channel.id, level: mine.level });
    this.draw();
  }

  #begun(press) {
    this.#channels = this.targets(press);
    this.sound.unlock();
    for (const channel of this.#channels) channel.press(press.level);
    for (const channel of this.#channels) {
      const silenced = channel.silencedFor(performance.now()) > 0;
      if (!this.session.connected) this.#refuse(channel, 'offline');
      else if (!channel.rights.talk) this.#refuse(channel, 'no_right');
      else if (silenced) this.#refuse(channel, 'silenced');
    }
    this.draw();
    this.ask();
  }

  #ended() {
    const channels = this.#channels;
    this.#channels = [];
    clearTimeout(this.#kept);
    for (const channel of channels) {
      this.#transport(channel)?.send(null);
      if (channel.request !== null) channel.owesStop = this.session.signaling.send({ type: 'STOP', channelId: channel.id }) === null;
      if (channel.mine.state === 'onair') this.aired(channel, false);
      channel.release(performance.now());
      this.#settleLater(channel);
    }
    this.draw();
  }

  #granted(channel) {
    this.sound.tone('permit');
    vibrate(40);
    this.announce(words.announce.onAir);
    this.aired(channel, true);
    this.microphoneChanged();
  }

  // A press that nothing holds down ends by itself once no channel gives it anything.
  #denied() {
    this.sound.tone('deny');
    vibrate(60, 60, 60);
    if (this.#channels.some((channel) => channel.waiting || channel.mine.state === 'onair')) return;
    if (this.press.active && !this.press.active.held) this.press.end('denied');
  }

  #revoked(channel, graceMs) {
    setTimeout(() => {
      if (channel.mine.state !== 'onair') this.#transport(channel)?.send(null);
    }, graceMs);
    this.aired(channel, false);
    this.announce(words.revoked[channel.mine.reason] ?? words.revoked.other);
    this.#denied();
  }

  #refuse(channel, reason) {
    channel.deny(reason, performance.now());
    this.#denied();
    this.draw();
  }

  #cut(channel) {
    channel.revoke('disconnected', performance.now());
    this.#revoked(channel, 0);
    this.draw();
  }

  // The channel is not ours any more: nobody waits for an answer from it.
  #forget(channel) {
    if (!this.#channels.includes(channel)) return;
    if (channel.mine.state === 'onair') this.aired(channel, false);
    this.#channels = this.#channels.filter((each) => each !== channel);
    if (!this.#channels.length) this.press.end('removed');
  }

  #settleLater(channel) {
    const { mine } = channel;
    if (!LINGER_MS[mine.state]) return;
    setTimeout(() => {
      if (channel.mine !== mine) return;
      channel.settle();
      this.draw();
    }, Math.max(0, mine.shown + LINGER_MS[mine.state] - performance.now()));
  }

  #transport(channel) {
    return this.session.transports.get(channel.id);
  }
}
